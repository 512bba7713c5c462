"""Whether an event loop goes on while guests run: how long it was kept from anything else."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import anyio

MAX_GAP_SECONDS: Final = 0.5
"""What a guest may never keep an event loop from everything else for. It gets a few milliseconds at
a time; the rest is for a machine that is busy with other things."""

_BEAT_SECONDS: Final = 0.001


class Heartbeat:
    """Beats on an event loop. `gap` is the longest time between two of them, in seconds."""

    def __init__(self) -> None:
        self.beats = 0
        self.gap = 0.0
        self._last = time.monotonic()

    async def run(self) -> None:
        """Beats until it is cancelled."""
        self._last = time.monotonic()
        while True:
            await anyio.sleep(_BEAT_SECONDS)
            now = time.monotonic()
            self.gap, self.beats, self._last = max(self.gap, now - self._last), self.beats + 1, now


@asynccontextmanager
async def heartbeat() -> AsyncIterator[Heartbeat]:
    """Beats meanwhile, and fails the test at the end if the event loop was kept from it."""
    heart = Heartbeat()
    async with anyio.create_task_group() as group:
        group.start_soon(heart.run)
        yield heart
        await anyio.sleep(_BEAT_SECONDS)
        group.cancel_scope.cancel()
    assert heart.gap < MAX_GAP_SECONDS, f"the event loop stood still for {heart.gap:.3f} s"
