"""Instances of the `process` tier: the guest runs in a worker process, one for each instance.

The host keeps what matters: the caller's logger, the clock and the deadline. When time is up, or
the caller gives up, the worker is killed, whatever it does.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import astuple, dataclass, field
from typing import Any, Final

from ..calls import Call
from ..errors import PluginError, PluginOutputError, WorkerLostError
from ..limits import Limits
from ..wit import World
from .compiler import type_error
from .failures import failure
from .imports import answer_import, import_error, import_room, room_for
from .instance import Instance, in_use, output_error, store_limits, too_large
from .linking import INTERFACES, import_function
from .values import ValueMismatchError, ValueTooLargeError
from .worker.channel import UnsendableError
from .worker.spawn import Worker, WorkerGoneError
from .worker.wire import reader, to_wire

_MAX_WORDS: Final = 4096
"""Characters of what a worker says that an error repeats."""
_ENVELOPE_BYTES: Final = 65_536
"""What a message may have besides the one document in it."""
_WORKER_BYTES: Final = 256 * 1024 * 1024
"""Data that a worker may hold besides its guest's memories and the documents on their way."""


@dataclass
class StoredCode:
    """A component's compiled code, for workers to map. The file is gone once this is."""

    world: World
    wasi: frozenset[str]
    memories: int
    code: bytes = field(repr=False)
    _descriptor: int | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        if not hasattr(os, "memfd_create"):
            return
        try:
            # Sealed: what was authenticated is what runs.
            descriptor = os.memfd_create("plugin-code", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        except OSError:  # no descriptor is left, or the system forbids it: workers are sent it
            return
        try:
            with open(descriptor, "wb", closefd=False) as file:
                file.write(self.code)
            _seal(descriptor)
        except OSError:
            os.close(descriptor)
            return
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor = descriptor
        self.code = b""

    def worker(self) -> Worker:
        """A new worker, that has the code's file. Raises `WorkerGoneError`."""
        return Worker(self._descriptor)

    @property
    def mapped(self) -> bool:
        """Whether workers have the code as a file, or must be sent it."""
        return self._descriptor is not None

    def __del__(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def _seal(descriptor: int) -> None:
    import fcntl

    everything = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE
    fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, everything)


class ReadyWorker:
    """A worker that was told which component it is to run, and is on its way."""

    def __init__(self, stored: StoredCode, call: Call, go_on: Callable[[], None]) -> None:
        """Starts it, for the memory of `call`'s limits. Raises `WorkerLostError`, or what `go_on`
        raises, which is asked while it waits."""
        self.world = stored.world
        limits = call.limits
        memory = (
            limits.memory_bytes
            + 4 * (limits.document_in_bytes + limits.document_out_bytes)
            + _WORKER_BYTES
        )
        try:
            self.worker = stored.worker()
        except WorkerGoneError as error:
            raise _lost(call, error, "instantiation") from None
        try:
            self.worker.send(
                ["run", stored.world.name, sorted(stored.wasi), stored.memories, memory], go_on
            )
            if not stored.mapped:
                self.worker.send(stored.code, go_on)
        except WorkerGoneError as error:
            raise _lost(call, error, "instantiation") from None
        except BaseException:
            self.worker.close()
            raise


def _rooms(limits: Limits) -> dict[str, int]:
    """Bytes that a string or list may have that the guest passes to an import, by interface."""
    return {name: import_room(limits, name) for name in INTERFACES}


def _lost(call: Call, error: WorkerGoneError, doing: str) -> WorkerLostError:
    advice = (
        f". If the plugin needs more memory than {call.limits.memory_bytes:,} bytes, "
        "raise Limits(memory_bytes=…)"
        if error.out_of_memory
        else ""
    )
    return WorkerLostError(
        f"plugin {call.plugin!r} lost its worker process in {doing}: {error}{advice}; "
        "the next call gets another"
    )


class ProcessInstance(Instance):
    """An instance in a worker process of its own.

    `confined` names what the system let be taken from the worker.
    """

    def __init__(self, ready: ReadyWorker, call: Call) -> None:
        """Makes the instance in the worker, within `call`'s limits. Raises `PluginError`."""
        self._world = ready.world
        self._worker = ready.worker
        self.call = call
        self.usable = True
        self._asking = threading.Lock()
        self.confined: tuple[str, ...] = ()
        try:
            self._start()
        except BaseException:
            self.close()
            raise

    def _start(self) -> None:
        limits = self.call.limits
        try:
            match self._worker.receive(_ENVELOPE_BYTES, self.call.check):
                case ["ready", list(confined)]:
                    self.confined = tuple(map(str, confined))
                case ["types", str(why)]:
                    raise type_error(self.call.plugin, self._world, why)
                case _:
                    raise self._nonsense()
        except WorkerGoneError as error:
            raise _lost(self.call, error, "instantiation") from None
        request = ["instantiate", list(astuple(store_limits(limits))), limits.fuel]
        self._ask([*request, _rooms(limits)], "instantiation", lambda answer: None)

    def begin(self, call: Call) -> None:
        """As `Instance` says."""
        self.call = call

    def invoke(self, interface: str, name: str, *arguments: Any) -> Any:
        """As `Instance` says."""
        self.call.check()
        limits = self.call.limits
        room = room_for(limits.document_out_bytes)
        request = ["invoke", interface, name, limits.fuel, room, _rooms(limits)]
        function = self._world.exports[interface].functions[name]
        wire = [to_wire(one) for one in arguments]
        for (_, one), value in zip(function.params, wire, strict=True):
            reader(one)(value)  # what the worker would refuse is not sent
        request.append(wire)
        return self._ask(request, name, reader(function.result))

    def drop(self, resource: int) -> None:
        """As `Instance` says."""
        if self.usable:
            request = ["drop", resource, self.call.limits.fuel]
            self._ask(request, "a resource's destructor", lambda answer: None)

    def close(self) -> None:
        """As `Instance` says: ends the worker."""
        self.usable = False
        self._worker.close()

    @property
    def pid(self) -> int:
        """The number of the worker process."""
        return self._worker.pid

    def _ask(self, request: list[Any], doing: str, read: Callable[[Any], Any]) -> Any:
        """Sends a request, answers the guest's imports, and gives the result.

        Whatever is raised, the worker is ended.
        """
        if not self._asking.acquire(blocking=False):
            raise in_use()
        try:
            return self._exchange(request, doing, read)
        finally:
            self._asking.release()

    def _exchange(self, request: list[Any], doing: str, read: Callable[[Any], Any]) -> Any:
        call = self.call
        limits = call.limits
        most = room_for(max(limits.document_out_bytes, limits.log_bytes)) + _ENVELOPE_BYTES
        try:
            self._worker.send(request, call.check_running)
            while True:
                message = self._worker.receive(most, call.check_running)
                if message[0] != "import":
                    break
                call.check_running()  # what is always there to be received is never waited for
                try:
                    reply = self._answer(message)
                except BaseException as error:
                    # Nobody waits for what the worker makes of it: it may be the guest's by now.
                    interface = str(message[1]) if len(message) > 1 else ""
                    raised = import_error(call, interface, error)
                    if raised is error:
                        raise
                    raise raised from None
                self._worker.send(["return", reply], call.check_running)
            return self._result(message, doing, read)
        except WorkerGoneError as error:
            self.close()
            raise _lost(call, error, doing) from None
        except UnsendableError:
            raise  # the worker has not heard of it
        except BaseException:
            self.close()
            raise

    def _answer(self, message: list[Any]) -> Any:
        match message:
            case ["import", str(interface), str(name), list(values)]:
                function = import_function(interface, name)
                if function is not None and len(values) == len(function.params):
                    read = [
                        reader(one)(value)
                        for (_, one), value in zip(function.params, values, strict=True)
                    ]
                    return to_wire(answer_import(self.call, interface, name, read))
        raise self._nonsense()

    def _result(self, message: list[Any], doing: str, read: Callable[[Any], Any]) -> Any:
        match message:
            case ["done", value]:
                try:
                    return read(value)
                except ValueMismatchError as error:
                    raise output_error(self.call, doing, error) from None
            case ["trap", int() | None as code, str(words)]:
                raise failure(self.call, code, words[-_MAX_WORDS:], doing)
            case ["large", int(size)]:
                raise too_large(self.call, size)
            case ["value", str(why)]:
                raise output_error(self.call, doing, ValueMismatchError(why[:_MAX_WORDS]))
            case ["import-large", str(interface), int(size)]:
                raise import_error(self.call, interface, ValueTooLargeError(size))
            case ["import-value", str(interface), str(why)]:
                raise import_error(self.call, interface, ValueMismatchError(why[:_MAX_WORDS]))
        raise self._nonsense()

    def _nonsense(self) -> PluginError:
        return PluginOutputError(
            f"the worker of plugin {self.call.plugin!r} sent what makes no sense; it was ended"
        )
