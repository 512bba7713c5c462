"""Taking the values of secrets out of what comes back: bodies, heads, errors, logs."""

from __future__ import annotations

import base64
import json
import re
import urllib.parse
from collections.abc import Iterable
from typing import Final

SCRUBBED: Final = "[secret]"
"""What stands where a secret's value was."""

LEAST: Final = 6
"""Characters of a value: shorter ones are found everywhere."""

_PROBE: Final = 16
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
    """Takes values out of what comes back."""

    def __init__(self, values: Iterable[str]) -> None:
        self._spellings = sorted(
            {one for value in values for one in _spellings(value)}, key=len, reverse=True
        )
        self._pattern = (
            re.compile(b"|".join(map(re.escape, self._spellings))) if self._spellings else None
        )

    def data(self, data: bytes) -> bytes:
        """The bytes without the values."""
        return data if self._pattern is None else self._pattern.sub(SCRUBBED.encode(), data)

    def text(self, text: str) -> str:
        """The text without the values."""
        if self._pattern is None:
            return text
        return self.data(text.encode("utf-8", "surrogatepass")).decode("utf-8", "surrogatepass")

    def held_back(self, data: bytes) -> int:
        """How many bytes at the end may be the beginning of a value."""
        longest = 0
        for spelling in self._spellings:
            # A long value is looked for by its first few bytes, not at each of its lengths.
            probe, at = spelling[:_PROBE], max(len(data) - len(spelling) + 1, 0)
            while (at := data.find(probe, at)) >= 0:
                if spelling.startswith(data[at:]):
                    longest = max(longest, len(data) - at)
                    break
                at += 1
            for length in range(min(_PROBE, len(spelling), len(data) + 1) - 1, longest, -1):
                if data.endswith(spelling[:length]):
                    longest = length
                    break
        return longest

    def up_to(self, data: bytes, end: int) -> tuple[bytes, int]:
        """The bytes up to `end` without the values that begin there, and where those end."""
        made, at = [], 0
        for found in self._pattern.finditer(data) if self._pattern is not None else ():
            if found.start() >= end:
                break
            made += [data[at : found.start()], SCRUBBED.encode()]
            at = found.end()
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
