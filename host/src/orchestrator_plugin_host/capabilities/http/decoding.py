"""The body of a response as it was before it was compressed, a bounded piece at a time."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Final, Protocol

ACCEPTED: Final = "gzip, deflate"
"""What requests say they take."""

_PIECE: Final = 16_384
_SLICE: Final = 8192
"""Bytes that are decoded at once: they may be hundreds of members, or of blocks with nothing in."""
_GZIP: Final = b"\x1f\x8b"
_MAX_EMPTY: Final = 100


class DecodingError(Exception):
    """A body is not compressed as its head says, or in a way that was not asked for."""


class Decoder(Protocol):
    """Decodes a body that comes in pieces."""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Pieces of at most 64 KiB, as they are asked for; empty ones where much work has made
        nothing. Raises `DecodingError`."""

    def check_end(self) -> None:
        """Raises `DecodingError` if the body was cut off."""


class _Plain:
    def feed(self, data: bytes) -> Iterator[bytes]:
        for start in range(0, len(data), _PIECE):
            yield data[start : start + _PIECE]

    def check_end(self) -> None:
        return


class _Deflated:
    """deflate with or without zlib's envelope, which servers differ about, or one member of
    gzip."""

    def __init__(self, window: int | None) -> None:
        """`window` as for `zlib.decompressobj`; none to find out whether there is an envelope."""
        self._inflate = None if window is None else zlib.decompressobj(window)
        self._head = b""
        self._fed = False
        self.gave = False
        self.over = False
        self.rest = b""
        """What came after its end in the same piece."""

    def feed(self, data: bytes) -> Iterator[bytes]:
        if self.over:  # whatever zlib were given now, it would keep
            return
        self._fed = self._fed or bool(data)
        data = self._head + data
        if self._inflate is None and len(data) < 2:
            self._head = data
            return
        self._head = b""
        while True:
            piece, data = self._piece(data)
            if piece:
                self.gave = True
                yield piece
            if self.over or (not data and len(piece) < _PIECE):  # a full one: more may be inside
                return

    def _piece(self, data: bytes) -> tuple[bytes, bytes]:
        if self._inflate is None:
            # RFC 1950: the method 8, and the two bytes as a number are a multiple of 31.
            enveloped = data[0] & 0x0F == 8 and int.from_bytes(data[:2], "big") % 31 == 0
            self._inflate = zlib.decompressobj(zlib.MAX_WBITS if enveloped else -zlib.MAX_WBITS)
        try:
            piece = self._inflate.decompress(data, _PIECE)
        except zlib.error:
            raise DecodingError("the response is not compressed as it says") from None
        if self._inflate.eof:
            self.over, self.rest = True, self._inflate.unused_data
        return piece, self._inflate.unconsumed_tail

    def check_end(self) -> None:
        if self._head or (self._fed and not self.over):
            raise DecodingError("the response's body was cut off")


class _Gzipped:
    """gzip: members, which are one body together. What follows that is no member is nothing, as
    it is to others."""

    def __init__(self) -> None:
        self._member: _Deflated | None = None
        self._head = b""
        self._any = False
        self._over = False
        self._empty = 0

    def feed(self, data: bytes) -> Iterator[bytes]:
        while data and not self._over:
            if self._member is None:
                data = self._head + data
                self._head = b""
                if self._any and not data.startswith(_GZIP):
                    if _GZIP.startswith(data):
                        self._head = data
                    self._over = not self._head
                    return
                self._member, self._any = _Deflated(16 + zlib.MAX_WBITS), True
            yield from self._member.feed(data)
            if not self._member.over:
                return
            self._empty += not self._member.gave
            if self._empty > _MAX_EMPTY:
                raise DecodingError("the response is compressed from nothing, again and again")
            data, self._member = self._member.rest, None

    def check_end(self) -> None:
        if self._member is not None:
            self._member.check_end()


class _Sliced:
    """Decodes a bounded piece at a time, whatever comes at once."""

    def __init__(self, inner: Decoder) -> None:
        self._inner = inner
        self.check_end = inner.check_end

    def feed(self, data: bytes) -> Iterator[bytes]:
        for start in range(0, len(data), _SLICE):
            yield from self._inner.feed(data[start : start + _SLICE])
            yield b""


def decoder(encoding: str) -> Decoder:
    """For the value of a `Content-Encoding`. Raises `DecodingError` for one that was not asked
    for."""
    named = encoding.strip().lower()
    if named in ("", "identity"):
        return _Plain()
    if named in ("gzip", "x-gzip"):
        return _Sliced(_Gzipped())
    if named == "deflate":
        return _Sliced(_Deflated(None))
    # Not how: what a server writes may be a secret, and this is not how it was written.
    raise DecodingError("the response is encoded in a way that was not asked for")
