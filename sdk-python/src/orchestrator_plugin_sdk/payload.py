"""The three forms of a payload, and which one to send.

What each costs, measured, is in the performance page of the documentation.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Collection
from typing import Literal

from .errors import DocumentError

PayloadEncoding = Literal["bytes", "latin1", "base64"]
"""The forms of a payload, as the cases of `types.payload` in the WIT contract."""

_SMALL = 768
"""Bytes up to which `latin1` beats `base64` even for random data."""


_ASCII = bytes(range(128))


def choose_encoding(document: bytes, readable: Collection[PayloadEncoding]) -> PayloadEncoding:
    """The cheapest form of `document` among those its receiver reads. `bytes` always is one."""
    if "latin1" in readable and (
        document.isascii() or len(document) <= _SMALL or _mostly_ascii(document)
    ):
        return "latin1"
    if "base64" in readable and len(document) > 256:
        return "base64"
    return "latin1" if "latin1" in readable else "bytes"


def _mostly_ascii(document: bytes) -> bool:
    """Whether a sample says that at most one byte in sixteen is not ASCII."""
    step = max(1, len(document) // 4096)
    sample = document[::step]
    return len(sample.translate(None, _ASCII)) * 16 <= len(sample)


def to_text(encoding: Literal["latin1", "base64"], document: bytes) -> str:
    """`document` as the string of one of the two text forms."""
    if encoding == "latin1":
        return document.decode("latin-1")
    return base64.b64encode(document).decode("ascii")


def from_text(encoding: Literal["latin1", "base64"], text: str) -> bytes:
    """The document of a text form. Raises `DocumentError` for text that isn't of that form."""
    try:
        if encoding == "latin1":
            return text.encode("latin-1")
        if len(text) % 4 or text.endswith("==="):  # the decoder doesn't mind too much padding
            raise ValueError("its padding is wrong")
        return base64.b64decode(text, validate=True)
    except (UnicodeEncodeError, binascii.Error, ValueError) as error:
        raise DocumentError(f"the payload is not valid {encoding}: {error}") from None
