"""The heartbeat of hostile cases: that it sees what others wait for, and nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time

import anyio
import pytest
from orchestrator_plugin_host.hostile.heartbeat import BEAT_SECONDS, FairClock, Heartbeat

HELD = 0.2
"""Seconds."""

pytestmark = pytest.mark.anyio


async def test_an_event_loop_that_is_busy() -> None:
    heart = Heartbeat()
    async with heart.beating():
        heart.doing = "work"
        until = time.thread_time() + HELD
        while time.thread_time() < until:
            pass
        await anyio.sleep(2 * BEAT_SECONDS)
        heart.doing = "something else"
    gaps = heart.gaps
    assert gaps.gap_ms >= gaps.held_ms >= (HELD - 0.02) * 1000
    assert gaps.cpu_ms >= HELD * 1000
    assert gaps.during == "work"


async def test_an_event_loop_that_waits_for_another_thread() -> None:
    heart, lock = Heartbeat(), threading.Lock()
    async with heart.beating():
        lock.acquire()
        threading.Timer(HELD, lock.release).start()
        lock.acquire()
    assert heart.gaps.held_ms >= (HELD - 0.02) * 1000
    assert heart.gaps.cpu_ms < HELD * 1000


async def test_what_the_harness_does_is_not_counted() -> None:
    heart = Heartbeat()
    async with heart.beating():
        for _ in range(10):
            with heart.paused():
                time.sleep(HELD)  # noqa: ASYNC251  # it is to keep the event loop
        await anyio.sleep(0.02)
    assert heart.beats > 0
    assert heart.gaps.held_ms < HELD * 1000


async def test_what_went_before_a_pause_is_counted() -> None:
    heart = Heartbeat()
    async with heart.beating():
        time.sleep(HELD)  # noqa: ASYNC251
        with heart.paused():
            pass
    assert heart.gaps.held_ms >= (HELD - 0.02) * 1000


@pytest.mark.skipif(
    not os.path.exists("/proc/thread-self/schedstat"), reason="the system does not tell"
)
def test_the_time_that_is_waited_for_a_core_does_not_count() -> None:
    cores = os.sched_getaffinity(0)
    clock = FairClock()
    spin = [sys.executable, "-c", "print(flush=True)\nwhile True: pass"]
    os.sched_setaffinity(0, {min(cores)})
    try:
        with subprocess.Popen(spin, stdout=subprocess.PIPE) as other:  # on the same core
            assert other.stdout is not None
            other.stdout.readline()
            began, fair_began = clock.now()
            used = time.thread_time() + HELD
            while time.thread_time() < used:
                pass
            ended, fair_ended = clock.now()
            other.kill()
    finally:
        os.sched_setaffinity(0, cores)
    assert fair_ended - fair_began >= HELD - 0.02
    assert fair_ended - fair_began < (ended - began) * 0.8


def test_what_is_stopped_does_not_count() -> None:
    clock = FairClock()
    began, fair_began = clock.now()
    with clock.stopped():
        time.sleep(HELD)
    ended, fair_ended = clock.now()
    assert ended - began >= HELD
    assert fair_ended - fair_began < HELD
