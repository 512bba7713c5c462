"""What a worker process does: it compiles one component, or it runs one instance of one.

The first message says which. Afterwards the host asks and the worker answers, one message each.

=====================================================  ==========================================
the host                                               the worker
=====================================================  ==========================================
`compile`, size, world, wasi, memory bytes, most       `confined`, what confines it
the component                                          `compiled`, size, and the code |
                                                       `large`, size | `invalid`, why | `types`, why
`run`, world, wasi, memories, memory bytes, address    `ready`, what confines it | `types`, why
bytes
`instantiate`, store limits, fuel, rooms               a step
`start`, interface, function, fuel, room, rooms,       a step
arguments
`answer`, value                                        a step
`end`                                                  nothing: its guest is freed
=====================================================  ==========================================

A step is `done`, result | `asked`, interface, function, values | a failure: those of `steps`, but
for slices of fuel, which a worker needs not to give back. `room` is how many bytes a string or list
of the result may have, `rooms` the same for what is passed to an import, by interface. A failure is
`trap`, code, words of wasmtime | `value`, why | `large`, size | `import-value`, interface, why |
`import-large`, interface, size. After one the host ends the worker, as when an import is not to be
answered.
"""

from __future__ import annotations

import os
import select
import socket
import threading
from collections.abc import Callable
from typing import Any

from wasmtime import Engine
from wasmtime.component import Component

from ...wit import HandleType, ResultType, Type, World, read_contract
from .. import _capi
from ..config import make_engine
from ..guest import DROP, Guest, LoadedComponent, StoreLimits, forget_resource
from ..linking import BadArgumentError, GuestImports, import_function
from ..steps import Asked, Step, Yielded
from ..typecheck import ComponentTypeError, check_component
from ..values import ValueMismatchError, ValueTooLargeError
from . import confine, starting
from .channel import Channel, ChannelClosedError
from .wire import reader, to_wire

_PARENT_MS = 1000
"""How often a worker looks whether its host still lives, should the channel not say."""
_ADDRESSES = 1 << 30
"""Bytes of addresses for the worker itself: stacks, and what the C library reserves for threads."""
_MOST = 1 << 32
"""Bytes of a message: what the host sends, it has measured."""


def main(channel_descriptor: int, code_descriptor: int | None) -> None:
    """Does what the first message says, confined, and ends when the host does."""
    parent = os.getppid()
    end = socket.socket(fileno=channel_descriptor)
    channel = Channel(end)
    name, *rest = channel.receive(_MOST)
    engine = make_engine(compiles_in_parallel=name == "compile")
    if name == "compile":
        from .compiling import compiling  # what a worker that runs a guest does without

        work = compiling(channel, engine, *rest)
    else:
        work = _running(channel, engine, code_descriptor, *rest)

    def thread() -> None:
        try:
            work()
        except ChannelClosedError:
            os._exit(0)
        except BaseException as error:  # the host sees that the worker is gone, and reads why
            os.write(2, f"{type(error).__name__}\n".encode())
            os._exit(70)
        os._exit(0)

    threading.Thread(target=thread, daemon=True).start()
    # A guest may run for long; if the host is gone, nobody waits for it. A process that was forked
    # off the host may still hold its end of the channel, so the parent is looked at, too.
    watch = select.poll()
    watch.register(end, getattr(select, "POLLRDHUP", select.POLLHUP))  # the first is Linux's
    while not watch.poll(_PARENT_MS) and os.getppid() == parent:
        pass
    os._exit(0)


def _running(
    channel: Channel,
    engine: Engine,
    code_descriptor: int | None,
    world_name: str,
    wasi: list[str],
    memories: int,
    memory_bytes: int,
    address_bytes: int,
) -> Callable[[], None]:
    """Confines the worker; what its thread does, which is to run guests."""
    world = read_contract().worlds[world_name]
    component = _component(channel, engine, code_descriptor)
    imports = GuestImports(engine, wasi=bool(wasi))
    held = confine.enclose(memory_bytes, address_bytes + _ADDRESSES)

    def work() -> None:
        if wasi:
            starting.start_wasi(engine, imports)
        sealed = confine.seal()
        try:
            check_component(engine, component, world, wasi)
        except ComponentTypeError as error:
            channel.send(["types", str(error)])
            return
        channel.send(["ready", held + sealed])
        loaded = LoadedComponent.of(component, world, memories=memories, wasi=bool(wasi))
        _Served(channel, engine, imports, loaded).serve()

    return work


