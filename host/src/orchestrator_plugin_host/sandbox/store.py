"""wasmtime's objects that have an owner and an end: linkers, stores, functions.

Nothing here knows the contract. A store has one user at a time, on any thread.
"""

from __future__ import annotations

from collections.abc import Callable
from ctypes import addressof, c_uint8, c_void_p, memset
from typing import Any

from wasmtime import Engine
from wasmtime.component import Component

from . import _capi
from .arguments import Arguments
from .config import FUEL_SLICE


class Linker:
    """Imports by interface and name. Finished once, then shared by all instances, which it must
    outlive: it holds the callbacks that wasmtime calls."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.address = int(_capi.linker_new(_capi.address_of(engine.ptr())))
        self._callbacks: list[Any] = []

    def define(self, interface: str, functions: dict[str, Callable[..., None]]) -> None:
        """Defines the functions of an interface. Each takes the arguments of
        `_capi.ImportCallback`."""
        root = _capi.linker_root(self.address)
        try:
            instance = c_void_p()
            name = interface.encode()
            _capi.raise_if(_capi.linker_add_instance(root, name, len(name), addressof(instance)))
            try:
                for function, body in functions.items():
                    callback = _capi.ImportCallback(body)
                    self._callbacks.append(callback)
                    name = function.encode()
                    _capi.raise_if(
                        _capi.linker_add_func(instance.value, name, len(name), callback, None, None)
                    )
            finally:
                _capi.linker_instance_delete(instance.value)
        finally:
            _capi.linker_instance_delete(root)

    def define_wasi(self) -> None:
        """Defines WASI 0.2, without HTTP. Only for stores that `Store.give_wasi` was called on:
        in others a call of WASI ends the process. Its functions block the thread that they are
        called on, so only a process that nobody else works in may have them."""
        _capi.raise_if(_capi.linker_add_wasip2(self.address))

    def close(self) -> None:
        """Frees it. No instance may be made afterwards."""
        if self.address:
            _capi.linker_delete(self.address)
            self.address = 0


class Function:
    """An exported function of one store: its address, and the slots of a call."""

    __slots__ = ("_func", "_result", "address", "arguments", "result")

    def __init__(self, func: Any, arguments: Arguments, *, has_result: bool) -> None:
        self._func = func  # its address is passed: it must live as long as this
        self.address = addressof(func)
        self.arguments = arguments
        self._result = (c_uint8 * _capi.VAL_SIZE)()
        self.result = addressof(self._result) if has_result else 0

    def free_result(self) -> None:
        """Frees what is in the result slot."""
        if self.result:
            _capi.val_delete(self.result)
            memset(self.result, 0, 1)  # its kind


class Store:
    """A store and, after `instantiate`, the one component instance in it."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._address = int(_capi.store_new(_capi.address_of(engine.ptr()), None, None))
        self.context = int(_capi.store_context(self._address))
        """The address that callbacks get: it tells stores apart."""
        _capi.raise_if(_capi.set_yield_interval(self.context, FUEL_SLICE))
        self._instance = _capi.new_instance()
        self._error = c_void_p()
        self._error_at = addressof(self._error)
        self._future = 0

    def limit(
        self, *, memory_bytes: int, table_elements: int, instances: int, tables: int, memories: int
    ) -> None:
        """Bounds what the store may hold. `memory_bytes` is for each memory."""
        _capi.store_limiter(
            self._address, memory_bytes, table_elements, instances, tables, memories
        )

    def give_wasi(self) -> None:
        """Gives the store a WASI with nothing in it: no arguments, environment, folders or
        network, an empty input, and outputs that lead nowhere."""
        _capi.raise_if(_capi.set_wasi(self.context, _capi.wasi_config_new()))

    def set_fuel(self, fuel: int) -> None:
        """Sets what the next calls may use. No call may be under way."""
        _capi.raise_if(_capi.set_fuel(self.context, fuel))

    def function(self, index: Any, arguments: Arguments, *, has_result: bool) -> Function:
        """An exported function by the export index its component gave."""
        func = _capi.new_func()
        found = _capi.get_func(
            addressof(self._instance), self.context, _capi.address_of(index.ptr()), addressof(func)
        )
        if not found:
            raise _capi.CapiError("the component has no such function", None)
        return Function(func, arguments, has_result=has_result)

    # One call at a time: begun, then polled until it has ended, or given up.

    def check_at_rest(self) -> None:
        """Raises `RuntimeError` if the store is closed or has a call under way: to begin another
        would be undefined in wasmtime, and no error."""
        if self._future or not self._address:
            raise RuntimeError("the guest is closed, or in a call")

    def begin_instance(self, linker: Linker, component: Component) -> None:
        """Begins to make the instance. The store must be at rest."""
        self._future = _capi.instantiate(
            linker.address,
            self.context,
            _capi.address_of(component.ptr()),
            addressof(self._instance),
            self._error_at,
        )

    def begin_call(self, function: Function) -> None:
        """Begins a call with what is in the function's argument slots. The store must be at
        rest."""
        result = function.result
        self._future = _capi.func_call(
            function.address,
            self.context,
            function.arguments.address,
            function.arguments.count,
            result,
            1 if result else 0,
            self._error_at,
        )

    def poll(self) -> bool:
        """Runs the guest until it has ended, waits for an import, or has used up a slice of fuel.
        Whether it has ended. Raises `CapiError` if it failed."""
        future = self._future
        if not future:
            raise RuntimeError("the guest is in no call")
        if not _capi.future_poll(future):
            return False
        self._end()
        if self._error.value:
            error, self._error.value = self._error.value, None
            _capi.raise_if(error)
        return True

    def _end(self) -> None:
        future, self._future = self._future, 0
        if future:
            _capi.future_delete(future)

    def close(self) -> None:
        """Frees the store and everything in it, in the middle of a call, too: its guest is
        unwound, and runs no more."""
        if self._address:
            self._end()
            if self._error.value:
                error, self._error.value = self._error.value, None
                _capi.error_delete(error)
            _capi.store_delete(self._address)
            self._address = self.context = 0
