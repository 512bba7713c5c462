"""Taking the values of secrets out of what comes back: bodies, heads, errors, logs."""

from __future__ import annotations

import base64
import json
import re
import urllib.parse
from collections.abc import Iterable
from heapq import heapify, heappop, heapreplace
from typing import Final

SCRUBBED: Final = "[secret]"
"""What stands where a secret's value was."""

LEAST: Final = 6
"""Characters of a value: shorter ones are found everywhere."""

_PROBE: Final = 16
_PART: Final = 256
_LARGE: Final = 65_536
_MAX_REPEATED: Final = 10_000
_PERCENT: Final = re.compile("%[0-9A-F]{2}")
_ESCAPE: Final = re.compile(r"((?<!\\)(?:\\\\)*\\u)([0-9a-f]{4})")


def _json_spellings(value: str) -> set[str]:
    """A value within a text of JSON, as libraries of several languages write it: some escape what
    HTML or a URL gives a meaning to, and the digits are in lower or upper case."""
    spelled = set()
    for ascii_only in (True, False):
        plain = json.dumps(value, ensure_ascii=ascii_only)[1:-1]
        for escaped in ("", "/", "&<>", "&<>'", "&<>'+`"):
            made = plain.replace('\\"', "\\u0022") if "+" in escaped else plain
            for one in escaped:
                made = made.replace(one, "\\/" if one == "/" else f"\\u{ord(one):04x}")
            spelled |= {made, _ESCAPE.sub(lambda found: found[1] + found[2].upper(), made)}
    return spelled


def _spellings(value: str) -> set[bytes]:
    """A value as it may come back: as it is, escaped for JSON or a URL, in hexadecimal, in base64
    wherever it stands in what was encoded."""
    raw = value.encode()
    quoted = (
        urllib.parse.quote(value, safe=""),
        urllib.parse.quote(value),
        urllib.parse.quote(value, safe="!'()*"),  # as in JavaScript
        urllib.parse.quote_plus(value),
    )
    spelled = {
        raw,
        *(one.encode() for one in _json_spellings(value)),
        *(one.encode() for one in quoted),
        *(_PERCENT.sub(lambda found: found[0].lower(), one).encode() for one in quoted),
        raw.hex().encode(),
        raw.hex().upper().encode(),
    }
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        for before in range(3):
            # The digits that depend on the value alone, whatever stands before and after it.
            encoded = encode(b"\0" * before + raw)
            first = (0, 2, 3)[before]
            last = (before + len(raw)) * 8 // 6
            spelled.add(encoded[first:last])
    return {one for one in spelled if len(one) >= LEAST}


class Scrubber:
    """Takes values out of what comes back.

    Each spelling is looked for by itself: what a server sends may have most of a value at every
    place, and then an expression of all spellings takes longer than anybody may be kept waiting.
    """

    def __init__(self, values: Iterable[str]) -> None:
        self._spellings = sorted(
            {one for value in values for one in _spellings(value)}, key=len, reverse=True
        )
        # Short beginnings are looked up at once; a long one is looked for by its first few bytes.
        self._beginnings = frozenset(
            one[:length] for one in self._spellings for length in range(1, min(_PROBE, len(one)))
        )
        self._long = [one for one in self._spellings if len(one) > _PROBE]

    def finds(self, data: bytes) -> bool:
        """Whether a value is in it."""
        return any(one in data for one in self._spellings)

    def data(self, data: bytes) -> bytes:
        """The bytes without the values."""
        found = [one for one in self._spellings if one in data]
        if not found:
            return data
        if len(found) > 1 and len(data) <= _LARGE:
            return self.up_to(data, len(data))[0]
        # Of two that overlap, the longer one rather than the first: a megabyte of values would
        # otherwise take too long. What repeats one without end has nothing else to say.
        for one in found:
            if len(data) > _LARGE and data.count(one) > _MAX_REPEATED:
                return SCRUBBED.encode()
            data = data.replace(one, SCRUBBED.encode())
        return data

    def text(self, text: str) -> str:
        """The text without the values."""
        if not self._spellings:
            return text
        data = text.encode("utf-8", "surrogatepass")
        return self.data(data).decode("utf-8", "surrogatepass") if self.finds(data) else text

    def beginning(self, text: str, length: int) -> str:
        """At most the first `length` characters of a text, without the values. Costs no more than
        that, however long the text is. Of a value that is cut in two, nothing is left."""
        if len(text) <= length:
            return self.text(text)[:length]
        data = text[:length].encode("utf-8", "surrogatepass")
        made, _ = self.up_to(data, len(data) - self.held_back(data))
        return made.decode("utf-8", "surrogatepass")[:length]

    def held_back(self, data: bytes) -> int:
        """How many bytes at the end may be the beginning of a value."""
        longest = 0
        for spelling in self._long:
            probe, at = spelling[:_PROBE], max(len(data) - len(spelling) + 1, 0)
            while (at := data.find(probe, at)) >= 0 and len(data) - at > longest:
                # A part first: the beginning of a value may be there many times over.
                if spelling.startswith(data[at : at + _PART]) and spelling.startswith(data[at:]):
                    longest = len(data) - at
                    break
                at += 1
        for length in range(min(_PROBE - 1, len(data)), longest, -1):
            if data[-length:] in self._beginnings:
                return length
        return longest

    def up_to(self, data: bytes, end: int) -> tuple[bytes, int]:
        """The bytes up to `end` without the values that begin there, and where those end."""
        # Where each spelling is next; of several at one place, the longest is first.
        places = []
        for order, spelling in enumerate(self._spellings):
            place = data.find(spelling, 0, end + len(spelling) - 1)
            if place >= 0:
                places.append((place, order))
        if not places:
            return data[:end], end
        heapify(places)
        made, at = [], 0
        while places:
            place, order = places[0]
            spelling = self._spellings[order]
            if place >= at:
                made += [data[at:place], SCRUBBED.encode()]
                at = place + len(spelling)
            place = data.find(spelling, at, end + len(spelling) - 1)
            if place >= 0:
                heapreplace(places, (place, order))
            else:
                heappop(places)
        if at < end:
            made.append(data[at:end])
            at = end
        return b"".join(made), at

    def stream(self) -> ScrubbedStream:
        """For a body that comes in pieces."""
        return ScrubbedStream(self)


class ScrubbedStream:
    """Takes values out of a body that comes in pieces, also where one is cut in two. Holds back
    what may be the beginning of one, and nothing else."""

    def __init__(self, scrubber: Scrubber) -> None:
        self._scrubber = scrubber
        self._rest = b""

    def feed(self, piece: bytes) -> bytes:
        """What can be given of what has come."""
        data = self._rest + piece
        # Before values are taken out: one that is whole may be the beginning of a longer one.
        made, at = self._scrubber.up_to(data, len(data) - self._scrubber.held_back(data))
        self._rest = data[at:]
        return made

    def end(self) -> bytes:
        """What was held back."""
        rest, self._rest = self._rest, b""
        return self._scrubber.data(rest)
