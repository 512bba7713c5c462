"""What plugins, and the servers behind them, make the host do: in pieces, and only so much of it.

While each attack runs, a heartbeat on the event loop says how long others had to wait, and another
plugin's request is served.
"""

from __future__ import annotations

import gzip
import time
import zlib
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import anyio
import pytest
from orchestrator_plugin_host import (
    HttpLimitError,
    Limits,
    LoadedProvider,
    PluginHost,
    Policy,
)
from orchestrator_plugin_sdk import (
    ErrorKind,
    ModelRequest,
    ModelResponse,
    PluginCallError,
    PluginContext,
    PluginExport,
)
from orchestrator_plugin_sdk.capabilities.http import HttpRequest
from sdk.plugins import SmallProvider
from support.heartbeat import MAX_GAP_SECONDS, undisturbed
from support.servers import Exchange, Server
from support.waiting import until

from .conftest import METHODS, Fetching, fetch, manifest

pytestmark = pytest.mark.anyio

MB = 1_000_000
Attack = Callable[[PluginContext, str], Awaitable[object]]


class Attacking(SmallProvider):
    """Does what a test says, with the URL that a request names."""

    def __init__(self, attack: Attack) -> None:
        self._attack = attack

    async def generate(self, req: ModelRequest, ctx: PluginContext) -> ModelResponse:
        return ModelResponse(repr(await self._attack(ctx, str(req.model))))


def granting(*servers: Server, **more: Any) -> Policy:
    return Policy(http=[{"url": one.origin, "methods": METHODS} for one in servers], **more)


class Range:
    """A host with an attacker, and a bystander who requests something all the time."""

    def __init__(self, host: PluginHost, server: Server) -> None:
        self.host = host
        self.server = server
        server.answers["/good"] = lambda exchange: exchange.answer(200, b"good")

    async def attacker(self, attack: Attack, policy: Policy, **options: Any) -> LoadedProvider:
        """A plugin that attacks."""
        export = PluginExport(manifest(), lambda: Attacking(attack))
        return await self.host.load(export, policy=policy, expect=LoadedProvider, **options)

    async def run(
        self,
        attack: Attack,
        *,
        url: str = "http://not.granted/",
        granted: bool = False,
        more_policy: dict[str, Any] | None = None,
        **options: Any,
    ) -> tuple[list[Exception | str], int]:
        """What came of each attempt, and how many bytes the process has grown by. The heartbeat
        has gone on, and the bystander was served."""
        policy = granting(self.server, **(more_policy or {})) if granted else Policy()
        plugin = await self.attacker(attack, policy, **options)
        export = PluginExport(manifest(), Fetching)
        other = await self.host.load(export, policy=granting(self.server), expect=LoadedProvider)
        assert await fetch(other, f"{self.server.origin}/good") == "good"
        outcomes: list[Exception | str] = []
        served = 0

        async def once() -> None:
            nonlocal served
            async with anyio.create_task_group() as tasks:

                async def stand_by() -> None:
                    nonlocal served
                    while True:
                        assert await fetch(other, f"{self.server.origin}/good") == "good"
                        served += 1

                tasks.start_soon(stand_by)
                try:
                    answer = await plugin.generate({"messages": [], "model": url})
                    outcomes.append(answer.text)
                except Exception as error:
                    outcomes.append(error)
                before = served
                await until(lambda: served > before)  # one that began before the end, at last
                tasks.cancel_scope.cancel()

        beating = await undisturbed(once)
        assert beating.gap < MAX_GAP_SECONDS, (beating.gap, outcomes)
        return outcomes, beating.growth


@pytest.fixture
def shooting(host: PluginHost, server: Server) -> Range:
    return Range(host, server)


def sends(**request: Any) -> Attack:
    """Sends one request, to the URL unless it says another."""

    async def attack(ctx: PluginContext, url: str) -> object:
        asked = HttpRequest(**{"method": "GET", "url": url, **request})
        return await ctx.http.transport.send(asked)

    return attack


async def reads(ctx: PluginContext, url: str) -> object:
    """Reads the body of what is at the URL; gives its size."""
    size = 0
    async with ctx.http.stream("GET", url) as response:
        async for piece in response.pieces():
            size += len(piece)
    return size


