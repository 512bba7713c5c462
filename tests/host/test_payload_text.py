"""The text forms of payloads, converted in pieces: what the SDK's own conversion says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from orchestrator_plugin_host import payload_text
from orchestrator_plugin_host.payload_text import (
    DocumentSizeError,
    document_of,
    payload_for,
    text_of,
)
from orchestrator_plugin_host.pieces import at_once
from orchestrator_plugin_sdk import DocumentError
from orchestrator_plugin_sdk.payload import from_text, to_text

Form = Literal["latin1", "base64"]
FORMS = pytest.mark.parametrize("form", ["latin1", "base64"])
PLENTY = 1 << 30
DOCUMENTS = st.binary(max_size=60) | st.text(max_size=40).map(str.encode)


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pieces of two blocks of 12 bytes, so that short documents have several."""
    monkeypatch.setattr(payload_text, "_BLOCK", 12)
    monkeypatch.setattr(payload_text, "_PIECE", 24)


def outcome(convert: Callable[[], Any]) -> Any:
    try:
        return convert()
    except DocumentError:
        return DocumentError


@FORMS
@given(document=DOCUMENTS)
@example(b"")
@example(bytes(range(256)))
@example(b"\x7f" * 11 + b"\x80\x80")
def test_a_document_survives_the_way_there_and_back(form: Form, document: bytes) -> None:
    text = at_once(text_of(form, document))
    assert text == to_text(form, document).encode()
    assert at_once(document_of(form, text, len(document))) == document
    assert at_once(document_of(form, memoryview(text), PLENTY)) == document
    if document:
        with pytest.raises(DocumentSizeError) as caught:
            at_once(document_of(form, text, len(document) - 1))
        assert caught.value.size >= len(document) - 1


READABLE = st.sets(st.sampled_from(["latin1", "base64"])).map(lambda forms: {"bytes", *forms})


@given(document=DOCUMENTS | st.binary(min_size=800, max_size=900), readable=READABLE)
def test_a_document_is_sent_in_a_form_that_the_plugin_reads(
    document: bytes, readable: set[Any]
) -> None:
    form, data = at_once(payload_for(document, readable))
    if data.startswith(b"=") and form == "base64":
        assert "base64" not in readable
        data = data[1:]
    else:
        assert form in readable
    assert form == "latin1" or "latin1" not in readable or not document.isascii()
    assert at_once(document_of(form, data, PLENTY)) == document


@FORMS
@given(text=st.text("AB=+/ é\n\xff✓", max_size=40) | st.text(max_size=30))
@example("A" * 12 + "QQ==" + "A" * 12)
@example("QQ==QQ==" * 6)
@example("AB==")
@example("AA-_")
@example("QUI" + "\\u0044")
@example('AA"A')
@example("A===")
@example("é" * 20)
def test_it_agrees_about_any_text(form: Form, text: str) -> None:
    expected = outcome(lambda: from_text(form, text))
    assert outcome(lambda: at_once(document_of(form, text.encode(), PLENTY))) == expected


@pytest.mark.parametrize("form", ["hex", "bytes"])
def test_no_other_form_is_text(form: str) -> None:
    with pytest.raises(DocumentError, match="of no text form"):
        at_once(document_of(form, b"00", 2))


@given(st.binary(max_size=40))
def test_bytes_that_are_not_utf8_are_refused_with_few_words(data: bytes) -> None:
    try:
        data.decode()
    except UnicodeDecodeError:
        with pytest.raises(DocumentError, match="not valid latin1"):
            at_once(document_of("latin1", data, PLENTY))


def test_the_error_of_a_large_text_is_short() -> None:
    with pytest.raises(DocumentError) as caught:
        at_once(document_of("latin1", ("x" * 100_000 + "✓").encode(), PLENTY))
    assert len(str(caught.value)) < 200


def test_what_is_too_large_is_not_converted() -> None:
    for form, text in (("latin1", b"\xff" * 100), ("base64", b"?" * 100)):  # valid in neither
        with pytest.raises(DocumentSizeError):
            next(document_of(form, text, 10))


@FORMS
def test_a_document_is_converted_in_pieces(form: Form) -> None:
    document = bytes(range(256))
    assert len(list(text_of(form, document))) >= len(document) // 24
    text = at_once(text_of(form, document))
    assert len(list(document_of(form, text, PLENTY))) >= len(text) // 36
