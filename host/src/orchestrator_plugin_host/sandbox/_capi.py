"""The only module that touches wasmtime's C API: functions, layouts, ownership.

Addresses are plain integers here. What holds for them, from wasmtime's C sources:

- Arguments of a call are borrowed and cloned, so the caller deletes them afterwards; a result slot
  is *assigned*, so its old value must be valid before, and `kind` is set to 0 after deleting it.
- A callback's arguments are borrowed. Its result slots are dropped by wasmtime, so what is put
  there belongs to wasmtime from then on.
- Whatever Python object backs an address must stay alive as long as wasmtime can reach it.

Layout of a value, `wasmtime_component_val_t`, 32 bytes: the kind in byte 0, then at byte 8 a union.
A string, list, record or tuple has its size at 8 and its data at 16; a variant its case's name
(size, data) at 8 and the payload's address at 24; an enum its name at 8; an option the payload's
address at 8; a result the flag `is_ok` at 8 and the payload's address at 16; a resource its address
at 8. An entry of a record is a name (16 bytes) and a value, 48 bytes. `check_layout` makes sure.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from ctypes import (
    CFUNCTYPE,
    POINTER,
    PYFUNCTYPE,
    addressof,
    c_bool,
    c_char_p,
    c_int64,
    c_size_t,
    c_uint8,
    c_uint64,
    c_void_p,
    cast,
)
from typing import Any, Final

from wasmtime import Engine, _ffi
from wasmtime import _bindings as _b
from wasmtime.component import Component

VAL_SIZE: Final = 32
RECORD_ENTRY_SIZE: Final = 48
RECORD_VALUE_OFFSET: Final = 16

KIND_BOOL: Final = 0
KIND_U8: Final = 2
KIND_U32: Final = 6
KIND_U64: Final = 8
KIND_STRING: Final = 12
KIND_LIST: Final = 13
KIND_RECORD: Final = 14
KIND_VARIANT: Final = 16
KIND_ENUM: Final = 17
KIND_OPTION: Final = 18
KIND_RESULT: Final = 19
KIND_RESOURCE: Final = 21

TRAP_OUT_OF_FUEL: Final = 11


def _function(name: str, result: Any, *arguments: Any) -> Any:
    """A C function that runs without the GIL: for whatever runs guest code or takes long."""
    return CFUNCTYPE(result, *arguments)((name, _ffi.dll))


def _quick(name: str, result: Any, *arguments: Any) -> Any:
    """A C function that keeps the GIL: for what takes less time than giving the GIL away."""
    return PYFUNCTYPE(result, *arguments)((name, _ffi.dll))


FuncCallback = CFUNCTYPE(
    c_size_t, c_void_p, c_void_p, c_void_p, c_void_p, c_size_t, c_void_p, c_size_t
)
"""An import: data, context, type, arguments, their number, results, their number -> error or 0."""
EpochCallback = CFUNCTYPE(c_size_t, c_void_p, c_void_p, c_void_p, c_void_p)
"""Context, data, where to write the ticks until the next call, kind -> error or 0."""

_func_call = _function(
    "wasmtime_component_func_call",
    c_void_p, c_void_p, c_void_p, c_void_p, c_size_t, c_void_p, c_size_t,
)  # fmt: skip
_instantiate = _function(
    "wasmtime_component_linker_instantiate", c_void_p, c_void_p, c_void_p, c_void_p, c_void_p
)
_resource_drop = _function("wasmtime_component_resource_any_drop", c_void_p, c_void_p, c_void_p)
_resource_clone = _quick("wasmtime_component_resource_any_clone", c_void_p, c_void_p)
_resource_delete = _quick("wasmtime_component_resource_any_delete", None, c_void_p)
_store_new = _quick("wasmtime_store_new", c_void_p, c_void_p, c_void_p, c_void_p)
_store_delete = _function("wasmtime_store_delete", None, c_void_p)
_store_context = _quick("wasmtime_store_context", c_void_p, c_void_p)
_store_limiter = _quick(
    "wasmtime_store_limiter", None, c_void_p, c_int64, c_int64, c_int64, c_int64, c_int64
)
_epoch_callback = _quick(
    "wasmtime_store_epoch_deadline_callback", None, c_void_p, EpochCallback, c_void_p, c_void_p
)
_set_epoch_deadline = _quick("wasmtime_context_set_epoch_deadline", None, c_void_p, c_uint64)
_set_fuel = _quick("wasmtime_context_set_fuel", c_void_p, c_void_p, c_uint64)
_get_func = _quick(
    "wasmtime_component_instance_get_func", c_bool, c_void_p, c_void_p, c_void_p, c_void_p
)
_error_new = _quick("wasmtime_error_new", c_void_p, c_char_p)
_error_delete = _quick("wasmtime_error_delete", None, c_void_p)
_error_message = _function("wasmtime_error_message", None, c_void_p, c_void_p)
_trap_code = _quick("wasmtime_trap_code", c_bool, c_void_p, c_void_p)
_linker_new = _quick("wasmtime_component_linker_new", c_void_p, c_void_p)
_linker_root = _quick("wasmtime_component_linker_root", c_void_p, c_void_p)
_linker_delete = _quick("wasmtime_component_linker_delete", None, c_void_p)
_linker_add_instance = _quick(
    "wasmtime_component_linker_instance_add_instance",
    c_void_p, c_void_p, c_char_p, c_size_t, c_void_p,
)  # fmt: skip
_linker_add_func = _quick(
    "wasmtime_component_linker_instance_add_func",
    c_void_p, c_void_p, c_char_p, c_size_t, FuncCallback, c_void_p, c_void_p,
)  # fmt: skip
_linker_instance_delete = _quick("wasmtime_component_linker_instance_delete", None, c_void_p)
_deserialize = _function(
    "wasmtime_component_deserialize", c_void_p, c_void_p, c_char_p, c_size_t, c_void_p
)
_deserialize_file = _function(
    "wasmtime_component_deserialize_file", c_void_p, c_void_p, c_char_p, c_void_p
)
_linker_add_wasip2 = _quick("wasmtime_component_linker_add_wasip2", c_void_p, c_void_p)
_wasi_config_new = _quick("wasi_config_new", c_void_p)
_set_wasi = _quick("wasmtime_context_set_wasi", c_void_p, c_void_p, c_void_p)
_component_new = _function(
    "wasmtime_component_new", c_void_p, c_void_p, c_char_p, c_size_t, c_void_p
)

val_delete: Final = _function("wasmtime_component_val_delete", None, c_void_p)
val_new: Final = _quick("wasmtime_component_val_new", c_void_p, c_void_p)
byte_vec_new: Final = _function("wasm_byte_vec_new", None, c_void_p, c_size_t, c_char_p)
list_new_uninit: Final = _function(
    "wasmtime_component_vallist_new_uninit", None, c_void_p, c_size_t
)
record_new_uninit: Final = _quick(
    "wasmtime_component_valrecord_new_uninit", None, c_void_p, c_size_t
)
byte_vec_delete: Final = _quick("wasm_byte_vec_delete", None, c_void_p)


class CapiError(Exception):
    """wasmtime said no. `trap_code` is set when WebAssembly trapped by itself."""

    def __init__(self, message: str, trap_code: int | None) -> None:
        self.trap_code = trap_code
        super().__init__(message)


def _address(pointer: Any) -> int:
    return int(cast(pointer, c_void_p).value or 0)


def _raise_if(error: int | None) -> None:
    """Raises `CapiError` for an error, and frees it."""
    if not error:
        return
    code = c_uint8(0)
    if _trap_code(error, addressof(code)):
        # Its text would be a backtrace, which names what the guest chose and says nothing new.
        _error_delete(error)
        raise CapiError(f"trap {code.value}", code.value)
    vector = (c_uint64 * 2)()
    _error_message(error, addressof(vector))
    message = ctypes.string_at(vector[1], vector[0]).decode("utf-8", "replace")
    byte_vec_delete(addressof(vector))
    _error_delete(error)
    raise CapiError(message, None)


def error_new(message: str) -> int:
    """An error for a callback to return; wasmtime takes it."""
    return int(_error_new(message.encode("utf-8", "replace").replace(b"\0", b"")) or 0)


def configure(config: Any) -> None:
    """What the public `Config` can't say: no component concurrency, whose values would end the
    process."""
    pointer = config.ptr()
    _b.wasmtime_config_concurrency_support_set(pointer, False)
    _b.wasmtime_config_wasm_component_model_async_set(pointer, False)
    _b.wasmtime_config_wasm_component_model_more_async_builtins_set(pointer, False)
    _b.wasmtime_config_wasm_component_model_async_stackful_set(pointer, False)


def increment_epoch(engine: Engine) -> None:
    """Moves the engine's epoch on by one."""
    _ffi.wasmtime_engine_increment_epoch(engine.ptr())


