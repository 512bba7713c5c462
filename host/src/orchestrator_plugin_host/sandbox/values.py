"""Values across the boundary, by the contract's types, and from wasmtime to Python.

`lowering` is the way back.

Every kind is checked at every level on the way in, even though components are compared with the
contract before they run: a value of another kind would be read as an address.

==============================  ====================================================
WIT                             Python
==============================  ====================================================
`bool`, `u8`, `u32`, `u64`      `bool`, `int`
`string`, `enum`                `str`
`list<u8>`                      `bytes`, on their way to a guest alone
`option<t>`                     the value, or none
`record`                        `dict`
`variant`                       `(case, value)`
`payload`                       `(form, bytes)`: the form a text's, the bytes its UTF-8
`result<t, e>`                  `Ok(value)` or `Err(value)`
`own<r>` and `borrow<r>`        `Resource`: its address
==============================  ====================================================
"""

from __future__ import annotations

from collections.abc import Callable
from ctypes import c_uint64, string_at
from dataclasses import dataclass
from functools import cache
from struct import Struct
from typing import Any, Final

from orchestrator_plugin_sdk.errors import MAX_MESSAGE

from ..wit import (
    EnumType,
    HandleType,
    OptionType,
    Primitive,
    RecordType,
    ResultType,
    Type,
    VariantType,
)
from . import _capi

TEXT_FORMS: Final = ("latin1", "base64")
"""The forms of a payload that cross between the host and the adapters around a guest, which make
`bytes` of `base64`, and the other way round."""

_VAL = Struct("<B7xQQQ")
_ENTRY_NAME = Struct("<QQ")

Lift = Callable[[int, int], Any]
"""Reads the value at an address, no string of which may have more bytes than this."""


class ValueMismatchError(Exception):
    """A value is not of the kind that its type says."""


class ValueTooLargeError(Exception):
    """A string has more bytes than there is room for. It was not copied."""

    def __init__(self, size: int) -> None:
        self.size = size
        super().__init__(f"a value of {size:,} bytes")


@dataclass(frozen=True, slots=True)
class Ok:
    """The good side of a `result`."""

    value: Any


@dataclass(frozen=True, slots=True)
class Err:
    """The bad side of a `result`."""

    value: Any


class Resource(int):
    """The address of the host's copy of a resource, or its number in a worker: to be forgotten."""


def _read(address: int, kind: int) -> tuple[int, int, int]:
    found, one, two, three = _VAL.unpack(string_at(address, 32))
    if found != kind:
        raise ValueMismatchError(f"expected a value of kind {kind}, got kind {found}")
    return one, two, three


def moved_bytes(value: Any) -> int:
    """How many bytes of a value cross in one piece, of one that goes to a guest: those of its
    payload, or of its list of bytes. What else there is, is small."""
    if isinstance(value, (Ok, Err)):
        value = value.value
    if isinstance(value, tuple):
        value = value[1]
    return len(value) if isinstance(value, bytes) else 0


def is_payload(wanted: VariantType) -> bool:
    """Whether a variant is the contract's `payload`."""
    return [name for name, _ in wanted.cases] == ["bytes", "latin1", "base64"]


@cache
def lifter(wanted: Type) -> Lift:
    """How to read a value of this type. The value stays where it is."""
    if isinstance(wanted, Primitive):
        return _PRIMITIVE_LIFTS[wanted.name]
    if isinstance(wanted, EnumType):
        names = frozenset(wanted.names)

        def lift_enum(address: int, room: int) -> str:
            size, data, _ = _read(address, _capi.KIND_ENUM)
            return _one_of(names, size, data)

        return lift_enum
    if isinstance(wanted, OptionType):
        some = lifter(wanted.some)

        def lift_option(address: int, room: int) -> Any:
            payload, _, _ = _read(address, _capi.KIND_OPTION)
            return some(payload, room) if payload else None

        return lift_option
    if isinstance(wanted, ResultType):
        return _lift_result(wanted)
    if isinstance(wanted, VariantType):
        return _lift_payload if is_payload(wanted) else _lift_variant(wanted)
    if isinstance(wanted, RecordType):
        return _lift_record(wanted)
    if isinstance(wanted, HandleType):

        def lift_resource(address: int, room: int) -> Resource:
            _read(address, _capi.KIND_RESOURCE)
            # A copy: the caller's to drop.
            return Resource(_capi.resource_clone(c_uint64.from_address(address + 8).value))

        return lift_resource
    raise TypeError(f"no values of type {wanted}")


