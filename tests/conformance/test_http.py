"""HTTP as plugins have it: the same natively and in both tiers of the sandbox."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Iterator
from typing import Any

import anyio
import pytest
from orchestrator_plugin_host import HttpLimitError, Limits, PluginAbortedError, Policy
from orchestrator_plugin_sdk import (
    AbortController,
    ErrorKind,
    PluginCallError,
    PluginContext,
    PluginType,
)
from support.servers import Exchange, Server, serving

from .conftest import Plugins

pytestmark = pytest.mark.anyio

PROVIDER = PluginType.PROVIDER
REQUEST: dict[str, Any] = {"messages": []}
SECRET = "sk-0123456789-abcdefghij"


@pytest.fixture
def server() -> Iterator[Server]:
    with serving({}) as opened:
        yield opened


def granting(server: Server, **more: Any) -> dict[str, Any]:
    """The options of `load` that grant requests to a server."""
    methods = ("GET", "POST", "HEAD", "PUT", "DELETE")
    http = [{"url": server.origin, "methods": methods}]
    return {"policy": Policy(http=http, **more)}


def asking(text: str) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": text}]}


async def gets(self, req, ctx):
    response = await ctx.http.request("GET", req.messages[0].text)
    return ModelResponse(  # noqa: F821
        response.text, metadata={"status": response.status, "headers": response.headers}
    )


async def test_a_response_has_status_headers_and_body(plugins: Plugins, server: Server) -> None:
    server.answers["/a"] = lambda exchange: exchange.answer(418, b"short and stout", x_pot="tea")
    plugin = await plugins.probe(PROVIDER, options=granting(server), generate=gets)
    response = await plugin.generate(asking(f"{server.origin}/a?b=c%20d&e=f#g"))
    assert response.text == "short and stout"
    assert response.metadata["status"] == 418
    assert response.metadata["headers"]["x-pot"] == "tea"
    assert server.seen[0].path == "/a?b=c%20d&e=f"
    assert server.seen[0].header("host") == f"127.0.0.1:{server.port}"


async def test_what_is_sent_arrives(plugins: Plugins, server: Server) -> None:
    async def posts(self, req, ctx):
        url = req.messages[0].text
        await ctx.http.request("POST", url, json={"a": [1, "ü"]}, headers={"X-One": "1"})
        await ctx.http.request("PUT", url, body=b"\0\xff", query=[("q", "a b&c"), ("q", "ü")])
        return ModelResponse("")  # noqa: F821

    server.answers["/"] = lambda exchange: exchange.answer(200)
    plugin = await plugins.probe(PROVIDER, options=granting(server), generate=posts)
    await plugin.generate(asking(server.origin))
    one, two = server.seen
    assert json.loads(one.body) == {"a": [1, "ü"]}
    assert one.header("content-type") == "application/json"
    assert one.header("x-one") == "1"
    assert (two.method, two.body) == ("PUT", b"\0\xff")
    assert two.path == "/?q=a%20b%26c&q=%C3%BC"


async def test_a_body_comes_piece_by_piece(plugins: Plugins, server: Server) -> None:
    """The server sends the next event only once the one before has reached the caller."""
    arrived = threading.Semaphore(0)

    def events(exchange: Exchange) -> None:
        exchange.begin(content_type="text/event-stream")
        for i in range(5):
            exchange.chunk(f"data: {i}\n\n".encode())
            assert arrived.acquire(timeout=30)
        exchange.chunk(b"")

    async def streams(self, req, ctx):
        async with ctx.http.stream("GET", req.messages[0].text) as response:
            async for event in response.server_sent_events():
                yield StreamTextDelta(event.data)  # noqa: F821

    server.answers["/events"] = events
    plugin = await plugins.probe(PROVIDER, options=granting(server), stream=streams)
    seen = []
    async for event in plugin.stream(asking(f"{server.origin}/events")):
        seen.append(event.text)
        arrived.release()
    assert seen == ["0", "1", "2", "3", "4"]


@pytest.mark.parametrize("lacking", ["manifest", "policy", "method"])
async def test_what_is_not_granted_is_explained(
    plugins: Plugins, server: Server, lacking: str
) -> None:
    async def deletes(self, req, ctx):
        method = "OPTIONS" if req.messages[0].name == "manifest" else "DELETE"
        await ctx.http.request(method, req.messages[0].text)

    policy = Policy()
    if lacking == "method":
        policy = Policy(http=[{"url": server.origin, "methods": ["GET"]}])
    plugin = await plugins.probe(PROVIDER, options={"policy": policy}, generate=deletes)
    request = {"messages": [{"role": "user", "content": server.origin, "name": lacking}]}
    with pytest.raises(PluginCallError) as caught:
        await plugin.generate(request)
    assert caught.value.kind is ErrorKind.PERMISSION_DENIED
    said = str(caught.value)
    assert "'probe-provider' may not" in said
    assert f"the {'manifest' if lacking == 'manifest' else 'policy'} does not" in said
    assert f'url = "{server.origin}"' in said
    assert server.seen == []


async def test_a_tool_has_no_network_unless_the_tool_policy_allows_it(
    plugins: Plugins, server: Server
) -> None:
    async def execute(self, request, policy, ctx):
        response = await ctx.http.request("GET", request.command)
        return ToolRunResult(0, 0, stdout=response.text)  # noqa: F821

    server.answers["/a"] = lambda exchange: exchange.answer(200, b"yes")
    tools = await plugins.probe(PluginType.TOOL_EXECUTOR, options=granting(server), execute=execute)
    request = {"command": f"{server.origin}/a"}
    for policy in ({"enabled": True}, {"enabled": True, "allow_network": False}):
        with pytest.raises(PluginCallError) as caught:
            await tools.execute(request, policy)
        assert caught.value.kind is ErrorKind.PERMISSION_DENIED
        assert "allow_network is false in the tool policy" in caught.value.message
    assert server.seen == []
    result = await tools.execute(request, {"enabled": True, "allow_network": True})
    assert result.stdout == "yes"
    assert len(server.seen) == 1


async def test_a_secret_reaches_the_server_and_never_the_plugin(
    plugins: Plugins, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def uses(self, req, ctx):
        reference = ctx.secret("api_key")
        response = await ctx.http.request(
            "POST",
            req.messages[0].text,
            headers={"authorization": "Bearer " + reference},
            query={"key": reference},
            json={"auth": {"key": reference}, "text": "say " + reference},
        )
        ctx.logger.info(response.text)
        return ModelResponse(response.text, metadata=response.headers)  # noqa: F821

    def echo(exchange: Exchange) -> None:
        exchange.begin(x_echo=f"<{SECRET}>")
        body = json.dumps([exchange.seen.header("authorization"), exchange.seen.path])
        for i in range(0, len(body), 7):
            exchange.chunk(body[i : i + 7].encode())
        exchange.chunk(b"")

    monkeypatch.setenv("TEST_API_KEY", SECRET)
    server.answers["/"] = echo
    grant = {"env": "TEST_API_KEY", "urls": [server.origin]}
    places = {"query": ["key"], "json": ["/auth/key"]}
    options = granting(server, secrets={"api_key": {**grant, **places}})
    plugin = await plugins.probe(PROVIDER, options=options, generate=uses)
    response = await plugin.generate(asking(server.origin + "/"))
    sent = server.seen[0]
    assert sent.header("authorization") == f"Bearer {SECRET}"
    assert sent.path == f"/?key={SECRET}"
    assert json.loads(sent.body)["auth"] == {"key": SECRET}
    assert "{{secret:api_key:" in json.loads(sent.body)["text"]  # a text that is no reference
    assert json.loads(response.text) == ["Bearer [secret]", "/?key=[secret]"]
    assert response.metadata["x-echo"] == "<[secret]>"
    assert SECRET not in repr(response)


async def test_compressed_bodies_are_decompressed(plugins: Plugins, server: Server) -> None:
    server.answers["/"] = lambda exchange: exchange.answer(
        200, gzip.compress(b"x" * 100_000), content_encoding="gzip"
    )
    plugin = await plugins.probe(PROVIDER, options=granting(server), generate=gets)
    assert (await plugin.generate(asking(server.origin))).text == "x" * 100_000


async def test_a_bomb_is_a_limit(plugins: Plugins, server: Server) -> None:
    server.answers["/"] = lambda exchange: exchange.answer(
        200, gzip.compress(bytes(50_000_000)), content_encoding="gzip"
    )
    options = {**granting(server), "limits": Limits(http_down_bytes=1_000_000)}
    plugin = await plugins.probe(PROVIDER, options=options, generate=gets)
    with pytest.raises(HttpLimitError) as caught:
        await plugin.generate(asking(server.origin))
    assert caught.value.limit == "http_down_bytes"
    server.answers["/"] = lambda exchange: exchange.answer(200, b"on we go")
    assert (await plugin.generate(asking(server.origin))).text == "on we go"


@pytest.mark.parametrize("how", ["abort", "cancel"])
async def test_whoever_gives_up_takes_the_request_along(
    plugins: Plugins, server: Server, how: str
) -> None:
    began = threading.Event()

    def endless(exchange: Exchange) -> None:
        exchange.begin()
        began.set()
        while True:
            exchange.chunk(b"still here")
            if server.left.wait(0.01):
                return

    server.answers["/"] = endless
    plugin = await plugins.probe(PROVIDER, options=granting(server), generate=gets)
    controller = AbortController()
    context = PluginContext(abort_signal=controller.signal)
    async with anyio.create_task_group() as group:

        async def ask() -> None:
            if how == "abort":
                with pytest.raises(PluginAbortedError):
                    await plugin.generate(asking(server.origin), context)
            else:
                await plugin.generate(asking(server.origin), context)

        group.start_soon(ask)
        await anyio.to_thread.run_sync(began.wait)
        controller.abort() if how == "abort" else group.cancel_scope.cancel()
    assert await anyio.to_thread.run_sync(server.left.wait, 30)
    server.answers["/"] = lambda exchange: exchange.answer(200, b"on we go")
    assert (await plugin.generate(asking(server.origin))).text == "on we go"
