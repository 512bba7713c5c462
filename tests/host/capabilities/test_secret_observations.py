"""What a guest observes does not depend on a secret that it does not get to see.

A guest chooses texts, has servers send them back, and notes all that it can: sizes of the pieces,
what is in them, heads, errors. It does so twice, with another secret of the same length: everything
must be equal. Some of its texts are the first secret's, as far as it may have guessed.
"""

from __future__ import annotations

import base64
import gzip
import itertools
import json
import urllib.parse
import zlib
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from orchestrator_plugin_host import LoadedProvider, PluginHost, Policy
from orchestrator_plugin_host.capabilities.http.decoding import decoder
from orchestrator_plugin_host.capabilities.secrets.scrubbing import Scrubber
from orchestrator_plugin_sdk import MemoryLogger, PluginContext
from support.building import REPOSITORY, built
from support.servers import Exchange, Server, serving

FIRST = "sk-first-0123456789abcdefghij/+=&"
OTHER = "sk-other-9876543210jihgfedcba/+=&"
LETTERS = "abcdefgh/+ \n"

GUEST = """
import json

async def generates(self, req, ctx):
    noted = []
    for asked in json.loads(req.messages[0].text):
        ctx.logger.emit(LogEvent(str(asked)))
        try:
            async with ctx.http.stream(**asked) as response:
                heads = [list(one) for one in response.headers if one[0] != "date"]
                noted.append([response.status, response.url, heads])
                async for piece in response.pieces():
                    noted.append(piece.hex())
                    async with ctx.http.stream("GET", asked["url"].rpartition("/")[0] + "/go"):
                        pass
        except PluginCallError as error:
            noted.append([error.kind.value, error.message, error.retryable])
    return ModelResponse(json.dumps(noted))
"""


class Echo:
    """Sends a request's body back in pieces: the next one when the client has noted the last, or
    does not for a while."""

    def __init__(self, server: Server) -> None:
        import threading

        self._go = threading.Semaphore(0)
        server.answers |= {"/plain": self.plain, "/gzip": self.gzip, "/go": self.go,
                           "/head": self.head}  # fmt: skip

    def go(self, exchange: Exchange) -> None:
        self._go.release()
        exchange.answer(204)

    def _send(self, exchange: Exchange, pieces: list[bytes]) -> None:
        while self._go.acquire(blocking=False):  # for the last piece of the response before
            pass
        for piece in pieces:
            exchange.chunk(piece)
            self._go.acquire(timeout=0.2)
        exchange.chunk(b"")

    def plain(self, exchange: Exchange) -> None:
        exchange.begin()
        self._send(exchange, _cut(exchange.seen.body))

    def gzip(self, exchange: Exchange) -> None:
        exchange.begin(content_encoding="gzip")
        packer = zlib.compressobj(wbits=31)
        pieces = [packer.compress(one) + packer.flush(zlib.Z_SYNC_FLUSH)
                  for one in _cut(exchange.seen.body)]  # fmt: skip
        self._send(exchange, [*pieces, packer.flush()])

    def head(self, exchange: Exchange) -> None:
        said = exchange.seen.body.decode("latin-1")
        exchange.answer(302, b"gone", location=f"/elsewhere?{said}", x_said=said)


