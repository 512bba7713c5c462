"""Others in the host's process while a case is played: a plugin that is called all the time, and
an application that uses threads."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import anyio
import anyio.to_thread

from ..handles import LoadedProvider
from .heartbeat import FairClock
from .report import Report

_PAUSE_SECONDS: Final = 0.005


@asynccontextmanager
async def calling(plugin: LoadedProvider, clock: FairClock, report: Report) -> AsyncIterator[None]:
    """Calls it while the context is open, and uses the threads that anyio and asyncio have for
    everyone. The slowest of it goes into the report, and whatever is no answer among the
    problems."""

    async def call() -> None:
        while True:
            due = clock.now()[1] + _PAUSE_SECONDS
            await anyio.sleep(_PAUSE_SECONDS)
            try:
                answer = await plugin.generate({"messages": []})
            except Exception as error:
                report.problems.append(f"the neighbour was not served: {error!r}")
                return
            if answer.text != "hi":
                report.problems.append(f"the neighbour was not served right: {answer!r}")
            report.neighbour_ms = max(report.neighbour_ms or 0.0, since(due))
            report.neighbour_calls += 1

    async def use_threads() -> None:
        while True:
            due = clock.now()[1] + _PAUSE_SECONDS
            await anyio.sleep(_PAUSE_SECONDS)
            await anyio.to_thread.run_sync(int)
            await asyncio.to_thread(int)
            report.threads_ms = max(report.threads_ms or 0.0, since(due))

    def since(due: float) -> float:
        return round((clock.now()[1] - due) * 1000, 1)

    await plugin.generate({"messages": []})  # its instance is made
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(call)
        tasks.start_soon(use_threads)
        yield
        await anyio.sleep(2 * _PAUSE_SECONDS)  # whoever was kept waiting has its turn
        tasks.cancel_scope.cancel()
