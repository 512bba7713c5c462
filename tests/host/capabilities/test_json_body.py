"""JSON that is written in pieces is the JSON that would be written at once."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from orchestrator_plugin_host.capabilities.http.json_body import BATCH, references, written

scalars = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
)
words = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
documents = st.recursive(
    scalars | words,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(words, inner, max_size=5),
    max_leaves=30,
)


def same(text: str) -> str:
    return text


def at_once(document: Any) -> str:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"))


@given(documents)
def test_it_is_the_same_as_if_it_were_written_at_once(document: Any) -> None:
    assert "".join(written(document, same)) == at_once(document)


@pytest.mark.parametrize(
    "document",
    [
        list(range(10_000)),
        [[]] * 1_000,
        {str(i): {"a": [i]} for i in range(5_000)},
        'a"\\\n\u2028\U0001f98a\0' * 100_000,
        {"a": "x" * 200_000, "b": "y" * 65_536, "c": "z" * 65_537},
        (1, (2, ()), {}),
        {7: "a", None: "b", True: "c", 1.5: "d"},
    ],
    ids=lambda document: repr(document)[:20],
)
def test_what_is_large_comes_in_pieces(document: Any) -> None:
    pieces = list(written(document, same))
    assert "".join(pieces) == at_once(document)
    assert max(map(len, pieces)) <= 65_536 * 6 + BATCH * 50


@pytest.mark.parametrize(
    "document",
    [float("nan"), [float("inf")], {"a": b"bytes"}, {"a": object()}, {b"a": 1}, {"x" * 70_000: 1}],
    ids=lambda document: repr(document)[:20],
)
def test_what_is_no_json_is_refused(document: Any) -> None:
    with pytest.raises(ValueError):
        list(written(document, same))


def test_what_nests_without_end_is_refused() -> None:
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(ValueError, match="too deep"):
        list(written(endless, same))


def test_texts_are_replaced_where_they_are_values() -> None:
    document = {"a": "a", "b": ["a", "ab", {"c": "a"}]}
    made = "".join(written(document, lambda text: "secret" if text == "a" else text))
    assert json.loads(made) == {"a": "secret", "b": ["secret", "ab", {"c": "secret"}]}


def at(document: Any, pointer: str) -> Any:
    """What a JSON pointer leads to, as RFC 6901 says."""
    for part in pointer.split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        document = document[int(key)] if isinstance(document, list) else document[key]
    return document


@given(documents)
def test_all_references_are_found_and_where_they_are(document: Any) -> None:
    def values(inner: Any) -> list[str]:
        if isinstance(inner, str):
            return [inner]
        if isinstance(inner, dict):
            inner = list(inner.values())
        return [text for one in inner for text in values(one)] if isinstance(inner, list) else []

    found = [one for one in references(document, lambda text: text + "!") if one is not None]
    assert sorted(name for name, _ in found) == sorted(text + "!" for text in values(document))
    assert all(at(document, pointer) + "!" == name for name, pointer in found)
    assert len({pointer for _, pointer in found}) == len(found)


def test_others_may_go_on_between_values() -> None:
    found = references([1] * 10 * BATCH, lambda text: None)
    assert sum(one is None for one in found) == 10