# What a plugin asks for.

HUGE_TEXT = "x" * (30 * MB)
HEAD_LIMIT = "http_head_bytes"
REQUESTS: dict[str, tuple[dict[str, Any], str]] = {
    "a header value of 30 MB": ({"headers": (("a", HUGE_TEXT),)}, HEAD_LIMIT),
    "a header name of 30 MB": ({"headers": ((HUGE_TEXT, "a"),)}, HEAD_LIMIT),
    "a header of a million parts": (
        {"headers": (("a",) * 1_000_000,)},
        ErrorKind.INVALID_REQUEST,
    ),
    "a million headers": ({"headers": (("a", "b"),) * 1_000_000}, ErrorKind.INVALID_REQUEST),
    "a query of 30 MB": ({"query": (("a", HUGE_TEXT),)}, HEAD_LIMIT),
    "a query that is not ASCII": ({"query": (("a", "\U0001f98a" * 60_000),)}, HEAD_LIMIT),
    "a million parameters": ({"query": (("a", "b"),) * 1_000_000}, ErrorKind.INVALID_REQUEST),
    "a URL of 30 MB": ({"url": "http://a/" + HUGE_TEXT}, ErrorKind.INVALID_REQUEST),
    "a host of 8 kB": ({"url": "http://" + "\u00fc" * 8_000}, ErrorKind.INVALID_REQUEST),
    "a method of 30 MB": ({"method": HUGE_TEXT}, ErrorKind.INVALID_REQUEST),
    "JSON of a million values": ({"json": list(range(1_000_000))}, ErrorKind.PERMISSION_DENIED),
    "a text of 30 MB in JSON": ({"json": HUGE_TEXT}, ErrorKind.PERMISSION_DENIED),
    "a body of 30 MB": ({"body": HUGE_TEXT.encode()}, ErrorKind.PERMISSION_DENIED),
}


@pytest.mark.parametrize("case", REQUESTS)
async def test_what_is_not_granted_costs_nothing(shooting: Range, case: str) -> None:
    request, expected = REQUESTS[case]
    outcomes, growth = await shooting.run(sends(**request))
    for outcome in outcomes:
        if expected == HEAD_LIMIT:
            assert isinstance(outcome, HttpLimitError)
            assert outcome.limit == expected
        else:
            assert isinstance(outcome, PluginCallError)
            assert outcome.kind == expected, outcome
        assert len(str(outcome)) < 2_000
    assert growth < 8 * MB


async def test_a_request_that_is_none_is_counted(shooting: Range) -> None:
    async def attack(ctx: PluginContext, url: str) -> object:
        for _ in range(1_000):
            with suppress(PluginCallError):
                await ctx.http.transport.send(HttpRequest("BREW", url))
        return "never"

    outcomes, _ = await shooting.run(attack)
    for outcome in outcomes:
        assert isinstance(outcome, HttpLimitError)
        assert outcome.limit == "http_requests"


async def test_a_document_is_counted_before_it_is_read(shooting: Range) -> None:
    """As the sandbox does it, for documents that turn out to be none."""

    async def attack(ctx: PluginContext, url: str) -> object:
        http: Any = ctx.http.transport
        for _ in range(60):
            http.announce(10)
        for _ in range(40):
            http.announce(10)
            with suppress(PluginCallError):
                await http.send(HttpRequest("GET", url))  # the same one
        http.announce(10)
        return "never"

    outcomes, _ = await shooting.run(attack)
    for outcome in outcomes:
        assert isinstance(outcome, HttpLimitError)


JSON: dict[str, tuple[Callable[[], Any], bool]] = {
    "a lot of numbers": (lambda: list(range(200_000)), True),
    "a lot of maps": (lambda: [{"a": "b", "c": None}] * 50_000, True),
    "a text of 3 MB": (lambda: "x" * (3 * MB), True),
    "a text that becomes 6 times as long": (lambda: "\0" * (3 * MB), False),
    "a hundred million numbers": (lambda: [[[[1] * 100] * 100] * 100] * 100, False),
}


