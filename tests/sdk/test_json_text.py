"""JSON of others, read within bounds."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from orchestrator_plugin_sdk import pack, read_json, unpack
from orchestrator_plugin_sdk.codec import MAX_CONTAINERS

TEXT = st.text(st.characters(codec="utf-8")) | st.text('[]{}",\\:')
SCALARS = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | TEXT
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
DOCUMENTS = st.recursive(
    SCALARS | NUMBERS,
    lambda inside: st.lists(inside, max_size=5) | st.dictionaries(TEXT, inside, max_size=5),
    max_leaves=40,
)


@given(DOCUMENTS, st.booleans())
def test_what_json_writes_is_read(document: Any, ascii_alone: bool) -> None:
    text = json.dumps(document, ensure_ascii=ascii_alone)
    assert read_json(text) == document
    assert read_json(text.encode()) == document


@given(st.integers(1, 40), st.integers(0, 40))
def test_depth_is_what_is_nested(deep: int, allowed: int) -> None:
    for text in ("[" * deep + "]" * deep, '{"[{": ' * deep + "1" + "}" * deep):
        if deep > allowed:
            with pytest.raises(ValueError, match=f"more than {allowed} deep"):
                read_json(text, allowed)
        else:
            assert read_json(text, allowed) == json.loads(text)


def test_brackets_in_texts_are_texts() -> None:
    document = {"a": '[{"' * 500 + "\\" * 7, "b": ["\\", '"', "[" * 500]}
    assert read_json(json.dumps(document), 2) == document


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        '{"a":' * 100_000,
        "[" * 65 + "]" * 65,
        "[" + "[]," * MAX_CONTAINERS + "[]]",
        "[1e999]",
        "NaN",
        "-Infinity",
        str(2**64),
        str(-(2**63) - 1),
        "9" * 100_000,
        '"' + "\\" * 100_001,
        '"[' * 10_001,
        "",
        "{",
        "<html>",
        b"\xff",
    ],
    ids=lambda text: repr(text[:8]),
)
def test_what_is_refused(text: str | bytes) -> None:
    with pytest.raises(ValueError):
        read_json(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (r'"\ud83e\udd8a"', "🦊"),
        (r'"\uD83E"', "\ufffd"),
        (r'["\udd8a", {"\ud83e": "\\ud83e"}]', ["\ufffd", {"\ufffd": "\\ud83e"}]),
        (b'\xef\xbb\xbf{"a": 1}', {"a": 1}),
        ("[-9223372036854775808, 18446744073709551615]", [-(2**63), 2**64 - 1]),
    ],
)
def test_what_becomes_of_texts_and_numbers(text: str | bytes, expected: Any) -> None:
    assert read_json(text) == expected


@given(st.text('\\ud83eDA0"[]{}:,1 a', max_size=40))
def test_whatever_is_read_has_a_place_in_a_document(text: str) -> None:
    try:
        document = read_json(text)
    except ValueError:
        return
    assert unpack(pack({"it": document})) == {"it": document}
