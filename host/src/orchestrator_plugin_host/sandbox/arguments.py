"""The arguments of exported functions, in memory of Python's: wasmtime borrows them.

A payload is not copied on its way to wasmtime: its text is where Python has it, and is held here
until the call has ended.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from ctypes import addressof, c_char_p, c_uint8, c_void_p
from struct import Struct
from typing import Any, Final

from ..text_payload import text_payload
from ..wit import HandleType, Type, VariantType
from . import _capi
from .values import TEXT_FORMS, is_payload

_VAL: Final = Struct("<B7xQQQ")
_RESOURCE: Final = Struct("<B7xQ16x")

_Name = tuple[int, int, Any]
"""A form's name: its length, its address, and what keeps it there."""
_Fill = Callable[[Any, int, int], Any]
"""Writes a value into a slot (the offset of its value, and of one for its inner value), and
returns what must be kept."""


def _named(name: str) -> _Name:
    held = ctypes.create_string_buffer(name.encode())
    return len(name), addressof(held), held


class Arguments:
    """The slots of one function: `count` values at `address`, filled for each call."""

    __slots__ = ("_buffer", "_fills", "_kept", "address", "count")

    def __init__(self, types: Sequence[Type]) -> None:
        self.count = len(types)
        self._buffer = (c_uint8 * (2 * _capi.VAL_SIZE * max(self.count, 1)))()
        self.address = addressof(self._buffer)
        self._fills = [self._filler(one) for one in types]
        self._kept: list[Any] = []

    def fill(self, values: Sequence[Any]) -> None:
        """Writes the values. They stay until `clear`, or the next."""
        self._kept.clear()
        inner = self.count * _capi.VAL_SIZE
        for i, (fill, value) in enumerate(zip(self._fills, values, strict=True)):
            at = i * _capi.VAL_SIZE
            self._kept.append(fill(value, at, inner + at))

    def clear(self) -> None:
        """Lets the values go."""
        self._kept.clear()

    def _filler(self, wanted: Type) -> _Fill:
        if isinstance(wanted, HandleType):
            return self._fill_handle
        if isinstance(wanted, VariantType) and is_payload(wanted):
            forms = {form: _named(form) for form in TEXT_FORMS}
            return lambda value, at, inner: self._fill_payload(forms, value, at, inner)
        raise TypeError(f"no arguments of type {wanted}")

    def _fill_handle(self, resource: int, at: int, inner: int) -> None:
        _RESOURCE.pack_into(self._buffer, at, _capi.KIND_RESOURCE, resource)

    def _fill_payload(
        self,
        forms: dict[str, tuple[int, int, Any]],
        payload: tuple[str, bytes],
        at: int,
        inner: int,
    ) -> Any:
        form, data = text_payload(payload)
        length, name, _ = forms[form]
        _VAL.pack_into(self._buffer, at, _capi.KIND_VARIANT, length, name, self.address + inner)
        held = c_char_p(data)
        address = c_void_p.from_buffer(held).value or 0
        _VAL.pack_into(self._buffer, inner, _capi.KIND_STRING, len(data), address, 0)
        return held
