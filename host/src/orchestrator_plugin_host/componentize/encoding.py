"""Components in their binary form: the pieces that sections are made of, and the sections.

The format is `Binary.md` of the component model. A definition has the next index of its sort; a
`Scope` counts them, for a component or for the type of an instance.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from ..binary import COMPONENT, MAGIC, index_type, section, sized, unsigned
from ..wit import (
    EnumType,
    FlagsType,
    Function,
    HandleType,
    ListType,
    OptionType,
    Primitive,
    RecordType,
    ResultType,
    TupleType,
    Type,
    VariantType,
)

CORE_FUNC, CORE_MEMORY, CORE_INSTANCE = b"\x00\x00", b"\x00\x02", b"\x00\x12"
FUNC, TYPE, INSTANCE = b"\x01", b"\x03", b"\x05"
_PRIMITIVES: Final = {
    "bool": 0x7F, "s8": 0x7E, "u8": 0x7D, "s16": 0x7C, "u16": 0x7B, "s32": 0x7A, "u32": 0x79,
    "s64": 0x78, "u64": 0x77, "f32": 0x76, "f64": 0x75, "char": 0x74, "string": 0x73,
}  # fmt: skip


def text(value: str) -> bytes:
    """A name, as types and arguments spell it."""
    return sized(value.encode())


def extern(value: str) -> bytes:
    """A name, as imports and exports spell it."""
    return b"\0" + text(value)


def vector(items: Iterable[bytes]) -> bytes:
    """A count, and that many things."""
    several = list(items)
    return unsigned(len(several)) + b"".join(several)


class Scope:
    """Types by their indices, in a component or in the type of an instance. `named` are those that
    an import or export has given a name: only by it may functions refer to them."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.counts: Counter[bytes] = Counter()
        self.named: dict[Type, int] = {}
        self.resources: dict[str, int] = {}

    def count(self, sort: bytes) -> int:
        """The index of a definition of this sort."""
        self.counts[sort] += 1
        return self.counts[sort] - 1

    def define(self, definition: bytes) -> int:
        """Defines a type."""
        self.pieces.append(b"\x01" + definition)
        return self.count(TYPE)

    def alias(self, target: bytes) -> int:
        """Takes a type from elsewhere."""
        self.pieces.append(b"\x02" + TYPE + target)
        return self.count(TYPE)

    def value(self, one: Type) -> bytes:
        """A type, as other types refer to it. Defines what it needs."""
        if isinstance(one, Primitive):
            return bytes([_PRIMITIVES[one.name]])
        if one in self.named:
            return index_type(self.named[one])
        return index_type(self.define(self.structure(one)))

    def structure(self, one: Type) -> bytes:
        """The definition of a type."""
        match one:
            case Primitive(name):
                return bytes([_PRIMITIVES[name]])
            case ListType(element):
                return b"\x70" + self.value(element)
            case OptionType(some):
                return b"\x6b" + self.value(some)
            case ResultType(ok, err):
                return b"\x6a" + self._maybe(ok) + self._maybe(err)
            case TupleType(elements):
                return b"\x6f" + vector([self.value(inner) for inner in elements])
            case RecordType(fields):
                return b"\x72" + vector([text(name) + self.value(inner) for name, inner in fields])
            case VariantType(cases):
                return b"\x71" + vector(
                    [text(name) + self._maybe(inner) + b"\0" for name, inner in cases]
                )
            case EnumType(names):
                return b"\x6d" + vector(map(text, names))
            case FlagsType(names):
                return b"\x6e" + vector(map(text, names))
            case HandleType(resource, owned):
                return (b"\x69" if owned else b"\x68") + unsigned(self.resources[resource])

    def _maybe(self, one: Type | None) -> bytes:
        return b"\0" if one is None else b"\x01" + self.value(one)

    def function(self, function: Function) -> int:
        """Defines the type of a function."""
        params = vector([text(name) + self.value(one) for name, one in function.params])
        result = b"\x01\0" if function.result is None else b"\0" + self.value(function.result)
        return self.define(b"\x40" + params + result)

    def export(self, name: str, description: bytes) -> None:
        """Of an instance's type: something that such instances have."""
        self.pieces.append(b"\x04" + extern(name) + description)

    def instance_type(self) -> bytes:
        """The type of an instance that this is the scope of."""
        return b"\x42" + vector(self.pieces)


class ComponentScope(Scope):
    """A component, written section by section."""

    def _section(self, kind: int, content: bytes, sort: bytes) -> int:
        self.pieces.append(section(kind, content))
        return self.count(sort)

    def define(self, definition: bytes) -> int:
        """Defines a type."""
        return self._section(7, b"\x01" + definition, TYPE)

    def alias(self, target: bytes) -> int:
        """Takes a type from elsewhere."""
        return self._section(6, b"\x01" + TYPE + target, TYPE)

    def alias_export(self, sort: bytes, instance: int, name: str) -> int:
        """Takes something from an instance."""
        core = b"\x01" if sort[0] == 0 else b"\0"
        return self._section(6, b"\x01" + sort + core + unsigned(instance) + text(name), sort)

    def import_(self, name: str, sort: bytes, description: bytes) -> int:
        """Imports something."""
        return self._section(10, b"\x01" + extern(name) + description, sort)

    def export_(self, name: str, sort: bytes, index: int, description: bytes = b"") -> int:
        """Exports something, as of a type if it is described."""
        described = b"\x01" + description if description else b"\0"
        return self._section(11, b"\x01" + extern(name) + sort + unsigned(index) + described, sort)

    def canon(self, definition: bytes, sort: bytes) -> int:
        """Makes a function that crosses the boundary."""
        return self._section(8, b"\x01" + definition, sort)

    def core_module(self, module: bytes) -> int:
        """A core module."""
        return self._section(1, module, b"\x00\x11")

    def component(self, component: bytes) -> int:
        """A component within."""
        return self._section(4, component, b"\x04")

    def core_instance(self, module: int, arguments: Mapping[str, int]) -> int:
        """An instance of a core module, with other instances for its imports."""
        given = [text(name) + b"\x12" + unsigned(one) for name, one in arguments.items()]
        return self._section(2, b"\x01\0" + unsigned(module) + vector(given), CORE_INSTANCE)

    def core_exports(self, items: Sequence[tuple[str, bytes, int]]) -> int:
        """A core instance of things that are there already: name, sort and index."""
        given = [text(name) + sort[1:] + unsigned(index) for name, sort, index in items]
        return self._section(2, b"\x01\x01" + vector(given), CORE_INSTANCE)

    def instance(self, component: int, items: Sequence[tuple[str, bytes, int]]) -> int:
        """An instance of a component within, with these for its imports."""
        given = [text(name) + sort + unsigned(index) for name, sort, index in items]
        return self._section(5, b"\x01\0" + unsigned(component) + vector(given), INSTANCE)

    def instance_exports(self, items: Sequence[tuple[str, bytes, int]]) -> int:
        """An instance of things that are there already: name, sort and index."""
        given = [extern(name) + sort + unsigned(index) for name, sort, index in items]
        return self._section(5, b"\x01\x01" + vector(given), INSTANCE)

    def encoded(self) -> bytes:
        """The component."""
        return MAGIC + COMPONENT + b"".join(self.pieces)
