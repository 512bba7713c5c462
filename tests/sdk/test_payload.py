"""The three forms of a payload: each way there and back, which is sent, what is refused."""

from __future__ import annotations

import os
from typing import Literal, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from orchestrator_plugin_sdk import DocumentError, PayloadEncoding
from orchestrator_plugin_sdk.payload import choose_encoding, from_text, to_text

TextForm = Literal["latin1", "base64"]
READABLE = st.sets(st.sampled_from(get_args(PayloadEncoding)))

TEXT = b"the quick brown fox " * 5_000
RANDOM = os.urandom(100_000)


@given(st.sampled_from(get_args(TextForm)), st.binary())
def test_a_text_form_survives_the_way_there_and_back(form: TextForm, document: bytes) -> None:
    assert from_text(form, to_text(form, document)) == document


@pytest.mark.parametrize(
    ("form", "document", "text"),
    [
        ("latin1", b"", ""),
        ("latin1", b"a\x00\x7f\x80\xff", "a\x00\x7f\x80\xff"),
        ("base64", b"", ""),
        ("base64", b"\xfb\xff", "+/8="),
    ],
)
def test_the_text_of_a_document(form: TextForm, document: bytes, text: str) -> None:
    assert to_text(form, document) == text
    assert from_text(form, text) == document


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ("latin1", "\u0100"),
        ("latin1", "a\U0001f600"),
        ("latin1", "\ud800"),
        ("base64", "YQ"),
        ("base64", "YQ="),
        ("base64", "="),
        ("base64", "YQ==="),
        ("base64", "YWE=="),
        ("base64", "YWFh="),
        ("base64", "YWFh===="),
        ("base64", "YQ==YQ=="),
        ("base64", "YQ==\n"),
        ("base64", "YW\nFh"),
        ("base64", "Y Q=="),
        ("base64", "-_8="),
        ("base64", "é==="),
    ],
)
def test_text_that_is_not_of_its_form(form: TextForm, text: str) -> None:
    with pytest.raises(DocumentError, match=f"the payload is not valid {form}"):
        from_text(form, text)


@given(st.sampled_from(get_args(TextForm)), st.text())
def test_any_text_is_a_document_or_a_document_error(form: TextForm, text: str) -> None:
    try:
        document = from_text(form, text)
    except DocumentError:
        return
    if form == "latin1":
        assert to_text(form, document) == text
    else:
        assert len(to_text(form, document)) == len(text)


@pytest.mark.parametrize(
    ("document", "readable", "chosen"),
    [
        (b"", ("bytes",), "bytes"),
        (TEXT, ("bytes",), "bytes"),
        (TEXT, (), "bytes"),
        (TEXT, ("bytes", "latin1", "base64"), "latin1"),
        (TEXT + "é".encode(), ("bytes", "latin1", "base64"), "latin1"),
        (TEXT, ("bytes", "base64"), "base64"),
        (RANDOM, ("bytes", "latin1", "base64"), "base64"),
        (RANDOM, ("bytes", "latin1"), "latin1"),
        (RANDOM[:768], ("bytes", "latin1", "base64"), "latin1"),
        (RANDOM[:769], ("bytes", "latin1", "base64"), "base64"),
        (RANDOM[:256], ("bytes", "base64"), "bytes"),
        (RANDOM[:257], ("bytes", "base64"), "base64"),
    ],
)
def test_the_cheapest_form_that_the_receiver_reads(
    document: bytes, readable: tuple[PayloadEncoding, ...], chosen: PayloadEncoding
) -> None:
    assert choose_encoding(document, readable) == chosen


@given(st.binary(max_size=20_000), READABLE)
def test_a_form_that_is_not_read_is_never_sent(
    document: bytes, readable: set[PayloadEncoding]
) -> None:
    assert choose_encoding(document, readable) in readable | {"bytes"}
