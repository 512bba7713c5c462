"""A plugin's operations as documents, both ways: what they are, and what hostile ones cost."""

from __future__ import annotations

import base64
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal

import pytest
from orchestrator_plugin_host import (
    DocumentTooLargeError,
    Limits,
    PluginInputError,
    PluginOutputError,
)
from orchestrator_plugin_host.operations import codecs_of
from orchestrator_plugin_host.pieces import at_once
from orchestrator_plugin_sdk import (
    CallContext,
    Message,
    ModelRequest,
    ModelResponse,
    PluginType,
    StreamTextDelta,
    ToolCall,
    Vector,
    VectorQueryResult,
    Vectors,
    pack,
    to_document,
    unpack,
)
from orchestrator_plugin_sdk.contract import KINDS

Form = Literal["latin1", "base64"]
FORMS: tuple[Form, ...] = ("latin1", "base64")
MIB = 1 << 20
LIMITS = Limits()
CODECS = {
    method: codec
    for kind in KINDS.values()
    for method, codec in codecs_of("example", kind, LIMITS).items()
}
CONTEXT = {"run_id": "r", "deadline_ms": 5, "secrets": {}}


def in_form(form: Form, document: bytes) -> bytes:
    if form == "base64":
        return base64.b64encode(document)
    return document.decode("latin-1").encode()


# --- in ------------------------------------------------------------------------------------------


def test_arguments_are_validated_and_written_as_the_sdk_writes_them() -> None:
    codec = CODECS["generate"]
    request = {"messages": [{"role": "user", "content": "Hi"}], "metadata": {"a": [1, (2,)]}}
    arguments = codec.validate_arguments([request])
    message = Message("user", "Hi")
    assert arguments == [ModelRequest((message,), metadata={"a": [1, (2,)]})]
    context = CallContext("r", 5)
    expected = pack(to_document({"request": arguments[0], "context": context}))
    assert codec.encode(arguments, CONTEXT) == expected


def test_vectors_and_several_arguments() -> None:
    codec = CODECS["query"]
    arguments = codec.validate_arguments(["repo", [1.0, 2.0], 3, None])
    document = codec.encode(arguments, CONTEXT)
    assert document is not None
    assert unpack(document) == {
        "repo_id": "repo",
        "vector": Vector([1.0, 2.0]).data,
        "top_k": 3,
        "filter": None,
        "context": CONTEXT,
    }


def test_an_operation_without_arguments_has_no_document() -> None:
    codec = CODECS["health_check"]
    assert codec.encode(codec.validate_arguments([])) is None
    with_context = CODECS["init"].encode([{}], CONTEXT)
    assert with_context == pack({"config": {}, "context": CONTEXT})


WRONG: dict[str, tuple[str, list[Any], str]] = {
    "a request of no shape": ("generate", [5], "generate of plugin 'example': request does not"),
    "the second argument": ("upsert", ["a", 5], "upsert of plugin 'example': items does not"),
}


@pytest.mark.parametrize("name", WRONG)
def test_arguments_that_do_not_fit(name: str) -> None:
    method, arguments, message = WRONG[name]
    with pytest.raises(PluginInputError, match=message):
        CODECS[method].validate_arguments(arguments)


def test_arguments_that_can_not_be_written() -> None:
    for value in ({1: 2}, object(), "\ud800", 2**70):
        with pytest.raises(PluginInputError, match="generate of plugin 'example'"):
            CODECS["generate"].encode([ModelRequest((), metadata={"a": value})], CONTEXT)


def test_a_document_that_is_too_large_to_pass_in() -> None:
    codec = codecs_of("example", KINDS[PluginType.PROVIDER], Limits(document_in_bytes=50))
    with pytest.raises(DocumentTooLargeError) as caught:
        codec["generate"].encode([ModelRequest((Message("user", "x" * 100),))], CONTEXT)
    assert (caught.value.limit, caught.value.value) == ("document_in_bytes", 50)


# --- out -----------------------------------------------------------------------------------------

