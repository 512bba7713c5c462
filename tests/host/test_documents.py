"""What the host does with documents is what the SDK's own codec and decoder do, within bounds."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from orchestrator_plugin_host.document_scan import TooManyValuesError
from orchestrator_plugin_host.documents import dump, read_document, unpack, validate
from orchestrator_plugin_host.payload_text import DocumentSizeError
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
    pack,
    to_document,
)
from orchestrator_plugin_sdk import unpack as unpack_by_sdk
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


# --- written -------------------------------------------------------------------------------------


@EVERY_DOCUMENT
@given(data=st.data())
def test_what_is_dumped_is_packed_as_the_sdk_packs_it(name: str, data: st.DataObject) -> None:
    wanted = DOCUMENTS[name]
    value = validate(wanted, data.draw(values_of(wanted)), "it")
    assert pack(dump(wanted, value)) == pack(to_document(value))


class Colour(Enum):
    RED = "red"


UNUSUAL: dict[str, Any] = {
    "a mapping": MappingProxyType({"a": MappingProxyType({"b": 1})}),
    "a tuple": (1, (2, 3)),
    "an enumeration": Colour.RED,
    "a value of the SDK": Usage(1, 2, 3),
    "a vector": Vector([1.0]),
    "vectors": Vectors([[1.0]]),
    "a subclass of text": type("Text", (str,), {})("a"),
}


@pytest.mark.parametrize("name", UNUSUAL)
def test_values_of_no_known_type_are_dumped_as_the_sdk_does(name: str) -> None:
    request = ModelRequest((), metadata={"a": UNUSUAL[name], "b": [UNUSUAL[name]]})
    assert pack(dump(ModelRequest, request)) == pack(to_document(request))


def levels(depth: int) -> Any:
    return [levels(depth - 1)] if depth else None


IMPOSSIBLE: dict[str, Any] = {
    "a key that is a number": {1: 2},
    "a set": {1},
    "an object": object(),
    "too many levels": levels(63),
}


@pytest.mark.parametrize("name", IMPOSSIBLE)
def test_what_can_not_be_in_a_document(name: str) -> None:
    request = ModelRequest((), metadata={"a": IMPOSSIBLE[name]})
    with pytest.raises(DocumentError) as expected:
        to_document(request)
    with pytest.raises(DocumentError) as caught:
        dump(ModelRequest, request)
    assert str(caught.value) == str(expected.value)
    assert dump(ModelRequest, ModelRequest((), metadata={"a": levels(62)}))


# --- read ----------------------------------------------------------------------------------------

BOUNDS = {"most_bytes": 100_000, "most_values": 1_000}


def read(data: bytes) -> Any:
    return unpack(data, **BOUNDS)


@given(PLAIN)
@example([None] * 600)
@example({str(number): [number] for number in range(100)})
@example({"binary": bytes(5_000), "text": "a" * 5_000})
@example({"é": "中"})
def test_what_is_packed_is_read(document: Any) -> None:
    assert read(pack(document)) == unpack_by_sdk(pack(document))


@given(
    st.binary(max_size=60)
    | PLAIN.map(pack).flatmap(lambda data: st.permutations(list(data)).map(bytes))
)
@example(b"\x82\xa1a\x01\xa1a\x02")
@example(b"\x81\xa1k\x82\xa1a\x01\xd9\x01a\x02")
@example(b"\x81\xc4\x01a\x01")
@example(b"\xd6\xff\x00\x00\x00\x00")
@example(b"\xca\x3f\x80\x00\x00")
def test_it_reads_or_refuses_as_the_sdk_does(data: bytes) -> None:
    try:
        expected = unpack_by_sdk(data)
    except DocumentError:
        with pytest.raises(DocumentError):
            read(data)
    else:
        assert repr(read(data)) == repr(expected)  # NaN is not equal to itself


FORBIDDEN: dict[str, tuple[bytes, str]] = {
    "a key that is there twice": (b"\x82\xa1a\x01\xa1a\x02", "'a' is there twice"),
    "the same in a large document": (
        b"\x83\xa1a\x01\xa1a\x02\xa1b" + pack(bytes(70_000)),
        "one is there twice",
    ),
    "a key that is there twice, written in two ways": (
        b"\x82\xa1a\x01\xd9\x01a\x02",
        "'a' is there twice",
    ),
    "a key that is there twice, deep in it": (
        b"\x91\x91\x81\xa1x\x82\xa1a\x01\xa1a\x02",
        "'a' is there twice",
    ),
    "text that is not UTF-8": (b"\xa1\xff", "can't decode byte 0xff"),
    "65 levels": (b"\x91" * 64 + b"\x90", "nest 64 deep"),
    "a timestamp": (b"\xd6\xff\x00\x00\x00\x00", "extension types are not used"),
}


@pytest.mark.parametrize("name", FORBIDDEN)
def test_what_the_rules_forbid(name: str) -> None:
    data, reason = FORBIDDEN[name]
    with pytest.raises(DocumentError, match=reason):
        read(data)


SIZES: dict[str, tuple[Any, int | None]] = {
    "binary within the limit": (bytes(99_990), None),
    "binary beyond it": (bytes(100_000), 100_005),
    "ASCII within the limit": ("a" * 99_990, None),
    "other text within a fifth of it": ("é" * 9_900, None),
    "other text beyond a fifth of it": ("é" * 13_000, 5 * 26_000 + 3),
    "one other character in much text": ("a" * 99_000 + "😀", 5 * 99_004 + 5),
    "one other character in a key": ({"a" * 99_000 + "😀": None}, 5 * 99_004 + 7),
    "short texts": (["é" * 15] * 900, None),
}


@pytest.mark.parametrize("name", SIZES)
def test_bytes_are_limited_and_those_of_other_text_than_ascii_count_five(name: str) -> None:
    document, counted = SIZES[name]
    if counted is None:
        assert read(pack(document)) == document
        return
    with pytest.raises(DocumentSizeError) as caught:
        read(pack(document))
    assert caught.value.size == counted


def test_values_are_limited() -> None:
    assert read(pack([0] * 1_000)) == [0] * 1_000
    for document in ([0] * 1_001, {str(number): 0 for number in range(501)}, [[0] * 300] * 4):
        with pytest.raises(TooManyValuesError, match="more than 1,000 values"):
            read(pack(document))
    with pytest.raises(TooManyValuesError):
        unpack(pack([0] * 4), 1_000, 3)


def test_a_document_is_read_as_of_a_type() -> None:
    usage = read_document(pack({"input_tokens": 1}), Usage, "it", **BOUNDS)
    assert usage == Usage(input_tokens=1)
    with pytest.raises(DocumentError, match="it does not fit its schema"):
        read_document(pack({"input_tokens": "1"}), Usage, "it", **BOUNDS)
    with pytest.raises(DocumentError, match="expected a vector"):
        read_document(pack([1.0]), Vector, "it", **BOUNDS)


LONG: dict[str, tuple[Any, Any]] = {
    "a key": (Usage, {"k" * 50_000: 1}),
    "a tag": (StreamEvent, {"type": "t" * 50_000}),
    "a word": (Message, {"role": "r" * 50_000}),
    "an event's keys": (StreamEvent, {"type": "end", **{f"k{i}": 0 for i in range(400)}}),
    "a hundred keys": (Usage, {f"k{i}" * 200: 0 for i in range(100)}),
}


@pytest.mark.parametrize("name", LONG)
def test_what_a_plugin_wrote_does_not_make_the_error_long(name: str) -> None:
    wanted, document = LONG[name]
    with pytest.raises(DocumentError) as caught:
        read_document(pack(document), wanted, "it", **BOUNDS)
    assert len(str(caught.value)) < 30_000


def test_the_members_of_a_union_are_told_apart_by_their_tag() -> None:
    with pytest.raises(DocumentError) as caught:
        validate(StreamEvent, {"type": "end", "text": "a", "more": 1}, "it")
    assert len(caught.value.problems) == 2  # not one for each member
    with pytest.raises(
        DocumentError, match="'text_delta' or 'tool_call_delta' or 'usage' or 'end'"
    ):
        validate(StreamEvent, {"type": "other"}, "it")
