"""Payloads in their text forms, as UTF-8, made and read in pieces.

wasmtime moves a string as a block of UTF-8, and that is what is converted here: a Python `str` of
megabytes is never made, nor a second copy of one: `BytesIO` grows in place and hands out what it
has. `orchestrator_plugin_sdk.payload` says what the forms are, and chooses one.
"""

from __future__ import annotations

import binascii
from collections.abc import Callable, Collection
from contextlib import suppress
from functools import cache
from io import BytesIO
from typing import Final, Literal

from orchestrator_plugin_sdk.errors import DocumentError
from orchestrator_plugin_sdk.payload import PayloadEncoding, choose_encoding
from pydantic import ConfigDict, TypeAdapter, ValidationError

from .pieces import Pieces
from .text_payload import TextPayload

TextForm = Literal["latin1", "base64"]
Payload = tuple[str, bytes]
"""A text form, and the text's UTF-8, which is what crosses."""

_TEXT_FORMS: Final = ("latin1", "base64")
_BLOCK: Final = 24 * 1024
"""Bytes of a document that are converted at once: a multiple of 3 and of 4. So few that the memory
for them is there already, and in the processor's cache."""
_PIECE: Final = 32 * _BLOCK
"""Bytes of a piece. The most expensive kind takes about 3 ms."""
_LARGE: Final = 4 * _PIECE
"""Bytes from which on a text of unknown length is converted a piece at once: small allocations in
between could keep the result from growing in its place, and it would be there twice."""


class DocumentSizeError(DocumentError):
    """A document has more bytes than it may; `size` is how many, or at least how many, and
    `counted` says how they were counted, if not plainly."""

    def __init__(self, size: int, counted: str = "") -> None:
        self.size = size
        self.counted = counted
        super().__init__(" ".join(filter(None, [f"has {size:,} bytes", counted])))


def payload_for(document: bytes, readable: Collection[PayloadEncoding]) -> Pieces[TextPayload]:
    """A document as it crosses to a plugin that reads these forms, in the cheapest of them.

    A list of bytes would be expensive to move. What a plugin is to get as `bytes` crosses as
    `base64` that begins with a `=`, which the adapters around it make bytes of
    (`sandbox.adapters`).
    """
    if "latin1" in readable and choose_encoding(document, _TEXT_FORMS) == "latin1":
        return TextPayload(("latin1", (yield from text_of("latin1", document))))
    mark = b"" if "base64" in readable else b"="
    return TextPayload(("base64", (yield from text_of("base64", document, mark))))


def text_of(form: TextForm, document: bytes, mark: bytes = b"") -> Pieces[bytes]:
    """A document in a text form, as UTF-8, behind a mark."""
    if form == "latin1" and document.isascii():
        return mark + document if mark else document
    convert = _latin1_text if form == "latin1" else _base64_text
    if len(document) <= _BLOCK:
        return mark + convert(document)
    made = _room(len(mark) + (len(document) + 2) // 3 * 4)
    made.write(mark)
    for at in range(0, len(document), _BLOCK):
        made.write(convert(document[at : at + _BLOCK]))
        if not (at + _BLOCK) % _PIECE:
            yield
    made.truncate()
    return made.getvalue()


def _room(size: int) -> BytesIO:
    """What a result of about `size` bytes is written to, and truncated where it ends. It has its
    memory from the start."""
    return BytesIO(bytes(size))  # which has the only reference: it writes to these very bytes


def _latin1_text(document: bytes) -> bytes:
    return document.decode("latin-1").encode("utf-8")


def _base64_text(document: bytes) -> bytes:
    return binascii.b2a_base64(document, newline=False)


def document_of(form: str, data: bytes | memoryview, most: int) -> Pieces[bytes]:
    """The document of a payload: its form, and its text's UTF-8. It may have at most `most` bytes.

    Raises `DocumentSizeError`, or `DocumentError` for what is not of that form.
    """
    try:
        if form == "latin1":
            return (yield from _of_latin1(data, most))
        if form == "base64":
            return (yield from _of_base64(data, most))
    except (UnicodeError, binascii.Error, ValueError) as error:
        reason = str(error)
        if isinstance(error, UnicodeError):  # whose own words may repeat all of the text
            reason = error.reason if hasattr(error, "reason") else "not UTF-8"
        raise DocumentError(f"the payload is not valid {form}: {reason}") from None
    raise DocumentError("the payload is of no text form")


def _of_latin1(text: bytes | memoryview, most: int) -> Pieces[bytes]:
    size = len(text)
    if size > 2 * most:
        raise DocumentSizeError((size + 1) // 2)
    if isinstance(text, bytes) and size <= most and text.isascii():
        return text
    made = BytesIO()
    at = done = 0
    block = _BLOCK if size <= _LARGE else _PIECE
    while at < size:
        end = min(at + block, size)
        if end < size and text[end] & 0xC0 == 0x80:  # the second byte of a character
            end -= 1
        made.write(_of_latin1_block(bytes(text[at:end])))
        if made.tell() > most:
            raise DocumentSizeError(made.tell())
        at = end
        if at - done >= _PIECE - 1:
            done = at
            yield
    return made.getvalue()


def _of_latin1_block(text: bytes) -> bytes:
    return text if text.isascii() else text.decode("utf-8").encode("latin-1")


def _of_base64(text: bytes | memoryview, most: int) -> Pieces[bytes]:
    end = bytes(text[-3:])
    if len(text) % 4 or end == b"===":  # a decoder may accept too much padding
        raise ValueError("its padding is wrong")
    size = len(text) // 4 * 3 - end.count(b"=")
    if size > most:
        raise DocumentSizeError(size)
    made = _room(size)
    for at in range(0, len(text), _BLOCK):
        block = bytes(text[at : at + _BLOCK])
        if at + _BLOCK < len(text) and block[-1] == ord("="):
            raise ValueError("there is padding in its middle")
        made.write(_of_base64_block(block))
        if not (at + _BLOCK) % _PIECE:
            yield
    return made.getvalue()


def _of_base64_block(text: bytes) -> bytes:
    # Pydantic's decoder takes a quarter of the time of `binascii`'s. It reads JSON, and the other
    # alphabet of base64, too; and refuses the last bits of a text unless they are zero.
    if b"\\" not in text and b"-" not in text and b"_" not in text:
        with suppress(ValidationError):
            return _read_base64()(b'"%b"' % text)
    return binascii.a2b_base64(text, strict_mode=True)


@cache
def _read_base64() -> Callable[[bytes], bytes]:
    read: Callable[[bytes], bytes] = TypeAdapter(
        bytes, config=ConfigDict(val_json_bytes="base64")
    ).validator.validate_json
    return read
