"""Patterns of commands, as a `ToolPolicy` has them: whether one matches a command.

`docs/tool-policy.md` has the rules, and `wit/vectors/tool-policy.json` has cases of each. The time
that a match takes grows in proportion to the length of the command, whatever the pattern: the
states of all ways to match are followed at once, as the bits of an integer.

Work is a generator that yields between pieces of a few milliseconds at most, for callers with an
event loop to run.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Generator, Iterator, Sequence
from itertools import accumulate
from operator import xor
from typing import Final

MAX_COMMAND_CHARACTERS: Final = 65_536
"""The longest command that a policy can allow, in Unicode code points."""
MAX_PATTERN_CHARACTERS: Final = 1_024
"""The longest pattern, in Unicode code points."""
MAX_PATTERNS: Final = 1_000
"""The most patterns in each list of a policy."""

_PIECE: Final = 4_096
"""Characters of a command between two yields."""
_SPECIAL: Final = re.compile(r"[*?[]")
_LAST: Final = 0x10FFFF

_Ranges = tuple[tuple[int, int], ...]
"""A set of characters: ranges of code points, both ends included, in order, none overlapping."""

_ANY: Final[_Ranges] = ((0, _LAST),)


def first_match(patterns: Sequence[str], command: str) -> Generator[None, None, int | None]:
    """The position of the first pattern that matches all of a command, or `None`."""
    for position, pattern in enumerate(patterns):
        if (yield from _matches(pattern, command)):
            return position
    return None


def _matches(pattern: str, command: str) -> Generator[None, None, bool]:
    special = _SPECIAL.search(pattern)
    if special is None:
        return command == pattern
    literal, rest = pattern[: special.start()], pattern[special.start() :]
    if not command.startswith(literal):
        return False
    if not rest.strip("*"):
        return True
    yield
    return (yield from _Automaton(rest).accepts(command, len(literal)))


class _Automaton:
    """A pattern, ready to match. In a state, bit `i` says that the command so far is a match of the
    first `i` characters that the pattern is made of, each a set of characters; in `_stars`, that a
    `*` stands there."""

    def __init__(self, pattern: str) -> None:
        changes: dict[int, int] = {}  # where, in order of code points, characters begin or cease
        self._stars, bit = 0, 1
        for one in _parts(pattern):
            if one is None:
                self._stars |= bit
                continue
            for low, high in one:
                changes[low] = changes.get(low, 0) ^ bit
                changes[high + 1] = changes.get(high + 1, 0) ^ bit
            bit <<= 1
        self._complete = bit
        self._starts = sorted(changes)
        self._bits = list(accumulate((changes[one] for one in self._starts), xor))

    def _bits_of(self, char: str) -> int:
        """The positions in the pattern where a character fits."""
        found = bisect_right(self._starts, ord(char))
        return self._bits[found - 1] if found else 0

    def accepts(self, command: str, start: int) -> Generator[None, None, bool]:
        """Whether all of a command from a position on matches."""
        state, stars = 1, self._stars
        known: dict[str, int] = {}
        for begin in range(start, len(command), _PIECE):
            for char in command[begin : begin + _PIECE]:
                bits = known.get(char)
                if bits is None:
                    bits = known[char] = self._bits_of(char)
                state = (state & bits) << 1 | state & stars
                if not state:
                    return False
            yield
        return bool(state & self._complete)


def _parts(pattern: str) -> Iterator[_Ranges | None]:
    """A pattern's sets of characters, and `None` for each `*`."""
    at = 0
    while at < len(pattern):
        char = pattern[at]
        at += 1
        if char == "*":
            yield None
        elif char == "?":
            yield _ANY
        elif char == "[" and (end := _end_of_set(pattern, at)) > 0:
            yield _set(pattern[at:end])
            at = end + 1
        else:
            yield ((ord(char), ord(char)),)


def _end_of_set(pattern: str, at: int) -> int:
    """Where the `]` is of a set that begins at a position, or -1. A `]` that comes first is one of
    its characters."""
    if pattern.startswith("!", at):
        at += 1
    return pattern.find("]", at + 1)


def _set(text: str) -> _Ranges:
    """The set that is written between `[` and `]`."""
    inverted = text.startswith("!")
    if inverted:
        text = text[1:]
    ranges: list[tuple[int, int]] = []
    at = 0
    while at < len(text):
        is_range = text.startswith("-", at + 1) and at + 2 < len(text)
        last = at + 2 if is_range else at
        ranges.append((ord(text[at]), ord(text[last])))
        at = last + 1
    merged = _merged(ranges)
    return _others(merged) if inverted else merged


def _merged(ranges: Sequence[tuple[int, int]]) -> _Ranges:
    """Ranges in order, without overlaps and without those that end before they begin."""
    merged: list[tuple[int, int]] = []
    for low, high in sorted(one for one in ranges if one[0] <= one[1]):
        if merged and low <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(merged[-1][1], high))
        else:
            merged.append((low, high))
    return tuple(merged)


def _others(ranges: _Ranges) -> _Ranges:
    """All characters that are in none of the ranges."""
    lows = [0, *(high + 1 for _, high in ranges)]
    highs = [*(low - 1 for low, _ in ranges), _LAST]
    return tuple((low, high) for low, high in zip(lows, highs, strict=True) if low <= high)
