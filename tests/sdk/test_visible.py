"""Text as people may see it."""

from __future__ import annotations

import json
import sys
import unicodedata
from typing import Any

import pytest
from hypothesis import given
from orchestrator_plugin_sdk.visible import hides, shown_key, visible, visible_data, visible_json
from support.texts import EMOJI_SELECTORS, WITH_HALVES, hidden_in, is_hidden

from .strategies import PLAIN


def test_what_is_escaped_is_what_unicode_says() -> None:
    for code in range(sys.maxunicode + 1):
        character = chr(code)
        if unicodedata.category(character) != "Cn":  # a later version may give it a meaning
            assert hides(character) is is_hidden(character), hex(code)
        assert hides(character) or not is_hidden(character), hex(code)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain żółć 🦊 100 %", "plain żółć 🦊 100 %"),
        ("\x1b[2J", r"\x1b[2J"),
        ("a\r\nb\tc", r"a\r\nb\tc"),
        ("\x7f\x85\u2028", r"\x7f\x85\u2028"),
        ("\u202eback", r"\u202eback"),
        ("\U000e0041", r"\U000e0041"),
        ("\ud800", r"\ud800"),
        ("❤\ufe0f", "❤\ufe0f"),
        ("❤\ufe0f\ufe0e\ufe0f", "❤\ufe0f" + r"\ufe0e\ufe0f"),
        ("\\x1b", "\\x1b"),
    ],
)
def test_examples(text: str, shown: str) -> None:
    assert visible(text) == shown


@given(WITH_HALVES)
def test_nothing_is_hidden_in_what_is_visible(text: str) -> None:
    assert not hidden_in(visible(text))
    assert len(visible(text).splitlines()) <= 1
    assert not hidden_in(visible(text, lines=True), but="\n\t")
    visible(text).encode()
    assert hides(text) is (visible(text) != text)


@given(WITH_HALVES)
def test_what_is_not_hidden_stays(text: str) -> None:
    plain = "".join(one for one in text if not is_hidden(one) and one not in EMOJI_SELECTORS)
    assert visible(plain) == plain
    assert visible(text, lines=True).count("\n") == text.count("\n")


@pytest.mark.parametrize("how", [{}, {"ensure_ascii": False}, {"indent": 2}])
@given(WITH_HALVES)
def test_json_means_the_same(how: dict[str, Any], text: str) -> None:
    document = {text: [text], "n": 1.5}
    made = visible_json(json.dumps(document, **how))
    assert json.loads(made) == json.loads(json.dumps(document))
    assert not hidden_in(made, but="\n")
    made.encode()


@given(PLAIN, WITH_HALVES)
def test_data_is_visible_in_all_of_it(data: Any, text: str) -> None:
    assert not hidden_in(str(visible_data({text: [text, {text: text}], "more": data})))


@given(WITH_HALVES)
def test_a_key_is_shown_in_one_line(key: str) -> None:
    assert not hidden_in(shown_key(key))
    assert len(shown_key(key)) <= 10 * 201 + 2


@pytest.mark.parametrize(
    ("key", "shown"),
    [
        ("max_tokens", "max_tokens"),
        ("code-interpreter", "code-interpreter"),
        ("", "''"),
        ("a b", "'a b'"),
        ("a.b", "'a.b'"),
        ("a\n", r"'a\n'"),
        ("ключ", "'ключ'"),
        ("a" * 300, f"'{'a' * 200}…'"),
    ],
)
def test_keys(key: str, shown: str) -> None:
    assert shown_key(key) == shown
