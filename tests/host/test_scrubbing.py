"""Secrets are taken out of what comes back, however they are spelled and wherever they are cut."""

from __future__ import annotations

import base64
import hashlib
import html
import itertools
import json
import tracemalloc
import urllib.parse
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from orchestrator_plugin_host.capabilities.secrets.scrubbing import SCRUBBED, Scrubber
from orchestrator_plugin_host.capabilities.secrets.spellings import LEAST, LONGEST

# What may be in a secret: anything that is printed.
PRINTED = st.characters(codec="utf-8", exclude_categories=["C", "Z"]) | st.sampled_from(
    " +/&<\"'%\\"
)
VALUES = st.text(PRINTED, min_size=LEAST, max_size=60)
CUTS = st.lists(st.integers(0, 400), max_size=12)


def percent(text: str, which: Callable[[int], bool], upper: bool = True) -> str:
    return "".join(
        (f"%{byte:02X}" if upper else f"%{byte:02x}") if byte > 126 or which(i) else chr(byte)
        for i, byte in enumerate(text.encode())
    )


def escaped(text: str) -> str:
    units = text.encode("utf-16-be")
    return "".join(f"\\u{units[i]:02x}{units[i + 1]:02X}" for i in range(0, len(units), 2))


SPELLINGS: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "JSON": lambda text: json.dumps(text)[1:-1],
    "JSON as it is": lambda text: json.dumps(text, ensure_ascii=False)[1:-1],
    "JSON with slashes": lambda text: json.dumps(text)[1:-1].replace("/", "\\/"),
    "JSON, all escaped": escaped,
    "URL": lambda text: urllib.parse.quote(text, safe=""),
    "URL in lower case": lambda text: (
        percent(text, lambda i: not chr(i).isalnum(), upper=False)
        if text.isascii() and text.isalnum()
        else percent(text, lambda i: True, upper=False)
    ),
    "form": urllib.parse.quote_plus,
    "URL, all escaped": lambda text: percent(text, lambda i: True),
    "URL, some escaped": lambda text: (
        percent(text.replace("%", "%25"), lambda i: False)
        if "%" not in text
        else percent(text, lambda i: True)
    ),
    "URL within a URL": lambda text: urllib.parse.quote(urllib.parse.quote(text, safe=""), safe=""),
    "HTML": html.escape,
    "HTML by numbers": lambda text: "".join(f"&#{ord(one)};" for one in text),
    "HTML in hexadecimal": lambda text: "".join(f"&#x{ord(one):x};" for one in text),
    "HTML in JSON": lambda text: json.dumps(html.escape(text))[1:-1].replace("&", "\\u0026"),
    "hexadecimal": lambda text: text.encode().hex(),
    "HEXADECIMAL": lambda text: text.encode().hex().upper(),
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "base64 for URLs": lambda text: base64.urlsafe_b64encode(text.encode()).decode(),
    "base64 in lines": lambda text: base64.encodebytes(b"before, " * 7 + text.encode()).decode(),
    "base64 in lines of 64": lambda text: "\r\n".join(
        base64.b64encode(b"x" * 40 + text.encode()).decode()[i : i + 64] for i in range(0, 400, 64)
    ),
    "base64 with percent signs": lambda text: urllib.parse.quote(
        base64.b64encode(text.encode()).decode(), safe=""
    ),
    "base64 in JSON, in lines": lambda text: json.dumps(
        base64.encodebytes(b"before, " * 7 + text.encode()).decode()
    ),
}


def in_pieces(scrubber: Scrubber, body: bytes, places: list[int]) -> list[bytes]:
    stream = scrubber.stream()
    at = [0, *sorted(min(place, len(body)) for place in places), len(body)]
    pieces = [stream.feed(body[a:b]) for a, b in itertools.pairwise(at)]
    return [*pieces, stream.end()]


@pytest.mark.parametrize("spelling", SPELLINGS)
@given(value=VALUES, before=st.sampled_from(["", "x", "xy", "user:", '{"a": "b']), places=CUTS)
def test_a_value_is_found_however_it_is_spelled_and_cut(
    spelling: str, value: str, before: str, places: list[int]
) -> None:
    scrubber = Scrubber([value])
    told = f"{before}{SPELLINGS[spelling](value)}, more"
    found = b"".join(in_pieces(scrubber, told.encode(), places))
    assert SCRUBBED.encode() in found
    assert found == scrubber.data(told.encode())
    if not spelling.startswith("base64"):  # of which digits that depend on others too are left
        assert found == f"{before}{SCRUBBED}, more".encode()