def _component_from(function: Any, engine: Engine, data: bytes) -> Component:
    pointer = POINTER(_ffi.wasmtime_component_t)()
    _raise_if(function(_address(engine.ptr()), data, len(data), addressof(pointer)))
    return Component._from_ptr(pointer)


def compile_component(engine: Engine, data: bytes) -> Component:
    """Compiles a component's bytes. Never takes WAT: the caller has checked the magic number.

    Raises `CapiError`.
    """
    return _component_from(_component_new, engine, data)


def deserialize_component(engine: Engine, data: bytes) -> Component:
    """A component from what `Component.serialize` gave: native code, so its origin must be proven.

    Raises `CapiError`.
    """
    return _component_from(_deserialize, engine, data)


def deserialize_component_file(engine: Engine, path: str) -> Component:
    """`deserialize_component`, mapped from a file rather than copied. Raises `CapiError`."""
    pointer = POINTER(_ffi.wasmtime_component_t)()
    _raise_if(_deserialize_file(_address(engine.ptr()), path.encode(), addressof(pointer)))
    return Component._from_ptr(pointer)


class Linker:
    """Imports by interface and name. Finished once, then shared by all instances."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.address = int(_linker_new(_address(engine.ptr())))
        self._callbacks: list[Any] = []

    def define(self, interface: str, functions: dict[str, Callable[..., int]]) -> None:
        """Defines the functions of an interface. Each takes a callback's seven arguments."""
        root = _linker_root(self.address)
        try:
            instance = c_void_p()
            name = interface.encode()
            _raise_if(_linker_add_instance(root, name, len(name), addressof(instance)))
            try:
                for function, body in functions.items():
                    callback = FuncCallback(body)
                    self._callbacks.append(callback)
                    name = function.encode()
                    _raise_if(
                        _linker_add_func(instance.value, name, len(name), callback, None, None)
                    )
            finally:
                _linker_instance_delete(instance.value)
        finally:
            _linker_instance_delete(root)

    def define_wasi(self) -> None:
        """Defines WASI 0.2, without HTTP. Only for stores that `Store.give_wasi` was called on:
        in others a call of WASI ends the process."""
        _raise_if(_linker_add_wasip2(self.address))

    def close(self) -> None:
        """Frees it. No instance may be made afterwards."""
        if self.address:
            _linker_delete(self.address)
            self.address = 0


