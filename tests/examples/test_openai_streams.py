"""The example `openai-provider`: streams as they come, and leaving them."""

from __future__ import annotations

import threading
from contextlib import aclosing
from typing import Any

import anyio
import pytest
from orchestrator_plugin_host import PluginAbortedError
from orchestrator_plugin_sdk import (
    AbortController,
    PluginContext,
    StreamEnd,
    StreamEvent,
    StreamTextDelta,
    StreamToolCallDelta,
    StreamUsage,
    Usage,
)
from support.openai_server import USAGE, Answer, OpenAIServer, completion, events, json_answer

from .conftest import HELLO, SPENT, Plugins, collected, load_openai

pytestmark = pytest.mark.anyio

CALL = {"id": "call_1", "name": "weather", "arguments": '{"at": 1}'}
WAITS = {"id": "c0", "type": "function", "function": {"name": "wait", "arguments": '{"a": 1}'}}


async def test_tokens_come_one_by_one(plugins: Plugins, api: OpenAIServer) -> None:
    """The server sends a token only once the one before has reached the caller."""
    gate = threading.Semaphore(0)
    provider = await load_openai(plugins, api)
    tokens = ["One", " by", " one", ",", " 🦊", "\n", "!"]
    api.script(completion(*tokens, gate=gate))
    seen: list[StreamEvent] = []
    async with aclosing(provider.stream(HELLO)) as stream:
        async for event in stream:
            seen.append(event)
            if isinstance(event, StreamTextDelta):
                gate.release()
    assert seen == [*map(StreamTextDelta, tokens), StreamUsage(SPENT), StreamEnd()]


