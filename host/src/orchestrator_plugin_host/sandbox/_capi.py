"""The only module that touches wasmtime's C API: functions, layouts, errors.

Addresses are plain integers here. What holds for them, from wasmtime's C sources:

- Arguments of a call are borrowed and cloned when its future is first polled: they may be in
  memory of Python's, which must stay as it is for as long as the future lives.
- A result slot is *assigned*: its old value must be valid before, and `kind` is set to 0 after the
  value was deleted.
- A callback's arguments are borrowed, and gone when it returns. Its result slots stay until its
  continuation says that it is done; wasmtime drops what is in them, so that must be wasmtime's.
- Whatever Python object backs an address must stay alive as long as wasmtime can reach it.
- While a future lives, its store is touched by nothing but `future_poll`.

Layout of a value, `wasmtime_component_val_t`, 32 bytes: the kind in byte 0, then at byte 8 a union.
A string, list, record or tuple has its size at 8 and its data at 16; a variant its case's name
(size, data) at 8 and the payload's address at 24; an enum its name at 8; an option the payload's
address at 8; a result the flag `is_ok` at 8 and the payload's address at 16; a resource its address
at 8. An entry of a record is a name (16 bytes) and a value, 48 bytes. `check_layout` makes sure.
"""

from __future__ import annotations

