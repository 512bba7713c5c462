"""The binary form that WebAssembly's files share: sections, numbers of any length, names.

Reads bytes that an enemy may have written: each length is checked before it is used.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Self

from .errors import InvalidComponentError

MAGIC = b"\0asm"
MODULE = b"\x01\x00\x00\x00"
COMPONENT = b"\x0d\x00\x01\x00"
_MAX_NAME = 4096


class Cursor:
    """A cursor over some of a file, that never leaves it. `what` the file is goes into errors.

    Everything raises `InvalidComponentError`.
    """

    def __init__(self, data: bytes, at: int, end: int, what: str = "component") -> None:
        self.data, self.at, self.end, self.what = data, at, end, what

    def byte(self) -> int:
        """One byte."""
        if self.at >= self.end:
            raise InvalidComponentError(f"the {self.what} is truncated or malformed")
        self.at += 1
        return self.data[self.at - 1]

    def unsigned(self) -> int:
        """A number of 32 bits, in LEB128."""
        value = shift = 0
        while True:
            byte = self.byte()
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                break
            shift += 7
            if shift > 28:
                raise InvalidComponentError(f"the {self.what} is malformed: a number is too long")
        if value > 0xFFFFFFFF:
            raise InvalidComponentError(f"the {self.what} is malformed: a number is too large")
        return value

    def take(self, length: int) -> Self:
        """A cursor over the next bytes, which this one passes."""
        if length > self.end - self.at:
            raise InvalidComponentError(f"the {self.what} is truncated or malformed")
        piece = type(self)(self.data, self.at, self.at + length, self.what)
        self.at += length
        return piece

    def rest(self) -> bytes:
        """The bytes that are left."""
        return self.data[self.at : self.end]

    def name(self) -> str:
        """A name: its length and its bytes."""
        length = self.unsigned()
        if length > _MAX_NAME:
            raise InvalidComponentError(f"the {self.what} is malformed: a name is too long")
        try:
            return self.take(length).rest().decode("utf-8")
        except UnicodeDecodeError:
            raise InvalidComponentError(
                f"the {self.what} is malformed: a name isn't UTF-8"
            ) from None

    def view(self) -> memoryview:
        """The bytes that are left, not copied."""
        return memoryview(self.data)[self.at : self.end]

    def section(self) -> tuple[int, Self]:
        """The next section: its number, and its content."""
        return self.byte(), self.take(self.unsigned())

    def sections(self) -> Iterator[tuple[int, Self]]:
        """The sections that are left."""
        while self.at < self.end:
            yield self.section()


def unsigned(value: int) -> bytes:
    """A number in LEB128."""
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*encoded, value])


def index_type(index: int) -> bytes:
    """A type by its index where a primitive type could be, too: there a number has a sign."""
    encoded = unsigned(index)
    if encoded[-1] < 0x40:
        return encoded
    return encoded[:-1] + bytes([encoded[-1] | 0x80, 0])


def sized(content: bytes) -> bytes:
    """Bytes after their length."""
    return unsigned(len(content)) + content


def section(kind: int, content: bytes) -> bytes:
    """A section."""
    return bytes([kind]) + sized(content)
