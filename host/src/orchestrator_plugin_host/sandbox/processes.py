"""Instances whose guests run in worker processes: a process for each instance at work.

The host keeps what matters: the caller's logger, the clock and the deadline. When time is up, or
the caller gives up, the worker is killed, whatever it does.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import astuple
from typing import Any, Final

from ..calls import Call
from ..errors import PluginError, PluginOutputError, WorkerLostError
from ..limits import Limits
from ..wit import World
from .code import StoredCode
from .compiler import type_error
from .computing import Computing
from .failures import failure
from .guest import DROP
from .imports import import_rooms, room_for
from .instance import (
    Instance,
    InstanceSource,
    Turns,
    explained,
    output_error,
    store_limits,
    too_large,
)
from .linking import BadArgumentError, import_function
from .steps import YIELDED, Asked, Done, Step
from .values import ValueMismatchError, ValueTooLargeError
from .worker.channel import ChannelClosedError
from .worker.conversation import Conversation
from .worker.spawn import WorkerGoneError
from .worker.wire import reader, to_wire

_MAX_WORDS: Final = 4096
"""Characters of what a worker says that an error repeats."""
_ENVELOPE_BYTES: Final = 65_536
"""What a message may have besides the one document in it."""
_WORKER_BYTES: Final = 256 * 1024 * 1024
"""Data that a worker may hold besides its guest's memories and the documents on their way."""


class ReadyWorker:
    """A worker that was told which component it is to run, and is on its way, or has had a guest
    and may have another.

    `confined` names what the system let be taken from it, once it has said so.
    """

    def __init__(self, stored: StoredCode, plugin: str, limits: Limits) -> None:
        """Starts it, for the memory that the limits allow. Blocks. Raises `WorkerLostError`."""
        self.world = stored.world
        self.confined: tuple[str, ...] | None = None
        memory = (
            limits.memory_bytes
            + 4 * (limits.document_in_bytes + limits.document_out_bytes)
            + _WORKER_BYTES
        )
        try:
            self.worker = stored.worker()
            run = ["run", stored.world.name, sorted(stored.wasi), stored.memories, memory]
            try:
                self.worker.send(run, _go_on)
                if not stored.mapped:
                    self.worker.send(stored.code, _go_on)
            except BaseException:
                self.worker.close()
                raise
        except WorkerGoneError as error:
            raise _lost(plugin, limits, error, "instantiation") from None
        self.conversation = Conversation(self.worker.socket)


def _go_on() -> None:
    """A worker that starts is waited for: it reads what it is sent, or ends."""


