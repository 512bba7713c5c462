"""Whatever a caller's logger raises reaches that caller, and ends nothing but the call."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from orchestrator_plugin_host import DeadlineExceededError, Limits
from orchestrator_plugin_host.settings import Tier
from orchestrator_plugin_sdk import LogEvent, PluginContext, PluginLogger, pack, to_document
from support.guests import DATA, Guest

from .conftest import Load

pytestmark = pytest.mark.anyio

REQUEST: dict[str, Any] = {"messages": []}
LOGGED = pack(to_document(LogEvent("hello")))
EMIT = f"(call $emit (i32.const 0) (i32.const {DATA}) (i32.const {len(LOGGED)}))"
LOGGING = Guest(
    functions={
        "generate": f"{EMIT} $document_2096",
        "[method]event-stream.next": f"{EMIT} (call $ok_none)",
    },
    data=LOGGED,
)
RAISED = [Exception, KeyboardInterrupt, asyncio.CancelledError, SystemExit, MemoryError]


class Raising(PluginLogger):
    def __init__(self, error: BaseException) -> None:
        self.error = error

    def emit(self, event: LogEvent) -> None:
        raise self.error


@pytest.mark.parametrize("kind", RAISED)
async def test_a_call(load: Load, tier: Tier, kind: type[BaseException]) -> None:
    plugin = await load(LOGGING, tier=tier)
    for _ in range(2):
        logger = Raising(kind("mine"))
        with pytest.raises(kind) as caught:
            await plugin.generate(REQUEST, PluginContext(logger=logger))
        assert caught.value is logger.error
        assert (await plugin.generate(REQUEST)).text == "hi"


@pytest.mark.parametrize("kind", [KeyboardInterrupt, asyncio.CancelledError])
async def test_a_stream(load: Load, tier: Tier, kind: type[BaseException]) -> None:
    plugin = await load(LOGGING, tier=tier)
    logger = Raising(kind("mine"))
    with pytest.raises(kind) as caught:
        async for _ in plugin.stream(REQUEST, PluginContext(logger=logger)):
            pass
    assert caught.value is logger.error
    assert (await plugin.generate(REQUEST)).text == "hi"


@pytest.mark.parametrize("hours", [-10_000, 10_000])
async def test_a_clock_that_jumps(
    load: Load, tier: Tier, hours: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Deadlines go by a clock that nobody sets.
    spin = Guest(functions={"generate": "(loop $spin (br $spin)) (unreachable)"})
    spinning = await load(spin, tier=tier, limits=Limits(deadline_ms=200))
    sleeping = await load(
        Guest(functions={"generate": "(call $sleep (i64.const 50)) $document_2096"}), tier=tier
    )
    now, now_ns = time.time, time.time_ns
    monkeypatch.setattr(time, "time", lambda: now() + hours * 3600)
    monkeypatch.setattr(time, "time_ns", lambda: max(now_ns() + hours * 3600 * 10**9, 0))
    with pytest.raises(DeadlineExceededError):
        await spinning.generate(REQUEST)
    assert (await sleeping.generate(REQUEST)).text == "hi"
