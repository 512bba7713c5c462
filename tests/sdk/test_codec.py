"""Documents: round trips of every type, and what is refused, by both of msgpack's readers."""

from __future__ import annotations

import copy
import math
import random
from collections.abc import Iterator
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

import msgpack
import msgpack.fallback
import pytest
from hypothesis import given
from hypothesis import strategies as st
from orchestrator_plugin_sdk import (
    DocumentError,
    FieldCondition,
    LogEvent,
    Message,
    PluginType,
    Problem,
    StreamEvent,
    ToolRunRequest,
    Usage,
    Vector,
    VectorQueryFilter,
    Vectors,
    from_document,
    pack,
    to_document,
    unpack,
)
from orchestrator_plugin_sdk.codec import MAX_DEPTH
from orchestrator_plugin_sdk.contract import DOCUMENTS
from orchestrator_plugin_sdk.schema import MAX_PROBLEMS
from sdk.strategies import PLAIN, nearly, values_of

EVERY_DOCUMENT = pytest.mark.parametrize("name", DOCUMENTS)


@pytest.fixture(scope="module", params=["compiled", "pure"])
def reader(request: pytest.FixtureRequest) -> Iterator[None]:
    """Runs a test with msgpack's compiled reader, and with the pure one that a guest has."""
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "pure":
            patch.setattr(msgpack, "unpackb", msgpack.fallback.unpackb)
        yield


def lists(levels: int, inmost: Any = None) -> Any:
    """So many lists in one another, with a scalar or nothing in the inmost."""
    nested: Any = [] if inmost is None else [inmost]
    for _ in range(levels - 1):
        nested = [nested]
    return nested


# --- round trips ---------------------------------------------------------------------------------


@EVERY_DOCUMENT
@given(data=st.data())
def test_every_document_survives_the_way_there_and_back(name: str, data: st.DataObject) -> None:
    value = data.draw(values_of(DOCUMENTS[name]))
    assert from_document(DOCUMENTS[name], unpack(pack(to_document(value)))) == value


@given(PLAIN)
def test_plain_data_survives_packing(document: Any) -> None:
    assert to_document(document) == document
    assert unpack(pack(document)) == document


@pytest.mark.parametrize(
    ("value", "document"),
    [
        (PluginType.EMBEDDER, "embedder"),
        ((1, (2, "three")), [1, [2, "three"]]),
        (MappingProxyType({"a": (None,)}), {"a": [None]}),
        (Vector([1.0]), b"\x00\x00\x80?"),
        (Vectors([[1.0], [1.0]]), {"dims": 1, "data": b"\x00\x00\x80?" * 2}),
        (Vectors(dims=3), {"dims": 3, "data": b""}),
        (LogEvent("m", fields={"at": Usage()}), None),
        (lists(MAX_DEPTH, Vector([1.0])), lists(MAX_DEPTH, b"\x00\x00\x80?")),
    ],
)
def test_a_value_as_plain_data(value: Any, document: Any) -> None:
    if document is None:
        document = {
            "message": "m",
            "type": "log",
            "level": "info",
            "fields": {
                "at": {
                    "input_tokens": 0,
                    "output_tokens": 0,
                    "total_tokens": 0,
                    "cached_input_tokens": 0,
                    "reasoning_tokens": 0,
                }
            },
        }
    assert to_document(value) == document


def test_an_absent_field_gets_its_default_and_an_integer_serves_as_a_number() -> None:
    assert from_document(LogEvent, {"message": "m"}) == LogEvent("m")
    read = from_document(VectorQueryFilter, {"min_score": 1})
    assert isinstance(read.min_score, float)


def test_reading_leaves_its_document_alone() -> None:
    document = {"command": "git", "args": ["log"], "env": {"LANG": "C"}}
    before = copy.deepcopy(document)
    request = from_document(ToolRunRequest, document)
    assert document == before
    assert request.args == ("log",)
    assert request.env is not document["env"]


# --- what can't be written -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ({1, 2}, "a set can't be in a document"),
        (1j, "a complex can't be"),
        (memoryview(b""), "a memoryview can't be"),
        (LogEvent, "a type can't be"),
        (msgpack.Timestamp(0, 0), "a Timestamp can't be"),
        (LogEvent("m", fields={"a": {"b": object()}}), "a object can't be"),
        ({"a": {1: "b"}}, "keys of a map are strings; 1 is not"),
        ({b"a": 1}, "keys of a map are strings; b'a' is not"),
        (lists(MAX_DEPTH + 1), "64 deep"),
        ({"a": lists(MAX_DEPTH)}, "64 deep"),
    ],
)
def test_what_has_no_place_in_a_document(value: Any, says: str) -> None:
    with pytest.raises(DocumentError, match=says):
        to_document(value)


