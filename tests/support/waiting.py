"""Waiting for what another thread, or the system, does soon."""

from __future__ import annotations

from collections.abc import Callable

import anyio


async def until(condition: Callable[[], object], seconds: float = 30) -> None:
    """Returns when the condition holds. Raises `TimeoutError` if it does not within this time."""
    with anyio.fail_after(seconds):
        while not condition():  # nobody would set an event
            await anyio.sleep(0.01)
