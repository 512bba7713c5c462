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

    def __init__(self, window: int | None) -> None:
        """`window` as for `zlib.decompressobj`; none to find out whether there is an envelope."""
        self._inflate = None if window is None else zlib.decompressobj(window)
        self._head = b""
        self._fed = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        self._fed = self._fed or bool(data)
        data = self._head + data
        if self._inflate is None and len(data) < 2:
            self._head = data
            return
        self._head = b""
        while True:
            piece, data = self._piece(data)
            if piece:
                yield piece
            if not data and len(piece) < _PIECE:  # a full one: more may be inside
                return

    def _piece(self, data: bytes) -> tuple[bytes, bytes]:
        if self._inflate is None:
            # RFC 1950: the method 8, and the two bytes as a number are a multiple of 31.
            enveloped = data[0] & 0x0F == 8 and int.from_bytes(data[:2], "big") % 31 == 0
            self._inflate = zlib.decompressobj(zlib.MAX_WBITS if enveloped else -zlib.MAX_WBITS)
        try:
            return self._inflate.decompress(data, _PIECE), self._inflate.unconsumed_tail
        except zlib.error:
            raise DecodingError("the response is not compressed as it says") from None

    def check_end(self) -> None:
        if self._head or (self._inflate is not None and not self._inflate.eof and self._fed):
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
        return _Deflated(None)
    raise DecodingError(f"the response is encoded as {named[:50]!r}, which was not asked for")
