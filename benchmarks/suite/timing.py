"""How one side of a row is timed, in the process that runs it."""

from __future__ import annotations

import math
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import anyio

Round = Callable[[float], Awaitable[Mapping[str, float]]]
"""Measures for about so many seconds, and returns its figures, by name: seconds, bytes, or a
number without a unit."""


@dataclass(frozen=True)
class Place:
    """Where a contender is: the cache of compiled components, which all share, and a folder of its
    own."""

    cache: Path
    folder: Path


def timed(function: Callable[[], Any]) -> Round:
    """Measures a function: the mean of as many calls as fit a round."""

    async def round_(seconds: float) -> Mapping[str, float]:
        calls, started = 0, time.perf_counter()
        batch = 1
        while (spent := time.perf_counter() - started) < seconds:
            if calls:  # as many as take a tenth of the round, so that the clock costs nothing
                batch = max(1, min(100_000, int(seconds / 10 * calls / spent)))
            for _ in range(batch):
                function()
            calls += batch
        return {"seconds": spent / calls}

    return round_


def timed_async(function: Callable[[], Awaitable[Any]]) -> Round:
    """Measures a coroutine function: the mean of as many calls, one after another, as fit a
    round."""

    async def round_(seconds: float) -> Mapping[str, float]:
        calls, started = 0, time.perf_counter()
        while (spent := time.perf_counter() - started) < seconds:
            await function()
            calls += 1
        return {"seconds": spent / calls}

    return round_


def once(function: Callable[[], Awaitable[Any]]) -> Round:
    """Measures one call of a coroutine function a round."""

    async def round_(_: float) -> Mapping[str, float]:
        started = time.perf_counter()
        await function()
        return {"seconds": time.perf_counter() - started}

    return round_


@dataclass
class Heartbeat:
    """A task that wakes up every millisecond, or rather later if the event loop is kept from it.

    The gaps are how much later, in seconds.
    """

    period: float = 0.001
    gaps: list[float] = field(default_factory=list)

    async def __aenter__(self) -> Self:
        self._tasks = anyio.create_task_group()
        await self._tasks.__aenter__()
        self._tasks.start_soon(self._beat)
        await anyio.lowlevel.checkpoint()
        return self

    async def __aexit__(self, *raised: Any) -> bool | None:
        self._tasks.cancel_scope.cancel()
        return await self._tasks.__aexit__(*raised)

    async def _beat(self) -> None:
        before = time.perf_counter()
        while True:
            await anyio.sleep(self.period)
            now = time.perf_counter()
            self.gaps.append(max(now - before - self.period, 0.0))
            before = now

    def figures(self) -> dict[str, float]:
        """The worst gap, and the 99th percentile."""
        gaps = sorted(self.gaps)
        return {"gap": gaps[-1], "gap_p99": gaps[math.ceil(0.99 * len(gaps)) - 1]}


def held_bytes(process: str = "self") -> int:
    """Bytes of memory that a process holds, of what it shares with others its part.

    Linux's proportional set size: memory that several instances map counts once.
    """
    for line in Path(f"/proc/{process}/smaps_rollup").read_text().splitlines():
        name, _, value = line.partition(":")
        if name == "Pss":
            return int(value.split()[0]) * 1024
    raise OSError("this system does not say how much memory a process holds")
