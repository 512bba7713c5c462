"""Payloads in their text forms, as UTF-8, made and read in pieces.

wasmtime moves a string as a block of UTF-8, and that is what is converted here: a Python `str` of
megabytes is never made, nor a second copy of one: `BytesIO` grows in place and hands out what it
has. `orchestrator_plugin_sdk.payload` says what the forms are, and chooses one.
"""

from __future__ import annotations

import binascii
from collections.abc import Collection
from io import BytesIO
from typing import Final, Literal

from orchestrator_plugin_sdk.errors import DocumentError
from orchestrator_plugin_sdk.payload import PayloadEncoding, choose_encoding

from .pieces import Pieces

TextForm = Literal["latin1", "base64"]
Payload = tuple[str, bytes]
"""A form, and the bytes that cross: of the text forms, the text's UTF-8."""

_TEXT_FORMS: Final = ("latin1", "base64")
_PIECE: Final = 768 * 1024
"""Bytes of a piece: a multiple of 3 and of 4. The most expensive kind takes about 3 ms."""


class DocumentSizeError(DocumentError):
    """A document has more bytes than it may; `size` is how many, or at least how many, and
    `counted` says how they were counted, if not plainly."""

    def __init__(self, size: int, counted: str = "") -> None:
        self.size = size
        self.counted = counted
        super().__init__(" ".join(filter(None, [f"has {size:,} bytes", counted])))


def payload_for(document: bytes, readable: Collection[PayloadEncoding]) -> Pieces[Payload]:
    """A document as it crosses to a plugin that reads these forms, in the cheapest of them.

    A list of bytes would be expensive to move. What a plugin is to get as `bytes` crosses as
    `base64` that begins with a `=`, which the adapters around it make bytes of
    (`sandbox.adapters`).
    """
    if "latin1" in readable and choose_encoding(document, _TEXT_FORMS) == "latin1":
        return "latin1", (yield from text_of("latin1", document))
    mark = b"" if "base64" in readable else b"="
    return "base64", (yield from text_of("base64", document, mark))


def text_of(form: TextForm, document: bytes, mark: bytes = b"") -> Pieces[bytes]:
    """A document in a text form, as UTF-8, behind a mark."""
    if form == "latin1" and document.isascii():
        return mark + document if mark else document
    made = BytesIO()
    made.write(mark)
    for at in range(0, len(document), _PIECE):
        piece = document[at : at + _PIECE]
        if form == "latin1":
            made.write(piece.decode("latin-1").encode("utf-8"))
        else:
            made.write(binascii.b2a_base64(piece, newline=False))
        yield
    return made.getvalue()


def document_of(form: str, data: bytes | memoryview, most: int) -> Pieces[bytes]:
    """The document of a payload: its form, and its bytes, which are UTF-8 of the text forms. It may
    have at most `most` bytes.

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
    if form != "bytes":
        raise DocumentError("the payload is of no form that there is")
    if len(data) > most:
        raise DocumentSizeError(len(data))
    return bytes(data)


def _of_latin1(text: bytes | memoryview, most: int) -> Pieces[bytes]:
    size = len(text)
    if size > 2 * most:
        raise DocumentSizeError((size + 1) // 2)
    made = BytesIO()
    at = 0
    while at < size:
        end = min(at + _PIECE, size)
        if end < size and text[end] & 0xC0 == 0x80:  # the second byte of a character
            end -= 1
        made.write(str(text[at:end], "utf-8").encode("latin-1"))
        if made.tell() > most:
            raise DocumentSizeError(made.tell())
        at = end
        yield
    return made.getvalue()


def _of_base64(text: bytes | memoryview, most: int) -> Pieces[bytes]:
    end = bytes(text[-3:])
    if len(text) % 4 or end == b"===":  # the decoder accepts too much padding
        raise ValueError("its padding is wrong")
    size = len(text) // 4 * 3 - end.count(b"=")
    if size > most:
        raise DocumentSizeError(size)
    made = BytesIO()
    for at in range(0, len(text), _PIECE):
        piece = text[at : at + _PIECE]
        if at + _PIECE < len(text) and piece[-1] == ord("="):
            raise ValueError("there is padding in its middle")
        made.write(binascii.a2b_base64(piece, strict_mode=True))
        yield
    return made.getvalue()