def chunk(delta: Any = None, reason: str | None = None, **more: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": delta or {}, "finish_reason": reason}], **more}


def call_chunk(name: Any = None, arguments: Any = None, **more: Any) -> dict[str, Any]:
    function = {"name": name, "arguments": arguments}
    given = {key: value for key, value in function.items() if value is not None}
    return chunk({"tool_calls": [{**more, "function": given}]})


A, B = StreamTextDelta("a"), StreamTextDelta("b")
FIRST = StreamToolCallDelta(0, "c0", "wait", "")
STREAMED: dict[str, tuple[Answer, list[StreamEvent]]] = {
    "a call": (
        completion(calls=[CALL]),
        [
            StreamToolCallDelta(0, "call_1", "weather", ""),
            StreamToolCallDelta(0, arguments_json='{"at'),
            StreamToolCallDelta(0, arguments_json='": 1'),
            StreamToolCallDelta(0, arguments_json="}"),
            StreamUsage(SPENT),
            StreamEnd("tool_calls"),
        ],
    ),
    "usage each time": (
        events(
            chunk({"content": "a"}, usage={"prompt_tokens": 1, "completion_tokens": 1}),
            chunk({"content": "b"}, "stop", usage={"prompt_tokens": 1, "completion_tokens": 2}),
            "[DONE]",
        ),
        [A, B, StreamUsage(Usage(1, 2, 3)), StreamEnd()],
    ),
    "usage nowhere": (
        events(chunk({"content": "a"}, "length"), "[DONE]"),
        [A, StreamEnd("length")],
    ),
    "comments and other events": (
        events(
            b": OPENROUTER PROCESSING\n\n",
            b"event: ping\nid: 7\nretry: 10\n\n",
            chunk({"content": "a"}),
            b":\n\n",
            {"choices": []},
            {"choices": [{"index": 0, "delta": None, "finish_reason": "stop"}]},
            "[DONE]",
        ),
        [A, StreamEnd()],
    ),
    "other ends of lines": (
        events(
            b"\xef\xbb\xbfdata: " + b'{"choices": [{"delta": {"content": "\xc5',
            b'\xbc"}}]}\r',
            b"\n\r\n",
            b'data:{"choices": [{"delta":\rdata: {"content": "a"}}]}\r\r',
            b"data: [DONE]\r\n\r\n",
        ),
        [StreamTextDelta("ż"), A, StreamEnd()],
    ),
    "what comes after the end": (
        events(chunk({"content": "a"}), "[DONE]", "no json", chunk({"content": "b"})),
        [A, StreamEnd()],
    ),
    "two calls, one after the other": (
        events(
            call_chunk("wait", "", index=0, id="c0", type="function"),
            call_chunk(None, "{}", index=0),
            call_chunk("go", '{"', index=1, id="c1", type="function"),
            call_chunk(None, 'a":1}', index=1),
            chunk({}, "tool_calls"),
            "[DONE]",
        ),
        [
            FIRST,
            StreamToolCallDelta(0, arguments_json="{}"),
            StreamToolCallDelta(1, "c1", "go", '{"'),
            StreamToolCallDelta(1, arguments_json='a":1}'),
            StreamEnd("tool_calls"),
        ],
    ),
    "ids and names again and again": (
        events(
            call_chunk("wait", "", index=0, id="c0"),
            call_chunk("wait", "{}", index=0, id="c0"),
            chunk({}, "stop"),
            "[DONE]",
        ),
        [FIRST, StreamToolCallDelta(0, arguments_json="{}"), StreamEnd("tool_calls")],
    ),
    "whole calls without an index": (
        events(
            call_chunk("wait", "", id="c0"),
            call_chunk(None, "{}"),
            call_chunk("go", {"a": 1}, id="c1"),
            "[DONE]",
        ),
        [
            FIRST,
            StreamToolCallDelta(0, arguments_json="{}"),
            StreamToolCallDelta(1, "c1", "go", '{"a": 1}'),
            StreamEnd("tool_calls"),
        ],
    ),
    "a name that comes late": (
        events(
            call_chunk(None, '{"a', index=0, id="c0"),
            call_chunk("wait", '":1}', index=0),
            "[DONE]",
        ),
        [StreamToolCallDelta(0, "c0", "wait", '{"a":1}'), StreamEnd("tool_calls")],
    ),
    "a refusal": (
        events(chunk({"refusal": "a"}), chunk({"refusal": "b"}, "stop"), "[DONE]"),
        [A, B, StreamEnd("content_filter")],
    ),
    "a server that does not stream": (
        json_answer(
            {
                "choices": [{"message": {"content": "", "tool_calls": [WAITS]}}],
                "usage": USAGE,
            }
        ),
        [
            StreamToolCallDelta(0, "c0", "wait", '{"a": 1}'),
            StreamUsage(SPENT),
            StreamEnd("tool_calls"),
        ],
    ),
    "text as it is, not streamed": (
        json_answer({"choices": [{"message": {"content": "a"}}]}),
        [A, StreamUsage(Usage()), StreamEnd()],
    ),
}


async def test_streams(plugins: Plugins, api: OpenAIServer) -> None:
    provider = await load_openai(plugins, api)
    for name, (answer, expected) in STREAMED.items():
        api.script(answer)
        assert await collected(provider.stream(HELLO)) == expected, name


@pytest.mark.parametrize("streaming", [True, False])
async def test_an_abort_ends_it(plugins: Plugins, api: OpenAIServer, streaming: bool) -> None:
    began = threading.Event()

    def endless(exchange: Any, body: Any) -> None:
        exchange.begin(content_type="text/event-stream" if streaming else "application/json")
        began.set()
        while not api.server.left.wait(0.01):
            exchange.chunk(b'data: {"choices": [{"delta": {"content": "a"}}]}\n\n')

    provider = await load_openai(plugins, api)
    controller = AbortController()
    context = PluginContext(abort_signal=controller.signal)
    api.script(endless)
    if streaming:
        async with aclosing(provider.stream(HELLO, context)) as stream:
            assert await anext(stream) == A
            controller.abort()
            with pytest.raises(PluginAbortedError):
                while True:
                    assert await anext(stream) == A
    else:
        async with anyio.create_task_group() as group:

            async def ask() -> None:
                with pytest.raises(PluginAbortedError):
                    await provider.generate(HELLO, context)

            group.start_soon(ask)
            await anyio.to_thread.run_sync(began.wait)
            controller.abort()
    assert await anyio.to_thread.run_sync(api.server.left.wait, 30)
    api.script(completion("on we go"))
    assert (await provider.generate(HELLO)).text == "on we go"


async def test_leaving_a_stream_leaves_the_server(plugins: Plugins, api: OpenAIServer) -> None:
    def endless(exchange: Any, body: Any) -> None:
        exchange.begin(content_type="text/event-stream")
        while not api.server.left.wait(0.01):
            exchange.chunk(b'data: {"choices": [{"delta": {"content": "a"}}]}\n\n')

    provider = await load_openai(plugins, api)
    api.script(endless, completion("on we go"))
    async with aclosing(provider.stream(HELLO)) as stream:
        assert await anext(stream) == A
    assert await anyio.to_thread.run_sync(api.server.left.wait, 30)
    assert (await provider.generate(HELLO)).text == "on we go"
