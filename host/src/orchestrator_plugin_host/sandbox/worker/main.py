"""What a worker process does: it compiles one component, or it runs one instance of one.

The first message says which. Afterwards the host asks and the worker answers, one message each;
while a guest runs, the worker asks in between for every import.

=====================================================  ==========================================
the host                                               the worker
=====================================================  ==========================================
`compile`, bytes, world, wasi, memory bytes, most      `compiled`, code | `large`, size |
                                                       `invalid`, why | `types`, why
`run`, world, wasi, memories, memory bytes             `ready`, what confines it | `types`, why
`instantiate`, store limits, fuel, rooms               `done`, nothing | a failure
`invoke`, interface, function, fuel, room, rooms,      `done`, result | a failure
arguments
`drop`, resource, fuel                                 `done`, nothing | a failure
`return`, result                                       (asked) `import`, interface, function, values
=====================================================  ==========================================

`room` is how many bytes a string or list of the result may have, `rooms` the same for what is
passed to an import, by interface. A failure is `trap`, code, words of wasmtime | `value`, why |
`large`, size | `import-value`, interface, why | `import-large`, interface, size. After one the host
ends the worker, as when an import is not to be answered.
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

from ...wit import HandleType, ResultType, World, read_contract
from .. import _capi
from ..config import GUEST_THREAD_STACK, make_engine
from ..guest import Guest, LoadedComponent, StoreLimits
from ..linking import import_function, make_linker
from ..typecheck import ComponentTypeError, check_component
from ..values import ValueMismatchError, ValueTooLargeError
from . import confine
from .channel import Channel, ChannelClosedError
from .wire import reader, to_wire

_MAX_WORDS = 4096
"""Characters of what is said of a component that is not compiled."""
_PARENT_MS = 1000
"""How often a worker looks whether its host still lives, should the channel not say."""
_MOST = 1 << 32
"""Bytes of a message: what the host sends, it has measured."""


def main(channel_descriptor: int, code_descriptor: int | None) -> None:
    """Does what the first message says, confined, and ends when the host does."""
    parent = os.getppid()
    end = socket.socket(fileno=channel_descriptor)
    channel = Channel(end)
    name, *rest = channel.receive(_MOST)
    serve = _compile if name == "compile" else _run
    engine = make_engine(compiles_in_parallel=name == "compile")
    work = serve(channel, engine, code_descriptor, *rest)

    def thread() -> None:
        try:
            work()
        except ChannelClosedError:
            os._exit(0)
        except BaseException:  # nobody is left to tell: the host sees that the worker is gone
            os._exit(70)
        os._exit(0)

    threading.stack_size(GUEST_THREAD_STACK)
    threading.Thread(target=thread, daemon=True).start()
    # A guest may run for long; if the host is gone, nobody waits for it. A process that was forked
    # off the host may still hold its end of the channel, so the parent is looked at, too.
    watch = select.poll()
    watch.register(end, getattr(select, "POLLRDHUP", select.POLLHUP))  # the first is Linux's
    while not watch.poll(_PARENT_MS) and os.getppid() == parent:
        pass
    os._exit(0)


def _compile(
    channel: Channel,
    engine: Engine,
    _: int | None,
    data: bytes,
    world_name: str,
    wasi: list[str],
    memory_bytes: int,
    code_bytes: int,
) -> Any:
    world = read_contract().worlds[world_name]
    confine.isolate()
    confine.limit(memory_bytes)
    confine.lock()

    def work() -> None:
        try:
            component = _capi.compile_component(engine, data)
            check_component(engine, component, world, wasi)
        except _capi.CapiError as error:
            channel.send(["invalid", str(error)[:_MAX_WORDS]])
        except ComponentTypeError as error:
            channel.send(["types", str(error)[:_MAX_WORDS]])
        else:
            code = bytes(component.serialize())
            # A few bytes of data, far apart, make megabytes of a memory's beginning.
            too_large = len(code) > code_bytes
            channel.send(["large", len(code)] if too_large else ["compiled", code])

    return work


def _run(
    channel: Channel,
    engine: Engine,
    code_descriptor: int | None,
    world_name: str,
    wasi: list[str],
    memories: int,
    memory_bytes: int,
) -> Any:
    world = read_contract().worlds[world_name]
    component = _component(channel, engine, code_descriptor)
    confined = confine.isolate() + confine.limit(memory_bytes)
    confined += confine.lock()

    def work() -> None:
        try:
            check_component(engine, component, world, wasi)
        except ComponentTypeError as error:
            channel.send(["types", str(error)])
            return
        channel.send(["ready", confined])
        loaded = LoadedComponent.of(component, world, memories=memories, wasi=bool(wasi))
        _Served(channel, engine, loaded).serve()

    return work


def _component(channel: Channel, engine: Engine, code_descriptor: int | None) -> Component:
    """The compiled code: mapped from a file that the host left open, or else from a message."""
    if code_descriptor is None:
        return _capi.deserialize_component(engine, channel.receive(_MOST))
    component = _capi.deserialize_component_file(engine, f"/proc/self/fd/{code_descriptor}")
    os.close(code_descriptor)
    return component


class _Served:
    """One guest, served to the host. Passes its imports on."""

    def __init__(self, channel: Channel, engine: Engine, loaded: LoadedComponent) -> None:
        self._channel = channel
        self._engine = engine
        self._world: World = loaded.world
        self._loaded = loaded
        self._linker = make_linker(engine, self, wasi=loaded.wasi)
        self._guest: Guest | None = None
        self._rooms: dict[str, int] = {}
        self._failed: list[Any] | None = None
        self._resources: dict[int, int] = {}
        self._last_resource = 0

    def serve(self) -> None:
        """Answers the host until it goes."""
        requests: dict[str, Callable[..., Any]] = {
            "instantiate": self._instantiate,
            "invoke": self._invoke,
            "drop": self._drop,
        }
        while True:
            name, *rest = self._channel.receive(_MOST)
            try:
                answer = ["done", requests[name](*rest)]
            except _capi.CapiError as error:
                answer = self._failed or ["trap", error.trap_code, str(error)]
            except ValueTooLargeError as error:
                answer = ["large", error.size]
            except (ValueMismatchError, UnicodeDecodeError) as error:
                answer = ["value", str(error)]
            self._channel.send(answer)

    def _instantiate(self, limits: list[int], fuel: int, rooms: dict[str, int]) -> None:
        self._rooms = rooms
        self._guest = Guest(self._engine, self._loaded, StoreLimits(*limits), lambda ticks: 0)
        self._guest.set_fuel(fuel)
        self._guest.set_epoch_deadline(1)  # no epoch ever passes: the host ends the process
        self._guest.instantiate(self._linker)

    def _invoke(
        self,
        interface: str,
        name: str,
        fuel: int,
        room: int,
        rooms: dict[str, int],
        values: list[Any],
    ) -> Any:
        assert self._guest is not None
        function = self._world.exports[interface].functions[name]
        arguments = tuple(
            self._resource(value) if isinstance(one, HandleType) else reader(one)(value)
            for (_, one), value in zip(function.params, values, strict=True)
        )
        self._rooms = rooms
        self._guest.set_fuel(fuel)
        result = self._guest.invoke(interface, name, arguments, room)
        if isinstance(function.result, ResultType) and isinstance(function.result.ok, HandleType):
            return self._with_number(result)
        return to_wire(result)

    def _resource(self, number: int) -> int:
        if number not in self._resources:
            raise ValueMismatchError(f"there is no resource {number}")
        return self._resources[number]

    def _with_number(self, result: Any) -> Any:
        wire = to_wire(result)
        if wire[0]:
            self._last_resource += 1
            self._resources[self._last_resource] = wire[1]
            wire[1] = self._last_resource
        return wire

    def _drop(self, resource: int, fuel: int) -> None:
        assert self._guest is not None
        self._guest.set_fuel(fuel)
        self._guest.drop(self._resources.pop(resource))

    # As `linking.Imports` says.

    def room(self, context: int, interface: str) -> int:
        return self._rooms[interface]

    def answer(self, context: int, interface: str, function: str, values: list[Any]) -> Any:
        self._channel.send(["import", interface, function, to_wire(tuple(values))])
        _, result = self._channel.receive(_MOST)
        wanted = import_function(interface, function)
        assert wanted is not None
        return reader(wanted.result)(result)

    def failed(self, context: int, interface: str, error: BaseException) -> None:
        if isinstance(error, ValueTooLargeError):
            self._failed = ["import-large", interface, error.size]
        elif isinstance(error, (ValueMismatchError, UnicodeDecodeError)):
            self._failed = ["import-value", interface, str(error)]
