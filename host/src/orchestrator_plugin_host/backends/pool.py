"""The instances of one sandboxed plugin: initialised, lent to one call at a time, replaced when
poisoned."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import anyio

from ..errors import PluginError
from ..sandbox.instance import Instance
from ..settings import PoolSettings


class InstancePool:
    """Lends instances. Belongs to one event loop."""

    def __init__(
        self,
        make: Callable[[], Awaitable[Instance]],
        discard: Callable[[Instance], Awaitable[None]],
        settings: PoolSettings,
    ) -> None:
        """`make` gives an initialised instance; `discard` shuts one down and frees it."""
        self._make = make
        self._discard = discard
        self._keep = settings.idle
        self._places = anyio.Semaphore(settings.instances)
        self._idle: list[Instance] = []

    @asynccontextmanager
    async def borrowed(self) -> AsyncIterator[Instance]:
        """An instance for as long as the context is open. Waits while all are lent."""
        async with self._places:
            instance = self._idle.pop() if self._idle else await self._make()
            try:
                yield instance
            finally:
                if instance.usable and len(self._idle) < self._keep:
                    self._idle.append(instance)
                else:
                    with anyio.CancelScope(shield=True):
                        await self._give_up(instance)

    async def _give_up(self, instance: Instance) -> None:
        try:
            await self._discard(instance)
        except PluginError:
            # Whatever a plugin does in its `shutdown`, its instance is gone.
            return

    async def close(self) -> None:
        """Shuts the idle instances down."""
        while self._idle:
            await self._give_up(self._idle.pop())
