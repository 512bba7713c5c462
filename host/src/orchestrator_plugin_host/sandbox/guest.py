"""One guest: a component, instantiated in a store of its own, as a coroutine. In whichever process
it runs.

Knows nothing of calls, plugins and their errors: it says how far the guest got (`steps`), or how
wasmtime and the values failed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from wasmtime import Engine
from wasmtime.component import Component

from ..wit import HandleType, Type, World
from . import _capi
from .adapters import CORE_INSTANCES, MEMORIES, drop_export
from .arguments import Arguments
from .linking import GuestImports, SuspendedImport
from .steps import YIELDED, Done, Step
from .store import Function, Store
from .values import Lift, lifter

DROP: Final = ("", "drop")
"""The function, among a component's exports, that drops the resource of its world."""


@dataclass(frozen=True, slots=True)
class _Export:
    """One function of a component: where it is, and how its values move."""

    index: Any
    params: tuple[Type, ...]
    lift: Lift | None


@dataclass(frozen=True)
class LoadedComponent:
    """A component, compiled and compared with its world. Shared by threads and instances.

    `memories` is how many linear memories it defines; `wasi`, whether it imports any of WASI.
    """

    component: Component
    world: World
    memories: int
    wasi: bool
    exports: Mapping[tuple[str, str], _Export] = field(repr=False, default_factory=dict)

    @classmethod
    def of(
        cls, component: Component, world: World, *, memories: int, wasi: bool
    ) -> LoadedComponent:
        """Looks up the functions of a component that has been compared with `world`."""
        exports: dict[tuple[str, str], _Export] = {}
        for interface_name, interface in world.exports.items():
            interface_index = component.get_export_index(interface_name)
            for name, function in interface.functions.items():
                exports[interface_name, name] = _Export(
                    component.get_export_index(name, interface_index),
                    tuple(one for _, one in function.params),
                    None if function.result is None else lifter(function.result),
                )
            for resource in interface.resources:
                handle = HandleType(resource, owned=True)
                index = component.get_export_index(drop_export(resource))
                exports[DROP] = _Export(index, (handle,), None)
        return cls(component, world, memories, wasi, exports)


@dataclass(frozen=True, slots=True)
class StoreLimits:
    """What a store may hold: `memory_bytes` in all its memories together, and counts."""

    memory_bytes: int
    memories: int
    core_instances: int
    tables: int
    table_elements: int


class Guest:
    """A store and the instance in it. One user at a time, on any thread.

    Whatever a step raises, the guest must not be entered again; `close` it.
    """

    def __init__(
        self, engine: Engine, imports: GuestImports, loaded: LoadedComponent, limits: StoreLimits
    ) -> None:
        """Makes the store alone. Raises `PluginClosedError` if the imports are closed."""
        self._loaded = loaded
        self._imports = imports
        self._functions: dict[tuple[str, str], Function] = {}
        self._function: Function | None = None
        self._lift: Lift | None = None
        self._room = 0
        self._store = store = Store(engine)
        memories = min(max(loaded.memories, 1), limits.memories)
        try:
            store.limit(
                memory_bytes=limits.memory_bytes // memories,
                table_elements=limits.table_elements,
                instances=limits.core_instances + CORE_INSTANCES,
                tables=limits.tables,
                memories=memories + MEMORIES,
            )
            if loaded.wasi:
                store.give_wasi()
            self._suspended: SuspendedImport = imports.entered(store.context)
        except BaseException:
            store.close()
            raise

    def instantiate(self, fuel: int, rooms: Mapping[str, int]) -> Step:
        """Begins to make the instance, which runs guest code. Raises `CapiError`.

        `rooms` is how many bytes a string or list may have that the guest passes to an import, by
        interface: as it is when the import is called.
        """
        self._store.check_at_rest()
        self._suspended.rooms = rooms
        self._store.set_fuel(fuel)
        self._store.begin_instance(self._imports.linker, self._loaded.component)
        return self.proceed()

    def begin(
        self,
        interface: str,
        name: str,
        arguments: Sequence[Any],
        *,
        fuel: int | None,
        room: int,
        rooms: Mapping[str, int],
    ) -> None:
        """Begins a call of an exported function, with values as in `values`: nothing of it runs
        before `proceed`. It has `fuel`, or without it what is left. No string or list of the result
        may have more bytes than `room`; `rooms` as for `instantiate`.

        Raises `RuntimeError` if the guest is closed or in a call.
        """
        self._store.check_at_rest()
        function = self._functions.get((interface, name))
        export = self._loaded.exports[interface, name]
        if function is None:
            function = self._store.function(
                export.index, Arguments(export.params), has_result=export.lift is not None
            )
            self._functions[interface, name] = function
        self._function, self._lift, self._room = function, export.lift, room
        self._suspended.rooms = rooms
        if fuel is not None:
            self._store.set_fuel(fuel)
        function.arguments.fill(arguments)
        self._store.begin_call(function)

    def start(self, interface: str, name: str, arguments: Sequence[Any], **bounds: Any) -> Step:
        """`begin`, and `proceed`.

        Raises `CapiError`, `ValueMismatchError`, `ValueTooLargeError`, `UnicodeDecodeError`, or
        `RuntimeError` if the guest is closed or in a call.
        """
        self.begin(interface, name, arguments, **bounds)
        return self.proceed()

    def answer(self, value: Any) -> None:
        """Gives the answer to what the guest asked for, of the type that the import has: the guest
        takes it when it proceeds."""
        self._suspended.answer(value)

    def proceed(self) -> Step:
        """Runs the guest until it is done, asks for something, or has used up a slice of fuel.
        Raises as `start` does."""
        suspended = self._suspended
        try:
            ended = self._store.poll()
        except _capi.CapiError:
            failure, suspended.failure = suspended.failure, None
            if failure is not None:
                raise failure from None
            raise
        if not ended:
            asked = suspended.asked
            return YIELDED if asked is None else asked
        function, self._function = self._function, None
        if function is None:
            return Done(None)  # the instance is there
        function.arguments.clear()
        if self._lift is None:
            return Done(None)
        try:
            return Done(self._lift(function.result, self._room))
        finally:
            function.free_result()

    def close(self) -> None:
        """Frees the store, in the middle of a call, too. Nobody may be in it."""
        context = self._store.context
        if context:
            self._imports.leaves(context)
            self._store.close()
            self._functions.clear()
            self._function = None
            self._imports.left()


def forget_resource(resource: int) -> None:
    """Frees the host's copy of a resource that a function returned. Its destructor does not run."""
    _capi.resource_delete(resource)
