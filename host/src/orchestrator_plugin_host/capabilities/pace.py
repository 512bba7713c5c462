"""How long work goes on before others have the event loop: a few milliseconds, then a turn.

What a guest or a server makes the host do may come in more pieces than one would do at once: chunks
of one byte, a hundred thousand texts. Whoever works on them calls `Pace.step` between two pieces.
"""

from __future__ import annotations

import time
from typing import Final

import anyio
import anyio.lowlevel

SLICE_SECONDS: Final = 0.002
"""How long work goes on without a turn."""


class Turns:
    """Who goes on next with work that takes longer than a slice. All plugins of a host share one,
    so that a pass of the event loop has one slice of such work, however many tasks have some."""

    def __init__(self) -> None:
        self._lock = anyio.Lock()

    async def wait(self) -> None:
        """Returns when it is the caller's turn: after one pass of the event loop at least."""
        async with self._lock:
            await anyio.lowlevel.checkpoint()


class Pace:
    """The work for one response, or for one request. Time that is spent waiting does not count."""

    __slots__ = ("_since", "_spent", "_turns")

    def __init__(self, turns: Turns) -> None:
        self._turns = turns
        self._spent = 0.0
        self._since = time.perf_counter()

    def pause(self) -> None:
        """The work now waits for something."""
        self._spent += time.perf_counter() - self._since

    def resume(self) -> None:
        """The work goes on after it has waited."""
        self._since = time.perf_counter()

    async def step(self) -> None:
        """To be called between two pieces of work: lets others have the event loop when a slice is
        used up."""
        if self._spent + time.perf_counter() - self._since >= SLICE_SECONDS:
            await self._turns.wait()
            self._spent = 0.0
            self._since = time.perf_counter()
