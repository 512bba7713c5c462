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
from .spare import Spare


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
        that is left of a call. With `fresh`, an instance that a call had is not lent again, and
        after each call one is made for the next."""
        self._make = make
        self._discard = discard
        self._keep = 0 if fresh else settings.idle
        self._places = anyio.Semaphore(settings.instances)
        self._idle: list[Instance] = []
        self._fresh = fresh
        self._spare: Spare | None = None
        self._closed = False

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
            instance = await self._lent()
            try:
                yield instance
            finally:
                if instance.usable and len(self._idle) < self._keep:
                    self._idle.append(instance)
                else:
                    with anyio.CancelScope(shield=True):
                        await self._give_up(instance, call)
                    self._prepare()
        finally:
            self._places.release()

    async def _lent(self) -> Instance:
        if not self._idle and self._spare is not None:
            await self._spare.wait()
        return self._idle.pop() if self._idle else await self._make()

    def _prepare(self) -> None:
        """Begins to make an instance for the next call, if that can't have this one."""
        waiting = self._idle or (self._spare is not None and not self._spare.ended)
        if self._fresh and not waiting and not self._closed:
            self._spare = Spare(self._make, self._idle.append)

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
        self._closed = True
        if self._spare is not None:
            await self._spare.close()
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
