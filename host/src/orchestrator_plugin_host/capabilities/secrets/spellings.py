"""Where the value of a secret is in some bytes, however an honest server spelled it.

A value is looked for as it is, in hexadecimal and in base64; in the bytes as they came, and in what
they are once their escapes are decoded, those of URLs, JSON and HTML all at once. Any mixture of
spellings is found that way, in time that is linear in the bytes and does not depend on how much of
them looks like a value.
"""

from __future__ import annotations

import base64
import html
import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from typing import Final

LEAST: Final = 6
"""Characters of a value: shorter ones are found everywhere."""
LONGEST: Final = 12
"""Bytes that a byte of a value may take up: `\\u0026quot;` is a quotation mark of HTML in JSON."""

_LEVELS: Final = 2
"""How often escapes may be within escapes: HTML in JSON, a URL within a URL."""
_ESCAPE: Final = re.compile(
    rb"%[0-9A-Fa-f]{2}"
    rb"|\\u[dD][89abAB][0-9A-Fa-f]{2}\\u[dD][c-fC-F][0-9A-Fa-f]{2}"
    rb"|\\u[0-9A-Fa-f]{4}|\\x[0-9A-Fa-f]{2}|\\[\"'\\/bfnrt]"
    rb"|&(?:#[0-9]{1,7}|#[xX][0-9A-Fa-f]{1,6}|[A-Za-z]{2,8});"
)
_ONE: Final = {
    b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t",
}  # fmt: skip
_BASE64: Final = bytes.maketrans(b"-_", b"+/")
_SPACE: Final = b" \t\r\n"
"""What lines of base64 are broken with."""


def _decoded(escape: bytes) -> bytes:
    """What an escape stands for. One that stands for nothing is left as it is."""
    first, second = escape[:1], escape[1:2]
    if first == b"%":
        return bytes.fromhex(escape[1:].decode())
    if first == b"&":
        text = html.unescape(escape.decode())
        return text.encode("utf-8", "surrogatepass")
    if second == b"x":
        return chr(int(escape[2:], 16)).encode()
    if second != b"u":
        return _ONE.get(second, second)
    units = bytes.fromhex(escape.replace(b"\\u", b"").decode())
    return units.decode("utf-16-be", "surrogatepass").encode("utf-8", "surrogatepass")


class _View:
    """Some bytes with their escapes decoded."""

    def __init__(self, raw: bytes) -> None:
        self._raw = raw
        self.data = _ESCAPE.sub(lambda found: _decoded(found[0]), raw)
        self._places: tuple[list[int], list[int], list[int], list[int]] | None = None

    def back(self, start: int, end: int) -> tuple[int, int]:
        """Where in the bytes that were decoded something is."""
        if self._places is None:
            self._places = self._found()
        starts, ends, raw_starts, raw_ends = self._places
        before = bisect_right(starts, start) - 1
        if before >= 0:
            inside = start < ends[before]
            start = raw_starts[before] if inside else raw_ends[before] + start - ends[before]
        before = bisect_left(starts, end) - 1
        if before >= 0:
            end = raw_ends[before] + max(end - ends[before], 0)
        return start, end

    def _found(self) -> tuple[list[int], list[int], list[int], list[int]]:
        """Where the escapes are: in what was made, and in what it was made from."""
        starts, ends, raw_starts, raw_ends = [], [], [], []
        shift = 0
        for found in _ESCAPE.finditer(self._raw):
            at = found.start() + shift
            made = len(_decoded(found[0]))
            starts.append(at)
            ends.append(at + made)
            raw_starts.append(found.start())
            raw_ends.append(found.end())
            shift += made - (found.end() - found.start())
        return starts, ends, raw_starts, raw_ends


class Spellings:
    """Finds values."""

    def __init__(self, values: Iterable[str]) -> None:
        plain: set[bytes] = set()
        digits: set[bytes] = set()
        hexadecimal: set[bytes] = set()
        for value in values:
            raw = value.encode()
            plain |= {raw, raw.replace(b" ", b"+"), _latin(value) or raw}
            hexadecimal.add(raw.hex().encode())
            digits |= set(_in_base64(raw))
        self._plain = _long_enough(plain)
        self._hexadecimal = _long_enough(hexadecimal)
        self._digits = _long_enough(digits)

    def __bool__(self) -> bool:
        return bool(self._plain)

    def spans(self, data: bytes) -> list[tuple[int, int]]:
        """Where values are, in order; of two that overlap, the one that begins first, or the
        longer one."""
        found = sorted(self._all(data), key=lambda span: (span[0], -span[1]))
        spans: list[tuple[int, int]] = []
        for start, end in found:
            if not spans or start >= spans[-1][1]:
                spans.append((start, end))
        return spans

    def are_in(self, data: bytes) -> bool:
        """Whether a value is there."""
        return next(self._all(data), None) is not None

    def _all(self, data: bytes) -> Iterator[tuple[int, int]]:
        views: list[_View] = []
        for _ in range(_LEVELS + 1):
            for start, end in self._in(data):
                for view in reversed(views):
                    start, end = view.back(start, end)
                yield start, end
            if not any(one in data for one in (b"%", b"\\", b"&")):
                return
            view = _View(data)
            if view.data == data:
                return
            views.append(view)
            data = view.data

    def _in(self, data: bytes) -> Iterator[tuple[int, int]]:
        """Where values are in bytes without escapes."""
        for value in self._plain:
            yield from _places(data, value)
        lower = data.lower()
        for value in self._hexadecimal:
            yield from _places(lower, value)
        joined = data.translate(_BASE64, _SPACE)
        kept: list[int] | None = None
        for value in self._digits:
            for start, end in _places(joined, value):
                if len(joined) == len(data):
                    yield start, end
                    continue
                if kept is None:
                    kept = [at for at, byte in enumerate(data) if byte not in _SPACE]
                yield kept[start], kept[end - 1] + 1


def _places(data: bytes, value: bytes) -> Iterator[tuple[int, int]]:
    at = data.find(value)
    while at >= 0:
        yield at, at + len(value)
        at = data.find(value, at + len(value))


def _in_base64(raw: bytes) -> Iterator[bytes]:
    """The digits that depend on the value alone, wherever it stands in what was encoded."""
    for before in range(3):
        encoded = base64.b64encode(b"\0" * before + raw)
        yield encoded[(0, 2, 3)[before] : (before + len(raw)) * 8 // 6]


def _latin(value: str) -> bytes | None:
    try:
        return value.encode("latin-1")
    except UnicodeEncodeError:
        return None


def _long_enough(values: Iterable[bytes]) -> tuple[bytes, ...]:
    return tuple(sorted({one for one in values if len(one) >= LEAST}))
