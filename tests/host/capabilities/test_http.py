"""HTTP on the host's side: what is granted, whose headers are whose, quotas, bad servers."""

from __future__ import annotations

import gzip
import ipaddress
import json
import ssl
import threading
import tracemalloc
import zlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from hypothesis import given
from hypothesis import strategies as st
from orchestrator_plugin_host import (
    AuditError,
    HttpLimitError,
    Limits,
    LoadedProvider,
    PluginHost,
    Policy,
)
from orchestrator_plugin_host.capabilities.http.connections import MAX_KEPT, Connections
from orchestrator_plugin_host.capabilities.http.decoding import DecodingError, decoder
from orchestrator_plugin_host.capabilities.http.grant import HttpGrant
from orchestrator_plugin_host.capabilities.http.messages import WireRequest
from orchestrator_plugin_host.capabilities.http.rules import DeniedError, HttpRules
from orchestrator_plugin_host.capabilities.http.targets import (
    TargetError,
    read_target,
    redirect_target,
)
from orchestrator_plugin_host.capabilities.http.wire import Wire
from orchestrator_plugin_host.capabilities.pace import Pace, Turns
from orchestrator_plugin_sdk import (
    ErrorKind,
    HttpRequirement,
    ModelRequest,
    ModelResponse,
    PluginCallError,
    PluginContext,
    PluginExport,
)
from orchestrator_plugin_sdk.origins import Origin
from sdk.plugins import SmallProvider
from support.servers import Exchange, Server, serving

from .conftest import METHODS, Fetching, Names, fetch, manifest

Load = Callable[..., Awaitable[LoadedProvider]]


def granting(*servers: Server, **more: Any) -> Policy:
    return Policy(http=[{"url": one.origin, "methods": METHODS} for one in servers], **more)


# --- what is granted ------------------------------------------------------------------------------

# asked, granted, method, origin: allowed, or what lacks it.
GRANTS = [
    ("https://a.com", "https://a.com", "GET", ("https", "a.com", 443), None),
    ("https://a.com", "https://a.com", "GET", ("https", "a.com", 8443), "manifest"),
    ("https://a.com", "https://a.com", "GET", ("http", "a.com", 443), "manifest"),
    ("https://a.com", "https://a.com", "POST", ("https", "a.com", 443), "manifest"),
    ("https://a.com", "https://a.com", "GET", ("https", "b.a.com", 443), "manifest"),
    ("https://*.a.com", "https://b.a.com", "GET", ("https", "b.a.com", 443), None),
    ("https://*.a.com", "https://b.a.com", "GET", ("https", "c.a.com", 443), "policy"),
    ("https://*.a.com", "https://*.a.com", "GET", ("https", "c.b.a.com", 443), None),
    ("https://*.a.com", "https://*.a.com", "GET", ("https", "a.com", 443), "manifest"),
    ("https://*.a.com", "https://*.a.com", "GET", ("https", "xa.com", 443), "manifest"),
    ("https://*.a.com", "https://*.a.com", "GET", ("https", "a.com.evil.com", 443), "manifest"),
    ("https://*", "https://a.com", "GET", ("https", "b.com", 443), "policy"),
    ("https://*:*", "https://a.com:8443", "GET", ("https", "a.com", 8443), None),
    ("https://*:*", "https://a.com:8443", "GET", ("https", "a.com", 443), "policy"),
    ("https://*.0.0.1", "https://*", "GET", ("https", "127.0.0.1", 443), None),
    ("http://[::1]", "http://[0:0::1]", "GET", ("http", "::1", 80), None),
]


@pytest.mark.parametrize("case", GRANTS, ids=repr)
def test_a_request_is_what_is_asked_for_and_granted(case: Any) -> None:
    asked, granted, method, origin, lacking = case
    if asked == "https://*.0.0.1":  # no name ends in a number, so no pattern does
        with pytest.raises(ValueError, match="ends in a number"):
            Policy(http=[{"url": asked}])
        return
    rules = HttpRules("p", [HttpRequirement(asked)], [HttpGrant(url=granted)])
    if lacking is None:
        rules.check(method, Origin(*origin))
        return
    with pytest.raises(DeniedError) as caught:
        rules.check(method, Origin(*origin))
    assert f"not in {lacking}" in caught.value.reason


