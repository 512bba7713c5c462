"""Documents on the host's side: read from bytes within bounds, validated strictly, and written.

::

    caller's arguments --validate--> SDK values --dump--> plain data --pack--> bytes --> plugin
    SDK value <--validate-- plain data <--unpack-- bytes <-- plugin

Strict: nothing is converted (`"1"` is not an integer), nothing unknown is let through. What a
plugin sent is measured before it is built: a document has at most so many bytes and so many values.
`operations` has what a loaded plugin's calls use of this.
"""

from __future__ import annotations

from typing import Any, Final

import msgpack
from orchestrator_plugin_sdk.codec import MAX_DEPTH, to_document
from orchestrator_plugin_sdk.codec import unpack as unpack_as_guests_do
from orchestrator_plugin_sdk.errors import DocumentError, Problem
from orchestrator_plugin_sdk.visible import shown_key
from pydantic import ValidationError
from pydantic_core import PydanticSerializationError

from .document_scan import scan
from .document_types import serializer, validator
from .payload_text import DocumentSizeError
from .pieces import Pieces, at_once

_MAX_PROBLEMS: Final = 100
_MAX_SHOWN: Final = 200
"""Characters of what is said about a value that an error repeats."""
_SMALL: Final = 4096
"""Bytes of a document that is built before it is counted: it has no more values than bytes."""
_SMALL_LENGTH: Final = 512
"""Items that one list of a small document may claim: lists that nest, each claiming so many, cost
at most 4 MiB."""
_NAMED: Final = 65_536
"""Bytes of a document that is read again to say which of its keys is there twice."""
_WIDE: Final = 5
"""What a byte of text counts that is not ASCII: decoding it takes several times as long, and one
character beyond U+FFFF makes a text take five times its bytes while it is decoded."""
_CONTAINERS: Final = bytes([*range(0x80, 0xA0), *range(0xDC, 0xE0)])
_UNUSUAL: Final = bytes([*range(0xC4, 0xCA), *range(0xD4, 0xD9)])
"""What begins binary or an extension type. A timestamp, which msgpack gives to no hook, is one."""
_NEITHER: Final = bytes(sorted(set(range(256)).difference(_CONTAINERS, _UNUSUAL)))


def validate(wanted: Any, document: Any, what: str, *, from_plugin: bool = False) -> Any:
    """`document` (plain data, or SDK values already) as a value of the type `wanted`.

    A caller may give a vector in any form; `from_plugin`, it is bytes as the contract says.
    Raises `DocumentError` that lists the faults; `what` names the document in its message.
    """
    try:
        return validator(wanted, from_plugin).validate_python(document)
    except (ValidationError, RecursionError) as error:
        raise invalid(error, what) from None


def invalid(error: ValidationError | RecursionError, what: str) -> DocumentError:
    """The error of a document that a validator refused."""
    if isinstance(error, RecursionError):
        return DocumentError(f"{what} nests too deep")
    problems = [Problem("", f"{error.error_count():,} faults")]
    if error.error_count() <= _MAX_PROBLEMS:
        problems = [
            Problem(_path(one["loc"]), one["msg"][:_MAX_SHOWN])
            for one in error.errors(include_url=False, include_input=False, include_context=False)
        ]
    return DocumentError(f"{what} does not fit its schema", problems)


def _path(location: tuple[int | str, ...]) -> str:
    path = ""
    for step in location:
        if isinstance(step, int):
            path += f"[{step}]"
        else:
            path += f".{shown_key(step)}" if path else shown_key(step)
    return path


def dump(wanted: Any, value: Any) -> Any:
    """A validated value of the type `wanted` as plain data: what MessagePack writes exactly as it
    writes `to_document(value)`, in a fraction of the time. Raises `DocumentError`."""
    try:
        return serializer(wanted).to_python(value, warnings=False)
    except (PydanticSerializationError, RecursionError):
        return to_document(value)  # which says what is wrong, or that nothing is


def read_document(data: bytes, wanted: Any, what: str, *, most_bytes: int, most_values: int) -> Any:
    """A document that crossed the boundary, as a value of the type `wanted`, all at once.

    Raises `DocumentSizeError`, `TooManyValuesError`, or `DocumentError` for what is not such a
    document.
    """
    return validate(wanted, unpack(data, most_bytes, most_values), what, from_plugin=True)


def unpack(data: bytes, most_bytes: int, most_values: int) -> Any:
    """MessagePack as plain data, within bounds: `most_bytes`, of which a byte of text that is not
    ASCII counts five, and `most_values`. All at once; for large documents there is
    `unpack_pieces`.

    Raises `DocumentSizeError`, `TooManyValuesError`, or `DocumentError` for what the rules of
    documents forbid.
    """
    document = _small(data, most_bytes, most_values)
    if document is _UNSURE:
        document = at_once(_large(data, most_bytes, most_values))
    return document


def unpack_pieces(data: bytes, most_bytes: int, most_values: int) -> Pieces[Any]:
    """`unpack`, yielding between pieces.

    Within 16 MiB and 50,000 values each takes some 10 ms at most, and what is held besides `data`
    is no more than three times its bytes, and 8 MB.
    """
    document = _small(data, most_bytes, most_values)
    if document is _UNSURE:
        document = yield from _large(data, most_bytes, most_values)
    return document


def _large(data: bytes, most_bytes: int, most_values: int) -> Pieces[Any]:
    size = len(data)
    if size > most_bytes:
        raise DocumentSizeError(size)
    structure = scan(data, most_values, wide=size * _WIDE > most_bytes)
    weight = size + (_WIDE - 1) * structure.wide_bytes
    if weight > most_bytes:
        raise DocumentSizeError(weight, "of which a byte of text that is not ASCII counts five")
    yield
    counted = _Entries()
    try:
        document = msgpack.unpackb(
            data, object_hook=counted.add, max_array_len=size, max_map_len=size
        )
    except (ValueError, TypeError, OverflowError, MemoryError) as error:
        reason = str(error) or type(error).__name__
        raise DocumentError(f"is not a MessagePack document: {reason}") from None
    if counted.entries != structure.entries:
        if size <= _NAMED:
            unpack_as_guests_do(data)  # which says which key it is
        raise DocumentError("keys of a map appear once; one is there twice")
    return document


class _Entries:
    """Counts the entries of the maps that are made: fewer than were written if a key is there
    twice."""

    __slots__ = ("entries",)

    def __init__(self) -> None:
        self.entries = 0

    def add(self, made: dict[str, Any]) -> dict[str, Any]:
        self.entries += len(made)
        return made


_UNSURE: Final = object()


def _small(data: bytes, most_bytes: int, most_values: int) -> Any:
    """A small document in the form that MessagePack's writers have; `_UNSURE` of any other.

    What is written again exactly as it was read has no key twice. It nests no deeper than it has
    bytes that may begin a list or map, and without a byte that may begin binary, keys are strings.
    """
    size = len(data)
    if size > _SMALL or size > most_values or size * _WIDE > most_bytes:
        return _UNSURE
    marks = data.translate(None, _NEITHER)
    if len(marks) > MAX_DEPTH or marks.translate(None, _CONTAINERS):
        return _UNSURE
    try:
        document = msgpack.unpackb(data, max_array_len=_SMALL_LENGTH, max_map_len=_SMALL_LENGTH)
        return document if msgpack.packb(document) == data else _UNSURE
    except (ValueError, TypeError, OverflowError):
        return _UNSURE