def _one_of(names: frozenset[str], size: int, data: int) -> str:
    name = string_at(data, size).decode("utf-8") if size <= 64 else ""
    if name not in names:
        raise ValueMismatchError(f"expected one of {sorted(names)}, got {name!r}")
    return name


def _lift_bool(address: int, room: int) -> bool:
    return bool(_read(address, _capi.KIND_BOOL)[0] & 0xFF)


def _lift_u8(address: int, room: int) -> int:
    return _read(address, _capi.KIND_U8)[0] & 0xFF


def _lift_u32(address: int, room: int) -> int:
    return _read(address, _capi.KIND_U32)[0] & 0xFFFFFFFF


def _lift_u64(address: int, room: int) -> int:
    return _read(address, _capi.KIND_U64)[0]


def _lift_string(address: int, room: int) -> str:
    size, data, _ = _read(address, _capi.KIND_STRING)
    if size > room:
        raise ValueTooLargeError(size)
    return string_at(data, size).decode("utf-8") if size else ""


_FORMS: dict[bytes, str] = {form.encode(): form for form in TEXT_FORMS}


def _lift_payload(address: int, room: int) -> tuple[str, bytes]:
    size, data, inner = _read(address, _capi.KIND_VARIANT)
    form = _FORMS.get(string_at(data, size)) if size <= 6 else None
    if form is None or not inner:
        raise ValueMismatchError("expected a payload in a text form")
    size, data, _ = _read(inner, _capi.KIND_STRING)
    if size > room:
        raise ValueTooLargeError(size)
    return form, string_at(data, size) if size else b""


_PRIMITIVE_LIFTS: dict[str, Lift] = {
    "bool": _lift_bool,
    "u8": _lift_u8,
    "u32": _lift_u32,
    "u64": _lift_u64,
    "string": _lift_string,
}


def _inner(wanted: Type | None) -> Lift:
    """How to read what is in a case, by its address: there, or not, as its type says."""
    lift_value = None if wanted is None else lifter(wanted)

    def lift(address: int, room: int) -> Any:
        if (lift_value is None) != (not address):
            raise ValueMismatchError("a case has a value that it should not have, or lacks one")
        return None if lift_value is None else lift_value(address, room)

    return lift


def _lift_result(wanted: ResultType) -> Lift:
    ok, err = _inner(wanted.ok), _inner(wanted.err)

    def lift(address: int, room: int) -> Ok | Err:
        is_ok, payload, _ = _read(address, _capi.KIND_RESULT)
        return Ok(ok(payload, room)) if is_ok & 0xFF else Err(err(payload, room))

    return lift


def _lift_variant(wanted: VariantType) -> Lift:
    cases = {name: _inner(one) for name, one in wanted.cases}
    names = frozenset(cases)

    def lift(address: int, room: int) -> tuple[str, Any]:
        size, data, payload = _read(address, _capi.KIND_VARIANT)
        name = _one_of(names, size, data)
        return name, cases[name](payload, room)

    return lift


def _lift_message(address: int, room: int) -> str:
    """The message of an error, which people read: the rest of a long one is not decoded."""
    size, data, _ = _read(address, _capi.KIND_STRING)
    if not size:
        return ""
    beginning = string_at(data, min(size, 4 * MAX_MESSAGE))
    return beginning.decode("utf-8", "ignore")[:MAX_MESSAGE]


def _lift_record(wanted: RecordType) -> Lift:
    of_error = [name for name, _ in wanted.fields[:2]] == ["kind", "message"]
    fields = [
        (
            name,
            name.encode(),
            _lift_message if of_error and name == "message" else lifter(one),
        )
        for name, one in wanted.fields
    ]

    def lift(address: int, room: int) -> dict[str, Any]:
        size, data, _ = _read(address, _capi.KIND_RECORD)
        if size != len(fields):
            raise ValueMismatchError(f"expected a record of {len(fields)} fields, got {size}")
        made = {}
        for i, (name, encoded, lift_field) in enumerate(fields):
            entry = data + i * _capi.RECORD_ENTRY_SIZE
            length, text = _ENTRY_NAME.unpack(string_at(entry, 16))
            if length != len(encoded) or string_at(text, length) != encoded:
                raise ValueMismatchError(f"expected the field {name!r}")
            made[name] = lift_field(entry + _capi.RECORD_VALUE_OFFSET, room)
        return made

    return lift