import ctypes
from ctypes import (
    CFUNCTYPE,
    POINTER,
    PYFUNCTYPE,
    Structure,
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

TRAP_UNREACHABLE: Final = 9
TRAP_OUT_OF_FUEL: Final = 11


def _function(name: str, result: Any, *arguments: Any) -> Any:
    """A C function that runs without the GIL: for whatever runs guest code or takes long."""
    return CFUNCTYPE(result, *arguments)((name, _ffi.dll))


def _quick(name: str, result: Any, *arguments: Any) -> Any:
    """A C function that keeps the GIL: for what takes less time than giving the GIL away."""
    return PYFUNCTYPE(result, *arguments)((name, _ffi.dll))


class Continuation(Structure):
    """`wasmtime_async_continuation_t`: a function that says whether to go on, and what it gets."""

    _fields_ = (("callback", c_void_p), ("env", c_void_p), ("finalizer", c_void_p))


ImportCallback = CFUNCTYPE(
    None, c_void_p, c_void_p, c_void_p, c_void_p, c_size_t, c_void_p, c_size_t,
    POINTER(c_void_p), POINTER(Continuation),
)  # fmt: skip
"""An import: data, context, type, arguments, their number, results, their number, where an error
goes, where the continuation goes."""
ContinuationCallback = CFUNCTYPE(c_bool, c_void_p)

# Values.
val_delete: Final = _function("wasmtime_component_val_delete", None, c_void_p)
val_new: Final = _quick("wasmtime_component_val_new", c_void_p, c_void_p)
byte_vec_new: Final = _quick("wasm_byte_vec_new", None, c_void_p, c_size_t, c_char_p)
large_byte_vec_new: Final = _function("wasm_byte_vec_new", None, c_void_p, c_size_t, c_char_p)
byte_vec_delete: Final = _quick("wasm_byte_vec_delete", None, c_void_p)
list_new_uninit: Final = _function(
    "wasmtime_component_vallist_new_uninit", None, c_void_p, c_size_t
)
record_new_uninit: Final = _quick(
    "wasmtime_component_valrecord_new_uninit", None, c_void_p, c_size_t
)
resource_clone: Final = _quick("wasmtime_component_resource_any_clone", c_void_p, c_void_p)
resource_delete: Final = _quick("wasmtime_component_resource_any_delete", None, c_void_p)

# Stores.
store_new: Final = _quick("wasmtime_store_new", c_void_p, c_void_p, c_void_p, c_void_p)
store_delete: Final = _function("wasmtime_store_delete", None, c_void_p)
store_context: Final = _quick("wasmtime_store_context", c_void_p, c_void_p)
store_limiter: Final = _quick(
    "wasmtime_store_limiter", None, c_void_p, c_int64, c_int64, c_int64, c_int64, c_int64
)
set_fuel: Final = _quick("wasmtime_context_set_fuel", c_void_p, c_void_p, c_uint64)
set_yield_interval: Final = _quick(
    "wasmtime_context_fuel_async_yield_interval", c_void_p, c_void_p, c_uint64
)
wasi_config_new: Final = _quick("wasi_config_new", c_void_p)
set_wasi: Final = _quick("wasmtime_context_set_wasi", c_void_p, c_void_p, c_void_p)

# Linkers.
linker_new: Final = _quick("wasmtime_component_linker_new", c_void_p, c_void_p)
linker_root: Final = _quick("wasmtime_component_linker_root", c_void_p, c_void_p)
linker_delete: Final = _quick("wasmtime_component_linker_delete", None, c_void_p)
linker_add_instance: Final = _quick(
    "wasmtime_component_linker_instance_add_instance",
    c_void_p, c_void_p, c_char_p, c_size_t, c_void_p,
)  # fmt: skip
linker_add_func: Final = _quick(
    "wasmtime_component_linker_instance_add_func_async",
    c_void_p, c_void_p, c_char_p, c_size_t, ImportCallback, c_void_p, c_void_p,
)  # fmt: skip
linker_instance_delete: Final = _quick("wasmtime_component_linker_instance_delete", None, c_void_p)
linker_add_wasip2: Final = _quick("wasmtime_component_linker_add_wasip2", c_void_p, c_void_p)

# Instances and calls. Making a future runs nothing; polling it runs the guest.
instantiate: Final = _quick(
    "wasmtime_component_linker_instantiate_async",
    c_void_p, c_void_p, c_void_p, c_void_p, c_void_p, c_void_p,
)  # fmt: skip
func_call: Final = _quick(
    "wasmtime_component_func_call_async",
    c_void_p, c_void_p, c_void_p, c_void_p, c_size_t, c_void_p, c_size_t, c_void_p,
)  # fmt: skip
future_poll: Final = _function("wasmtime_call_future_poll", c_bool, c_void_p)
future_delete: Final = _function("wasmtime_call_future_delete", None, c_void_p)
get_func: Final = _quick(
    "wasmtime_component_instance_get_func", c_bool, c_void_p, c_void_p, c_void_p, c_void_p
)

_error_new = _quick("wasmtime_error_new", c_void_p, c_char_p)
error_delete = _quick("wasmtime_error_delete", None, c_void_p)
_error_message = _function("wasmtime_error_message", None, c_void_p, c_void_p)
_trap_code = _quick("wasmtime_trap_code", c_bool, c_void_p, c_void_p)
_error_wasm_trace = _quick("wasmtime_error_wasm_trace", None, c_void_p, c_void_p)
_frame_func_name = _quick("wasmtime_frame_func_name", c_void_p, c_void_p)
_frames_delete = _quick("wasm_frame_vec_delete", None, c_void_p)
_async_stack_size_set = _quick("wasmtime_config_async_stack_size_set", None, c_void_p, c_size_t)
_deserialize = _function(
    "wasmtime_component_deserialize", c_void_p, c_void_p, c_void_p, c_size_t, c_void_p
)
_deserialize_file = _function(
    "wasmtime_component_deserialize_file", c_void_p, c_void_p, c_char_p, c_void_p
)
_component_new = _function(
    "wasmtime_component_new", c_void_p, c_void_p, c_char_p, c_size_t, c_void_p
)


class CapiError(Exception):
    """wasmtime refused. `trap_code` is set when WebAssembly trapped by itself; if it was
    `TRAP_UNREACHABLE` in a function that has a name, the message is that name."""

    def __init__(self, message: str, trap_code: int | None) -> None:
        self.trap_code = trap_code
        super().__init__(message)


def address_of(pointer: Any) -> int:
    """The address in a pointer of wasmtime's."""
    return int(cast(pointer, c_void_p).value or 0)


def raise_if(error: int | None) -> None:
    """Raises `CapiError` for an error, and frees it."""
    if not error:
        return
    code = c_uint8(0)
    if _trap_code(error, addressof(code)):
        name = _trapped_in(error) if code.value == TRAP_UNREACHABLE else ""
        # Its text would be a backtrace, which names what the guest chose and says nothing new.
        error_delete(error)
        raise CapiError(name or f"trap {code.value}", code.value)
    vector = (c_uint64 * 2)()
    _error_message(error, addressof(vector))
    message = ctypes.string_at(vector[1], vector[0]).decode("utf-8", "replace")
    byte_vec_delete(addressof(vector))
    error_delete(error)
    raise CapiError(message, None)


def _trapped_in(error: int) -> str:
    """The name of the function that trapped, if it has one."""
    frames = (c_uint64 * 2)()
    _error_wasm_trace(error, addressof(frames))
    name = _frame_func_name(c_uint64.from_address(frames[1]).value) if frames[0] else None
    size, data = (c_uint64 * 2).from_address(name) if name else (0, 0)
    found = ctypes.string_at(data, size).decode("utf-8", "replace")
    _frames_delete(addressof(frames))
    return found


def error_new(message: bytes) -> int:
    """An error for a callback to return; wasmtime takes it."""
    return int(_error_new(message) or 0)


def configure(config: Any, async_stack_bytes: int) -> None:
    """What the public `Config` can't say: how large the stacks are that guests run on, and no
    component concurrency, whose values would end the process."""
    pointer = config.ptr()
    _async_stack_size_set(address_of(pointer), async_stack_bytes)
    _b.wasmtime_config_concurrency_support_set(pointer, False)
    _b.wasmtime_config_wasm_component_model_async_set(pointer, False)
    _b.wasmtime_config_wasm_component_model_more_async_builtins_set(pointer, False)
    _b.wasmtime_config_wasm_component_model_async_stackful_set(pointer, False)


def _component_from(function: Any, engine: Engine, *arguments: Any) -> Component:
    pointer = POINTER(_ffi.wasmtime_component_t)()
    raise_if(function(address_of(engine.ptr()), *arguments, addressof(pointer)))
    return Component._from_ptr(pointer)


def compile_component(engine: Engine, data: bytes) -> Component:
    """Compiles a component's bytes. Never takes WAT: the caller has checked the magic number.

    Raises `CapiError`.
    """
    return _component_from(_component_new, engine, data, len(data))


def deserialize_component(engine: Engine, data: bytes | bytearray) -> Component:
    """A component from what `Component.serialize` gave: native code, so its origin must be proven.

    Raises `CapiError`.
    """
    held = (c_uint8 * len(data)).from_buffer(data) if isinstance(data, bytearray) else data
    return _component_from(_deserialize, engine, held, len(data))


def deserialize_component_file(engine: Engine, path: str) -> Component:
    """`deserialize_component`, mapped from a file rather than copied. Raises `CapiError`."""
    return _component_from(_deserialize_file, engine, path.encode())


def new_instance() -> Any:
    """Room for an instance."""
    return _ffi.wasmtime_component_instance_t()


def new_func() -> Any:
    """Room for a function."""
    return _ffi.wasmtime_component_func_t()


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
        "sizeof(continuation)": (
            ctypes.sizeof(_ffi.wasmtime_async_continuation_t),
            ctypes.sizeof(Continuation),
        ),
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