@pytest.mark.parametrize("case", JSON)
@pytest.mark.parametrize("secret", [False, True])
async def test_json_is_written_in_pieces(
    shooting: Range, case: str, secret: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEY", "sk-value-of-the-key")
    make, fits = JSON[case]
    document = make()

    def check(exchange: Exchange) -> None:
        exchange.answer(200, str(len(exchange.seen.body)).encode())
        shooting.server.seen.clear()

    shooting.server.answers["/"] = check
    secrets = {"api_key": {"env": "KEY", "urls": [shooting.server.origin]}} if secret else {}
    outcomes, growth = await shooting.run(
        sends(method="POST", json=document),
        url=f"{shooting.server.origin}/",
        granted=True,
        more_policy={"secrets": secrets},
        limits=Limits(http_up_bytes=4 * MB),
    )
    for outcome in outcomes:
        if fits:
            assert "status=200" in str(outcome)
        else:
            assert isinstance(outcome, HttpLimitError)
            assert outcome.limit == "http_up_bytes"
    assert growth < 4 * 4 * MB + 8 * MB  # and the server, which is in this process, has it, too


async def test_a_secret_is_no_bomb(shooting: Range, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEY", "k" * 60_000)
    secrets = {"api_key": {"env": "KEY", "urls": [shooting.server.origin]}}

    async def in_head(ctx: PluginContext, url: str) -> object:
        headers = ((f"x-{i}", ctx.secret("api_key") * 15) for i in range(100))
        return await sends(headers=tuple(headers))(ctx, url)

    async def in_json(ctx: PluginContext, url: str) -> object:
        return await sends(method="POST", json=[ctx.secret("api_key")] * 50_000)(ctx, url)

    for attack in (in_head, in_json):  # the one is too much, the other is not for there
        outcomes, growth = await shooting.run(
            attack,
            url=f"{shooting.server.origin}/",
            granted=True,
            more_policy={"secrets": secrets},
        )
        for outcome in outcomes:
            if attack is in_head:
                assert isinstance(outcome, HttpLimitError), outcome
            else:
                assert isinstance(outcome, PluginCallError), outcome
                assert outcome.kind is ErrorKind.PERMISSION_DENIED
        assert growth < 40 * MB
    assert all(one.path == "/good" for one in shooting.server.seen)


# What a server sends.

HEAD = b"HTTP/1.1 200 OK\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n"


def without_end(first: bytes, again: bytes, pause: float = 0.0) -> Callable[[Exchange], None]:
    """Sends something, and then something else again and again, a quarter of a megabyte at a time
    if there is no `pause` between."""
    if not pause:
        again *= max(1, 250_000 // len(again))

    def answer(exchange: Exchange) -> None:
        exchange.connection.sendall(first)
        while True:  # until the client has gone
            exchange.connection.sendall(again)
            if pause:
                time.sleep(pause)

    return answer


def chunk(data: bytes) -> bytes:
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


def dynamic_block() -> bytes:
    """Blocks of deflate with a table each, and nothing in them: some eleven bytes each."""
    bits: list[int] = []

    def put(value: int, count: int) -> None:
        bits.extend(value >> i & 1 for i in range(count))

    def code(*digits: int) -> None:
        bits.extend(digits)

    for _ in range(8):  # so that it ends at the end of a byte
        put(0, 1)
        put(2, 2)
        put(0, 5)
        put(0, 5)
        put(14, 4)
        for symbol in (16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1):
            put(1 if symbol in (18, 1) else 0, 3)
        code(0)  # 0 has one bit
        code(1)
        put(138 - 11, 7)
        code(1)
        put(117 - 11, 7)
        code(0)  # the end of the block has one bit
        code(0)  # a distance has one
        code(1)  # and that is the end
    assert len(bits) % 8 == 0
    return bytes(
        sum(bit << i for i, bit in enumerate(bits[at : at + 8])) for at in range(0, len(bits), 8)
    )


GZIP_HEAD = b"\x1f\x8b\x08\x08\0\0\0\0\0\xff"  # and a name follows
ENCODED = HEAD + b"Content-Encoding: %s\r\n\r\n"
bomb = zlib.compressobj(9, zlib.DEFLATED, -15)
BOMB = bomb.compress(bytes(4 * MB)) + bomb.flush(zlib.Z_FULL_FLUSH)
SECRET = "sk-0123456789-abcdefghij-of-this-test"

UNAVAILABLE = "unavailable"
DOWN = "http_down_bytes"
SERVERS: dict[str, tuple[Callable[[Exchange], None], str]] = {
    "a head of 24,000 lines": (
        without_end(HEAD + b"a:b\r\n" * 24_000 + b"\r\n", b"x"),
        UNAVAILABLE,
    ),
    "a head without end": (without_end(HEAD, b"a: b\r\n"), UNAVAILABLE),
    "a line without end": (without_end(HEAD + b"A: ", b"x"), UNAVAILABLE),
    "no line at all": (without_end(b"HTTP/1.1 200 ", b"x"), UNAVAILABLE),
    "no HTTP": (without_end(b"SSH-2.0", b"x", 0.01), UNAVAILABLE),
    "early hints without end": (without_end(b"", b"HTTP/1.1 103 \r\n\r\n"), UNAVAILABLE),
    "early hints with heads": (
        without_end(b"", b"HTTP/1.1 103 \r\n" + b"a:b\r\n" * 200 + b"\r\n"),
        UNAVAILABLE,
    ),
    "chunks of one byte": (without_end(CHUNKED + b"\r\n", chunk(b"a")), DOWN),
    "chunks of one byte, compressed": (
        without_end(CHUNKED + b"Content-Encoding: gzip\r\n\r\n" + chunk(GZIP_HEAD), chunk(b"a")),
        DOWN,
    ),
    "a chunk with an extension without end": (
        without_end(CHUNKED + b"\r\n1;", b"x"),
        UNAVAILABLE,
    ),
    "chunks with long extensions": (
        without_end(CHUNKED + b"\r\n", b"1;" + b"x" * 4_000 + b"\r\na\r\n"),
        DOWN,
    ),
    "trailers without end": (without_end(CHUNKED + b"\r\n0\r\n", b"a:\n"), UNAVAILABLE),
    "a name in gzip without end": (without_end(ENCODED % b"gzip" + GZIP_HEAD, b"n"), DOWN),
    "stored blocks with nothing in them": (
        without_end(ENCODED % b"deflate", b"\0\0\0\xff\xff"),
        DOWN,
    ),
    "blocks with a table and nothing in them": (
        without_end(ENCODED % b"deflate" + b"\x78\x9c", dynamic_block()),
        DOWN,
    ),
    "members with nothing in them": (
        without_end(ENCODED % b"gzip", gzip.compress(b"")),
        UNAVAILABLE,
    ),
    "members of one byte": (without_end(ENCODED % b"gzip", gzip.compress(b"x")), DOWN),
    "a bomb": (without_end(ENCODED % b"deflate" + b"\x78\x9c", BOMB), DOWN),
    "a body without end": (without_end(HEAD + b"\r\n", b"x"), DOWN),
    "the secret without end": (without_end(HEAD + b"\r\n", SECRET.encode()), DOWN),
    "the secret but for its end": (without_end(HEAD + b"\r\n", SECRET[:-1].encode()), DOWN),
    "the secret in headers": (
        without_end(
            HEAD
            + b"".join(b"%s: %s\r\n" % (SECRET.encode(), SECRET.encode() * 6) for _ in range(50))
            + b"\r\n",
            b"x",
        ),
        DOWN,
    ),
}


@pytest.mark.parametrize("case", SERVERS)
async def test_whatever_a_server_sends(
    shooting: Range, case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEY", SECRET)
    answer, expected = SERVERS[case]
    shooting.server.answers["/"] = answer
    outcomes, growth = await shooting.run(
        reads,
        url=f"{shooting.server.origin}/",
        granted=True,
        more_policy={"secrets": {"api_key": {"env": "KEY", "urls": [shooting.server.origin]}}},
        limits=Limits(http_down_bytes=2 * MB),
    )
    for outcome in outcomes:
        if expected == UNAVAILABLE:
            assert isinstance(outcome, PluginCallError), outcome
            assert outcome.kind is ErrorKind.UNAVAILABLE
        else:
            assert isinstance(outcome, HttpLimitError), outcome
            assert outcome.limit == expected
    assert growth < 8 * MB
