"""Filters: which metadata meets which condition."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from orchestrator_plugin_sdk import (
    FieldCondition,
    FilterOperator,
    VectorQueryFilter,
    from_document,
    pack,
    to_document,
    unpack,
)
from sdk.strategies import PLAIN, values_of

METADATA: Mapping[str, Any] = {
    "title": "A study",
    "year": 2020,
    "score": 0.5,
    "draft": False,
    "nothing": None,
    "tags": ["red", "blue", 1],
    "pair": ("a", "b"),
    "author": {"name": "Ada", "address": {"city": "London"}},
    "flags": [True, {"deep": [False]}],
    "dotted.key": "unreachable",
    "digest": b"\x00\x01",
    "": {"": "empty"},
}

CONDITIONS: list[tuple[str, FilterOperator, Any, bool]] = [
    ("title", "eq", "A study", True),
    ("title", "eq", "a study", False),
    ("year", "eq", 2020, True),
    ("year", "eq", 2020.0, True),
    ("year", "eq", "2020", False),
    ("draft", "eq", False, True),
    ("draft", "eq", 0, False),
    ("nothing", "eq", None, True),
    ("missing", "eq", None, False),
    ("digest", "eq", b"\x00\x01", True),
    ("pair", "eq", ["a", "b"], True),
    ("pair", "eq", ["a", "b", "c"], False),
    ("tags", "eq", ["red", "blue", True], False),
    ("flags", "eq", [True, {"deep": [False]}], True),
    ("flags", "eq", [1, {"deep": [False]}], False),
    ("flags", "eq", [True, {"deep": [0]}], False),
    ("flags", "eq", [True, {"deep": [False], "more": 1}], False),
    ("author", "eq", {"address": {"city": "London"}, "name": "Ada"}, True),
    ("author.name", "eq", "Ada", True),
    ("author.address.city", "eq", "London", True),
    ("author.address.city.ward", "eq", "London", False),
    ("title.name", "eq", "Ada", False),
    ("tags.0", "eq", "red", False),
    ("dotted.key", "eq", "unreachable", False),
    (".", "eq", "empty", True),
    ("year", "ne", 2020, False),
    ("year", "ne", 2021, True),
    ("draft", "ne", 0, True),
    ("missing", "ne", 1, True),
    ("author.missing", "ne", 1, True),
    ("year", "lt", 2021, True),
    ("year", "lt", 2020, False),
    ("year", "lte", 2020, True),
    ("year", "lte", 2019.5, False),
    ("year", "gt", 2019.5, True),
    ("year", "gt", 2020, False),
    ("year", "gte", 2020, True),
    ("year", "gte", 2021, False),
    ("score", "gt", 0, True),
    ("title", "lt", "B", True),
    ("title", "gte", "B", False),
    ("title", "lt", 1, False),
    ("year", "gt", "1", False),
    ("year", "gt", None, False),
    ("year", "gt", True, False),
    ("year", "lt", math.nan, False),
    ("year", "gte", math.nan, False),
    ("draft", "lt", True, False),
    ("draft", "lt", 1, False),
    ("tags", "lt", ["z"], False),
    ("digest", "lt", b"\xff", False),
    ("missing", "lt", 1, False),
    ("missing", "gte", 1, False),
    ("year", "in", [2019, 2020], True),
    ("year", "in", (2019, 2020), True),
    ("year", "in", [], False),
    ("draft", "in", [0], False),
    ("draft", "in", [0, False], True),
    ("title", "in", "A study of it", False),
    ("year", "in", 2020, False),
    ("year", "in", {"2020": 1}, False),
    ("year", "in", None, False),
    ("missing", "in", [None], False),
    ("year", "not_in", [2019], True),
    ("year", "not_in", [2020], False),
    ("draft", "not_in", [0], True),
    ("year", "not_in", 2020, True),
    ("missing", "not_in", [None], True),
    ("missing", "not_in", None, True),
    ("tags", "contains", "red", True),
    ("tags", "contains", "green", False),
    ("tags", "contains", True, False),
    ("pair", "contains", "b", True),
    ("flags", "contains", True, True),
    ("flags", "contains", {"deep": [False]}, True),
    ("title", "contains", "stud", True),
    ("title", "contains", "", True),
    ("title", "contains", 1, False),
    ("author", "contains", "name", False),
    ("year", "contains", 2, False),
    ("missing", "contains", "a", False),
    ("nothing", "exists", True, True),
    ("nothing", "exists", False, False),
    ("missing", "exists", True, False),
    ("missing", "exists", False, True),
    ("author.name", "exists", True, True),
    ("author.missing", "exists", False, True),
]


@pytest.mark.parametrize(("field", "op", "value", "meets"), CONDITIONS)
def test_a_condition(field: str, op: FilterOperator, value: Any, meets: bool) -> None:
    assert FieldCondition(field, op, value).matches(METADATA) is meets


@pytest.mark.parametrize(("field", "op", "value", "meets"), CONDITIONS)
def test_a_condition_means_the_same_on_both_sides_of_the_boundary(
    field: str, op: FilterOperator, value: Any, meets: bool
) -> None:
    condition = unpack(pack(to_document(FieldCondition(field, op, value))))
    if value != value:
        assert math.isnan(condition["value"])
    metadata = unpack(pack(to_document(METADATA)))
    assert from_document(FieldCondition, condition).matches(metadata) is meets


def test_presence_is_what_exists_asks_for_unless_told_otherwise() -> None:
    assert FieldCondition("year", "exists").matches(METADATA)


@given(values_of(FieldCondition), st.dictionaries(st.text(), PLAIN), PLAIN)
def test_any_condition_meets_or_does_not_meet_any_metadata(
    condition: FieldCondition, metadata: dict[str, Any], found: Any
) -> None:
    head, *rest = condition.field.split(".")
    for key in reversed(rest):
        found = {key: found}
    for one in (metadata, {**metadata, head: found}):
        assert condition.matches(one) in (True, False)


@given(st.text(), PLAIN, st.dictionaries(st.text(), PLAIN))
def test_opposite_operators_are_opposite(field: str, value: Any, metadata: dict[str, Any]) -> None:
    pairs: list[tuple[FilterOperator, FilterOperator]] = [("eq", "ne"), ("in", "not_in")]
    for one, other in pairs:
        met = FieldCondition(field, one, value).matches(metadata)
        assert FieldCondition(field, other, value).matches(metadata) is not met


YEAR, DRAFT, MISSING = (
    FieldCondition("year", "eq", 2020),
    FieldCondition("draft", "eq", True),
    FieldCondition("missing", "exists", True),
)


@pytest.mark.parametrize(
    ("filter", "passes"),
    [
        (VectorQueryFilter(), True),
        (VectorQueryFilter(all_of=(YEAR,)), True),
        (VectorQueryFilter(all_of=(YEAR, DRAFT)), False),
        (VectorQueryFilter(any_of=(DRAFT, YEAR)), True),
        (VectorQueryFilter(any_of=(DRAFT, MISSING)), False),
        (VectorQueryFilter(none_of=(DRAFT, MISSING)), True),
        (VectorQueryFilter(none_of=(DRAFT, YEAR)), False),
        (VectorQueryFilter(all_of=(YEAR,), any_of=(YEAR,), none_of=(DRAFT,)), True),
        (VectorQueryFilter(all_of=(YEAR,), any_of=(DRAFT,)), False),
        (VectorQueryFilter(all_of=(YEAR,), none_of=(YEAR,)), False),
        (VectorQueryFilter(min_score=2.0), True),
    ],
)
def test_a_filter_of_several_conditions(filter: VectorQueryFilter, passes: bool) -> None:
    assert filter.matches(METADATA) is passes
