"""The instances of one sandboxed plugin: initialised, lent to one call at a time, replaced when
they failed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

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
        """`make` returns an initialised instance; `discard` shuts one down and frees it, in the
        time that is left of a call. With `fresh`, an instance that a call had is not lent again,
        and after each call one is made for the next."""
        self._make = make
        self._discard = discard
        self._keep = 0 if fresh else settings.idle
        self._places = anyio.Semaphore(settings.instances, fast_acquire=True)
        self._idle: list[Instance] = []
        self._fresh = fresh
        self._spare: Spare | None = None
        self._closed = False

    async def fill(self) -> None:
        """Makes an instance for the first call."""
        async with self._places:
            self._idle.append(await self._make())

    def taken(self) -> Instance | None:
        """An instance that is there and free, if there is one. To be given back."""
        if not self._idle:
            return None
        try:
            self._places.acquire_nowait()
        except anyio.WouldBlock:
            return None
        return self._idle.pop()

    async def borrowed(self, call: Call) -> Instance:
        """An instance, once one is free or was made. To be given back."""
        with call.queuing():
            await self._places.acquire()
        try:
            if not self._idle and self._spare is not None:
                await self._spare.wait()
            return self._idle.pop() if self._idle else await self._make()
        except BaseException:
            self._places.release()
            raise

    def kept(self, instance: Instance) -> bool:
        """Whether an instance that is given back was kept for the next call. Else `give_up` it."""
        if not instance.usable or len(self._idle) >= self._keep:
            return False
        self._idle.append(instance)
        self._places.release()
        return True

    async def give_up(self, instance: Instance, call: Call) -> None:
        """Shuts an instance down that is given back and was not kept."""
        try:
            with anyio.CancelScope(shield=True):
                await self._discard(instance, call)
        except Exception:
            # Whatever a plugin does in its `shutdown`, or a caller's logger then, its instance is
            # gone, and the call that it follows has its result.
            return
        finally:
            self._prepare()
            self._places.release()

    def _prepare(self) -> None:
        """Begins to make an instance for the next call, if that can't have this one."""
        waiting = self._idle or (self._spare is not None and not self._spare.ended)
        if self._fresh and not waiting and not self._closed:
            self._spare = Spare(self._make, self._idle.append)

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
