"""The body of a response as it was before it was compressed, a bounded piece at a time."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Final, Protocol

ACCEPTED: Final = "gzip, deflate"
"""What requests say they take."""

_PIECE: Final = 65_536


class DecodingError(Exception):
    """A body is not compressed as its head says, or in a way that was not asked for."""


class Decoder(Protocol):
    """Decodes a body that comes in pieces."""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Pieces of at most 64 KiB, as they are asked for. Raises `DecodingError`."""

    def check_end(self) -> None:
        """Raises `DecodingError` if the body was cut off."""


class _Plain:
    def feed(self, data: bytes) -> Iterator[bytes]:
        for start in range(0, len(data), _PIECE):
            yield data[start : start + _PIECE]

    def check_end(self) -> None:
        return


class _Deflated:
    """gzip, or deflate with or without zlib's envelope, which servers differ about."""

    def __init__(self, window: int) -> None:
        self._window = window
        self._inflate = zlib.decompressobj(window)
        self._begun = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        while True:
            piece = self._piece(data)
            data = self._inflate.unconsumed_tail
            if piece:
                yield piece
            if not data and len(piece) < _PIECE:  # a full one: more may be inside
                return

    def _piece(self, data: bytes) -> bytes:
        try:
            piece = self._inflate.decompress(data, _PIECE)
        except zlib.error:
            if self._begun or self._window != zlib.MAX_WBITS:
                raise DecodingError("the response is not compressed as it says") from None
            self._inflate = zlib.decompressobj(-zlib.MAX_WBITS)
            self._window = -zlib.MAX_WBITS
            return self._piece(data)
        self._begun = True
        return piece

    def check_end(self) -> None:
        if self._begun and not self._inflate.eof:
            raise DecodingError("the response's body was cut off")


def decoder(encoding: str) -> Decoder:
    """For the value of a `Content-Encoding`. Raises `DecodingError` for one that was not asked
    for."""
    named = encoding.strip().lower()
    if named in ("", "identity"):
        return _Plain()
    if named in ("gzip", "x-gzip"):
        return _Deflated(16 + zlib.MAX_WBITS)
    if named == "deflate":
        return _Deflated(zlib.MAX_WBITS)
    raise DecodingError(f"the response is encoded as {named[:50]!r}, which was not asked for")