def test_a_value_that_contains_itself_is_too_deep() -> None:
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(DocumentError, match="64 deep"):
        to_document(endless)


@pytest.mark.parametrize(
    "document",
    [2**64, -(2**63) - 1, "\ud800", {"\ud800": 1}, {1, 2}, object()],
    ids=["large", "small", "surrogate", "surrogate-key", "set", "object"],
)
def test_what_messagepack_can_not_hold(document: Any) -> None:
    with pytest.raises(DocumentError, match="can't be written as MessagePack"):
        pack(document)


# --- what is not a document ----------------------------------------------------------------------

NOT_DOCUMENTS = {
    "nothing": (b"", "is not a MessagePack document"),
    "more after it": (b"\xc0\xc0", "is not a MessagePack document"),
    "the byte never used": (b"\xc1", "is not a MessagePack document"),
    "a list cut short": (b"\x92\xc0", "is not a MessagePack document"),
    "text cut short": (b"\xa2a", "is not a MessagePack document"),
    "text that is not UTF-8": (b"\xa1\xff", "is not a MessagePack document"),
    "text with a surrogate": (b"\xa3\xed\xa0\x80", "is not a MessagePack document"),
    "nested lists said to have 2,000,000 items": (
        (b"\xdd" + (2_000_000).to_bytes(4, "big")) * 1000,
        "max_array_len",
    ),
    "nested maps said to have 2,000,000 items": (
        (b"\xdf" + (2_000_000).to_bytes(4, "big") + b"\xa1a") * 1000,
        "max_map_len",
    ),
    "a list said to have 2**32-1 items": (b"\xdd" + b"\xff" * 4, "is not a MessagePack document"),
    "a map said to have 2**32-1 keys": (b"\xdf" + b"\xff" * 4, "is not a MessagePack document"),
    "bin said to have 2**32-1 bytes": (b"\xc6" + b"\xff" * 4, "is not a MessagePack document"),
    "a key that is a number": (b"\x81\x01\x01", "key|int is not allowed"),
    "a key that is bin": (b"\x81\xc4\x01a\x01", "keys of a map are strings"),
    "a key that is nil": (b"\x81\xc0\x01", "key"),
    "a key that is a list": (b"\x81\x90\x01", "key"),
    "a key that is a map": (b"\x81\x80\x01", "key"),
    "a key twice": (b"\x82\xa1a\x01\xa1a\x02", "'a' is there twice"),
    "a key twice, deep inside": (b"\x91\x81\xa1b\x82\xa1a\x01\xa1a\x01", "'a' is there twice"),
    "an extension": (b"\xd4\x05a", "extension types are not used; this document has type 5"),
    "a timestamp": (b"\xd6\xff\x00\x00\x00\x00", "extension types are not used; .* type -1"),
    "a timestamp in a list": (b"\x91\xd6\xff\x00\x00\x00\x00", "extension types are not used"),
    "a timestamp in a map": (b"\x81\xa1a\xd6\xff\x00\x00\x00\x00", "extension types are not used"),
    "a timestamp of 12 bytes": (b"\xc7\x0c\xff" + b"\0" * 12, "extension types are not used"),
    "a timestamp in 64 lists": (
        b"\x91" * MAX_DEPTH + b"\xd6\xff\x00\x00\x00\x00",
        "extension types are not used",
    ),
    "a timestamp of an impossible size": (b"\xd4\xffa", "is not a MessagePack document"),
    "65 lists": (b"\x91" * MAX_DEPTH + b"\x90", "64 deep"),
    "65 lists with a scalar in them": (b"\x91" * (MAX_DEPTH + 1) + b"\xc0", "64 deep"),
    "64 maps around a list": (b"\x81\xa1a" * MAX_DEPTH + b"\x90", "64 deep"),
    "a million lists": (b"\x91" * 1_000_000 + b"\xc0", "is not a MessagePack document"),
}


@pytest.mark.usefixtures("reader")
@pytest.mark.parametrize("case", NOT_DOCUMENTS)
def test_what_is_not_a_document(case: str) -> None:
    data, says = NOT_DOCUMENTS[case]
    with pytest.raises(DocumentError, match=says):
        unpack(data)


@pytest.mark.usefixtures("reader")
@pytest.mark.parametrize("inmost", [None, "leaf", math.pi], ids=str)
def test_64_levels_are_not_too_deep(inmost: Any) -> None:
    document = lists(MAX_DEPTH, inmost)
    assert to_document(document) == document
    assert unpack(pack(document)) == document


@pytest.mark.usefixtures("reader")
@given(st.binary(max_size=200))
def test_any_bytes_are_a_document_or_a_document_error(data: bytes) -> None:
    _read(data)


