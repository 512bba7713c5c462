"""Validation on the host's side says what the SDK's own decoder says, about every document."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from orchestrator_plugin_host.documents import validate
from orchestrator_plugin_sdk import (
    DocumentError,
    Message,
    ModelRequest,
    PluginManifest,
    StreamEvent,
    ToolPolicy,
    ToolRunResult,
    Usage,
    Vector,
    VectorItem,
    Vectors,
    from_document,
    to_document,
)
from orchestrator_plugin_sdk.contract import DOCUMENTS
from sdk.strategies import PLAIN, nearly, values_of

EVERY_DOCUMENT = pytest.mark.parametrize("name", DOCUMENTS)


def outcome(decode: Any, wanted: Any, document: Any) -> Any:
    """The value, or the error's type where it is refused."""
    try:
        return decode(wanted, document, "it")
    except DocumentError:
        return DocumentError


def agrees(wanted: Any, document: Any) -> bool:
    """Whether both say the same. Callers may pass numbers for vectors, the wire has only bytes."""
    try:
        expected = from_document(wanted, document, "it")
    except DocumentError as error:
        if any(
            told in str(error) for told in ("expected bin of float32", "expected a map of dims")
        ):
            return True
        expected = DocumentError
    return bool(outcome(validate, wanted, document) == expected)


@EVERY_DOCUMENT
@given(data=st.data())
def test_it_agrees_on_documents(name: str, data: st.DataObject) -> None:
    value = data.draw(values_of(DOCUMENTS[name]))
    document = to_document(value)
    assert validate(DOCUMENTS[name], document, "it") == value
    assert validate(DOCUMENTS[name], value, "it") == value  # callers may pass SDK values


@EVERY_DOCUMENT
@given(data=st.data())
def test_it_agrees_on_what_is_nearly_a_document(name: str, data: st.DataObject) -> None:
    document = data.draw(nearly(DOCUMENTS[name]))
    assert agrees(DOCUMENTS[name], document)


@EVERY_DOCUMENT
@given(document=PLAIN)
def test_it_agrees_on_anything(name: str, document: Any) -> None:
    assert agrees(DOCUMENTS[name], document)


STRICT: dict[str, tuple[Any, Any]] = {
    "text for an integer": (int, "1"),
    "a float for an integer": (int, 1.0),
    "a boolean for an integer": (int, True),
    "text for a float": (float, "1.5"),
    "NaN": (float, float("nan")),
    "infinity": (float, float("inf")),
    "a number for a boolean": (bool, 1),
    "text for a boolean": (bool, "true"),
    "bytes for text": (str, b"a"),
    "a number for text": (str, 1),
    "text for bytes": (bytes, "a"),
    "text for a list of texts": (tuple[str, ...], "ab"),
    "a map for a list": (tuple[str, ...], {"a": 1}),
    "a list for a map": (Mapping[str, Any], [("a", 1)]),
    "a key that is a number": (Mapping[str, Any], {1: 2}),
    "an unknown key": (Usage, {"input_tokens": 1, "output_tokens": 1, "colour": "red"}),
    "a missing key": (ToolRunResult, {"exit_code": 0}),
    "an event without its type": (StreamEvent, {}),
    "an event of an unknown type": (StreamEvent, {"type": "applause"}),
    "an event with another's keys": (StreamEvent, {"type": "end", "text": "a"}),
    "an unknown word": (Message, {"role": "king", "content": "a"}),
    "text for a vector": (Vector, "abcd"),
    "a list of texts for a vector": (Vector, ["1"]),
    "rows of different lengths": (Vectors, [[1.0], [1.0, 2.0]]),
    "half a number": (Vector, b"abc"),
    "a record of another type": (ToolPolicy, Usage(1, 2, 3)),
    "nothing": (ToolPolicy, None),
}


@pytest.mark.parametrize("case", STRICT)
def test_nothing_is_converted(case: str) -> None:
    wanted, document = STRICT[case]
    with pytest.raises(DocumentError, match=r"^the thing does not fit its schema"):
        validate(wanted, document, "the thing")


PATHS: list[tuple[Any, Any, set[str]]] = [
    (ToolRunResult, {"exit_code": "0", "duration_ms": 1}, {"exit_code"}),
    (ToolRunResult, {}, {"exit_code", "duration_ms"}),
    (
        PluginManifest,
        {
            "name": "a",
            "type": "provider",
            "version": "1.0.0",
            "sdk_version": {"min_version": "1"},
            "limits": {"fuel": 1.5},
        },
        {"sdk_version.min_version", "limits.fuel"},
    ),
    (
        tuple[VectorItem, ...],
        [
            {"id": "a", "vector": bytes(4), "text": "a"},
            {"id": 1, "vector": bytes(4), "text": "a"},
            {"id": "a", "vector": bytes(3), "text": 2},
        ],
        {"[1].id"},  # the first fault of a list is enough
    ),
]


@pytest.mark.parametrize(("wanted", "document", "paths"), PATHS)
def test_every_fault_is_told_with_its_path(wanted: Any, document: Any, paths: set[str]) -> None:
    with pytest.raises(DocumentError) as caught:
        validate(wanted, document, "it")
    assert {problem.path for problem in caught.value.problems} == paths
    for path in paths:
        assert path in str(caught.value)


def test_a_fault_deep_in_a_request_is_told_with_its_path() -> None:
    document = {"messages": [{"role": "user", "content": "a"}, {"role": "user", "content": 5}]}
    with pytest.raises(DocumentError) as caught:
        validate(ModelRequest, document, "the request")
    assert any(problem.path.startswith("messages[1].content") for problem in caught.value.problems)


def test_values_of_the_sdk_are_looked_into() -> None:
    # Making a dataclass checks nothing.
    wrong: Any = "many"
    with pytest.raises(DocumentError):
        validate(Usage, Usage(wrong, 2, 3), "it")
    with pytest.raises(DocumentError):
        validate(ModelRequest, {"messages": [Message("user", Usage(1, 2, 3))]}, "it")  # type: ignore[arg-type]


def test_callers_may_pass_numbers_for_vectors() -> None:
    assert validate(Vector, [1, 2.5], "it") == Vector([1.0, 2.5])
    assert validate(Vectors, [[1.0], (2.0,)], "it") == Vectors([[1.0], [2.0]])
    item = validate(VectorItem, {"id": "a", "vector": (1.0,), "text": "a"}, "it")
    assert item.vector == Vector([1.0])


@pytest.mark.parametrize("vectors", [Vectors([[1.0, 2.0]]), Vectors([], 3)])
def test_vectors_pass_as_they_are(vectors: Vectors) -> None:
    assert validate(Vectors, vectors, "it") == vectors
