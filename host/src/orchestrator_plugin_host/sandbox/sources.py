"""Where a loaded plugin's instances in worker processes come from."""

from __future__ import annotations

import threading
from typing import Final

from ..calls import Call
from ..errors import PluginError
from ..limits import Limits
from .computing import Computing
from .instance import Instance, InstanceSource
from .processes import ProcessInstance
from .workers import ReadyWorker, StoredCode

_KEPT: Final = 4
"""Workers of a plugin that are kept without a guest."""


class WorkerSource(InstanceSource):
    """The workers of one loaded plugin: those that have had a guest, and one that is on its way
    while the others are at work."""

    def __init__(self, stored: StoredCode, computing: Computing) -> None:
        self._stored = stored
        self._computing = computing
        self._lock = threading.Lock()
        self._ready: list[ReadyWorker] = []
        self._closed = False

    async def instance(self, call: Call) -> Instance:
        """A new instance, in a worker that is ready, or a new one. Raises `PluginError`."""
        self._computing.check_process()
        with self._lock:
            ready = self._ready.pop() if self._ready else None
        if ready is None:
            ready = await self._started(call)
        made = await ProcessInstance.made(ready, call, self._computing, self._keep)
        with self._lock:
            prepare = not self._ready
        if prepare:
            self._computing.soon(lambda: self._prepare(call.plugin, call.limits))
        return made

    async def _started(self, call: Call) -> ReadyWorker:
        """A new worker. One that nobody waits for any more, once it has started, is kept."""
        return await self._computing.run(
            lambda: ReadyWorker(self._stored, call.plugin, call.limits), self._keep
        )

    def _prepare(self, plugin: str, limits: Limits) -> None:
        try:
            ready = ReadyWorker(self._stored, plugin, limits)
        except PluginError:
            return  # whoever needs one next starts it, and is told why not
        self._keep(ready)

    def _keep(self, ready: ReadyWorker) -> None:
        """Takes a worker that has no guest, or none any more, for the next instance."""
        with self._lock:
            if len(self._ready) < _KEPT and not self._closed:
                self._ready.append(ready)  # who had a guest last is taken first
                return
        ready.worker.close()

    async def close(self) -> None:
        """Ends the workers that are ready. No instance is made afterwards."""
        with self._lock:
            self._closed = True
            ready, self._ready = self._ready, []
        for one in ready:
            one.worker.close()
