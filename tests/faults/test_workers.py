"""Workers that are ended, stopped or left behind."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import anyio
import pytest
from orchestrator_plugin_host import DeadlineExceededError, Limits, WorkerLostError
from orchestrator_plugin_sdk import (
    LogEvent,
    PluginContext,
    PluginError,
    PluginLogger,
    pack,
    to_document,
)
from support.guests import DATA, Guest
from support.processes import HANG_SECONDS, alive, children, end, start, wait_until

from .conftest import Load

pytestmark = pytest.mark.slow

REQUEST: dict[str, Any] = {"messages": []}
LOGGED = pack(to_document(LogEvent("hello")))
EVENT = pack({"type": "text_delta", "text": "x"})
DOING = {
    "spinning": "(loop $spin (br $spin)) (unreachable)",
    "sleeping": "(call $sleep (i64.const 3600000)) (unreachable)",
    "logging": f"(loop $more (call $emit (i32.const 0) (i32.const {DATA})"
    f" (i32.const {len(LOGGED)})) (br $more)) (unreachable)",
}
LIMITS = Limits(deadline_ms=1500, log_events=10**9, log_bytes=10**12)


class Slow(PluginLogger):
    """Takes its time, so that a worker is waiting for it when it is ended."""

    def emit(self, event: LogEvent) -> None:
        time.sleep(0.001)


@pytest.fixture
def anyio_backend() -> str:
    """One: what happens here happens in threads and processes."""
    return "asyncio"


def end_all(ending: signal.Signals) -> None:
    for worker in children(os.getpid()):
        end(worker, ending)


async def fails(
    call: Callable[[], Any], ending: signal.Signals, *wanted: type[PluginError]
) -> None:
    async def end_soon() -> None:
        moment = random.Random(ending).uniform(0.0, 0.2)
        await anyio.sleep(moment)
        end_all(ending)

    with anyio.fail_after(HANG_SECONDS):
        async with anyio.create_task_group() as group:
            group.start_soon(end_soon)
            with pytest.raises(wanted):
                await call()


@pytest.mark.anyio
@pytest.mark.parametrize("doing", [*DOING, "streaming"])
@pytest.mark.parametrize(
    "ending", [signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT, signal.SIGSTOP], ids=str
)
async def test_a_worker_that_is_ended_at_work(
    load: Load, doing: str, ending: signal.Signals
) -> None:
    next_event = f"(call $ok_some (i32.const {DATA}) (i32.const {len(EVENT)}))"
    guest = Guest(
        functions={
            "generate": DOING.get(doing, "$document_2096"),
            "[method]event-stream.next": next_event,
        },
        data=EVENT if doing == "streaming" else LOGGED,
    )
    plugin = await load(guest, tier="process", limits=LIMITS)

    async def call() -> None:
        if doing == "streaming":
            async for _ in plugin.stream(REQUEST):
                await anyio.sleep(0.001)
        else:
            await plugin.generate(REQUEST, PluginContext(logger=Slow()))

    if ending is signal.SIGSTOP:
        await fails(call, ending, DeadlineExceededError)
    elif doing == "sleeping":  # the host sleeps for the guest, and does not look after it
        await fails(call, ending, DeadlineExceededError, WorkerLostError)
    else:
        await fails(call, ending, WorkerLostError)
    end_all(signal.SIGCONT)  # one that was held ready may have been stopped, too
    with anyio.fail_after(HANG_SECONDS):
        assert await healthy_soon(plugin)


async def healthy_soon(plugin: Any) -> bool:
    """Whether the plugin works after the workers that are lost are noticed."""
    for _ in range(4):
        with suppress(PluginError):
            return bool((await plugin.health_check()).healthy)
    return False


@pytest.mark.anyio
@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGSEGV, signal.SIGSTOP], ids=str)
async def test_an_idle_worker_that_is_ended(load: Load, ending: signal.Signals) -> None:
    plugin = await load(Guest(), tier="process", limits=LIMITS)
    assert await healthy_soon(plugin)
    end_all(ending)
    with pytest.raises(PluginError) as caught, anyio.fail_after(HANG_SECONDS):
        await plugin.generate(REQUEST)
    assert isinstance(caught.value, (WorkerLostError, DeadlineExceededError))
    end_all(signal.SIGCONT)
    assert await healthy_soon(plugin)


HOST = """
import sys
from pathlib import Path
import anyio
from orchestrator_plugin_host import HostSettings, PluginHost

async def main():
    settings = HostSettings(cache_directory=Path(sys.argv[2]), tier="process")
    async with PluginHost(settings) as host:
        plugin = await host.load(sys.argv[1])
        async with anyio.create_task_group() as group:
            for _ in range(2):
                group.start_soon(plugin.generate, {"messages": []})
            await plugin.health_check()
            print("ready", flush=True)

anyio.run(main)
"""


@pytest.mark.parametrize("doing", DOING)
def test_a_host_that_is_killed_leaves_no_worker(
    tmp_path: Path, cache_directory: Path, doing: str
) -> None:
    file = tmp_path / "guest.wasm"
    file.write_bytes(Guest(functions={"generate": DOING[doing]}, data=LOGGED).build())
    host = start(HOST, file, cache_directory)
    assert host.stdout is not None
    assert host.stdout.readline() == "ready\n"
    wait_until(lambda: len(children(host.pid)) >= 2, "a worker for each call")
    workers = children(host.pid)
    host.kill()
    host.communicate(timeout=HANG_SECONDS)
    wait_until(lambda: not any(map(alive, workers)), "the workers' end")
