"""Hypothesis strategies of everything that can be in a document."""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from enum import Enum
from functools import cache
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from hypothesis import strategies as st
from orchestrator_plugin_sdk import Vector, Vectors, to_document

FLOAT32 = st.floats(width=32, allow_nan=False, allow_infinity=False)
INTEGERS = st.integers(-(2**63), 2**64 - 1)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
SCALARS = st.none() | st.booleans() | INTEGERS | NUMBERS | st.text() | st.binary()


def _containers(inside: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.lists(inside, max_size=4) | st.dictionaries(st.text(), inside, max_size=4)


PLAIN = st.recursive(SCALARS, _containers, max_leaves=10)
"""Plain data: whatever a document can hold, of no schema."""

VECTORS = st.integers(0, 6).flatmap(
    lambda dims: st.builds(
        Vectors, st.lists(st.lists(FLOAT32, min_size=dims, max_size=dims)), st.just(dims)
    )
)


@cache
def values_of(wanted: Any) -> st.SearchStrategy[Any]:
    """SDK values of a type that a document can be read as: dataclasses, unions, sequences …"""
    origin, arguments = get_origin(wanted), get_args(wanted)
    if wanted in _LEAVES:
        return _LEAVES[wanted]
    if origin is Literal:
        return st.sampled_from(arguments)
    if origin in (Union, types.UnionType):
        return st.one_of(*map(values_of, arguments))
    if origin is tuple:
        return st.lists(values_of(arguments[0]), max_size=3).map(tuple)
    if origin is Mapping:
        return st.dictionaries(st.text(), values_of(arguments[1]), max_size=3)
    if isinstance(wanted, type) and issubclass(wanted, Enum):
        return st.sampled_from(wanted)
    assert is_dataclass(wanted), wanted
    hints = get_type_hints(wanted)
    return st.builds(
        wanted, **{field.name: values_of(hints[field.name]) for field in fields(wanted)}
    )


_LEAVES: Mapping[Any, st.SearchStrategy[Any]] = {
    Any: PLAIN,
    type(None): st.none(),
    str: st.text(),
    bool: st.booleans(),
    int: INTEGERS,
    float: NUMBERS,
    bytes: st.binary(),
    Vector: st.builds(Vector, st.lists(FLOAT32, max_size=6)),
    Vectors: VECTORS,
}


def nearly(wanted: Any) -> st.SearchStrategy[Any]:
    """Plain data that is nearly a document of a type: its keys, some of them with wrong values."""
    if get_origin(wanted) in (Union, types.UnionType):
        return st.one_of(*map(nearly, get_args(wanted)))
    if get_origin(wanted) is tuple:
        return st.lists(nearly(get_args(wanted)[0]) | PLAIN, max_size=3)
    if not is_dataclass(wanted):
        return values_of(wanted).map(to_document)
    hints = get_type_hints(wanted)
    required = {
        field.name
        for field in fields(wanted)
        if field.default is MISSING and field.default_factory is MISSING
    }
    some = {name: nearly(hints[name]) | PLAIN for name in hints}
    return st.fixed_dictionaries(
        {name: some[name] for name in hints if name in required},
        optional={
            **{name: some[name] for name in hints if name not in required},
            "unknown": PLAIN,
        },
    )
