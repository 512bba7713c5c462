"""The instances of one sandboxed plugin: initialised, lent to one call at a time, replaced when
poisoned."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import anyio

from ..calls import Call
from ..errors import PluginError
from ..sandbox.instance import Instance
from ..settings import PoolSettings


class InstancePool:
    """Lends instances. Belongs to one event loop."""

    def __init__(
        self,
        make: Callable[[], Awaitable[Instance]],
        discard: Callable[[Instance, Call], Awaitable[None]],
        settings: PoolSettings,
        *,
        fresh: bool = False,
    ) -> None:
        """`make` gives an initialised instance; `discard` shuts one down and frees it, in the time
        that is left of a call. With `fresh`, an instance that a call had is not lent again."""
        self._make = make
        self._discard = discard
        self._keep = 0 if fresh else settings.idle
        self._places = anyio.Semaphore(settings.instances)
        self._idle: list[Instance] = []

    async def fill(self) -> None:
        """Makes an instance for the first call."""
        async with self._places:
            self._idle.append(await self._make())

    @asynccontextmanager
    async def borrowed(self, call: Call) -> AsyncIterator[Instance]:
        """An instance for as long as the context is open. Waits while all are lent."""
        with call.queuing():
            await self._places.acquire()
        try:
            instance = self._idle.pop() if self._idle else await self._make()
            try:
                yield instance
            finally:
                if instance.usable and len(self._idle) < self._keep:
                    self._idle.append(instance)
                else:
                    with anyio.CancelScope(shield=True):
                        await self._give_up(instance, call)
        finally:
            self._places.release()

    async def _give_up(self, instance: Instance, call: Call) -> None:
        try:
            await self._discard(instance, call)
        except Exception:
            # Whatever a plugin does in its `shutdown`, or a caller's logger then, its instance is
            # gone, and the call that it follows has its result.
            return

    async def close(self, call: Call) -> None:
        """Shuts the idle instances down. Raises the first error of a `shutdown`, after all."""
        failures: list[PluginError] = []
        try:
            while self._idle:
                try:
                    await self._discard(self._idle.pop(), call)
                except PluginError as error:
                    failures.append(error)
        finally:
            while self._idle:  # out of time: these are not told
                self._idle.pop().close()
        if failures:
            raise failures[0]
