"""Deadlines shaped for language models: to the first event, between events, and in all."""

from __future__ import annotations

from contextlib import aclosing
from typing import Any

import anyio
import pytest
from orchestrator_plugin_host import (
    DeadlineExceededError,
    FirstEventTimeoutError,
    IdleTimeoutError,
    Limits,
    PluginTrapError,
)
from orchestrator_plugin_sdk import PluginCallError, PluginType, StreamTextDelta, ToolCall

from .conftest import Plugins

pytestmark = pytest.mark.anyio

PROVIDER = PluginType.PROVIDER
REQUEST: dict[str, Any] = {"messages": []}


async def slow_start(self, req, ctx):
    await ctx.sleep(60)
    yield StreamTextDelta("too late")


async def stalls(self, req, ctx):
    for word in ("once ", "upon "):
        yield StreamTextDelta(word)
    yield StreamToolCallDelta(0, "id-1", "look", '{"a": ')  # noqa: F821
    yield StreamToolCallDelta(0, arguments_json="1}")  # noqa: F821
    yield StreamToolCallDelta(1, "id-2", "cut", '{"a": ')  # noqa: F821
    await ctx.sleep(60)
    yield StreamTextDelta("a time")


async def drips(self, req, ctx):
    while True:
        await ctx.sleep(0.05)
        yield StreamTextDelta("drip ")


async def test_a_first_event_that_does_not_come(plugins: Plugins) -> None:
    options = {"limits": Limits(first_event_ms=300)}
    plugin = await plugins.probe(PROVIDER, options=options, stream=slow_start)
    with pytest.raises(FirstEventTimeoutError, match="gave no first event in time") as caught:
        async for _ in plugin.stream(REQUEST):
            pytest.fail("nothing was to come")
    assert (caught.value.limit, caught.value.value) == ("first_event_ms", 300)
    assert caught.value.times.host_ms >= 200  # it slept
    assert caught.value.arrived is not None
    assert caught.value.arrived.text == ""
    assert (await plugin.generate(REQUEST)).text == ""


async def test_events_that_stop_coming(plugins: Plugins) -> None:
    options = {"limits": Limits(idle_ms=500)}
    plugin = await plugins.probe(PROVIDER, options=options, stream=stalls)
    stream = plugin.stream(REQUEST)
    seen = []
    with pytest.raises(IdleTimeoutError, match="gave no further event in time") as caught:
        async for event in stream:
            seen.append(event)
    assert len(seen) == 5
    arrived = caught.value.arrived
    assert arrived == stream.response
    assert arrived is not None
    assert arrived.text == "once upon "
    assert arrived.tool_calls == (ToolCall("id-1", "look", {"a": 1}), ToolCall("id-2", "cut", {}))
    assert arrived.metadata == {"incomplete": True}
    assert arrived.finish_reason == "aborted"
    assert (await plugin.generate(REQUEST)).text == ""


async def test_events_that_go_on_for_too_long(plugins: Plugins) -> None:
    options = {"limits": Limits(deadline_ms=1500)}
    plugin = await plugins.probe(PROVIDER, options=options, stream=drips)
    with pytest.raises(DeadlineExceededError) as caught:
        async for _ in plugin.stream(REQUEST):
            pass
    assert type(caught.value) is DeadlineExceededError
    assert caught.value.limit == "deadline_ms"
    assert caught.value.arrived is not None
    assert caught.value.arrived.text.startswith("drip ")


async def test_the_callers_own_time_does_not_count(plugins: Plugins) -> None:
    async def two(self, req, ctx):
        yield StreamTextDelta("a")
        yield StreamTextDelta("b")
        yield StreamEnd()  # noqa: F821

    options = {"limits": Limits(idle_ms=1000, first_event_ms=20_000)}
    plugin = await plugins.probe(PROVIDER, options=options, stream=two)
    stream = plugin.stream(REQUEST)
    async for _ in stream:
        await anyio.sleep(1.1)
    assert stream.response.text == "ab"
    assert stream.response.metadata == {}
    assert stream.response.finish_reason == "stop"


async def test_a_stream_that_breaks_keeps_what_had_arrived(plugins: Plugins) -> None:
    async def breaks(self, req, ctx):
        yield StreamTextDelta("half an ")
        raise PluginCallError("unavailable", "the line went dead")

    plugin = await plugins.probe(PROVIDER, stream=breaks)
    stream = plugin.stream(REQUEST)
    with pytest.raises(PluginCallError, match="the line went dead"):
        async for _ in stream:
            pass
    assert stream.response.text == "half an "
    assert stream.response.metadata == {"incomplete": True}


async def test_a_stream_that_is_left_keeps_what_had_arrived(plugins: Plugins) -> None:
    plugin = await plugins.probe(PROVIDER, stream=stalls)
    async with aclosing(plugin.stream(REQUEST)) as stream:
        async for _ in stream:
            break
    assert stream.response.text == "once "


async def test_no_more_is_kept_than_a_document_may_have(plugins: Plugins) -> None:
    async def floods(self, req, ctx):
        for _ in range(50):
            yield StreamTextDelta("x" * 100)

    options = {"limits": Limits(document_out_bytes=1000)}
    plugin = await plugins.probe(PROVIDER, options=options, stream=floods)
    stream = plugin.stream(REQUEST)
    count = 0
    async for _ in stream:
        count += 1
    assert count == 50
    assert len(stream.response.text) == 1000
    assert stream.response.metadata == {"incomplete": True}


async def test_where_the_time_went(plugins: Plugins) -> None:
    """Sleeping is the host's time; computing is the plugin's; waiting for an instance, neither."""

    async def works(self, req, ctx):
        until = ctx.monotonic() + 60
        while ctx.monotonic() < until and not ctx.abort_signal.aborted:
            await ctx.sleep(0.05 if req.model == "sleeps" else 0)
        return ModelResponse("")  # noqa: F821

    options = {"limits": Limits(deadline_ms=1000)}
    plugin = await plugins.probe(PROVIDER, options=options, generate=works)
    with pytest.raises((DeadlineExceededError, PluginTrapError)) as caught:
        await plugin.generate({**REQUEST, "model": "sleeps"})
    times = caught.value.times
    assert times.host_ms > times.plugin_ms
    assert times.queue_ms < 500
    assert sum((times.queue_ms, times.plugin_ms, times.host_ms)) >= 900
    assert f"{times.host_ms:,} ms in calls of the host" in str(caught.value)
