"""One guest: a component, instantiated in a store of its own. In whichever process it runs.

Knows nothing of calls, plugins and their errors: it says how wasmtime and the values failed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from wasmtime import Engine
from wasmtime.component import Component

from ..wit import World
from . import _capi
from .lowering import Lower, lowerer
from .values import Lift, lifter


@dataclass(frozen=True, slots=True)
class _Export:
    """One function of a component: where it is, and how its values move."""

    index: Any
    lowers: tuple[Lower, ...]
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
        exports = {}
        for interface_name, interface in world.exports.items():
            interface_index = component.get_export_index(interface_name)
            for name, function in interface.functions.items():
                exports[interface_name, name] = _Export(
                    component.get_export_index(name, interface_index),
                    tuple(lowerer(one) for _, one in function.params),
                    None if function.result is None else lifter(function.result),
                )
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
    """A store and the instance in it. One user at a time."""

    def __init__(
        self,
        engine: Engine,
        loaded: LoadedComponent,
        limits: StoreLimits,
        on_epoch: Callable[[int], int],
    ) -> None:
        """Makes the store alone. `on_epoch` as for `_capi.Store`."""
        self._loaded = loaded
        self._functions: dict[tuple[str, str], _capi.Function] = {}
        self._store = _capi.Store(engine, on_epoch)
        memories = min(max(loaded.memories, 1), limits.memories)
        self._store.limit(
            memory_bytes=limits.memory_bytes // memories,
            table_elements=limits.table_elements,
            instances=limits.core_instances,
            tables=limits.tables,
            memories=memories,
        )
        if loaded.wasi:
            self._store.give_wasi()

    @property
    def context(self) -> int:
        """The address that imports get: it tells guests apart."""
        return self._store.context

    def instantiate(self, linker: _capi.Linker) -> None:
        """Makes the instance. Runs guest code. Raises `CapiError`."""
        self._store.instantiate(linker, self._loaded.component)

    def set_fuel(self, fuel: int) -> None:
        """Sets what the next calls may use."""
        self._store.set_fuel(fuel)

    def set_epoch_deadline(self, ticks: int) -> None:
        """Calls `on_epoch` after this many ticks."""
        self._store.set_epoch_deadline(ticks)

    def invoke(self, interface: str, name: str, arguments: tuple[Any, ...], room: int) -> Any:
        """Calls an exported function; gives the result as in `values`, no string or list of which
        may have more bytes than `room`.

        Raises `CapiError`, `ValueMismatchError`, `ValueTooLargeError` or `UnicodeDecodeError`.
        After any of them the guest must not be entered again.
        """
        export = self._loaded.exports[interface, name]
        function = self._functions.get((interface, name))
        if function is None:
            function = self._store.function(
                export.index, len(export.lowers), export.lift is not None
            )
            self._functions[interface, name] = function
        try:
            for i, lower in enumerate(export.lowers):
                lower(arguments[i], function.args + i * _capi.VAL_SIZE)
        except BaseException:
            function.free_arguments()
            raise
        function.call()
        if export.lift is None:
            return None
        try:
            return export.lift(function.result, room)
        finally:
            function.free_result()

    def drop(self, resource: int) -> None:
        """Drops a resource that a function gave, running its destructor. Raises `CapiError`."""
        self._store.drop_resource(resource)

    def close(self) -> None:
        """Frees the store. No call may be under way."""
        self._functions.clear()
        self._store.close()
