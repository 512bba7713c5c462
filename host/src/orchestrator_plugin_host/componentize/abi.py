"""The canonical ABI: which numbers a function of the contract takes and gives in a core module."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

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

_MAX_FLAT_PARAMS: Final = 16
_PRIMITIVES: Final = {
    "s64": ("i64",),
    "u64": ("i64",),
    "f32": ("f32",),
    "f64": ("f64",),
    "string": ("i32", "i32"),
}


@dataclass(frozen=True, slots=True)
class Signature:
    """The type of a core function: the names of its value types."""

    params: tuple[str, ...] = ()
    results: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"({', '.join(self.params)}) -> ({', '.join(self.results)})"


def exported(function: Function) -> Signature:
    """The type of the core function that a plugin exports to be `function`."""
    results = flattened(function.result)
    return Signature(_params(function), ("i32",) if len(results) > 1 else results)


def imported(function: Function) -> Signature:
    """The type of the core function that a plugin imports to call `function`."""
    results = flattened(function.result)
    if len(results) > 1:  # the caller says where they go
        return Signature((*_params(function), "i32"))
    return Signature(_params(function), results)


def post_return(function: Function) -> Signature:
    """The type of the core function that is called when a result has been read."""
    return Signature(exported(function).results)


def _params(function: Function) -> tuple[str, ...]:
    flat = tuple(one for _, param in function.params for one in flattened(param))
    return flat if len(flat) <= _MAX_FLAT_PARAMS else ("i32",)


def flattened(one: Type | None) -> tuple[str, ...]:
    """The core values that a value is passed as, if there are not too many of them."""
    match one:
        case None:
            return ()
        case Primitive(name):
            return _PRIMITIVES.get(name, ("i32",))
        case ListType():
            return ("i32", "i32")
        case RecordType(fields):
            return tuple(flat for _, inner in fields for flat in flattened(inner))
        case TupleType(elements):
            return tuple(flat for inner in elements for flat in flattened(inner))
        case VariantType(cases):
            return _cases(inner for _, inner in cases)
        case OptionType(some):
            return _cases([some])
        case ResultType(ok, err):
            return _cases([ok, err])
        case FlagsType(names):
            return ("i32",) * ((len(names) + 31) // 32)
        case EnumType() | HandleType():
            return ("i32",)


def _cases(cases: Iterable[Type | None]) -> tuple[str, ...]:
    joined: list[str] = []
    for case in cases:
        for i, flat in enumerate(flattened(case)):
            if i == len(joined):
                joined.append(flat)
            elif joined[i] != flat:  # a place that holds either
                joined[i] = "i32" if {joined[i], flat} == {"i32", "f32"} else "i64"
    return ("i32", *joined)
