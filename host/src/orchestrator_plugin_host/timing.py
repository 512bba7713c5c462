"""Time that passes, and event loops that are told so from elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from anyio.lowlevel import EventLoopToken, checkpoint, current_token


def call_soon(token: EventLoopToken, function: Callable[[], Any]) -> None:
    """Runs `function` on an event loop soon, from any thread, without waiting for it.

    Does nothing if the loop has ended.
    """
    loop: Any = token.native_token
    schedule = getattr(loop, "call_soon_threadsafe", None) or loop.run_sync_soon
    try:
        schedule(function)
    except RuntimeError:  # asyncio: the loop is closed; trio's RunFinishedError is one too
        return


def soon_here(function: Callable[[], Any]) -> None:
    """Runs `function` on this event loop, which runs the caller, after all that is ready or due."""
    loop: Any = current_token().native_token
    schedule = getattr(loop, "call_soon", None) or loop.run_sync_soon
    # Three passes: what is ready, what is due, and on asyncio the tasks that this wakes.
    schedule(schedule, schedule, function)


async def give_way() -> None:
    """Returns after all that is ready or due has run: a timer that is late does not wait for
    whatever the caller does next. For between two pieces of work that take milliseconds."""
    for _ in range(3):  # as `soon_here` says
        await checkpoint()


class Stopwatch:
    """How long something went on, however many did it at once. A context manager."""

    __slots__ = ("_passed", "_runners", "_since")

    def __init__(self) -> None:
        self._passed = 0.0
        self._runners = 0
        self._since = 0.0

    def __enter__(self) -> None:
        if self._runners == 0:
            self._since = time.monotonic()
        self._runners += 1

    def __exit__(self, *raised: object) -> None:
        self._runners -= 1
        if self._runners == 0:
            self._passed += time.monotonic() - self._since

    def seconds(self) -> float:
        """Until now."""
        return self._passed + (time.monotonic() - self._since if self._runners else 0.0)
