"""Values made from chance: what fits a type of the SDK, what nearly does, and what nothing holds.

Hypothesis makes better ones, and some hundred a second; these are for a hundred thousand.
"""

from __future__ import annotations

import math
import random
import types
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from enum import Enum, IntEnum
from functools import cache
from typing import Any, Final, Literal, Union, get_args, get_origin, get_type_hints

from orchestrator_plugin_sdk import LogEvent, PluginType, Usage, Vector, Vectors, to_document

INTEGERS: Final = (0, 1, -1, 2, 127, 128, -32, -33, 255, 256, 65535, 65536, 2**31 - 1, -(2**31),
                   2**32, 2**53, 2**63 - 1, -(2**63), 2**64 - 1)  # fmt: skip
FLOATS: Final = (0.0, -0.0, 0.5, -1.5, 1e300, 5e-324, 3.4028235677973366e38, 1e-45)
NO_NUMBERS: Final = (math.nan, math.inf, -math.inf)
TEXTS: Final = ("", "a", "user", "provider", "text", "1.0.0", "x" * 31, "x" * 32, "y" * 300, "\0",
                "é", "\U0001f600", "\u2028", "a.b[0]", "{}", "-" * 70)  # fmt: skip


def text(chance: random.Random) -> str:
    """Text."""
    if chance.random() < 0.7:
        return chance.choice(TEXTS)
    return "".join(chr(chance.choice((65, 97, 233, 0x4E00, 0x1F600))) for _ in range(5))


def scalar(chance: random.Random) -> Any:
    """Whatever a document can hold that holds nothing."""
    way = chance.randrange(7)
    if way == 0:
        return chance.choice((None, True, False))
    if way in (1, 2):
        return chance.choice(INTEGERS)
    if way == 3:
        return chance.choice((*FLOATS, *NO_NUMBERS, chance.uniform(-9, 9)))
    return text(chance) if way < 6 else chance.randbytes(chance.choice((0, 1, 4, 8, 12, 300)))


def plain(chance: random.Random, depth: int = 4) -> Any:
    """Plain data of no schema."""
    if depth == 0 or chance.random() < 0.55:
        return scalar(chance)
    size = chance.choice((0, 1, 1, 2, 3, 17))
    if chance.random() < 0.5:
        return [plain(chance, depth - 1) for _ in range(size)]
    return {text(chance): plain(chance, depth - 1) for _ in range(size)}


def vector(chance: random.Random, dims: int) -> list[float]:
    """Finite numbers."""
    return [chance.uniform(-1, 1) for _ in range(dims)]


@cache
def hints_of(wanted: Any) -> dict[str, Any]:
    """The types of a dataclass's fields."""
    return get_type_hints(wanted)


def value_of(chance: random.Random, wanted: Any) -> Any:
    """A value of a type that a document can be read as."""
    origin, arguments = get_origin(wanted), get_args(wanted)
    if wanted in _LEAVES:
        return _LEAVES[wanted](chance)
    if origin is Literal:
        return chance.choice(arguments)
    if origin in (Union, types.UnionType):
        return value_of(chance, chance.choice(arguments))
    if origin in (tuple, Sequence, list):
        return tuple(value_of(chance, arguments[0]) for _ in range(chance.choice((0, 1, 2, 5))))
    if origin in (Mapping, dict):
        return {text(chance): value_of(chance, arguments[1]) for _ in range(chance.randrange(3))}
    if isinstance(wanted, type) and issubclass(wanted, Enum):
        return chance.choice([*wanted])
    hints = hints_of(wanted)
    return wanted(**{one.name: value_of(chance, hints[one.name]) for one in fields(wanted)})


def _vectors(chance: random.Random) -> Vectors:
    dims = chance.randrange(5)
    return Vectors([vector(chance, dims) for _ in range(chance.randrange(4))], dims)