class Function:
    """An exported function of one store, with the slots of its arguments and its result."""

    __slots__ = ("_address", "_context", "_func", "_result", "_slots", "args", "count", "result")

    def __init__(self, context: int, func: Any, count: int, has_result: bool) -> None:
        self._context = context
        self._func = func  # its address is passed: it must live as long as this
        self._address = addressof(func)
        self._slots = (c_uint8 * (VAL_SIZE * max(count, 1)))()
        self._result = (c_uint8 * VAL_SIZE)()
        self.args = addressof(self._slots)
        self.count = count
        self.result = addressof(self._result) if has_result else 0

    def call(self) -> None:
        """Calls with what is in the slots, and frees the arguments. Raises `CapiError`.

        The result stays in its slot until `free_result`.
        """
        error = _func_call(
            self._address,
            self._context,
            self.args,
            self.count,
            self.result,
            1 if self.result else 0,
        )
        self.free_arguments()
        _raise_if(error)

    def free_arguments(self) -> None:
        """Frees what is in the argument slots; they may be filled partly, or not at all."""
        for i in range(self.count):
            slot = self.args + i * VAL_SIZE
            val_delete(slot)
            ctypes.memset(slot, 0, VAL_SIZE)

    def free_result(self) -> None:
        """Frees what is in the result slot."""
        if self.result:
            val_delete(self.result)
            c_uint8.from_address(self.result).value = KIND_BOOL


