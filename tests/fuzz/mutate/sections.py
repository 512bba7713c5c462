"""Components taken apart into sections, changed, and put together with the right lengths."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from . import binary

_COMPONENT: Final = b"\0asm\x0d\0\x01\0"
_MODULE: Final = b"\0asm\x01\0\0\0"
_CODE: Final = 10

# Instructions whose operands and results are alike: one may take the place of another.
_ALIKE: Final = tuple(
    bytes(range(first, last + 1))
    for first, last in (
        (0x20, 0x22),  # local.get, .set, .tee
        (0x46, 0x4F),  # i32 comparisons
        (0x51, 0x5A),  # i64 comparisons
        (0x67, 0x69),  # i32 unary
        (0x6A, 0x78),  # i32 binary
        (0x79, 0x7B),  # i64 unary
        (0x7C, 0x8A),  # i64 binary
        (0x2C, 0x2F),  # i32 loads of less
        (0x36, 0x36),
        (0x3A, 0x3B),  # i32 stores of less
        (0x99, 0x9F),  # f64 unary
        (0xA0, 0xA6),  # f64 binary
    )
)


@dataclass
class Section:
    """A section: its kind, and its bytes or, of a module or component, its own sections.

    `claims` is a length to write instead of the true one.
    """

    kind: int
    body: bytes = b""
    inner: Binary | None = None
    claims: bytes | None = None

    def encode(self) -> bytes:
        """Its bytes."""
        body = self.body if self.inner is None else self.inner.encode()
        return bytes([self.kind]) + (self.claims or leb(len(body))) + body


@dataclass
class Binary:
    """A module or a component."""

    header: bytes
    sections: list[Section] = field(default_factory=list)

    def encode(self) -> bytes:
        """Its bytes."""
        return self.header + b"".join(section.encode() for section in self.sections)

    def everything(self) -> Iterator[Binary]:
        """Itself, and the modules and components in it."""
        yield self
        for section in self.sections:
            if section.inner is not None:
                yield from section.inner.everything()


def leb(value: int, size: int = 1) -> bytes:
    """A number as LEB128, in at least `size` bytes."""
    made = bytearray()
    while value > 0x7F or len(made) + 1 < size:
        made.append(value & 0x7F | 0x80)
        value >>= 7
    made.append(value)
    return bytes(made)


def number(data: bytes, at: int) -> tuple[int, int]:
    """A LEB128 number, and where it ends. Raises `IndexError`."""
    value = shift = 0
    while True:
        value |= (data[at] & 0x7F) << shift
        shift, at = shift + 7, at + 1
        if data[at - 1] < 0x80:
            return value, at


def take_apart(data: bytes) -> Binary:
    """A valid component, or module, as its sections."""
    found, at = Binary(data[:8]), 8
    while at < len(data):
        kind = data[at]
        size, at = number(data, at + 1)
        body = data[at : at + size]
        at += size
        nested = found.header == _COMPONENT and kind in (1, 4)
        found.sections.append(
            Section(kind, inner=take_apart(body)) if nested else Section(kind, body)
        )
    return found


def _anywhere(chance: random.Random, whole: Binary) -> tuple[Binary, int]:
    """A section of something that has any."""
    places = [one for one in whole.everything() if one.sections]
    if not places:
        whole.sections.append(Section(0, b"\0"))
        places = [whole]
    place = chance.choice(places)
    return place, chance.randrange(len(place.sections))


def _rearrange(chance: random.Random, whole: Binary, other: Binary) -> None:
    place, at = _anywhere(chance, whole)
    way = chance.randrange(5)
    if way == 0:
        del place.sections[at]
    elif way == 1:
        twin = copy.deepcopy(place.sections[at])
        place.sections.insert(chance.randrange(len(place.sections) + 1), twin)
    elif way == 2:
        section = place.sections.pop(at)
        place.sections.insert(chance.randrange(len(place.sections) + 1), section)
    else:
        source, where = _anywhere(chance, other)
        found = copy.deepcopy(source.sections[where])  # nothing may come to contain itself
        alike = [i for i, one in enumerate(place.sections) if one.kind == found.kind]
        if way == 3 and alike:
            place.sections[chance.choice(alike)] = found
        else:
            place.sections.insert(at, found)


def _lie(chance: random.Random, whole: Binary, other: Binary) -> None:
    """A length that is not the true one, or the true one in more bytes than it takes."""
    place, at = _anywhere(chance, whole)
    section = place.sections[at]
    size = len(section.encode())
    lies = (size + 1, size - 1, size // 2, 0, 0x7F, 0x80, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF)
    section.claims = leb(chance.choice(lies), chance.choice((1, 1, 5)))


def _nest(chance: random.Random, whole: Binary, other: Binary) -> None:
    """Something whole, within a component."""
    places = [one for one in whole.everything() if one.header == _COMPONENT]
    if not places:  # its header was changed already
        return
    place, source = chance.choice(places), chance.choice(list(other.everything()))
    inner = copy.deepcopy(source)
    for _ in range(chance.choice((0, 0, 1, 3, 14, 20))):
        inner = Binary(_COMPONENT, [Section(4 if inner.header == _COMPONENT else 1, inner=inner)])
    kind = 4 if inner.header == _COMPONENT else 1
    place.sections.insert(chance.randrange(len(place.sections) + 1), Section(kind, inner=inner))


def _header(chance: random.Random, whole: Binary, other: Binary) -> None:
    place = chance.choice(list(whole.everything()))
    place.header = chance.choice((_MODULE, _COMPONENT, place.header[:4] + chance.randbytes(4)))


def _body(chance: random.Random, whole: Binary, other: Binary) -> None:
    """Any bytes of one section; its length stays true."""
    place, at = _anywhere(chance, whole)
    section = place.sections[at]
    if section.inner is None and section.body:
        source = b"".join(one.body for one in other.sections)
        section.body = binary.mutated(chance, section.body, source)


def _count(chance: random.Random, whole: Binary, other: Binary) -> None:
    """How many items a section says to have."""
    place, at = _anywhere(chance, whole)
    section = place.sections[at]
    if section.body:
        count, end = number(section.body + b"\0" * 5, 0)
        new = chance.choice((count + 1, max(count - 1, 0), 0, 0x7F, 1001, 0xFFFFFFFF))
        section.body = leb(new) + section.body[end:]


def _code(chance: random.Random, whole: Binary, other: Binary) -> None:
    """Instructions, in a function of a module: others of the same form, or another number."""
    codes = [
        section
        for one in whole.everything()
        if one.header == _MODULE
        for section in one.sections
        if section.kind == _CODE and section.body
    ]
    if not codes:
        return
    section = chance.choice(codes)
    body = bytearray(section.body)
    for _ in range(chance.choice((1, 1, 2, 5))):
        _instruction(chance, body)
    section.body = bytes(body)


def _instruction(chance: random.Random, body: bytearray) -> None:
    start = chance.randrange(len(body))
    for at in range(start, min(start + 200, len(body))):
        if at and body[at - 1] in (0x41, 0x42) and body[at] < 0x80:  # a constant of one byte
            body[at] = chance.choice((0, 1, 0x3F, 0x40, 0x7F, chance.randrange(0x80)))
            return
        group = next((group for group in _ALIKE if body[at] in group), None)
        if group is not None:
            body[at] = chance.choice(group)
            return


_WAYS: Final = (_rearrange, _rearrange, _lie, _nest, _header, _body, _body, _body, _count) + (
    _code,
) * 7


def mutated(chance: random.Random, data: bytes, other: bytes) -> bytes:
    """A valid component with one to a few sections changed."""
    whole, source = take_apart(data), take_apart(other)
    for _ in range(chance.choice((1, 1, 1, 2, 4))):
        chance.choice(_WAYS)(chance, whole, source)
    return whole.encode()