_LEAVES: Final[Mapping[Any, Any]] = {
    Any: plain,
    type(None): lambda chance: None,
    str: text,
    bool: lambda chance: chance.random() < 0.5,
    int: lambda chance: chance.choice(INTEGERS),
    float: lambda chance: chance.choice((*FLOATS, chance.uniform(-9, 9))),
    bytes: lambda chance: chance.randbytes(chance.randrange(9)),
    Vector: lambda chance: Vector(vector(chance, chance.randrange(5))),
    Vectors: _vectors,
}


def nearly(chance: random.Random, wanted: Any) -> Any:
    """Plain data that is a document of a type but for a few places, or for none."""
    document = to_document(value_of(chance, wanted))
    for _ in range(chance.choice((0, 0, 1, 1, 2, 5))):
        document = _spoilt(chance, document)
    return document


def _spoilt(chance: random.Random, node: Any) -> Any:
    if isinstance(node, dict) and node and chance.random() < 0.9:
        key = chance.choice([*node])
        way = chance.random()
        if way < 0.6:
            return {**node, key: _spoilt(chance, node[key])}
        if way < 0.8:
            return {name: item for name, item in node.items() if name != key}
        return {**node, text(chance): plain(chance, 2)}
    if isinstance(node, list) and node and chance.random() < 0.8:
        at = chance.randrange(len(node))
        return [*node[:at], _spoilt(chance, node[at]), *node[at + 1 :]]
    return plain(chance, 2)


class Number(IntEnum):
    """An enum whose members are numbers too."""

    ONE = 1


class Text(str):
    """Text of another type."""

    __slots__ = ()


class Strange(dict[Any, Any]):
    """A map of another type."""


def anything(chance: random.Random, depth: int = 4) -> Any:
    """Any Python value: a few of the SDK, and much that no document can hold."""
    way = chance.randrange(12)
    if depth == 0 or way < 4:
        return chance.choice(_ODD) if chance.random() < 0.3 else scalar(chance)
    size = chance.choice((0, 1, 2, 3))
    inside = [anything(chance, depth - 1) for _ in range(size)]
    if way == 4:
        return tuple(inside)
    if way == 5:
        return Strange((text(chance), item) for item in inside)
    if way == 6:
        return {chance.choice((text(chance), *_KEYS)): item for item in inside}
    if way == 7:
        return LogEvent(anything(chance, 0), fields={"a": anything(chance, depth - 1)})
    if way == 8:
        return types.MappingProxyType({text(chance): item for item in inside})
    if way == 9:
        deep: Any = inside
        for _ in range(chance.choice((1, 30, 60, 64, 65, 300, 2000))):
            deep = [deep] if chance.random() < 0.5 else {"a": deep}
        return deep
    return inside


_ENDLESS: Final[list[Any]] = []
_ENDLESS.append({"again": _ENDLESS})
_KEYS: Final = (1, None, b"a", True, (), PluginType.PROVIDER, Text("key"), "\ud800", 1.5)
_ODD: Final = (
    {1}, frozenset(), 1j, object, object(), bytearray(b"a"), memoryview(b"a"), range(3), "\ud800",
    "a\udfff", 2**64, -(2**63) - 1, 10**5000, Text("text"), Number.ONE, PluginType.EMBEDDER,
    Usage(), LogEvent, Vector([1.0]), Vectors([[1.0]]), Vectors(dims=3), math.nan, math.inf,
    _ENDLESS, print, iter(()), NotImplemented, ..., Exception("x"), b"x" * 70_000, "x" * 70_000,
    [0] * 70_000,
)  # fmt: skip


def is_same(one: Any, other: Any) -> bool:
    """Equal, where not-a-number equals itself, and 1 is neither true nor 1.0."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(is_same(one[key], other[key]) for key in one)
    if isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)):
        return len(one) == len(other) and all(map(is_same, one, other))
    if isinstance(one, float) and isinstance(other, float):
        return one.hex() == other.hex()
    if is_dataclass(one) and type(one) is type(other):
        return all(is_same(getattr(one, f.name), getattr(other, f.name)) for f in fields(one))
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    return bool(one == other) and isinstance(one, float) == isinstance(other, float)