class Store:
    """A store and, after `instantiate`, the one component instance in it. One user at a time."""

    def __init__(self, engine: Engine, on_epoch: Callable[[int], int]) -> None:
        """`on_epoch(ticks_address)` is called when the epoch deadline is reached; it writes how
        many ticks to go on for and returns 0, or returns an error."""
        self._engine = engine
        self._address = int(_store_new(_address(engine.ptr()), None, None))
        self._context = int(_store_context(self._address))
        self._on_epoch = EpochCallback(lambda context, data, ticks, kind: on_epoch(ticks))
        _epoch_callback(self._address, self._on_epoch, None, None)
        self._instance = _ffi.wasmtime_component_instance_t()

    @property
    def context(self) -> int:
        """The address that callbacks get: it tells instances apart."""
        return self._context

    def limit(
        self, *, memory_bytes: int, table_elements: int, instances: int, tables: int, memories: int
    ) -> None:
        """Bounds what the store may hold. `memory_bytes` is for each memory."""
        _store_limiter(self._address, memory_bytes, table_elements, instances, tables, memories)

    def give_wasi(self) -> None:
        """Gives the store a WASI with nothing in it: no arguments, environment, folders or
        network, an empty input, and outputs that lead nowhere."""
        _raise_if(_set_wasi(self._context, _wasi_config_new()))

    def set_epoch_deadline(self, ticks: int) -> None:
        """Calls `on_epoch` after this many ticks."""
        _set_epoch_deadline(self._context, ticks)

    def set_fuel(self, fuel: int) -> None:
        """Sets what the next calls may use."""
        _raise_if(_set_fuel(self._context, fuel))

    def instantiate(self, linker: Linker, component: Component) -> None:
        """Makes the instance. Runs guest code. Raises `CapiError`."""
        _raise_if(
            _instantiate(
                linker.address,
                self._context,
                _address(component.ptr()),
                addressof(self._instance),
            )
        )

    def function(self, index: Any, count: int, has_result: bool) -> Function:
        """An exported function by the export index its component gave."""
        func = _ffi.wasmtime_component_func_t()
        found = _get_func(
            addressof(self._instance), self._context, _address(index.ptr()), addressof(func)
        )
        if not found:
            raise CapiError("the component has no such function", None)
        return Function(self._context, func, count, has_result)

    def drop_resource(self, resource: int) -> None:
        """Runs the resource's destructor and frees it. Raises `CapiError`."""
        try:
            _raise_if(_resource_drop(self._context, resource))
        finally:
            _resource_delete(resource)

    def close(self) -> None:
        """Frees the store and everything in it. No call may be under way."""
        if self._address:
            _store_delete(self._address)
            self._address = self._context = 0


def take_resource(val: int) -> int:
    """Copies a resource out of a value; the copy is the caller's to drop."""
    return int(_resource_clone(c_uint64.from_address(val + 8).value))


def put_resource(val: int, resource: int) -> None:
    """Puts a copy of a resource into a zeroed value."""
    c_uint8.from_address(val).value = KIND_RESOURCE
    c_uint64.from_address(val + 8).value = _resource_clone(resource)


def forget_resource(resource: int) -> None:
    """Frees a resource without running its destructor: for a store that is thrown away."""
    _resource_delete(resource)


def _offset(structure: Any, field: str) -> int:
    return int(getattr(structure, field).offset)


def check_layout() -> None:
    """Raises `RuntimeError` if this wasmtime's layouts are not those above."""
    facts = {
        "sizeof(val)": (ctypes.sizeof(_ffi.wasmtime_component_val_t), VAL_SIZE),
        "offset of val.of": (_offset(_ffi.wasmtime_component_val_t, "of"), 8),
        "sizeof(record entry)": (
            ctypes.sizeof(_ffi.wasmtime_component_valrecord_entry_t),
            RECORD_ENTRY_SIZE,
        ),
        "offset of variant.val": (_offset(_ffi.wasmtime_component_valvariant_t, "val"), 16),
        "offset of result.val": (_offset(_ffi.wasmtime_component_valresult_t, "val"), 8),
    }
    for name in ("BOOL", "U8", "U32", "U64", "STRING", "LIST", "RECORD", "VARIANT", "ENUM",
                 "OPTION", "RESULT", "RESOURCE"):  # fmt: skip
        theirs = getattr(_ffi, f"WASMTIME_COMPONENT_{name}").value
        facts[f"kind {name}"] = (theirs, globals()[f"KIND_{name}"])
    wrong = [f"{name} is {got}, not {want}" for name, (got, want) in facts.items() if got != want]
    if wrong:
        raise RuntimeError(
            "this version of wasmtime is laid out differently than the host was built for "
            f"({'; '.join(wrong)}): install wasmtime>=50.0.1,<51"
        )