def _lost(plugin: str, limits: Limits, error: WorkerGoneError, doing: str) -> WorkerLostError:
    advice = (
        f". If the plugin needs more memory than {limits.memory_bytes:,} bytes, "
        "raise Limits(memory_bytes=…)"
        if error.out_of_memory
        else ""
    )
    return WorkerLostError(
        f"plugin {plugin!r} lost its worker process in {doing}: {error}{advice}; "
        "the next call gets another"
    )


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
        self._read: Callable[[Any], Any] = _nothing
        self._at_rest = False
        self.usable = True
        self.turns = Turns()

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
            if ready.confined is None:
                match await made._received(call, _ENVELOPE_BYTES):
                    case ["ready", list(confined)]:
                        ready.confined = tuple(map(str, confined))
                    case ["types", str(why)]:
                        raise type_error(call.plugin, ready.world, why[:_MAX_WORDS])
                    case _:
                        raise made._unexpected(call)
            made._send(
                ["instantiate", list(astuple(store_limits(limits))), limits.fuel, made._rooms]
            )
            await made._driven(call, YIELDED)
            made._at_rest = True
        except BaseException as error:
            made.close()
            told = await made._told(call, error)
            if told is error:
                raise
            raise told from None
        return made

    @property
    def pid(self) -> int:
        """The number of the worker process."""
        return self._worker.pid

    @property
    def confined(self) -> tuple[str, ...]:
        """What the system let be taken from the worker."""
        return self._ready.confined or ()

    async def run(self, call: Call, interface: str, name: str, *arguments: Any) -> Any:
        """As `Instance` says."""
        try:
            return await super().run(call, interface, name, *arguments)
        except ChannelClosedError as error:
            raise await self._told(call, error) from None

    def start(self, call: Call, interface: str, name: str, arguments: Sequence[Any]) -> Step:
        """As `Instance` says."""
        if not self._at_rest:
            raise RuntimeError("the guest is in a call")
        limits = call.limits
        self._doing = name
        if (interface, name) == DROP:
            wire = list(arguments)
            self._read = _nothing
        else:
            function = self._world.exports[interface].functions[name]
            wire = [to_wire(one) for one in arguments]
            for (_, one), value in zip(function.params, wire, strict=True):
                reader(one)(value)  # what the worker would refuse is not sent
            self._read = reader(function.result)
        room = room_for(limits.document_out_bytes)
        self._send(["start", interface, name, limits.fuel, room, self._rooms, wire])
        return YIELDED

    def resume(self, call: Call, answer: Any, *, run: bool) -> Step:
        """As `Instance` says."""
        self._send(["answer", to_wire(answer)])
        return YIELDED

    def _send(self, message: Sequence[Any]) -> None:
        self._at_rest = False
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
                self._at_rest = True
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
            return _lost(call.plugin, call.limits, gone, self._doing)
        return explained(call, self._doing, error)

    def close(self) -> None:
        """As `Instance` says: ends the worker, unless its guest is between two calls."""
        if not self.usable:
            return
        self.usable = False
        if self._at_rest:
            self._part(self._ready)
        else:
            self._conversation.close()
            self._worker.close()

    def forget(self, resource: int) -> None:
        """As `Instance` says. What there is of it is in the worker."""


def _nothing(answer: Any) -> None:
    """Reads the answer of what returns nothing."""


class WorkerSource(InstanceSource):
    """The workers of one loaded plugin: those that have had a guest, and one that is on its way
    while the others are at work."""

    def __init__(self, stored: StoredCode, computing: Computing) -> None:
        self._stored = stored
        self._computing = computing
        self._lock = threading.Lock()
        self._ready: list[ReadyWorker] = []
        self._closed = False

    async def instance(self, call: Call) -> Instance:
        """A new instance, in a worker that is ready, or a new one. Raises `PluginError`."""
        with self._lock:
            ready = self._ready.pop() if self._ready else None
        if ready is None:
            ready = await self._started(call)
        made = await ProcessInstance.made(ready, call, self._computing, self._keep)
        with self._lock:
            prepare = not self._ready
        if prepare:
            self._computing.soon(lambda: self._prepare(call.plugin, call.limits))
        return made

    async def _started(self, call: Call) -> ReadyWorker:
        """A new worker. One that nobody waits for any more, once it has started, is kept."""
        given_up = threading.Event()

        def start() -> ReadyWorker:
            ready = ReadyWorker(self._stored, call.plugin, call.limits)
            if given_up.is_set():
                self._keep(ready)
            return ready

        try:
            return await self._computing.run(start)
        except BaseException:
            given_up.set()
            raise

    def _prepare(self, plugin: str, limits: Limits) -> None:
        try:
            ready = ReadyWorker(self._stored, plugin, limits)
        except PluginError:
            return  # whoever needs one next starts it, and is told why not
        self._keep(ready)

    def _keep(self, ready: ReadyWorker) -> None:
        """Takes a worker that has no guest, or none any more, for the next instance."""
        with self._lock:
            if not self._ready and not self._closed:
                self._ready.append(ready)
                return
        ready.worker.close()

    async def close(self) -> None:
        """Ends the workers that are ready. No instance is made afterwards."""
        with self._lock:
            self._closed = True
            ready, self._ready = self._ready, []
        for one in ready:
            one.worker.close()
