"""Bytes changed without a look at what they are."""

from __future__ import annotations

import random
from typing import Final

_CONSTANTS: Final = (
    b"\0",
    b"\x01",
    b"\x7f",
    b"\x80",
    b"\xff",
    b"\xff\xff\xff\xff\x0f",
    b"\xff" * 4,
)


def flip(chance: random.Random, data: bytearray, other: bytes) -> None:
    """One bit."""
    data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)


def constant(chance: random.Random, data: bytearray, other: bytes) -> None:
    """A number that is an edge of something, over what is there."""
    value = chance.choice(_CONSTANTS)
    at = chance.randrange(len(data))
    data[at : at + len(value)] = value


def insert(chance: random.Random, data: bytearray, other: bytes) -> None:
    """A few bytes more."""
    at = chance.randrange(len(data) + 1)
    data[at:at] = chance.randbytes(chance.randint(1, 8))


def remove(chance: random.Random, data: bytearray, other: bytes) -> None:
    """A few bytes fewer."""
    at = chance.randrange(len(data))
    del data[at : at + chance.choice((1, 1, 2, 4, 16, 64))]


def splice(chance: random.Random, data: bytearray, other: bytes) -> None:
    """A run of bytes from elsewhere, over what is there."""
    size = chance.choice((1, 4, 16, 64, 256))
    source = chance.choice((bytes(data), other))
    start, at = chance.randrange(len(source)), chance.randrange(len(data))
    data[at : at + size] = source[start : start + size]


def repeat(chance: random.Random, data: bytearray, other: bytes) -> None:
    """A run of bytes again, and again."""
    at, size = chance.randrange(len(data)), chance.choice((1, 8, 64, 512))
    data[at:at] = bytes(data[at : at + size]) * chance.choice((1, 2, 8))


def truncate(chance: random.Random, data: bytearray, other: bytes) -> None:
    """The beginning alone."""
    del data[chance.randrange(1, len(data) + 1) :]


def cross(chance: random.Random, data: bytearray, other: bytes) -> None:
    """The beginning of one, the end of another."""
    data[chance.randrange(len(data)) :] = other[chance.randrange(len(other)) :]


_WAYS: Final = (
    flip,
    flip,
    flip,
    constant,
    constant,
    insert,
    remove,
    splice,
    repeat,
    truncate,
    cross,
)


def mutated(chance: random.Random, data: bytes, other: bytes, *, keep: int = 0) -> bytes:
    """`data` with one to a few changes, none in its first `keep` bytes."""
    changed = bytearray(data[keep:])
    for _ in range(chance.choice((1, 1, 1, 2, 4))):
        if not changed:
            break
        chance.choice(_WAYS)(chance, changed, other or b"\0")
    return data[:keep] + bytes(changed)
