"""Taking the values of secrets out of what comes from outside: bodies, heads, log texts."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from .spellings import LONGEST, Spellings

SCRUBBED: Final = "[secret]"
"""What stands where a secret's value was."""

_LEAST_HELD: Final = 1024
_LINE_END: Final = re.compile(
    rb"\n(?<![A-Za-z0-9+/_-]{16}\n)(?<![A-Za-z0-9+/_-]{16}\r\n)",  # the newline is found fastest
)
"""The end of a line that is not a line of base64, which the next may go on with."""


class Scrubber:
    """Takes values out of what comes from outside."""

    def __init__(self, values: Iterable[str]) -> None:
        values = tuple(values)
        self._spellings = Spellings(values)
        longest = max((len(one.encode()) for one in values), default=0)
        self.held_bytes = max(_LEAST_HELD, 1 << (LONGEST * longest).bit_length())
        """How much of a body without lines is held back: enough for any spelling of any value of
        about this length, so that what is held back says nothing else of them."""

    def __bool__(self) -> bool:
        return bool(self._spellings)

    def finds(self, data: bytes) -> bool:
        """Whether a value is in it."""
        return self._spellings.are_in(data)

    def data(self, data: bytes) -> bytes:
        """The bytes without the values."""
        return self.up_to(data, len(data))[0]

    def text(self, text: str) -> str:
        """The text without the values."""
        if not self:
            return text
        data = text.encode("utf-8", "surrogatepass")
        scrubbed = self.data(data)
        return text if scrubbed is data else scrubbed.decode("utf-8", "surrogatepass")

    def up_to(self, data: bytes, end: int) -> tuple[bytes, int]:
        """The bytes up to `end` without the values that begin there, and where those end."""
        spans = [one for one in self._spellings.spans(data) if one[0] < end]
        if not spans:
            return (data, end) if end == len(data) else (data[:end], end)
        made, at = [], 0
        for start, stop in spans:
            made += [data[at:start], SCRUBBED.encode()]
            at = stop
        made.append(data[at:end])
        return b"".join(made), max(at, end)

    def stream(self) -> ScrubbedStream:
        """For a body that comes in pieces."""
        return ScrubbedStream(self)


class ScrubbedStream:
    """Takes values out of a body that comes in pieces, also where one is cut in two.

    What is given of what has come, and when, depends on the body and on the length of the values,
    and on nothing else of them: whole lines at once, since no value goes on in the next; of a line
    that has no end, all but the last `held_bytes`. Whoever chose the body learns from the sizes of
    the pieces nothing about a value that is not in it.
    """

    def __init__(self, scrubber: Scrubber) -> None:
        self._scrubber = scrubber
        self._waiting = bytearray()
        self._looked_at = 0

    def feed(self, piece: bytes) -> bytes:
        """What can be given of what has come. Takes time for twice the piece at most."""
        if not self._scrubber:
            return piece
        waiting = self._waiting
        waiting += piece
        end = 0
        for found in _LINE_END.finditer(waiting, self._looked_at):
            end = found.end()
        made = self._scrubber.data(bytes(waiting[:end])) if end else b""
        del waiting[:end]
        held = self._scrubber.held_bytes
        if len(waiting) >= 2 * held:
            rest, at = self._scrubber.up_to(bytes(waiting), len(waiting) - held)
            made += rest
            del waiting[:at]
        self._looked_at = len(waiting)
        return made

    def end(self) -> bytes:
        """What was held back."""
        rest, self._waiting = bytes(self._waiting), bytearray()
        return self._scrubber.data(rest)
