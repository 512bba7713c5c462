"""What plugins make of responses: bodies in pieces, lines, server-sent events, JSON, waiting."""

from __future__ import annotations

import time
from collections.abc import Iterable
from email.utils import formatdate
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from orchestrator_plugin_sdk import (
    ErrorKind,
    Http,
    HttpRequest,
    HttpResponse,
    PluginCallError,
    PluginContext,
    ServerSentEvent,
)
from orchestrator_plugin_sdk.capabilities.http import HttpHead, kind_of_status
from orchestrator_plugin_sdk.capabilities.http.event_stream import (
    MAX_LINE,
    EventDecoder,
    LineDecoder,
)
from orchestrator_plugin_sdk.capabilities.http.retrying import http_date

pytestmark = pytest.mark.anyio


class Pieces:
    """A transport whose responses have these pieces."""

    def __init__(self, pieces: Iterable[bytes], status: int = 200, **headers: str) -> None:
        self.pieces = list(pieces)
        self.head = HttpHead(
            7,
            status,
            tuple((name.replace("_", "-"), value) for name, value in headers.items()),
            "https://api.example.com/v1",
        )
        self.sent: list[HttpRequest] = []
        self.closed: list[int] = []

    async def send(self, request: HttpRequest) -> HttpHead:
        self.sent.append(request)
        return self.head

    async def read(self, response: int, most: int) -> bytes | None:
        assert response == 7
        if not self.pieces:
            return None
        piece, self.pieces[0] = self.pieces[0][:most], self.pieces[0][most:]
        if not self.pieces[0]:
            self.pieces.pop(0)
        return piece

    async def close(self, response: int) -> None:
        self.closed.append(response)


def response(*pieces: bytes, status: int = 200, **headers: str) -> HttpResponse:
    transport = Pieces(pieces, status, **headers)
    return HttpResponse(transport.head, transport)


def events_of(pieces: Iterable[bytes]) -> list[ServerSentEvent]:
    decoder = EventDecoder("there")
    return [event for piece in pieces for event in decoder.feed(piece)] + list(decoder.end())


def lines_of(pieces: Iterable[bytes]) -> list[str]:
    decoder = LineDecoder("there")
    return [line for piece in pieces for line in decoder.feed(piece)] + list(decoder.end())


def cut(body: bytes, places: Iterable[int]) -> list[bytes]:
    at = sorted({min(place, len(body)) for place in places} | {0, len(body)})
    return [body[a:b] for a, b in pairwise(at)]


# Server-sent events.

EVENTS: dict[str, tuple[str, list[ServerSentEvent]]] = {
    "one": ("data: a\n\n", [ServerSentEvent("a")]),
    "two": ("data: a\n\ndata: b\n\n", [ServerSentEvent("a"), ServerSentEvent("b")]),
    "no space": ("data:a\n\n", [ServerSentEvent("a")]),
    "one space goes": ("data:  a \n\n", [ServerSentEvent(" a ")]),
    "several lines": ("data: a\ndata: b\ndata\n\n", [ServerSentEvent("a\nb\n")]),
    "carriage returns": ("data: a\r\rdata: b\r\r", [ServerSentEvent("a"), ServerSentEvent("b")]),
    "both": ("data: a\r\ndata: b\r\n\r\n", [ServerSentEvent("a\nb")]),
    "mixed": (
        "data: a\r\ndata: b\n\r\ndata: c\r\n\n",
        [ServerSentEvent("a\nb"), ServerSentEvent("c")],
    ),
    "a mark at the beginning": ("\ufeffdata: a\n\n", [ServerSentEvent("a")]),
    "a mark elsewhere": ("data: a\n\n\ufeffdata: b\n\n", [ServerSentEvent("a")]),
    "comments": (": hello\n\n:\n: data: x\ndata: a\n\n", [ServerSentEvent("a")]),
    "a name": (
        "event: ping\ndata: a\n\ndata: b\n\n",
        [ServerSentEvent("a", "ping"), ServerSentEvent("b")],
    ),
    "a name alone": ("event: ping\n\ndata: b\n\n", [ServerSentEvent("b")]),
    "an id stays": (
        "id: 1\ndata: a\n\ndata: b\n\nid\ndata: c\n\n",
        [ServerSentEvent("a", id="1"), ServerSentEvent("b", id="1"), ServerSentEvent("c", id="")],
    ),
    "an id with a zero": ("id: 1\0\ndata: a\n\n", [ServerSentEvent("a")]),
    "retry": ("retry: 10\ndata: a\n\nretry: x\n\n", [ServerSentEvent("a")]),
    "other fields": (
        "Data: x\ndata : x\n data: x\nx: data: x\ndata: a\n\n",
        [ServerSentEvent("a")],
    ),
    "nothing in it": ("data\n\ndata:\n\n", [ServerSentEvent(""), ServerSentEvent("")]),
    "cut off": ("data: a\n\ndata: b\n", [ServerSentEvent("a")]),
    "cut off in the line": ("data: a\n\ndata: b", [ServerSentEvent("a")]),
    "other ends of lines": (
        "data: a\u2028b\x0bc\x0cd\x85e\n\n",
        [ServerSentEvent("a\u2028b\x0bc\x0cd\x85e")],
    ),
    "letters of many bytes": ("data: żółć 🦊\n\n", [ServerSentEvent("żółć 🦊")]),
    "nothing": ("", []),
}