def test_nothing_is_granted_by_default() -> None:
    rules = HttpRules("p", [HttpRequirement("https://*:*")], [])
    with pytest.raises(DeniedError, match="the policy does not grant it"):
        rules.check("GET", Origin("https", "a.com", 443))


NAMES_ = st.from_regex(r"[a-z]{1,5}(\.[a-z]{1,5}){1,3}", fullmatch=True)


@given(NAMES_, NAMES_)
def test_a_wildcard_stops_at_a_label(suffix: str, host: str) -> None:
    rules = HttpRules("p", [HttpRequirement(f"https://*.{suffix}")], [HttpGrant(url="https://*")])
    origin = Origin("https", host, 443)
    labels, ending = host.split("."), suffix.split(".")
    if len(labels) > len(ending) and labels[-len(ending) :] == ending:
        rules.check("GET", origin)
    else:
        with pytest.raises(DeniedError):
            rules.check("GET", origin)


# --- URLs -----------------------------------------------------------------------------------------


def test_a_url_is_sent_as_it_was_read() -> None:
    for url, expected in {
        "https://Example.COM": "https://example.com/",
        "https://example.com:443/a": "https://example.com/a",
        "https://example.com:444/a?b#c": "https://example.com:444/a?b",
        "http://b\u00fccher.example/\u00fc?\u00fc=\u00e9": "http://xn--bcher-kva.example/%C3%BC?%C3%BC=%C3%A9",
        "http://[2001:DB8:0::1]:80/": "http://[2001:db8::1]/",
        "http://127.0.0.1/a/../b": "http://127.0.0.1/a/../b",
        "http://a.com?x=http://b.com/": "http://a.com/?x=http://b.com/",
        "http://a.com/%2F%00": "http://a.com/%2F%00",
    }.items():  # fmt: skip
        assert str(read_target(url)) == expected
        assert str(read_target(expected)) == expected


@given(st.text(max_size=60))
def test_whatever_is_read_is_read_the_same_again(text: str) -> None:
    for url in (text, f"http://{text}", f"https://a.com/{text}"):
        try:
            target = read_target(url)
        except TargetError:
            continue
        again = read_target(str(target))
        assert again == target
        assert str(target).isascii()
        assert not set(str(target)) & set(" \r\n\t\\")


def test_a_location_is_read_by_the_same_rules() -> None:
    before = read_target("http://a.com:8080/x/y?z")
    for location, expected in {
        "http://b.com/": "http://b.com/",
        "//b.com/c": "http://b.com/c",
        "/c?d": "http://a.com:8080/c?d",
        "c": "http://a.com:8080/x/c",
        "../c": "http://a.com:8080/c",
        "?d": "http://a.com:8080/x/y?d",
        "#e": "http://a.com:8080/x/y",
        "": "http://a.com:8080/x/y",
        "@b.com/": "http://a.com:8080/x/@b.com/",
    }.items():
        assert str(redirect_target(before, location)) == expected
    for location in ("javascript:alert(1)", "http:/b.com", "\\\\b.com", "//u@b.com/", "///b.com"):
        with pytest.raises(TargetError):
            redirect_target(before, location)


# --- headers --------------------------------------------------------------------------------------


@pytest.mark.anyio
@pytest.mark.parametrize(
    "header",
    ["Host", "connection", "Content-Length", "Transfer-Encoding", "TE", "Upgrade", "Expect",
     "Proxy-Authorization", "Keep-Alive", "Accept-Encoding", "Trailer"],
)  # fmt: skip
async def test_headers_of_the_connection_are_the_hosts(
    fetching: Load, server: Server, header: str
) -> None:
    plugin = await fetching(granting(server))
    with pytest.raises(PluginCallError, match="is the host's to write") as caught:
        await fetch(plugin, server.origin, headers={header: "x"})
    assert caught.value.kind is ErrorKind.INVALID_REQUEST
    assert server.seen == []


