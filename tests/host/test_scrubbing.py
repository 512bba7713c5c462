"""Secrets are taken out of what comes back, wherever it is cut."""

from __future__ import annotations

import base64
import hashlib
import itertools
import tracemalloc
import urllib.parse

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from orchestrator_plugin_host.capabilities.scrubbing import SCRUBBED, Scrubber

# Of few letters, so that one is the beginning, or the end, of another.
VALUES = st.lists(st.text("ab/", min_size=6, max_size=24), min_size=1, max_size=3)
BODIES = st.text("ab/", max_size=60)
CUTS = st.lists(st.integers(0, 60), max_size=12)


def in_pieces(scrubber: Scrubber, body: bytes, places: list[int]) -> bytes:
    stream = scrubber.stream()
    at = [0, *sorted(min(place, len(body)) for place in places), len(body)]
    pieces = [stream.feed(body[a:b]) for a, b in itertools.pairwise(at)]
    return b"".join([*pieces, stream.end()])


@given(VALUES, BODIES, CUTS)
@example(["secret1", "secret1-and-more"], "a secret1-and-more", [9])
@example(["abcabc"], "abcabc", [3])
@example(["abcabcd", "bcabca"], "abcabca", [6])
def test_a_body_is_scrubbed_the_same_however_it_is_cut(
    values: list[str], body: str, places: list[int]
) -> None:
    scrubber = Scrubber(values)
    assert in_pieces(scrubber, body.encode(), places) == scrubber.data(body.encode())


@given(VALUES, BODIES)
@example(["ab" * 12], "ab" * 30)
@example(["aab" * 12], "aab" * 11 + "aa")
def test_what_is_held_back_is_the_beginning_of_a_value(values: list[str], body: str) -> None:
    scrubber, data = Scrubber(values), body.encode()
    beginnings = {one[:n] for one in scrubber._spellings for n in range(len(one))}
    longest = max(len(one) for one in beginnings if data.endswith(one))
    assert scrubber.held_back(data) == longest


@pytest.mark.parametrize("before", ["", "x", "xy", "user:"])
@pytest.mark.parametrize(
    "spell",
    [
        lambda text: text,
        lambda text: text.replace("/", "\\/"),
        lambda text: urllib.parse.quote(text, safe=""),
        lambda text: text.encode().hex(),
        lambda text: base64.b64encode(text.encode()).decode(),
        lambda text: base64.urlsafe_b64encode(text.encode()).decode(),
    ],
)
def test_a_value_is_found_as_it_is_spelled(spell: object, before: str) -> None:
    assert callable(spell)
    value = "sk-proj/0123456789+?abcdef"
    scrubber = Scrubber([value])
    told = spell(f"{before}{value}&more")
    assert SCRUBBED in scrubber.text(told)
    for i in range(len(told)):
        assert SCRUBBED.encode() in in_pieces(scrubber, told.encode(), [i])


def test_a_long_value_costs_no_more_than_a_few_times_its_length() -> None:
    """Of all its beginnings there are gigabytes."""
    value = hashlib.shake_256(b"").hexdigest(8_192)
    tracemalloc.start()
    try:
        scrubber = Scrubber([value])
        stream = scrubber.stream()
        told = b"".join(stream.feed(value.encode()[i : i + 997]) for i in range(0, 16_384, 997))
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert told + stream.end() == SCRUBBED.encode()
    assert most < 64 * 1024 * 1024


LONG = "sk-" + "0123456789" * 4


@given(VALUES, BODIES, st.integers(0, 60))
@example([LONG], f"a {LONG} b", 30)
@example(["secret1", "secret1-and-more"], "a secret1-and-more", 10)
def test_the_beginning_of_a_text_has_no_value_and_no_beginning_of_one(
    values: list[str], text: str, length: int
) -> None:
    scrubber = Scrubber(values)
    cut = scrubber.beginning(text, length)
    assert len(cut) <= length
    # What is kept of it is what would be kept of the whole: of a value that is cut, nothing.
    assert scrubber.text(text).startswith(cut)


def test_the_beginning_of_a_huge_text_costs_no_more_than_itself() -> None:
    text = (LONG[:-1] + "x") * 200_000 + LONG
    scrubber = Scrubber([LONG])
    tracemalloc.start()
    try:
        assert scrubber.beginning(text, 1_000) == text[:1_000][: len(text[:1_000]) // 43 * 43]
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 100_000


def test_a_megabyte_of_values_is_scrubbed_too() -> None:
    scrubber = Scrubber(["abcdef", "abcdefgh"])
    for text in ("abcdef " * 9_000 + "x" * 10_000, "abcdefgh" * 9_000, "abcdef" * 200_000):
        assert "abcdef" not in scrubber.text(text)
        assert SCRUBBED in scrubber.text(text)
