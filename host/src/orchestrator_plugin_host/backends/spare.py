"""An instance that is made while nobody waits for it, for the next call of a plugin of which no
instance serves a second one."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import Any

import anyio

from ..sandbox.instance import Instance


class Spare:
    """One instance on its way. Belongs to one event loop."""

    def __init__(
        self, make: Callable[[], Awaitable[Instance]], take: Callable[[Instance], None]
    ) -> None:
        """Begins at once. `take` gets it; if it can't be made, nobody is told: whoever needs an
        instance makes one, and is told then."""
        self._make = make
        self._take = take
        self._scope = anyio.CancelScope()
        self._ended = anyio.Event()
        self._task = _begin(self._run)

    @property
    def ended(self) -> bool:
        """Whether it was made, or could not be."""
        return self._ended.is_set()

    async def wait(self) -> None:
        """Returns when it was made, or could not be."""
        await self._ended.wait()

    async def close(self) -> None:
        """Returns when it is not made any more."""
        self._scope.cancel()
        with anyio.CancelScope(shield=True):
            await self._ended.wait()

    async def _run(self) -> None:
        try:
            with self._scope, suppress(Exception):
                self._take(await self._make())
        finally:
            self._ended.set()


def _begin(function: Callable[[], Coroutine[Any, Any, None]]) -> object:
    """Runs a function beside whoever begins it, who does not wait: anyio has no such thing."""
    trio: Any = sys.modules.get("trio")  # loaded, if it is what runs
    if trio is not None and trio.lowlevel.in_trio_run():
        return trio.lowlevel.spawn_system_task(function)
    return asyncio.get_running_loop().create_task(function())
