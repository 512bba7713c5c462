"""Values from Python to wasmtime, in memory of wasmtime's: what imports answer.

The other way of `values`, whose table says what is what; for what functions are called with, see
`arguments`. Python's side is trusted: its types are not checked.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from ctypes import c_uint8, c_uint64
from functools import cache
from typing import Any

from ..text_payload import text_payload
from ..wit import (
    EnumType,
    ListType,
    OptionType,
    Primitive,
    RecordType,
    ResultType,
    Type,
    VariantType,
)
from . import _capi
from .values import TEXT_FORMS, Err, Ok, is_payload

_QUICK = 64 * 1024
"""Bytes that are copied in less time than it takes to give the interpreter's lock away."""

Lower = Callable[[Any, int], None]
"""Writes a value to zeroed memory at an address."""


@cache
def lowerer(wanted: Type) -> Lower:
    """How to write a value of this type. Python's side is trusted; its types are not checked."""
    if isinstance(wanted, Primitive):
        return _PRIMITIVE_LOWERS[wanted.name]
    if isinstance(wanted, ListType) and wanted.element == Primitive("u8"):
        return _lower_bytes
    if isinstance(wanted, VariantType):
        return _lower_variant(wanted)
    if isinstance(wanted, ResultType):
        return _lower_result(wanted)
    if isinstance(wanted, OptionType):
        return _lower_option(wanted)
    if isinstance(wanted, RecordType):
        return _lower_record(wanted)
    if isinstance(wanted, EnumType):
        return _lower_enum
    raise TypeError(f"no values of type {wanted} are ever sent")


def _lower_integer(kind: int) -> Lower:
    def lower(value: int, address: int) -> None:
        c_uint64.from_address(address + 8).value = value
        c_uint8.from_address(address).value = kind

    return lower


def _lower_string(value: str, address: int) -> None:
    _lower_encoded(value.encode("utf-8"), address)


def _lower_encoded(encoded: bytes, address: int) -> None:
    size = len(encoded)
    new = _capi.large_byte_vec_new if size > _QUICK else _capi.byte_vec_new
    new(address + 8, size, encoded)
    c_uint8.from_address(address).value = _capi.KIND_STRING


def _lower_bytes(value: bytes, address: int) -> None:
    size = len(value)
    _capi.list_new_uninit(address + 8, size)
    if size:
        data = c_uint64.from_address(address + 16).value
        ctypes.memset(data, 0, size * _capi.VAL_SIZE)
        # In place: each byte is a value of 32 as it is, and would be one more in a copy.
        values = memoryview((c_uint8 * (size * _capi.VAL_SIZE)).from_address(data)).cast("B")
        values[:: _capi.VAL_SIZE] = bytes([_capi.KIND_U8]) * size
        values[8 :: _capi.VAL_SIZE] = value
    c_uint8.from_address(address).value = _capi.KIND_LIST


_PRIMITIVE_LOWERS: dict[str, Lower] = {
    "bool": _lower_integer(_capi.KIND_BOOL),
    "u32": _lower_integer(_capi.KIND_U32),
    "u64": _lower_integer(_capi.KIND_U64),
    "string": _lower_string,
}


def _boxed(lower: Lower, value: Any) -> int:
    """A value in memory of wasmtime's."""
    inner = (c_uint8 * _capi.VAL_SIZE)()
    at = ctypes.addressof(inner)
    lower(value, at)
    return int(_capi.val_new(at))


def _lower_result(wanted: ResultType) -> Lower:
    lowers = [None if one is None else lowerer(one) for one in (wanted.err, wanted.ok)]

    def lower(value: Ok | Err, address: int) -> None:
        is_ok = isinstance(value, Ok)
        inner = lowers[is_ok]
        if inner is not None:
            c_uint64.from_address(address + 16).value = _boxed(inner, value.value)
        c_uint8.from_address(address + 8).value = is_ok
        c_uint8.from_address(address).value = _capi.KIND_RESULT

    return lower


def _lower_option(wanted: OptionType) -> Lower:
    some = lowerer(wanted.some)

    def lower(value: Any, address: int) -> None:
        if value is not None:
            c_uint64.from_address(address + 8).value = _boxed(some, value)
        c_uint8.from_address(address).value = _capi.KIND_OPTION

    return lower


def _lower_record(wanted: RecordType) -> Lower:
    fields = [(name, name.encode(), lowerer(one)) for name, one in wanted.fields]

    def lower(value: dict[str, Any], address: int) -> None:
        _capi.record_new_uninit(address + 8, len(fields))
        entries = c_uint64.from_address(address + 16).value
        ctypes.memset(entries, 0, len(fields) * _capi.RECORD_ENTRY_SIZE)
        c_uint8.from_address(address).value = _capi.KIND_RECORD
        for i, (name, encoded, lower_field) in enumerate(fields):
            entry = entries + i * _capi.RECORD_ENTRY_SIZE
            _capi.byte_vec_new(entry, len(encoded), encoded)
            lower_field(value[name], entry + _capi.RECORD_VALUE_OFFSET)

    return lower


def _lower_enum(value: str, address: int) -> None:
    encoded = value.encode()
    _capi.byte_vec_new(address + 8, len(encoded), encoded)
    c_uint8.from_address(address).value = _capi.KIND_ENUM


def _lower_variant(wanted: VariantType) -> Lower:
    if is_payload(wanted):
        return _lower_payload
    cases = {
        name: (name.encode(), None if one is None else lowerer(one)) for name, one in wanted.cases
    }

    def lower(value: tuple[str, Any], address: int) -> None:
        name, inner = value
        encoded, lower_inner = cases[name]
        if lower_inner is not None:
            c_uint64.from_address(address + 24).value = _boxed(lower_inner, inner)
        _lower_case(encoded, address)

    return lower


_FORMS = {form: form.encode() for form in TEXT_FORMS}


def _lower_payload(payload: tuple[str, bytes], address: int) -> None:
    form, data = text_payload(payload)
    encoded = _FORMS[form]
    c_uint64.from_address(address + 24).value = _boxed(_lower_encoded, data)
    _lower_case(encoded, address)


def _lower_case(encoded: bytes, address: int) -> None:
    _capi.byte_vec_new(address + 8, len(encoded), encoded)
    c_uint8.from_address(address).value = _capi.KIND_VARIANT
