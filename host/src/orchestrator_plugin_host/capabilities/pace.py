"""How long work goes on before others have the event loop: a few milliseconds, then a turn.

What a guest or a server makes the host do may come in more pieces than one would do at once: chunks
of one byte, a hundred thousand texts. Whoever works on them calls `Pace.step` between two pieces.
"""

from __future__ import annotations

import time
from typing import Any, Final

import anyio
from anyio.lowlevel import checkpoint, current_token

SLICE_SECONDS: Final = 0.002
"""How long one response, or one request, is worked on without a turn."""
_PASS_SECONDS: Final = 0.004
"""How long all of them together are worked on in one pass of the event loop."""


class Turns:
    """Who goes on next with work that takes longer than a slice. All plugins of a host share one,
    so that a pass of the event loop has a slice or two of such work, however many tasks have some.
    """

    def __init__(self) -> None:
        self._lock = anyio.Lock()
        self._schedule: Any = None
        self._spent = 0.0

    async def wait(self) -> None:
        """Returns when it is the caller's turn: after one pass of the event loop at least."""
        async with self._lock:
            await checkpoint()

    def note(self, seconds: float) -> None:
        """Counts work that was done in this pass of the event loop."""
        if not self._spent:
            if self._schedule is None:
                loop: Any = current_token().native_token
                self._schedule = getattr(loop, "call_soon", None) or loop.run_sync_soon
            self._schedule(self._next_pass)
        self._spent += seconds

    def _next_pass(self) -> None:
        self._spent = 0.0

    @property
    def full(self) -> bool:
        """Whether this pass of the event loop has had enough."""
        return self._spent >= _PASS_SECONDS


class Pace:
    """The work for one response, or for one request. Time that is spent waiting does not count."""

    __slots__ = ("_since", "_spent", "_turns")

    def __init__(self, turns: Turns) -> None:
        self._turns = turns
        self._spent = 0.0
        self._since = time.perf_counter()

    def pause(self) -> None:
        """The work now waits for something."""
        now = time.perf_counter()
        self._turns.note(now - self._since)
        self._spent += now - self._since
        self._since = now

    def resume(self) -> None:
        """The work goes on after it has waited."""
        self._since = time.perf_counter()

    async def step(self) -> None:
        """To be called between two pieces of work: lets others have the event loop when a slice is
        used up, or when others have worked enough in this pass."""
        self.pause()
        if self._spent >= SLICE_SECONDS:
            await self._turns.wait()
            self._spent = 0.0
            self.resume()
        elif self._turns.full:
            await checkpoint()
            self.resume()