def _component(channel: Channel, engine: Engine, code_descriptor: int | None) -> Component:
    """The compiled code: mapped from a file that the host left open, or else from the channel."""
    if code_descriptor is None:
        _, size = channel.receive(_MOST)
        return _capi.deserialize_component(engine, channel.receive_bytes(size))
    component = _capi.deserialize_component_file(engine, f"/proc/self/fd/{code_descriptor}")
    os.close(code_descriptor)
    return component


class _Served:
    """One guest at a time, served to the host."""

    def __init__(
        self, channel: Channel, engine: Engine, imports: GuestImports, loaded: LoadedComponent
    ) -> None:
        self._channel = channel
        self._engine = engine
        self._world: World = loaded.world
        self._loaded = loaded
        self._imports = imports
        self._guest: Guest | None = None
        self._asked: Asked | None = None
        self._result: Type | None = None
        self._functions: dict[tuple[str, str], tuple[list[Callable[[Any], Any]], Any]] = {}
        self._resources: dict[int, int] = {}
        self._last_resource = 0
        self._dropped: int | None = None

    def serve(self) -> None:
        """Answers the host until it goes."""
        requests: dict[str, Callable[..., Step]] = {
            "instantiate": self._instantiate,
            "start": self._start,
            "answer": self._answer,
        }
        while True:
            name, *rest = self._channel.receive(_MOST)
            if name == "end":
                self._free()
                continue
            try:
                message = self._message(requests[name](*rest))
            except _capi.CapiError as error:
                message = ["trap", error.trap_code, str(error)]
            except BadArgumentError as error:
                message = self._bad_argument(error)
            except ValueTooLargeError as error:
                message = ["large", error.size]
            except (ValueMismatchError, UnicodeDecodeError) as error:
                message = ["value", str(error)]
            self._channel.send(message)

    def _message(self, step: Step) -> list[Any]:
        """How far the guest got, once it is done or asks for something."""
        assert self._guest is not None
        while isinstance(step, Yielded):
            step = self._guest.proceed()
        if isinstance(step, Asked):
            self._asked = step
            return ["asked", step.interface, step.function, to_wire(tuple(step.arguments))]
        if self._dropped is not None:
            forget_resource(self._dropped)
            self._dropped = None
        result = self._result
        wire = to_wire(step.value)
        if isinstance(result, ResultType) and isinstance(result.ok, HandleType) and wire[0]:
            self._last_resource += 1
            self._resources[self._last_resource] = wire[1]
            wire[1] = self._last_resource
        return ["done", wire]

    def _bad_argument(self, error: BadArgumentError) -> list[Any]:
        if isinstance(error.why, ValueTooLargeError):
            return ["import-large", error.interface, error.why.size]
        return ["import-value", error.interface, str(error.why)]

    def _free(self) -> None:
        if self._guest is not None:
            self._guest.close()
            self._guest = None
        while self._resources:
            forget_resource(self._resources.popitem()[1])

    def _instantiate(self, limits: list[int], fuel: int, rooms: dict[str, int]) -> Step:
        self._free()
        self._result = None
        self._guest = Guest(self._engine, self._imports, self._loaded, StoreLimits(*limits))
        return self._guest.instantiate(fuel, rooms)

    def _start(
        self,
        interface: str,
        name: str,
        fuel: int | None,
        room: int,
        rooms: dict[str, int],
        values: list[Any],
    ) -> Step:
        assert self._guest is not None
        arguments: list[Any]
        if (interface, name) == DROP:
            self._result = None
            self._dropped = self._resources.pop(values[0])
            arguments = [self._dropped]
        else:
            reads, self._result = self._function(interface, name)
            arguments = [read(value) for read, value in zip(reads, values, strict=True)]
        return self._guest.start(interface, name, arguments, fuel=fuel, room=room, rooms=rooms)

    def _function(self, interface: str, name: str) -> tuple[list[Callable[[Any], Any]], Any]:
        """How a function's arguments are read, and the type of its result. Found once."""
        found = self._functions.get((interface, name))
        if found is None:
            function = self._world.exports[interface].functions[name]
            reads = [
                self._resource if isinstance(one, HandleType) else reader(one)
                for _, one in function.params
            ]
            found = self._functions[interface, name] = (reads, function.result)
        return found

    def _resource(self, number: int) -> int:
        if number not in self._resources:
            raise ValueMismatchError(f"there is no resource {number}")
        return self._resources[number]

    def _answer(self, value: Any) -> Step:
        assert self._guest is not None
        assert self._asked is not None
        wanted = import_function(self._asked.interface, self._asked.function)
        assert wanted is not None
        self._asked = None
        self._guest.answer(reader(wanted.result)(value))
        return self._guest.proceed()