@pytest.mark.anyio
@pytest.mark.parametrize(
    "headers",
    [{"a b": "c"}, {"": "c"}, {"a:": "c"}, {"a\r\nb": "c"}, {"ä": "c"}, {"a": "b\r\nc: d"},
     {"a": "b\nc"}, {"a": "b\0"}, {"a": "ü"}],
    ids=repr,
)  # fmt: skip
async def test_a_header_is_one_line(
    fetching: Load, server: Server, headers: dict[str, str]
) -> None:
    plugin = await fetching(granting(server))
    with pytest.raises(PluginCallError, match="header") as caught:
        await fetch(plugin, server.origin, headers=headers)
    assert caught.value.kind is ErrorKind.INVALID_REQUEST
    assert server.seen == []


@pytest.mark.anyio
async def test_nothing_of_the_environment_has_a_part_in_it(
    fetching: Load, server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    with serving({}) as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.origin)
        (tmp_path / ".netrc").write_text("machine 127.0.0.1 login u password p\n")
        monkeypatch.setenv("HOME", str(tmp_path))
        monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
        server.answers["/"] = lambda exchange: exchange.answer(200, b"direct", set_cookie="a=b")
        plugin = await fetching(granting(server))
        assert await fetch(plugin, server.origin) == "direct"
        assert await fetch(plugin, server.origin) == "direct"
        assert proxy.seen == []
    for seen in server.seen:
        assert seen.header("authorization") is None
        assert seen.header("cookie") is None


@pytest.mark.anyio
async def test_a_connection_is_kept_for_the_next_request_of_the_same_origin(
    fetching: Load, names: Names
) -> None:
    ports = []
    with serving({}) as server:
        server.answers["/"] = lambda exchange: (
            ports.append(exchange.client_address[1]) or exchange.answer(200)  # type: ignore[func-returns-value]
        )
        for name in ("one.test", "two.test"):
            names.answers[name] = [["127.0.0.1"]]
        urls = [f"http://{name}:{server.port}" for name in ("one.test", "two.test")]
        grants = [{"url": url, "methods": METHODS, "addresses": ["127.0.0.1"]} for url in urls]
        plugin = await fetching(Policy(http=grants))
        other = await fetching(Policy(http=grants))
        for one, url in ((plugin, 0), (plugin, 0), (plugin, 1), (other, 0)):
            await fetch(one, urls[url])
    assert ports[0] == ports[1]
    assert len(set(ports)) == 3  # neither another name's nor another plugin's


# --- quotas ---------------------------------------------------------------------------------------


class Several(Fetching):
    """Opens as many responses as it is told, without closing any."""

    async def generate(self, req: ModelRequest, ctx: PluginContext) -> ModelResponse:
        from contextlib import AsyncExitStack

        async with AsyncExitStack() as stack:
            for _ in range(int(req.model or 0)):
                await stack.enter_async_context(ctx.http.stream("GET", req.metadata["url"]))
        return ModelResponse("")


QUOTAS: dict[str, tuple[int, dict[str, Any]]] = {
    "http_requests": (3, {"model": "4"}),
    "http_concurrent": (3, {"model": "4"}),
    "http_up_bytes": (1000, {"headers": {"a": "b" * 1000}}),
    "http_down_bytes": (1000, {}),
}


@pytest.mark.anyio
@pytest.mark.parametrize("limit", QUOTAS)
async def test_a_quota_ends_the_call_and_the_next_one_works(
    host: PluginHost, server: Server, limit: str
) -> None:
    value, asked = QUOTAS[limit]
    server.answers["/"] = lambda exchange: exchange.answer(200, b"x" * 2000)
    server.answers["/small"] = lambda exchange: exchange.answer(200, b"x")
    kind = Several if "model" in asked else Fetching
    plugin = await host.load(
        PluginExport(manifest(), kind),
        policy=granting(server),
        expect=LoadedProvider,
        limits=Limits(**{limit: value}),
    )
    request = {"messages": [], "model": asked.get("model")}
    metadata = {"url": server.origin, **{k: v for k, v in asked.items() if k != "model"}}
    with pytest.raises(HttpLimitError) as caught:
        await plugin.generate({**request, "metadata": metadata})
    assert (caught.value.limit, caught.value.value) == (limit, value)
    small = {"messages": [], "model": "2", "metadata": {"url": f"{server.origin}/small"}}
    for _ in range(3):
        await plugin.generate(small)


