"""Loaded components and their instances: a store each, one user at a time, gone after a trap."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from ctypes import c_uint64
from dataclasses import dataclass, field
from typing import Any

from wasmtime.component import Component

from ..calls import Call
from ..errors import (
    FuelExhaustedError,
    MemoryLimitError,
    PluginError,
    PluginOutputError,
    PluginTrapError,
)
from ..limits import UNITS
from ..wit import World
from . import _capi
from .engine import SandboxEngine
from .imports import make_linker
from .values import Lift, Lower, ValueMismatchError, lifter, lowerer

_TRAPS: Mapping[int, str] = {
    0: "stack overflow",
    1: "out-of-bounds memory access",
    2: "misaligned atomic access",
    3: "out-of-bounds table access",
    4: "indirect call to null",
    5: "indirect call of another type",
    6: "integer overflow",
    7: "integer division by zero",
    8: "invalid conversion to integer",
    9: "unreachable",
    10: "interrupted",
    11: "out of fuel",
}

# wasmtime's words for a store's limits, when it makes an instance.
_LIMIT_MESSAGES = (
    ("memory minimum size", "memory_bytes", "wants more memory than it may have"),
    ("memory count too high", "memories", "wants more memories than it may have"),
    ("instance count too high", "core_instances", "wants more core instances than it may have"),
    ("table count too high", "tables", "wants more tables than it may have"),
    ("table minimum size", "table_elements", "wants a larger table than it may have"),
)


@dataclass(frozen=True, slots=True)
class _Export:
    """One function of a component: where it is, and how its values move."""

    index: Any
    lowers: tuple[Lower, ...]
    lift: Lift | None


@dataclass(frozen=True)
class LoadedComponent:
    """A component, compiled and compared with its world. Shared by threads and instances.

    `memories` is how many linear memories it defines.
    """

    component: Component
    world: World
    memories: int
    exports: Mapping[tuple[str, str], _Export] = field(repr=False, default_factory=dict)

    @classmethod
    def of(cls, component: Component, world: World, memories: int) -> LoadedComponent:
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
        return cls(component, world, memories, exports)


class Sandbox:
    """The engine, the imports, and the instances that are alive: one for each host."""

    def __init__(self) -> None:
        self.engine = SandboxEngine()
        self.instances: dict[int, Instance] = {}
        self.linker = make_linker(self.engine.engine, self.instances)

    def close(self) -> None:
        """Frees what is shared. All instances must be closed."""
        self.engine.close()
        self.linker.close()


class Instance:
    """One instance of a component, in a store of its own.

    `pending` is what was raised in an import, to be raised again where the call was made.
    `usable` is false once the store must not be entered again.
    """

    def __init__(self, sandbox: Sandbox, loaded: LoadedComponent, call: Call) -> None:
        """Makes the instance, within `call`'s limits. Runs guest code; raises `PluginError`."""
        self._sandbox = sandbox
        self._loaded = loaded
        self.call = call
        self.pending: BaseException | None = None
        self.usable = True
        self._busy = False
        self._functions: dict[tuple[str, str], _capi.Function] = {}
        self._store = _capi.Store(sandbox.engine.engine, self._on_epoch)
        limits = call.limits
        memories = min(max(loaded.memories, 1), limits.memories)
        self._store.limit(
            memory_bytes=limits.memory_bytes // memories,
            table_elements=limits.table_elements,
            instances=limits.core_instances,
            tables=limits.tables,
            memories=memories,
        )
        sandbox.instances[self._store.context] = self
        try:
            self.begin(call)
            with self._entered():
                self._store.instantiate(sandbox.linker, loaded.component)
        except _capi.CapiError as error:
            self.close()
            raise self._failure(error, "instantiation") from None
        except BaseException:
            self.close()
            raise

    def begin(self, call: Call) -> None:
        """Makes `call` the one whose limits hold and who gets the log, with its whole fuel."""
        self.call = call
        self._store.set_fuel(call.limits.fuel)

    def invoke(self, interface: str, name: str, *arguments: Any) -> Any:
        """Calls an exported function; gives the result as in `values`.

        Raises `PluginError`, or whatever an import raised. After either the instance is not usable.
        """
        export = self._loaded.exports[interface, name]
        function = self._functions.get((interface, name))
        if function is None:
            function = self._store.function(
                export.index, len(export.lowers), export.lift is not None
            )
            self._functions[interface, name] = function
        self.call.check()
        try:
            with self._entered():
                try:
                    for i, lower in enumerate(export.lowers):
                        lower(arguments[i], function.args + i * _capi.VAL_SIZE)
                except BaseException:
                    function.free_arguments()
                    raise
                function.call()
        except _capi.CapiError as error:
            self.usable = False
            raise self._failure(error, name) from None
        if export.lift is None:
            return None
        try:
            return export.lift(function.result)
        except (ValueMismatchError, UnicodeDecodeError) as error:
            self.usable = False
            raise PluginOutputError(
                f"plugin {self.call.plugin!r} answered {name} with a value that is not of the "
                f"contract: {error}"
            ) from None
        finally:
            function.free_result()

    def drop(self, resource: int) -> None:
        """Drops a resource that a function gave, running its destructor if the store is usable."""
        if not self.usable:
            _capi.forget_resource(resource)
            return
        try:
            with self._entered():
                self._store.drop_resource(resource)
        except _capi.CapiError as error:
            self.usable = False
            raise self._failure(error, "a resource's destructor") from None

    def close(self) -> None:
        """Frees the store. No call may be under way."""
        if self._busy:
            raise RuntimeError("an instance can't be closed while its guest runs")
        self.usable = False
        self._sandbox.instances.pop(self._store.context, None)
        self._functions.clear()
        self._store.close()

    @contextmanager
    def _entered(self) -> Iterator[None]:
        """Around whatever runs the guest: one user at a time, and the clock runs."""
        if self._busy:
            raise RuntimeError("an instance can't be entered while its guest runs")
        self._busy = True
        try:
            with self._sandbox.engine.running():
                self._store.set_epoch_deadline(1)
                yield
        finally:
            self._busy = False

    def _on_epoch(self, ticks: int) -> int:
        try:
            self.call.check_running()
            c_uint64.from_address(ticks).value = 1
        except BaseException as error:
            self.pending = error
            return _capi.error_new("the host ended the call")
        return 0

    def _failure(self, error: _capi.CapiError, doing: str) -> BaseException:
        """What the caller is told of an error from wasmtime."""
        pending, self.pending = self.pending, None
        if pending is not None:
            return pending
        plugin, limits = self.call.plugin, self.call.limits
        if error.trap_code == _capi.TRAP_OUT_OF_FUEL:
            return FuelExhaustedError(plugin, "fuel", limits.fuel, UNITS["fuel"], "ran out of fuel")
        message = str(error)
        if error.trap_code is None:
            limited = self._limit_failure(message)
            if limited is not None:
                return limited
        trap = "broken rules of the component model"
        if error.trap_code is not None:
            trap = _TRAPS.get(error.trap_code, f"trap {error.trap_code}")
        cause = message.rpartition("Caused by:")[2].strip().splitlines()
        detail = f" ({cause[-1].strip()})" if error.trap_code is None and cause else ""
        return PluginTrapError(
            f"plugin {plugin!r} crashed in {doing}: {trap}{detail}; its instance was thrown away. "
            f"If it ran out of memory (it has {limits.memory_bytes:,} bytes), raise "
            "Limits(memory_bytes=…)",
            trap,
        )

    def _limit_failure(self, message: str) -> PluginError | None:
        limits = self.call.limits
        for words, name, what in _LIMIT_MESSAGES:
            if words in message:
                return MemoryLimitError(
                    self.call.plugin, name, getattr(limits, name), UNITS[name], what
                )
        return None
