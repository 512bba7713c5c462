"""The contract, read from its WIT files: every world, interface, function and type as plain values.

The WIT files are the one owner of the contract. The sandbox compares components with what is read
here, and moves values by it.
"""

from collections.abc import Mapping
from functools import cache
from pathlib import Path

from .parser import full_name, parse
from .types import (
    Contract,
    EnumType,
    FlagsType,
    Function,
    HandleType,
    Interface,
    ListType,
    OptionType,
    Primitive,
    RecordType,
    ResultType,
    TupleType,
    Type,
    VariantType,
    World,
)

__all__ = [
    "Contract",
    "EnumType",
    "FlagsType",
    "Function",
    "HandleType",
    "Interface",
    "ListType",
    "OptionType",
    "Primitive",
    "RecordType",
    "ResultType",
    "TupleType",
    "Type",
    "VariantType",
    "World",
    "full_name",
    "host_imports",
    "parse",
    "read_contract",
    "wit_directory",
]


def wit_directory() -> Path:
    """Where the WIT files are."""
    return Path(__file__).parent / "files"


@cache
def host_imports() -> Mapping[str, Interface]:
    """The interfaces that a host gives to every plugin, by their short names (`log`)."""
    given = read_contract().worlds["host-imports"].imports
    return {name.partition("/")[2].partition("@")[0]: one for name, one in given.items()}


@cache
def read_contract() -> Contract:
    """Reads the WIT files."""
    return parse(
        {path.name: path.read_text(encoding="utf-8") for path in wit_directory().glob("*.wit")}
    )
