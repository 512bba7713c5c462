"""How long an event loop is kept from whoever else waits for it, while a case runs on it.

A task wants to run every two milliseconds. What it sees is what any other task of the
application's would: the longest time that a plugin keeps the whole of it waiting.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Final

import anyio
from pydantic import BaseModel, ConfigDict

BEAT_SECONDS: Final = 0.002


class Gaps(BaseModel):
    """The worst of what a heartbeat saw, in milliseconds."""

    model_config = ConfigDict(extra="forbid")

    gap_ms: float = 0
    """By how much a beat was late."""
    held_ms: float = 0
    """By how much a beat was late, without the time that the event loop's thread had work to do and
    waited for a core: what other processes of a busy machine take. Where the system does not tell
    that time, the same as `gap_ms`."""
    cpu_ms: float = 0
    """How long the event loop's thread computed between two beats. What is computed in another
    thread while it holds the interpreter's lock is not in it, but in `held_ms`."""
    during: str = ""
    """What the harness had asked for when `held_ms` was reached."""


class Heartbeat:
    """Beats on the event loop of the thread that makes it, while `beating`."""

    def __init__(self) -> None:
        self.gaps = Gaps()
        self.beats = 0
        self.doing = "the start of the host"
        """What is under way, for `Gaps.during`."""
        self._queue = _RunQueue()
        self._restart()

    def _restart(self) -> None:
        self._due = time.perf_counter()
        self._cpu = time.thread_time()
        self._queued = self._queue.seconds()

    def _note(self) -> None:
        """Looks at the time since the last beat, or since `_restart`."""
        late = time.perf_counter() - self._due
        held = late - (self._queue.seconds() - self._queued)
        gaps = self.gaps
        gaps.gap_ms = max(gaps.gap_ms, round(late * 1000, 1))
        gaps.cpu_ms = max(gaps.cpu_ms, round((time.thread_time() - self._cpu) * 1000, 1))
        if held * 1000 > gaps.held_ms:
            gaps.held_ms, gaps.during = round(held * 1000, 1), self.doing

    @asynccontextmanager
    async def beating(self) -> AsyncIterator[None]:
        """Beats while the context is open."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._beat)
            await anyio.sleep(2 * BEAT_SECONDS)  # it has begun
            yield
            self._note()
            tasks.cancel_scope.cancel()

    async def _beat(self) -> None:
        self._restart()
        while True:
            self._due += BEAT_SECONDS
            await anyio.sleep(BEAT_SECONDS)
            self._note()
            self.beats += 1
            self._restart()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Around work of the harness's own: what it takes is nobody's fault."""
        self._note()
        try:
            yield
        finally:
            self._restart()


class _RunQueue:
    """How long this thread has waited for a core since it began, where the system tells."""

    def __init__(self) -> None:
        self._file: int | None = None
        if sys.platform == "linux":
            try:
                self._file = os.open("/proc/thread-self/schedstat", os.O_RDONLY | os.O_CLOEXEC)
            except OSError:  # a kernel without these statistics
                return

    def seconds(self) -> float:
        """Seconds, or always 0."""
        if self._file is None:
            return 0.0
        # https://docs.kernel.org/scheduler/sched-stats.html#proc-pid-schedstat
        return int(os.pread(self._file, 100, 0).split()[1]) / 1e9
