"""Two core modules that let a plugin's module be instantiated before what it imports is there.

What a plugin imports writes to its memory, so it can only be made once there is that memory; and
the plugin's module can only be instantiated with its imports. So it gets, for each, a function
that calls one of a table, and the table is filled afterwards.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ..binary import MAGIC, MODULE, section, unsigned
from .abi import Signature
from .encoding import text, vector

TABLE: Final = "$table"
"""The name that the table goes by."""
INITIALIZE: Final = "_initialize"
"""The name of the plugin's function that is called before all others."""
_VALUES: Final = {"i32": 0x7F, "i64": 0x7E, "f32": 0x7D, "f64": 0x7C}


def _types(signatures: Sequence[Signature]) -> bytes:
    """The types of the functions, each with its own: 0 is that of the first."""

    def values(names: tuple[str, ...]) -> bytes:
        return vector(bytes([_VALUES[name]]) for name in names)

    return section(1, vector(b"\x60" + values(one.params) + values(one.results)
                             for one in signatures))  # fmt: skip


def _table(size: int) -> bytes:
    return b"\x70\x01" + unsigned(size) + unsigned(size)


def calls_through_table(signatures: Sequence[Signature]) -> bytes:
    """A module that exports functions named by their places, `0` and so on, each of which calls
    that place of the table, which it exports, too."""
    size = len(signatures)
    bodies = []
    for place, one in enumerate(signatures):
        arguments = b"".join(b"\x20" + unsigned(i) for i in range(len(one.params)))
        called = b"\x41" + _signed(place) + b"\x11" + unsigned(place) + b"\0"
        body = b"\0" + arguments + called + b"\x0b"
        bodies.append(unsigned(len(body)) + body)
    exports = [text(str(place)) + b"\0" + unsigned(place) for place in range(size)]
    return b"".join(
        [
            MAGIC + MODULE,
            _types(signatures),
            section(3, vector(map(unsigned, range(size)))),
            section(4, vector([_table(size)])),
            section(7, vector([*exports, text(TABLE) + b"\x01\0"])),
            section(10, vector(bodies)),
        ]
    )


def fills_table(signatures: Sequence[Signature], *, initializes: bool) -> bytes:
    """A module that imports the table and the functions, all of the module named by nothing, and
    puts them where they belong; then calls the plugin's `_initialize`, if it has one."""
    size = len(signatures)
    types = [*signatures, Signature()]
    imports = [text("") + text(str(i)) + b"\0" + unsigned(i) for i in range(size)]
    if initializes:
        imports.append(text("") + text(INITIALIZE) + b"\0" + unsigned(size))
    imports.append(text("") + text(TABLE) + b"\x01" + _table(size))
    elements = b"\0\x41\0\x0b" + vector(map(unsigned, range(size)))
    return b"".join(
        [
            MAGIC + MODULE,
            _types(types),
            section(2, vector(imports)),
            section(8, unsigned(size)) if initializes else b"",
            section(9, vector([elements])),
        ]
    )


def _signed(value: int) -> bytes:
    encoded = unsigned(value)
    return encoded if encoded[-1] < 0x40 else encoded[:-1] + bytes([encoded[-1] | 0x80, 0])