@given(st.text(st.sampled_from("abc \n\\u0026%41&lt;/+=-_\u00e9"), max_size=400), CUTS)
def test_what_has_no_value_is_as_it_was(body: str, places: list[int]) -> None:
    assert b"".join(in_pieces(Scrubber(["no such value"]), body.encode(), places)) == body.encode()


@given(
    values=st.integers(LEAST, 200).flatmap(
        lambda size: st.tuples(*[st.text("abcdefgh", min_size=size, max_size=size)] * 2)
    ),
    body=st.text("abcdefgh\n. ", max_size=6_000),
    places=st.lists(st.integers(0, 6_000), max_size=30),
)
def test_of_a_value_that_is_not_there_nothing_is_learnt(
    values: tuple[str, str], body: str, places: list[int]
) -> None:
    """The pieces that a body comes in are the same, whatever the secret is."""
    data = body.encode()
    for value in values:
        data = data.replace(value.encode(), b"")
    if any(value.encode() in data for value in values):
        return
    one, other = (in_pieces(Scrubber([value]), data, places) for value in values)
    assert one == other
    assert b"".join(one) == data


@given(st.lists(VALUES, min_size=1, max_size=3), st.data())
def test_no_value_is_left_of_several(values: list[str], data: st.DataObject) -> None:
    scrubber = Scrubber(values)
    parts = data.draw(st.lists(st.sampled_from([*values, "-", "ab", "\n"]), max_size=12))
    places = data.draw(CUTS)
    found = b"".join(in_pieces(scrubber, "".join(parts).encode(), places)).decode()
    for value in values:
        assert value not in found.replace(SCRUBBED, "\0")


def test_whole_lines_are_not_held_back() -> None:
    stream = Scrubber(["a-secret-of-some-length"]).stream()
    for line in (b'data: {"text": "Hello"}\n\n', b"data: [DONE]\r\n", b": ping\n", b"\n"):
        assert stream.feed(line) == line
    assert stream.feed(b"data: {") == b""
    assert stream.feed(b"}\nand") == b"data: {}\n"
    assert stream.feed(b" so on\n" + b"x" * 76 + b"\n") == b"and so on\n"  # may go on in the next
    assert stream.end() == b"x" * 76 + b"\n"


@pytest.mark.parametrize("spelling", SPELLINGS)
@given(value=VALUES)
def test_a_spelling_is_no_longer_than_what_is_held_back(spelling: str, value: str) -> None:
    assert LONGEST * len(value.encode()) >= len(SPELLINGS[spelling](value).encode()) or (
        spelling.startswith("base64") or len(SPELLINGS[spelling](value)) < 1024
    )


def test_of_a_line_without_end_no_more_is_held_back_than_a_value_has() -> None:
    scrubber = Scrubber(["a-secret-of-some-length"])
    stream = scrubber.stream()
    given_ = 0
    for size in range(1, 200):
        given_ += len(stream.feed(b"x" * 100))
        assert size * 100 - given_ <= 2 * scrubber.held_bytes


def test_a_long_value_costs_no_more_than_a_few_times_its_length() -> None:
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
    assert most < 4 * 1024 * 1024


def test_of_two_that_overlap_the_longer_one_is_taken_out() -> None:
    scrubber = Scrubber(["secret1", "secret1-and-more"])
    assert scrubber.text("a secret1-and-more b") == f"a {SCRUBBED} b"
    assert scrubber.text("a secret1-and b") == f"a {SCRUBBED}-and b"


def test_what_other_languages_write_is_found() -> None:
    value = "k&y<1>+'2'`/\"\\u00ab(é)"
    scrubber = Scrubber([value])
    written = [
        r"k\u0026y\u003c1\u003e+'2'`/\"\\u00ab(é)",  # Go
        r"k\u0026y\u003C1\u003E\u002B\u00272\u0027\u0060/\u0022\\u00ab(\u00E9)",  # .NET
        r"k&y<1>+'2'`\/\"\\u00ab(\u00e9)",  # PHP
        "k%26y%3C1%3E%2B'2'%60%2F%22%5Cu00ab(%C3%A9)",  # JavaScript
        "k%26y%3c1%3e%2b%272%27%60%2f%22%5cu00ab%28%c3%a9%29",
    ]
    for text in written[:3]:
        assert json.loads(f'"{text}"') == value
    for text in written[3:]:
        assert urllib.parse.unquote(text) == value
    for text in written:
        assert scrubber.text(f"<{text}>") == f"<{SCRUBBED}>"