@pytest.mark.usefixtures("reader")
@given(PLAIN, st.randoms(use_true_random=False))
def test_a_damaged_document_is_a_document_or_a_document_error(
    document: Any, chance: random.Random
) -> None:
    data = bytearray(pack(document))
    for _ in range(chance.randint(1, 3)):
        data[chance.randrange(len(data))] = chance.randrange(256)
    _read(bytes(data))


def _read(data: bytes) -> None:
    """Unpacks; whatever comes of it, other than a refusal, is what a document may hold."""
    try:
        document = unpack(data)
    except DocumentError:
        return
    again = to_document(document)
    assert repr(again) == repr(document)  # of a NaN, too


# --- what does not fit its schema ----------------------------------------------------------------


@EVERY_DOCUMENT
@given(data=st.data())
def test_any_plain_data_is_a_value_or_a_document_error(name: str, data: st.DataObject) -> None:
    wanted = DOCUMENTS[name]
    document = data.draw(nearly(wanted) | PLAIN)
    try:
        value = from_document(wanted, document)
    except DocumentError as error:
        problems = error.problems
    else:
        assert from_document(wanted, to_document(value)) == value
        return
    assert problems
    assert all(isinstance(problem, Problem) for problem in problems)


@dataclass(frozen=True, slots=True)
class Everything:
    """One field of each form that a schema has."""

    text: str = ""
    flag: bool = False
    count: int = 0
    ratio: float = 0.0
    data: bytes = b""
    choice: Literal["a", "b"] = "a"
    kind: PluginType = PluginType.PROVIDER
    maybe: int | None = None
    texts: tuple[str, ...] = ()
    counts: dict[str, int] | None = None
    vector: Vector | None = None
    vectors: Vectors | None = None
    either: str | tuple[int, ...] = ""
    usage: Usage | None = None
    messages: tuple[Message, ...] = ()
    event: StreamEvent | None = None


NAN, INFINITY = math.nan, math.inf
MISFITS: list[tuple[Any, str, str]] = [
    ({"text": 1}, "text", "expected text, got 1"),
    ({"text": b"a"}, "text", "expected text, got bin"),
    ({"text": None}, "text", "expected text, got nil"),
    ({"flag": 1}, "flag", "expected true or false, got 1"),
    ({"flag": "true"}, "flag", "expected true or false, got 'true'"),
    ({"count": True}, "count", "expected an integer, got True"),
    ({"count": 1.0}, "count", "expected an integer, got 1.0"),
    ({"count": "1"}, "count", "expected an integer, got '1'"),
    ({"count": None}, "count", "expected an integer, got nil"),
    ({"ratio": True}, "ratio", "expected a finite number, got True"),
    ({"ratio": "1"}, "ratio", "expected a finite number, got '1'"),
    ({"ratio": NAN}, "ratio", "expected a finite number, got nan"),
    ({"ratio": -INFINITY}, "ratio", "expected a finite number, got -inf"),
    ({"ratio": 10**400}, "ratio", "expected a finite number, got a huge integer"),
    ({"text": 10**5000}, "text", "expected text, got a huge integer"),
    ({"data": "a"}, "data", "expected bin, got 'a'"),
    ({"data": [1]}, "data", "expected bin, got a list"),
    ({"choice": "c"}, "choice", "expected 'a' or 'b', got 'c'"),
    ({"choice": ["a"]}, "choice", "expected 'a' or 'b', got a list"),
    ({"kind": "x"}, "kind", "expected 'provider' or 'embedder' or"),
    ({"kind": {}}, "kind", "got a map"),
    ({"maybe": "1"}, "maybe", "expected an integer, got '1'"),
    ({"texts": "ab"}, "texts", "expected a list, got 'ab'"),
    ({"texts": ["a", 1]}, "texts[1]", "expected text, got 1"),
    ({"texts": {"0": "a"}}, "texts", "expected a list, got a map"),
    ({"counts": []}, "counts", "expected a map, got a list"),
    ({"counts": {"a": "b"}}, "counts.a", "expected an integer, got 'b'"),
    ({"counts": {1: 1}}, "counts", "keys are text, got 1"),
    ({"vector": [1.0]}, "vector", "expected bin of float32, got a list"),
    ({"vector": b"123"}, "vector", "got 3 bytes"),
    ({"vector": b"\x00\x00\x80\x7f"}, "vector", "must be finite"),
    ({"vectors": b""}, "vectors", "expected a map of dims (int) and data (bin)"),
    ({"vectors": {"dims": 1}}, "vectors", "expected a map of dims (int) and data (bin)"),
    ({"vectors": {"dims": True, "data": b""}}, "vectors", "expected a map of dims"),
    ({"vectors": {"dims": 1, "data": b"", "more": 1}}, "vectors", "expected a map of dims"),
    ({"vectors": {"dims": 2, "data": b"1234"}}, "vectors", "4 bytes are not whole rows of 2"),
    ({"vectors": {"dims": -1, "data": b""}}, "vectors", "are not whole rows of -1"),
    ({"vectors": {"dims": 0, "data": b"1234"}}, "vectors", "are not whole rows of 0"),
    ({"vectors": {"dims": 1, "data": b"\x00\x00\xc0\x7f"}}, "vectors", "must be finite"),
    ({"either": 1}, "either", "expected text, got 1"),
    ({"either": [1, "2"]}, "either[1]", "expected an integer, got '2'"),
    ({"usage": []}, "usage", "expected a map, got a list"),
    ({"usage": {"input_tokens": "1"}}, "usage.input_tokens", "expected an integer, got '1'"),
    ({"usage": {"tokens": 1}}, "usage.tokens", "unknown key; known are input_tokens, "),
    ({"messages": [{"content": "a"}]}, "messages[0].role", "missing"),
    ({"messages": [{"role": "user", "content": 1}]}, "messages[0].content", "expected text"),
    (
        {"messages": [{"role": "user", "content": ["a"]}]},
        "messages[0].content[0]",
        "expected a map, got 'a'",
    ),
    (
        {"messages": [{"role": "user", "content": [{"type": "video"}]}]},
        "messages[0].content[0].type",
        "expected 'text' or 'image', got 'video'",
    ),
    ({"event": 1}, "event", "expected a map, got 1"),
    ({"event": {"text": "a"}}, "event.type", "expected 'text_delta' or"),
    ({"event": {"type": []}}, "event.type", "or 'end', got a list"),
    ({"event": {"type": {}}}, "event.type", "or 'end', got a map"),
    ({"event": {"type": "text_delta"}}, "event.text", "missing"),
    ({"else": 1}, "else", "unknown key"),
    ({1: 1}, "1", "unknown key"),
    (None, "", "expected a map, got nil"),
    ("a" * 41, "", "expected a map, got text"),
    (object(), "", "expected a map, got a object"),
]


