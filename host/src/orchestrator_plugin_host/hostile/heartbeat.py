"""How long an event loop is kept from whoever else waits for it, while a case runs on it.

A task wants to run every two milliseconds. What it sees is what any other task of the
application's would: the longest time that a plugin keeps the whole of it waiting.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
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
        self.clock = FairClock()
        self._restart()

    def _restart(self, pause: float = 0.0) -> None:
        """From now on, the next beat is due after a pause."""
        self._cpu = time.thread_time()
        now, fair_now = self.clock.now()
        self._due, self._fair_due = now + pause, fair_now + pause

    def _note(self) -> None:
        """Looks at the time since the next beat was due."""
        now, fair_now = self.clock.now()
        late, held = now - self._due, fair_now - self._fair_due
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
        while True:
            self._restart(BEAT_SECONDS)
            await anyio.sleep(BEAT_SECONDS)
            self._note()
            self.beats += 1

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Around work of the harness's own: what it takes is nobody's fault."""
        self._note()
        try:
            with self.clock.stopped():
                yield
        finally:
            self._restart()


class FairClock:
    """The time that passes, and how much of it counts: not the time that this thread had work to do
    and waited for a core, where the system tells that, and not what is `stopped`. Used by the
    thread that makes it."""

    def __init__(self) -> None:
        self._excluded = 0.0
        self._file: int | None = None
        if sys.platform == "linux":
            # In a kernel without these statistics there is no such file.
            with suppress(OSError):
                self._file = os.open("/proc/thread-self/schedstat", os.O_RDONLY | os.O_CLOEXEC)

    def now(self) -> tuple[float, float]:
        """Seconds, from some moment, of all time and of the time that counts."""
        now = time.perf_counter()
        return now, now - self._waited() - self._excluded

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Around what does not count."""
        before = self.now()[1]
        try:
            yield
        finally:
            self._excluded += self.now()[1] - before

    def _waited(self) -> float:
        if self._file is None:
            return 0.0
        # https://docs.kernel.org/scheduler/sched-stats.html#proc-pid-schedstat
        return int(os.pread(self._file, 100, 0).split()[1]) / 1e9
