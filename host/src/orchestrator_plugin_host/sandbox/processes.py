"""Instances whose guests run in worker processes: a process for each instance at work.

The host keeps what matters: the caller's logger, the clock and the deadline. When time is up, or
the caller gives up, the worker is killed, whatever it does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import astuple
from typing import Any, Final

import anyio

from ..calls import Call
from ..errors import PluginError, PluginOutputError
from ..wit import World
from .compiler import type_error
from .computing import Computing
from .failures import failure
from .guest import DROP
from .imports import import_rooms, room_for
from .instance import (
    InlineTime,
    Instance,
    explained,
    output_error,
    store_limits,
    too_large,
)
from .linking import BadArgumentError, import_function
from .steps import YIELDED, Asked, Done, Step
from .values import ValueMismatchError, ValueTooLargeError
from .worker.channel import ChannelClosedError
from .worker.wire import reader, to_wire
from .workers import ReadyWorker, worker_lost

Read = Callable[[Any], Any]
"""Reads a value that crossed the channel."""
_MAX_WORDS: Final = 4096
"""Characters of what a worker says that an error repeats."""
_ENVELOPE_BYTES: Final = 65_536
"""What a message may have besides the one document in it."""


class ProcessInstance(Instance):
    """An instance in a worker process, which has no other guest meanwhile."""

    def __init__(
        self, ready: ReadyWorker, computing: Computing, part: Callable[[ReadyWorker], None]
    ) -> None:
        """`part` takes the worker back from an instance that is closed between two calls."""
        self._ready = ready
        self._world: World = ready.world
        self._worker = ready.worker
        self._conversation = ready.conversation
        self._computing = computing
        self._part = part
        self._rooms: dict[str, int] = {}
        self._doing = "instantiation"
        self._read: Read = _nothing
        self._readers: dict[tuple[str, str], tuple[list[Read], Read]] = {}
        self.usable = True
        self.at_rest = False
        self.inline_time = InlineTime()

    @classmethod
    async def made(
        cls,
        ready: ReadyWorker,
        call: Call,
        computing: Computing,
        part: Callable[[ReadyWorker], None],
    ) -> Instance:
        """A new instance, made in the worker within `call`'s limits and its scope. Raises
        `PluginError`."""
        made = cls(ready, computing, part)
        limits = call.limits
        made._rooms = dict(import_rooms(limits))
        try:
            if not ready.confined:
                match await made._readiness(call):
                    case ["ready", list(held)]:
                        ready.confinement.check(call.plugin, map(str, held))
                        ready.confined = True
                    case ["types", str(why)]:
                        raise type_error(call.plugin, ready.world, why[:_MAX_WORDS])
                    case _:
                        raise made._unexpected(call)
            made._send(
                ["instantiate", list(astuple(store_limits(limits))), limits.fuel, made._rooms]
            )
            await made._driven(call, YIELDED)
        except BaseException as error:
            made.close()
            told = await made._told(call, error)
            if told is error:
                raise
            raise told from None
        return made

    async def _readiness(self, call: Call) -> list[Any]:
        """What a worker that starts says first."""
        try:
            return await self._received(call, _ENVELOPE_BYTES)
        except anyio.get_cancelled_exc_class():
            # It has no guest yet, and goes on starting, for the next call.
            self.at_rest = not self._ready.hangs
            raise

    @property
    def pid(self) -> int:
        """The number of the worker process."""
        return self._worker.pid

    async def run(self, call: Call, interface: str, name: str, *arguments: Any) -> Any:
        """As `Instance` says."""
        try:
            return await super().run(call, interface, name, *arguments)
        except ChannelClosedError as error:
            raise await self._told(call, error) from None

    def start(
        self, call: Call, interface: str, name: str, arguments: Sequence[Any], *, run: bool
    ) -> Step:
        """As `Instance` says."""
        self._computing.check_process()
        limits = call.limits
        self._doing = name
        wire = [to_wire(one) for one in arguments]
        if (interface, name) == DROP:
            self._read = _nothing
        else:
            checks, self._read = self._readers_of(interface, name)
            for check, value in zip(checks, wire, strict=True):
                check(value)  # what the worker would refuse is not sent
        room = room_for(limits.document_out_bytes)
        self._send(["start", interface, name, self.fuel(call), room, self._rooms, wire])
        return YIELDED

    def _readers_of(self, interface: str, name: str) -> tuple[list[Read], Read]:
        """How a function's arguments and its result are read. Found once: its types are large."""
        found = self._readers.get((interface, name))
        if found is None:
            function = self._world.exports[interface].functions[name]
            found = [reader(one) for _, one in function.params], reader(function.result)
            self._readers[interface, name] = found
        return found

    def resume(self, call: Call, answer: Any, *, run: bool) -> Step:
        """As `Instance` says."""
        self._send(["answer", to_wire(answer)])
        return YIELDED

    def _send(self, message: Sequence[Any]) -> None:
        self.at_rest = False
        self._conversation.send(message)

    async def proceed(self, call: Call) -> Step:
        """As `Instance` says."""
        limits = call.limits
        most = room_for(max(limits.document_out_bytes, limits.log_bytes)) + _ENVELOPE_BYTES
        return self._step(call, await self._received(call, most))

    async def _received(self, call: Call, most: int) -> list[Any]:
        message = await self._conversation.receive(most)
        if not isinstance(message, list) or not message or not isinstance(message[0], str):
            raise self._unexpected(call)
        return message

    def _step(self, call: Call, message: list[Any]) -> Step:
        """What a message says. Raises what it says that failed."""
        match message:
            case ["done", value]:
                return Done(self._read(value))
            case ["asked", str(interface), str(name), list(values)]:
                function = import_function(interface, name)
                if function is not None and len(values) == len(function.params):
                    return Asked(interface, name, self._arguments(interface, function, values))
            case ["trap", int() | None as code, str(words)]:
                raise failure(call, code, words[-_MAX_WORDS:], self._doing)
            case ["large", int(size)]:
                raise too_large(call, size)
            case ["value", str(why)]:
                raise output_error(call, self._doing, ValueMismatchError(why[:_MAX_WORDS]))
            case ["import-large", str(interface), int(size)]:
                raise BadArgumentError(interface, ValueTooLargeError(size))
            case ["import-value", str(interface), str(why)]:
                raise BadArgumentError(interface, ValueMismatchError(why[:_MAX_WORDS]))
        raise self._unexpected(call)

    def _arguments(self, interface: str, function: Any, values: list[Any]) -> list[Any]:
        try:
            return [
                reader(one)(value) for (_, one), value in zip(function.params, values, strict=True)
            ]
        except ValueMismatchError as error:
            raise BadArgumentError(interface, error) from None

    def _unexpected(self, call: Call) -> PluginError:
        return PluginOutputError(
            f"the worker of plugin {call.plugin!r} sent an unexpected message; it was ended"
        )

    async def _told(self, call: Call, error: BaseException) -> BaseException:
        """What the caller is told of an error: of a worker that has gone, how it ended."""
        if isinstance(error, ChannelClosedError):
            gone = await self._computing.run(lambda: self._worker.ended(str(error)))
            return worker_lost(call.plugin, call.limits, gone, self._doing)
        return explained(call, self._doing, error)

    def close(self) -> None:
        """As `Instance` says: ends the worker, unless its guest is between two calls."""
        if not self.usable:
            return
        self.usable = False
        try:
            if self.at_rest:
                self._conversation.send(["end"])
                self._part(self._ready)
                return
        except ChannelClosedError:
            pass  # it has gone
        self._conversation.close()
        self._worker.close()

    def forget(self, resource: int) -> None:
        """As `Instance` says. What there is of it is in the worker."""


def _nothing(answer: Any) -> None:
    """Reads the answer of what returns nothing."""