ANSWERS: dict[str, tuple[str, Any]] = {
    "a short answer": ("generate", ModelResponse("Hi")),
    "a long answer": ("generate", ModelResponse("é" * 400_000)),
    "a tool call": ("generate", ModelResponse("", tool_calls=(ToolCall("1", "a", {"b": [1.5]}),))),
    "an event": ("stream", StreamTextDelta("Hi")),
    "vectors": ("embed_texts", Vectors([[0.5] * 1_000] * 1_000)),
    "results": ("query", (VectorQueryResult("a", 0.5, {"k": b"\xff"}),)),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", ANSWERS)
def test_an_answer_is_read_in_every_form(name: str, form: Form) -> None:
    method, value = ANSWERS[name]
    data = in_form(form, pack(to_document(value)))
    assert CODECS[method].decode(form, data) == value
    assert CODECS[method].decode(form, memoryview(data)) == value
    assert at_once(CODECS[method].decode_pieces(form, data)) == value


def test_results_that_are_no_documents() -> None:
    assert CODECS["dims"].accept(3) == 3
    assert CODECS["init"].accept(None) is None
    with pytest.raises(PluginOutputError, match="what plugin 'example' answered to dims"):
        CODECS["dims"].accept("3")


def list_of(count: int, item: bytes) -> bytes:
    return b"\xdd" + count.to_bytes(4, "big") + item * count


def text(size: int, ends: bytes = b"") -> bytes:
    return b"\x81\xa4text\xdb" + size.to_bytes(4, "big") + b"a" * (size - len(ends)) + ends


def metadata(value: bytes) -> bytes:
    return b"\x82\xa4text\xa0\xa8metadata\x81\xa1a" + value


VALUES, BYTES = "document_values", "document_out_bytes"
HOSTILE: dict[str, tuple[str, Callable[[], bytes], str | None]] = {
    "190,000 tool calls": (
        "generate",
        lambda: b"\x82\xa4text\xa0\xaatool_calls" + list_of(190_000, pack({"id": "", "name": ""})),
        VALUES,
    ),
    "2,000,000 texts": ("generate", lambda: metadata(list_of(2_000_000, b"\xa0")), VALUES),
    "50,000 maps": ("generate", lambda: metadata(list_of(50_000, b"\x80")), VALUES),
    "as many maps as it may have": ("generate", lambda: metadata(list_of(49_990, b"\x80")), "ok"),
    "as many tool calls as it may have": (
        "generate",
        lambda: b"\x82\xa4text\xa0\xaatool_calls" + list_of(9_990, pack({"id": "", "name": ""})),
        "ok",
    ),
    "as many results as it may have": (
        "query",
        lambda: list_of(9_990, pack({"id": "", "score": 0.5})),
        "ok",
    ),
    "as many texts of 320 bytes": (
        "generate",
        lambda: metadata(list_of(49_990, b"\xda\x01\x40" + b"a" * 320)),
        "ok",
    ),
    "lists that each claim a million": ("generate", lambda: b"\xdd\0\x0f\0\0" * 3_000_000, VALUES),
    "lists that each claim a little": ("generate", lambda: b"\xdc\x01\0" * 1_000, None),
    "sixteen million levels": ("generate", lambda: b"\x91" * 16 * MIB, None),
    "16 MiB of text": ("generate", lambda: text(16 * MIB - 20), "ok"),
    "16 MiB of text, one character beyond ASCII": (
        "generate",
        lambda: text(16 * MIB - 20, "😀".encode()),
        BYTES,
    ),
    "3 MiB of text, one character beyond U+FFFF": (
        "generate",
        lambda: text(3 * MIB, "😀".encode()),
        "ok",
    ),
    "3 MiB of Chinese": ("generate", lambda: text(3 * MIB, "中".encode() * MIB), "ok"),
    "more bytes than it may have": ("generate", lambda: text(16 * MIB), BYTES),
    "a text for one of few words": (
        "generate",
        lambda: pack({"text": "", "finish_reason": "x" * 15 * MIB}),
        None,
    ),
    "a text for an event's tag": ("stream", lambda: pack({"type": "x" * 15 * MIB}), None),
    "a key of 15 MiB": ("generate", lambda: pack({"text": "", "x" * 15 * MIB: 0}), None),
    "25,000 unknown keys": ("stream", lambda: pack({"type": "end", **keys(24_990)}), None),
    "25,000 keys of one name": (
        "generate",
        lambda: b"\xdf\x00\x00\x61\x9e" + b"\xa1a\xc0" * 24_990,
        None,
    ),
    "4,000,000 numbers beyond all vectors": (
        "embed_texts",
        lambda: pack({"dims": 1_000, "data": b"\0\0\x7f\x7f" * 4_000_000}),
        "ok",
    ),
    "infinity in 4,000,000 numbers": (
        "embed_texts",
        lambda: pack({"dims": 1_000, "data": bytes(15_999_996) + b"\0\0\x80\x7f"}),
        None,
    ),
}
"""The operation, its answer, and what comes of it: `ok`, the limit that it is beyond, or `None` for
an answer that is invalid."""


def keys(count: int) -> dict[str, int]:
    return {f"key {number}": number for number in range(count)}


@contextmanager
def expected(outcome: str | None) -> Iterator[None]:
    if outcome == "ok":
        yield
    elif outcome is None:
        with pytest.raises(PluginOutputError) as invalid:
            yield
        assert len(str(invalid.value)) < 20_000
    else:
        with pytest.raises(DocumentTooLargeError, match=f"Limits\\({outcome}=") as refused:
            yield
        assert refused.value.limit == outcome


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.usefixtures("no_garbage")
def test_what_a_hostile_answer_costs(name: str, form: Form) -> None:
    """At most 20 ms of the processor at a time, with a margin of three, and besides the payload at
    most four times the document's bytes and 8 MB."""
    method, make, outcome = HOSTILE[name]
    document = make()
    data = in_form(form, document)
    longest = 0.0
    with expected(outcome):
        work = CODECS[method].decode_pieces(form, data)
        while True:
            began = time.thread_time()
            done = next(work, "done")
            longest = max(longest, time.thread_time() - began)
            if done == "done":
                break
    assert longest < 0.06
    tracemalloc.start()
    try:
        with expected(outcome):
            at_once(CODECS[method].decode_pieces(form, data))
        held = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert held < 4 * len(document) + 8_000_000
