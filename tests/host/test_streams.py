"""Streams that are not read to their end: nothing waits for them, and nothing leaks."""

from __future__ import annotations

import gc
from contextlib import aclosing
from typing import Any

import anyio
import pytest
from orchestrator_plugin_host import (
    HostSettings,
    LoadedProvider,
    PluginClosedError,
    PluginHost,
    PoolSettings,
)
from orchestrator_plugin_sdk import pack
from support.guests import DATA, Guest

from .conftest import Load

pytestmark = pytest.mark.anyio

EVENT = pack({"type": "text_delta", "text": "x"})
ENDLESS = Guest(
    functions={
        "[method]event-stream.next": f"(call $ok_some (i32.const {DATA}) (i32.const {len(EVENT)}))"
    },
    data=EVENT,
)
REQUEST: dict[str, Any] = {"messages": []}
ONE = PoolSettings(instances=1)


async def test_a_closed_stream_gives_its_instance_back(load: Load) -> None:
    plugin = await load(ENDLESS, pool=ONE)
    for _ in range(5):
        async with aclosing(plugin.stream(REQUEST)) as stream:
            await anext(stream)
    assert (await plugin.health_check()).healthy


async def test_closing_the_host_closes_open_streams(load: Load, host: PluginHost) -> None:
    plugin = await load(ENDLESS, pool=ONE)
    stream = plugin.stream(REQUEST)
    await anext(stream)
    with anyio.fail_after(5):
        await host.close()
    with pytest.raises(PluginClosedError):
        await anext(stream)
    with pytest.raises(PluginClosedError):
        await anext(plugin.stream(REQUEST))


async def test_closing_while_another_task_reads(load: Load, host: PluginHost) -> None:
    plugin = await load(ENDLESS, pool=ONE)
    begun = anyio.Event()

    async def read() -> None:
        with pytest.raises(PluginClosedError):
            async for _ in plugin.stream(REQUEST):
                begun.set()

    async with anyio.create_task_group() as group:
        group.start_soon(read)
        await begun.wait()
        with anyio.fail_after(5):
            await host.close()
    assert plugin.closed


async def test_an_abandoned_stream_gives_its_instance_back(
    anyio_backend_name: str, load: Load
) -> None:
    if anyio_backend_name == "trio":
        pytest.skip("trio itself warns of generators that are not closed")
    plugin = await load(ENDLESS, pool=ONE)
    stream = plugin.stream(REQUEST)
    await anext(stream)
    del stream
    gc.collect()
    with anyio.fail_after(5):
        assert (await plugin.health_check()).healthy


async def test_a_stream_that_was_never_begun_costs_nothing(
    anyio_backend: str, settings: HostSettings, tmp_path: Any
) -> None:
    path = tmp_path / "guest.wasm"
    path.write_bytes(ENDLESS.build())
    async with PluginHost(settings) as host:
        plugin = await host.load(path, expect=LoadedProvider)
        stream = plugin.stream(REQUEST)
        await stream.aclose()


async def test_cancelling_while_waiting_for_an_event(load: Load) -> None:
    guest = ENDLESS.but(
        functions={"[method]event-stream.next": "(call $sleep (i64.const 3600000)) (call $ok_none)"}
    )
    plugin = await load(guest, pool=ONE)
    with anyio.move_on_after(0.1) as scope:
        async for _ in plugin.stream(REQUEST):
            pass
    assert scope.cancelled_caught
    assert (await plugin.health_check()).healthy


async def test_cancelling_while_the_stream_begins(load: Load) -> None:
    guest = ENDLESS.but(
        functions={
            "generate-stream": "(call $sleep (i64.const 3600000))"
            "(call $ok_u32 (call $new_stream (i32.const 7)))"
        }
    )
    plugin = await load(guest, pool=ONE)
    with anyio.move_on_after(0.1) as scope:
        async for _ in plugin.stream(REQUEST):
            pass
    assert scope.cancelled_caught
    assert (await plugin.health_check()).healthy