@pytest.mark.parametrize("name", EVENTS)
def test_events_are_those_of_the_standard(name: str) -> None:
    body, expected = EVENTS[name]
    raw = body.encode()
    assert events_of([raw]) == expected
    assert events_of(bytes([byte]) for byte in raw) == expected


LINES = st.sampled_from(
    ["data: a", "data", "data: ż🦊", ": no", "id: 1", "event: e", "retry: 3", "", "", "x", "\ufeff"]
)
ENDS = st.sampled_from(["\n", "\r", "\r\n"])
BODIES = st.lists(st.tuples(LINES, ENDS), max_size=12).map(
    lambda lines: "".join(line + end for line, end in lines).encode()
)
CUTS = st.lists(st.integers(0, 120), max_size=20)


@given(BODIES | st.binary(max_size=60), CUTS)
@example(b"data: a\r\n\r\n", [8, 9, 10])
@example("data: 🦊\n\n".encode(), [7, 8, 9])
def test_the_events_are_the_same_however_the_body_is_cut(body: bytes, places: list[int]) -> None:
    assert events_of(cut(body, places)) == events_of([body])
    assert lines_of(cut(body, places)) == lines_of([body])


@given(st.lists(st.text(st.characters(exclude_characters="\r\n", codec="utf-8")), max_size=9), ENDS)
def test_lines_are_what_was_joined(lines: list[str], end: str) -> None:
    body = "".join(line + end for line in lines).encode()
    assert lines_of([body]) == lines


@given(st.lists(st.text(st.characters(exclude_characters="\r\n", codec="utf-8")), min_size=1))
def test_data_survives(data: list[str]) -> None:
    body = "".join(f"data: {line}\n" for line in data) + "\n"
    assert events_of([body.encode()]) == [ServerSentEvent("\n".join(data))]


def test_a_last_line_needs_no_end() -> None:
    assert lines_of([b"a\nb"]) == ["a", "b"]
    assert lines_of([b"a\n\xf0\x9f"]) == ["a", "\ufffd"]
    assert lines_of([b"a\n"]) == ["a"]


async def test_a_response_gives_its_lines_and_events() -> None:
    assert [line async for line in response(b"a\r", b"\nb", b"c").lines()] == ["a", "bc"]
    seen = [
        event.data async for event in response(b"data: a\n", b"\ndata: b\n\n").server_sent_events()
    ]
    assert seen == ["a", "b"]
    assert [piece async for piece in response(b"abcde", b"f").pieces(2)] == [
        b"ab",
        b"cd",
        b"e",
        b"f",
    ]


async def test_who_leaves_early_leaves_nothing_open() -> None:
    """A generator would have to be closed: trio warns of one that is not."""
    body = response(b"data: a\n\ndata: b\n\n", b"data: c\n\n")
    async for event in body.server_sent_events():
        assert event.data == "a"
        break
    async for line in response(b"a\nb\n").lines():
        assert line == "a"
        break
    assert await body.read() == b"data: c\n\n"