@pytest.mark.anyio
@pytest.mark.parametrize("where", ["head", "body", "redirects"])
async def test_a_server_that_takes_for_ever(fetching: Load, server: Server, where: str) -> None:
    release = threading.Event()

    def slow(exchange: Exchange) -> None:
        if where == "redirects":
            release.wait(0.2)
            exchange.answer(302, location="/")
            return
        if where == "body":
            exchange.begin()
            exchange.chunk(b"a")
        release.wait(60)

    server.answers["/"] = slow
    plugin = await fetching(granting(server), limits=Limits(http_ms=500))
    try:
        with pytest.raises(HttpLimitError) as caught:
            await fetch(plugin, server.origin, follow_redirects=True)
        assert caught.value.limit == "http_ms"
    finally:
        release.set()
    server.answers["/"] = lambda exchange: exchange.answer(200, b"on we go")
    assert await fetch(plugin, server.origin) == "on we go"


# --- bad servers ----------------------------------------------------------------------------------


def raw(data: bytes) -> Callable[[Exchange], None]:
    def answer(exchange: Exchange) -> None:
        exchange.wfile.write(data)
        exchange.cut()

    return answer


BAD: dict[str, Callable[[Exchange], None]] = {
    "nothing": raw(b""),
    "no HTTP": raw(b"SSH-2.0-OpenSSH\r\n"),
    "a head without end": raw(b"HTTP/1.1 200 OK\r\nA: " + b"b" * 300_000),
    "many headers": raw(b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 100_000 + b"\r\n"),
    "a body cut off": raw(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"),
    "a chunk cut off": raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nabc"),
    "no chunk": raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"),
    "two lengths": raw(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"),
    "switching": raw(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\nhello"),
    "not gzip": raw(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc"),
    "gzip cut off": raw(
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 20\r\n\r\n"
        + gzip.compress(bytes(range(256)))[:20]
    ),
    "brotli": raw(b"HTTP/1.1 200 OK\r\nContent-Encoding: br\r\nContent-Length: 3\r\n\r\nabc"),
    "gzip twice": raw(
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip, gzip\r\nContent-Length: 3\r\n\r\nabc"
    ),
}


@pytest.mark.anyio
@pytest.mark.parametrize("case", BAD)
async def test_a_bad_server_is_unavailable(fetching: Load, server: Server, case: str) -> None:
    server.answers["/"] = BAD[case]
    server.answers["/good"] = lambda exchange: exchange.answer(200, b"on we go")
    plugin = await fetching(granting(server))
    with pytest.raises(PluginCallError) as caught:
        await fetch(plugin, server.origin)
    assert caught.value.kind is ErrorKind.UNAVAILABLE, caught.value
    assert server.origin in caught.value.message
    assert await fetch(plugin, f"{server.origin}/good") == "on we go"


@pytest.mark.anyio
async def test_nobody_is_there(fetching: Load, server: Server, names: Names) -> None:
    with serving({}) as gone:
        pass
    urls = (gone.origin, "http://not.there")
    plugin = await fetching(Policy(http=[{"url": url, "methods": METHODS} for url in urls]))
    for url in urls:
        with pytest.raises(PluginCallError) as caught:
            await fetch(plugin, url)
        assert caught.value.kind is ErrorKind.UNAVAILABLE


@pytest.mark.anyio
async def test_the_next_address_is_tried(fetching: Load, server: Server, names: Names) -> None:
    url = f"http://several.test:{server.port}"
    names.answers["several.test"] = [["127.0.0.2", "127.0.0.1"]]  # nobody listens at the first
    grant = {"url": url, "methods": METHODS, "addresses": ["127.0.0.0/8"]}
    server.answers["/"] = lambda exchange: exchange.answer(200, b"here")
    plugin = await fetching(Policy(http=[grant]))
    assert await fetch(plugin, url) == "here"


@pytest.mark.anyio
async def test_redirects_end(fetching: Load, server: Server) -> None:
    server.answers["/"] = lambda exchange: exchange.answer(302, location="/")
    plugin = await fetching(granting(server))
    with pytest.raises(PluginCallError, match="redirects too often"):
        await fetch(plugin, server.origin, follow_redirects=True)
    assert len(server.seen) == 11
    response = await plugin.generate({"messages": [], "metadata": {"url": server.origin}})
    assert response.metadata["status"] == 302  # unless it is told to, nothing is followed


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("status", "method", "then"),
    [(301, "POST", "GET"), (302, "POST", "GET"), (303, "PUT", "GET"), (307, "POST", "POST"),
     (308, "PUT", "PUT"), (303, "HEAD", "HEAD"), (302, "DELETE", "DELETE")],
)  # fmt: skip
async def test_what_a_redirect_does_to_a_request(
    fetching: Load, server: Server, status: int, method: str, then: str
) -> None:
    server.answers["/"] = lambda exchange: exchange.answer(status, location="/there")
    server.answers["/there"] = lambda exchange: exchange.answer(200)
    plugin = await fetching(granting(server))
    body = {} if method in ("HEAD", "DELETE") else {"json": {"a": 1}}
    await fetch(plugin, server.origin, method=method, follow_redirects=True, **body)
    assert [one.method for one in server.seen] == [method, then]
    assert server.seen[1].body == (server.seen[0].body if then == method else b"")
    assert (server.seen[1].header("content-type") is None) == (not server.seen[1].body)


@pytest.mark.anyio
async def test_a_kept_connection_that_was_closed_is_no_failure(
    fetching: Load, server: Server
) -> None:
    """Of a request that may be made twice; of another the plugin is told that it may try again."""

    def answers_and_leaves(exchange: Exchange) -> None:
        exchange.answer(200, b"hello")
        exchange.cut()  # without having said so

    server.answers["/"] = answers_and_leaves
    plugin = await fetching(granting(server))
    for _ in range(5):
        assert await fetch(plugin, server.origin) == "hello"
    failures = []
    for _ in range(5):
        try:
            assert await fetch(plugin, server.origin, method="POST") == "hello"
        except PluginCallError as error:
            failures.append((error.kind, error.retryable))
    assert set(failures) <= {(ErrorKind.UNAVAILABLE, True)}
    assert len([one for one in server.seen if one.method == "POST"]) + len(failures) == 5


@pytest.mark.anyio
async def test_many_at_once(fetching: Load, server: Server) -> None:
    server.answers["/"] = lambda exchange: exchange.answer(200, exchange.seen.path.encode())
    plugin = await fetching(granting(server))
    found: dict[int, str] = {}

    async def ask(i: int) -> None:
        found[i] = await fetch(plugin, f"{server.origin}/?{i}")

    async with anyio.create_task_group() as group:
        for i in range(40):
            group.start_soon(ask, i)
    assert found == {i: f"/?{i}" for i in range(40)}


# --- decoding -------------------------------------------------------------------------------------


@given(st.binary(max_size=200_000), st.sampled_from(["gzip", "deflate", "raw", ""]), st.data())
def test_whatever_is_compressed_is_decompressed(body: bytes, how: str, data: st.DataObject) -> None:
    raw_deflate = zlib.compressobj(wbits=-15)
    sent = {
        "gzip": gzip.compress(body),
        "deflate": zlib.compress(body),
        "raw": raw_deflate.compress(body) + raw_deflate.flush(),
        "": body,
    }[how]
    made = decoder("deflate" if how == "raw" else how)
    got = b""
    while sent:
        cut = data.draw(st.integers(1, len(sent)))
        pieces = list(made.feed(sent[:cut]))
        assert all(len(one) <= 65_536 for one in pieces)
        got += b"".join(pieces)
        sent = sent[cut:]
    made.check_end()
    assert got == body


def test_a_bomb_comes_in_pieces_as_they_are_asked_for() -> None:
    bomb = gzip.compress(bytes(1 << 28))
    pieces = decoder("gzip").feed(bomb)
    assert next(pieces) == bytes(16_384)  # no more than this was made


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=4), st.data())
def test_members_of_gzip_are_one_body(bodies: list[bytes], data: st.DataObject) -> None:
    trailing = data.draw(st.sampled_from([b"", b"\x1f", bytes(9), b"garbage"]))
    sent = b"".join(map(gzip.compress, bodies)) + trailing
    made, got = decoder("gzip"), b""
    while sent:
        cut = data.draw(st.integers(1, len(sent)))
        got += b"".join(made.feed(sent[:cut]))
        sent = sent[cut:]
    made.check_end()
    assert got == b"".join(bodies)


@pytest.mark.parametrize("how", ["gzip", "deflate"])
def test_nothing_is_kept_of_what_follows_the_end(how: str) -> None:
    made = decoder(how)
    body = gzip.compress(b"whole") if how == "gzip" else zlib.compress(b"whole")
    assert b"".join(made.feed(body)) == b"whole"
    garbage = bytes(65_536)
    tracemalloc.start()
    try:
        for _ in range(200):
            assert b"".join(made.feed(garbage)) == b""
        assert tracemalloc.get_traced_memory()[0] < 1_000_000
    finally:
        tracemalloc.stop()
    made.check_end()


def test_members_that_are_empty_end() -> None:
    made = decoder("gzip")
    with pytest.raises(DecodingError, match="from nothing"):
        list(made.feed(gzip.compress(b"") * 1_000))


def test_what_was_not_asked_for_is_not_decoded() -> None:
    for encoding in ("br", "zstd", "compress", "gzip, gzip", "x"):
        with pytest.raises(DecodingError, match="was not asked for"):
            decoder(encoding)


# --- what is sent, and what breaks off ------------------------------------------------------------


@pytest.mark.parametrize("header", ["X-HTTP-Method-Override", "x-method-override", "X-HTTP-Method"])
async def test_a_header_takes_no_request_past_the_methods_that_are_granted(
    fetching: Load, server: Server, header: str
) -> None:
    server.answers["/"] = lambda exchange: exchange.answer(200)
    grant = {"url": server.origin, "methods": ["GET", "POST"]}
    plugin = await fetching(Policy(http=[grant]))
    for method in ("DELETE", " delete", "PURGE"):
        with pytest.raises(PluginCallError) as caught:
            await fetch(plugin, server.origin, method="POST", headers={header: method})
        assert caught.value.kind is ErrorKind.PERMISSION_DENIED
    assert server.seen == []
    await fetch(plugin, server.origin, method="POST", headers={header: "GET"})
    assert len(server.seen) == 1


async def test_a_call_looks_up_so_many_names_and_no_more(
    fetching: Load, server: Server, names: Names
) -> None:
    server.answers["/"] = lambda exchange: exchange.answer(302, location=f"http://{next(hosts)}/")
    names.answers = {f"n{n}.test": [["127.0.0.1"]] for n in range(50)}
    hosts = (f"n{n}.test:{server.port}" for n in range(1, 50))
    policy = Policy(http=[{"url": "http://*:*", "methods": METHODS, "addresses": ["127.0.0.0/8"]}])
    plugin = await fetching(policy, limits=Limits(http_names=3))
    with pytest.raises(HttpLimitError, match="looked up too many names") as caught:
        await fetch(plugin, f"http://n0.test:{server.port}", follow_redirects=True)
    assert caught.value.limit == "http_names"
    assert names.asked == ["n0.test", "n1.test", "n2.test"]


async def test_a_path_is_sent_as_it_was_checked(fetching: Load, server: Server) -> None:
    plugin = await fetching(granting(server))
    for path in ("/a/../b", "/a//b/./c", "/x//y/.", "/%2e%2e/x", "/[x]'|?y=/../z", "/a?"):
        await fetch(plugin, server.origin + path)
        assert server.seen[-1].path == read_target(server.origin + path).selector
    await fetch(plugin, server.origin, query=[("long", "x" * 15_000)])
    # More than that is a limit.
    with pytest.raises(HttpLimitError, match="http_head_bytes"):
        await fetch(plugin, server.origin, query=[("long", "x" * 17_000)])


class Reading(SmallProvider):
    """Reads one piece after another, each for a moment, and says what came of it."""

    async def generate(self, req: ModelRequest, ctx: PluginContext) -> ModelResponse:
        found: list[str] = []
        async with ctx.http.stream("GET", req.metadata["url"]) as response:
            pieces = response.pieces()
            for _ in range(4):
                if found and found[-1] == "nothing":
                    pieces = response.pieces()
                with anyio.move_on_after(0.2) as moment:
                    try:
                        found.append(str(await anext(pieces, "the end")))
                    except PluginCallError as error:
                        found.append(str(error.kind))
                        pieces = response.pieces()
                if moment.cancelled_caught:
                    found.append("nothing")
        return ModelResponse(" ".join(found))


@pytest.mark.parametrize("how", ["cut off", "given up"])
async def test_what_broke_off_never_looks_whole(
    host: PluginHost, server: Server, tmp_path: Path, how: str
) -> None:
    released = threading.Event()

    def answer(exchange: Exchange) -> None:
        exchange.begin()
        exchange.chunk(b"beginning")
        if how == "given up":
            released.wait(5)
        exchange.cut()

    server.answers["/"] = answer
    export = PluginExport(manifest(), Reading)
    plugin = await host.load(export, policy=granting(server), expect=LoadedProvider)
    text = await fetch(plugin, f"{server.origin}/")
    released.set()
    first = "unavailable" if how == "cut off" else "nothing"
    assert text == f"{b'beginning'!r} {first} unavailable unavailable"
    await host.close()
    lines = map(json.loads, (tmp_path / "audit.jsonl").read_text().splitlines())
    (line,) = (one for one in lines if one["kind"] == "http")
    assert line["down_bytes"] == 9
    assert ("cut off" if how == "cut off" else "Cancel") in line["failed"]


class Staying(SmallProvider):
    """Keeps what it had in one call."""

    async def generate(self, req: ModelRequest, ctx: PluginContext) -> ModelResponse:
        self.http = ctx.http
        return ModelResponse("")


async def test_a_call_that_has_ended_makes_no_request(host: PluginHost, server: Server) -> None:
    made: list[Staying] = []

    def factory() -> Staying:
        made.append(Staying())
        return made[0]

    plugin = await host.load(
        PluginExport(manifest(), factory), policy=granting(server), expect=LoadedProvider
    )
    await plugin.generate({"messages": []})
    with pytest.raises(PluginCallError, match="has ended"):
        await made[0].http.request("GET", f"{server.origin}/")
    assert not server.seen


async def test_what_cannot_be_audited_leaves_no_connection(
    fetching: Load, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.answers["/"] = lambda exchange: exchange.answer(200, bytes(1_000_000))
    plugin = await fetching(granting(server))
    reach = plugin._reach

    def full(record: Any) -> None:
        raise AuditError("no space")

    monkeypatch.setattr(reach.audit, "_sink", full)
    with pytest.raises(AuditError):
        await fetch(plugin, f"{server.origin}/")
    monkeypatch.undo()
    assert len(reach.of("http").connections._idle) == 1  # it was read to its end
    assert len(await fetch(plugin, f"{server.origin}/")) == 1_000_000
    assert len(reach.of("http").connections._idle) == 1


async def test_what_is_kept_is_bounded_and_closed(server: Server, anyio_backend: str) -> None:
    server.answers["/"] = lambda exchange: exchange.answer(200, b"hello")
    origin, address = Origin("http", "127.0.0.1", server.port), ipaddress.ip_address("127.0.0.1")

    async def no_tls() -> ssl.SSLContext:
        raise AssertionError

    connections, pace = Connections(no_tls), Pace(Turns())

    async def use(wire: Wire) -> None:
        await wire.send(WireRequest("GET", b"/", [("host", "a")], b""))
        assert (await wire.head(pace, 10_000)).status == 200
        while await wire.piece(pace) is not None:
            pass

    taken = [await connections.to(origin, address) for _ in range(MAX_KEPT + 3)]
    for wire in taken:
        await use(wire)
        await connections.back(wire)
    again = [await connections.to(origin, address) for _ in range(MAX_KEPT + 3)]
    assert len(set(again) & set(taken)) == MAX_KEPT
    fresh = await connections.to(origin, address, fresh=True)
    assert fresh not in taken
    for wire in again[:2]:
        await use(wire)
        await connections.back(wire)
    await connections.back(again[2])  # in the middle of nothing: not kept
    assert set(connections._idle) == set(again[:2])
    await connections.close()
    for wire in (*again[3:], fresh):
        await connections.back(wire)
    assert connections._idle == []
    assert all(wire.is_gone() for wire in taken + again)