def _cut(body: bytes) -> list[bytes]:
    size = max(len(body) // 3, 1)
    return [body[at : at + size] for at in range(0, len(body), size)]


def guesses(of: str) -> list[str]:
    """A secret as a guest may have guessed it: its beginnings, and all of it in some spellings."""
    return [
        of[:8], of[:-1], of, f"x{of}\n", urllib.parse.quote(of, safe=""), of.encode().hex(),
        base64.b64encode(of.encode()).decode(), json.dumps({"key": of}),
    ]  # fmt: skip


@pytest.fixture
def noted(host: PluginHost, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    async def run(secret: str, own: Server, asked: list[dict[str, Any]]) -> Any:
        monkeypatch.setenv("KEY", secret)
        policy = Policy(
            http=[{"url": "http://127.0.0.1:*", "methods": ["GET", "POST"]}],
            secrets={"api_key": {"env": "KEY", "urls": [own.origin]}},
        )
        plugin = await host.load(
            built(REPOSITORY / "tests/conformance/plugins/provider"),
            {"methods": {"generate": ["generates", GUEST]}},
            policy=policy,
            expect=LoadedProvider,
            context=PluginContext(logger=MemoryLogger()),
        )
        request = {"messages": [{"role": "user", "content": json.dumps(asked)}]}
        async with plugin:
            return json.loads((await plugin.generate(request)).text)

    return run


async def test_servers_that_the_secret_is_not_for(noted: Callable[..., Any]) -> None:
    with serving({}) as own, serving({}) as other:
        Echo(other)
        asked = [
            {"method": "POST", "url": f"{other.origin}/{how}", "body": guess}
            for guess in guesses(FIRST)
            for how in ("plain", "gzip", *(["head"] if "\n" not in guess else []))
        ]
        first, second = await noted(FIRST, own, asked), await noted(OTHER, own, asked)
    assert first == second
    assert len(first) > 2 * len(asked)
    assert FIRST.encode().hex() in "".join(one for one in first if isinstance(one, str))


async def test_the_server_that_it_is_for_as_long_as_it_is_not_in_the_response(
    noted: Callable[..., Any],
) -> None:
    with serving({}) as own:
        Echo(own)
        texts = [FIRST[:8], FIRST[:-1], f"data: {FIRST[:20]}\n\ndata: {FIRST[:-1]}\n\n"]
        asked = [
            {"method": "POST", "url": f"{own.origin}/{how}", "body": text}
            for text in texts
            for how in ("plain", "gzip")
        ]
        first, second = await noted(FIRST, own, asked), await noted(OTHER, own, asked)
    assert first == second
    assert len(first) > len(asked)


async def test_errors_that_repeat_what_the_guest_said(noted: Callable[..., Any]) -> None:
    with serving({}) as own:
        asked = [
            {"method": "GET", "url": url}
            for guess in (*guesses(FIRST), "abcdef")
            for url in (
                f"https://{guess}.test/",
                f"{own.origin}:{guess}/",
                guess,
                f"ftp://{guess}",
                f"http://127.0.0.1:1/{guess}",
            )
        ]
        asked += [{"method": "GET", "url": own.origin, "headers": {FIRST: "a"}}]
        asked += [{"method": FIRST, "url": own.origin}, {"method": "GET", "url": "https://abcdef"}]
        first, second = (
            await noted("abcdef" + FIRST, own, asked),
            await noted("ghijkl" + FIRST, own, asked),
        )
        assert await noted(FIRST, own, asked) == await noted(OTHER, own, asked)
    assert first == second
    assert any(FIRST[:20] in str(one) for one in first)


# --- any body, cut anywhere, in any encoding ------------------------------------------------------

BODIES = st.lists(st.text(LETTERS, max_size=300) | st.just("x" * 2_000), max_size=4).map("".join)
PAIRS = st.integers(6, 40).flatmap(
    lambda size: st.tuples(*[st.text("abcdefgh/+", min_size=size, max_size=size)] * 2)
)


@given(
    pair=PAIRS,
    body=BODIES,
    places=st.lists(st.integers(0, 3_000), max_size=20),
    encoding=st.sampled_from(["", "gzip", "deflate"]),
    spelled=st.sampled_from([str, lambda text: text[:-1], lambda text: text[: len(text) // 2]]),
)
def test_the_pieces_of_a_body_that_has_no_secret(
    pair: tuple[str, str],
    body: str,
    places: list[int],
    encoding: str,
    spelled: Callable[[str], str],
) -> None:
    data = f"{spelled(pair[0])[:-1]}\n{body}{spelled(pair[0])[:-1]}".encode()
    scrubbers = [Scrubber([one]) for one in pair]
    if any(one.finds(data) for one in scrubbers):
        return
    sent = {"": bytes, "gzip": gzip.compress, "deflate": zlib.compress}[encoding](data)
    cuts = sorted(min(one, len(sent)) for one in places)
    pieces = [sent[a:b] for a, b in itertools.pairwise([0, *cuts, len(sent)])]
    seen = []
    for scrubber in scrubbers:
        stream, decoded = scrubber.stream(), decoder(encoding)
        told = [stream.feed(one) for piece in pieces for one in decoded.feed(piece)]
        seen.append([*told, stream.end()])
    assert seen[0] == seen[1]
    assert b"".join(seen[0]) == data