@pytest.mark.parametrize("piece", [b"x", b"data: x\n"])
async def test_what_has_no_end_is_an_error(piece: bytes) -> None:
    many = piece * 65_536
    endless = response(b"data: first\n\n", *[many] * (MAX_LINE // 65_536 + 1))
    events = endless.server_sent_events()
    assert await anext(events) == ServerSentEvent("first")
    with pytest.raises(PluginCallError, match=r"api\.example\.com/v1 sent an? \w+ without end"):
        await anext(events)


# Bodies.


async def test_a_body_is_read_whole_or_up_to_a_number() -> None:
    assert await response(b"ab", b"cd").read() == b"abcd"
    some = response(b"ab" * 50_000, b"cd" * 50_000)
    assert len(await some.read(100_001)) == 100_001
    assert some.content.endswith(b"abc")
    assert await response(b"ab").read(0) == b""


async def test_a_response_is_what_its_head_says() -> None:
    transport = Pieces([b'{"a": 1}'], Content_Type="text/x")
    transport.head = HttpHead(7, 204, (("X-One", "1"), ("x-one", "2")), "https://a.example/")
    async with Http(transport).stream(
        "POST", "https://a.example", body="ü", query={"q": "1"}
    ) as got:
        assert (got.status, got.ok, got.url) == (204, True, "https://a.example/")
        assert got.headers == {"x-one": "1, 2"}
        assert transport.closed == []
    assert transport.closed == [7]
    assert transport.sent[0].body == "ü".encode()
    assert transport.sent[0].query == (("q", "1"),)
    read = await Http(transport).request("GET", "https://a.example")
    assert (read.json(), read.text) == ({"a": 1}, '{"a": 1}')


async def test_without_a_host_there_is_no_http() -> None:
    with pytest.raises(PluginCallError, match="load the plugin with a PluginHost") as caught:
        await PluginContext().http.request("GET", "https://api.example.com")
    assert caught.value.kind is ErrorKind.PERMISSION_DENIED


STATUSES: dict[int, tuple[str, bool]] = {
    400: ("invalid-request", False),
    401: ("unauthenticated", False),
    403: ("permission-denied", False),
    404: ("not-found", False),
    408: ("timeout", True),
    410: ("not-found", False),
    422: ("invalid-request", False),
    429: ("rate-limited", True),
    500: ("unavailable", True),
    501: ("unavailable", False),
    503: ("unavailable", True),
    504: ("timeout", True),
    529: ("unavailable", True),
}


@pytest.mark.parametrize("status", STATUSES)
def test_a_status_suggests_a_kind(status: int) -> None:
    kind, retryable = STATUSES[status]
    assert kind_of_status(status) == kind
    with pytest.raises(PluginCallError) as caught:
        response(status=status, retry_after="2").raise_for_status()
    error = caught.value
    assert (error.kind, error.retryable, error.retry_after_ms) == (kind, retryable, 2000)


def test_a_status_that_is_well_raises_nothing() -> None:
    for status in (200, 204, 302, 399):
        response(status=status).raise_for_status()


# Waiting.

SUNDAY = 784111777
"""The moment of the dates that RFC 9110 has as examples."""


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("Sun, 06 Nov 1994 08:49:37 GMT", SUNDAY),
        ("Sunday, 06-Nov-94 08:49:37 GMT", SUNDAY),
        ("Sun Nov  6 08:49:37 1994", SUNDAY),
        ("Sun, 06 nov 1994 08:49:37 gmt", SUNDAY),
        ("Thu, 29 Feb 2024 00:00:00 GMT", 1709164800),
        ("Thu, 29 Feb 2023 00:00:00 GMT", None),
        ("Sun, 06 Nov 1994 24:00:00 GMT", None),
        ("Sun, 06 Abc 1994 08:49:37 GMT", None),
        ("Sun, 06 Nov 1994 08:49:37 CET", None),
        ("Sun, 06 Nov 0001 08:49:37 GMT", None),
        ("Sun, 06 Nov 1994 08:49:37 GMT and on", None),
        ("٠", None),
        ("", None),
    ],
)
def test_dates(text: str, seconds: int | None) -> None:
    assert http_date(text) == seconds


@given(st.integers(0, 4_102_444_799))
def test_every_date_is_read(moment: int) -> None:
    """As `email.utils` writes it: by another hand."""
    assert http_date(formatdate(moment, usegmt=True)) == moment


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({}, None),
        ({"retry_after": "3"}, 3000),
        ({"retry_after": " 0.25 "}, 250),
        ({"retry_after": "3", "retry_after_ms": "120"}, 120),
        ({"retry_after": "3", "retry_after_ms": "soon"}, 3000),
        ({"retry_after": "0"}, 0),
        ({"retry_after": "-1"}, None),
        ({"retry_after": "nan"}, None),
        ({"retry_after": "1e3"}, None),
        ({"retry_after": "1_0"}, None),
        ({"retry_after": "999999999999"}, None),
        (
            {
                "date": "Sun, 06 Nov 1994 08:49:37 GMT",
                "retry_after": "Sun, 06 Nov 1994 08:50:07 GMT",
            },
            30_000,
        ),
        (
            {
                "date": "Sun, 06 Nov 1994 08:49:37 GMT",
                "retry_after": "Sun, 06 Nov 1994 08:49:00 GMT",
            },
            0,
        ),
        ({"retry_after": "Sun, 06 Nov 1994 08:50:07 GMT"}, 0),
        ({"retry_after": "tomorrow"}, None),
    ],
)
def test_retry_after(headers: dict[str, str], wait: int | None) -> None:
    assert response(status=429, **headers).retry_after_ms == wait


def test_a_date_counts_from_now_where_the_response_has_none() -> None:
    wait = response(retry_after=formatdate(time.time() + 3600, usegmt=True)).retry_after_ms
    assert wait is not None
    assert 3_000_000 < wait <= 3_600_000
