"""The types of WIT, as plain values that compare by structure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Primitive:
    """`bool`, `u8`, `u32`, `u64`, `string` and their like."""

    name: str


@dataclass(frozen=True, slots=True)
class ListType:
    """`list<element>`."""

    element: Type


@dataclass(frozen=True, slots=True)
class OptionType:
    """`option<some>`."""

    some: Type


@dataclass(frozen=True, slots=True)
class ResultType:
    """`result<ok, err>`; none for `_`."""

    ok: Type | None
    err: Type | None


@dataclass(frozen=True, slots=True)
class TupleType:
    """`tuple<…>`."""

    elements: tuple[Type, ...]


@dataclass(frozen=True, slots=True)
class RecordType:
    """`record`: names and types of its fields, in order."""

    fields: tuple[tuple[str, Type], ...]


@dataclass(frozen=True, slots=True)
class VariantType:
    """`variant`: names and types of its cases, in order."""

    cases: tuple[tuple[str, Type | None], ...]


@dataclass(frozen=True, slots=True)
class EnumType:
    """`enum`: the names, in order."""

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FlagsType:
    """`flags`: the names, in order."""

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class HandleType:
    """An owned or borrowed handle of a resource of the same interface."""

    resource: str
    owned: bool


Type = (
    Primitive
    | ListType
    | OptionType
    | ResultType
    | TupleType
    | RecordType
    | VariantType
    | EnumType
    | FlagsType
    | HandleType
)


@dataclass(frozen=True, slots=True)
class Function:
    """Names and types of the parameters, and the type of the result, if there is one."""

    params: tuple[tuple[str, Type], ...]
    result: Type | None


@dataclass(frozen=True, slots=True)
class Interface:
    """An interface, by its full name. A resource's method is the function
    `[method]resource.name`, its first parameter the borrowed handle."""

    name: str
    functions: Mapping[str, Function]
    types: Mapping[str, Type]
    resources: frozenset[str]


@dataclass(frozen=True, slots=True)
class World:
    """A world: interfaces by their full names."""

    name: str
    imports: Mapping[str, Interface]
    exports: Mapping[str, Interface]


@dataclass(frozen=True, slots=True)
class Contract:
    """All of it."""

    interfaces: Mapping[str, Interface]
    worlds: Mapping[str, World]
