"""Long work lets others have the event loop, and takes turns with other long work."""

from __future__ import annotations

import time

import anyio
import pytest
from orchestrator_plugin_host.capabilities.pace import SLICE_SECONDS, Pace, Turns
from support.heartbeat import MAX_GAP_SECONDS, heartbeat, undisturbed

pytestmark = pytest.mark.anyio


def work(seconds: float) -> None:
    until = time.thread_time() + seconds
    while time.thread_time() < until:
        pass


async def test_others_run_between_two_slices(anyio_backend: str) -> None:
    order: list[str] = []

    async def long() -> None:
        pace = Pace(Turns())
        for _ in range(5):
            work(SLICE_SECONDS)
            order.append("long")
            await pace.step()

    async def short() -> None:
        while len(order) < 8:
            order.append("short")
            await anyio.lowlevel.checkpoint()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(long)
        tasks.start_soon(short)
    assert "long long" not in " ".join(order[:8])


async def test_short_work_is_not_held_up(anyio_backend: str) -> None:
    """Nobody else runs, since nothing is waited for: `await` alone is no pause."""
    ran: list[int] = []

    async def other() -> None:
        ran.append(1)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(other)
        pace = Pace(Turns())
        for _ in range(10):
            pace.pause()
            pace.resume()
            await pace.step()
        assert not ran


async def test_however_many_work_long_a_pass_has_one_slice(anyio_backend: str) -> None:
    turns = Turns()

    async def long() -> None:
        pace = Pace(turns)
        for _ in range(40):
            work(SLICE_SECONDS / 20)
            await pace.step()

    async def many() -> None:
        async with anyio.create_task_group() as tasks:
            for _ in range(60):
                tasks.start_soon(long)

    assert (await undisturbed(many)).busy < MAX_GAP_SECONDS / 2


async def test_the_heartbeat_notices(anyio_backend: str) -> None:
    async with heartbeat() as beating:
        time.sleep(2 * MAX_GAP_SECONDS)  # noqa: ASYNC251  # that is what is measured
        await anyio.sleep(0.02)
    assert beating.gap > MAX_GAP_SECONDS