@pytest.mark.parametrize(("document", "path", "says"), MISFITS)
def test_what_does_not_fit_names_the_place_and_the_reason(
    document: Any, path: str, says: str
) -> None:
    with pytest.raises(DocumentError) as raised:
        from_document(Everything, document)
    assert [problem.path for problem in raised.value.problems] == [path]
    assert says in raised.value.problems[0].message
    assert str(raised.value).startswith("Everything does not fit its schema; ")


def test_every_fault_is_listed() -> None:
    with pytest.raises(DocumentError) as raised:
        from_document(Message, {"content": 1, "tool_calls": [{"id": 1}, {}], "x": 1}, "message")
    assert [str(problem) for problem in raised.value.problems] == [
        "content: expected text, got 1",
        "tool_calls[0].id: expected text, got 1",
        "tool_calls[0].name: missing",
        "tool_calls[1].id: missing",
        "tool_calls[1].name: missing",
        "x: unknown key; known are role, content, name, tool_calls, tool_call_id",
        "role: missing",
    ]
    assert str(raised.value).startswith("message does not fit its schema; content: ")


@pytest.mark.parametrize(
    ("wanted", "document"),
    [
        (tuple[str, ...], [1] * 100_000),
        (dict[str, str], {str(number): number for number in range(100_000)}),
        (str | tuple[int, ...], ["1"] * 100_000),
        (tuple[str | tuple[int, ...], ...], [["1"] * 99] * 1_000),
        (Usage, {f"key {number}": number for number in range(100_000)}),
    ],
    ids=["list", "map", "union", "unions", "keys"],
)
def test_a_document_of_faults_lists_only_the_first(wanted: Any, document: Any) -> None:
    with pytest.raises(DocumentError) as raised:
        from_document(wanted, document)
    assert len(raised.value.problems) == MAX_PROBLEMS


@pytest.mark.parametrize("wrong", ["x" * 1_000_000, b"x" * 1_000_000, ["x"] * 1_000_000], ids=type)
def test_a_big_wrong_value_makes_no_big_message(wrong: Any) -> None:
    with pytest.raises(DocumentError) as raised:
        from_document(FieldCondition, {"field": "a", "op": wrong})
    assert len(str(raised.value)) < 300


@pytest.mark.parametrize("wanted", [object, set[str], complex])
def test_a_type_that_has_no_schema_is_a_mistake_of_the_caller(wanted: Any) -> None:
    with pytest.raises(TypeError, match="no document schema"):
        from_document(wanted, 1)
