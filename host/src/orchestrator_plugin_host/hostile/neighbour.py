"""Another plugin of the same host, called all the time while a case is played."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import anyio

from ..handles import LoadedProvider
from .report import Report
from .steps import Clock

_PAUSE_SECONDS: Final = 0.005


@asynccontextmanager
async def calling(plugin: LoadedProvider, report: Report) -> AsyncIterator[None]:
    """Calls it while the context is open. Its slowest answer goes into the report, and whatever is
    no answer among the problems."""

    async def call() -> None:
        while True:
            clock = Clock()
            try:
                answer = await plugin.generate({"messages": []})
            except Exception as error:
                report.problems.append(f"the neighbour was not served: {error!r}")
                return
            if answer.text != "hi":
                report.problems.append(f"the neighbour was not served right: {answer!r}")
            report.neighbour_ms = max(report.neighbour_ms or 0.0, clock.milliseconds())
            report.neighbour_calls += 1
            await anyio.sleep(_PAUSE_SECONDS)

    await plugin.generate({"messages": []})  # its instance is made
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(call)
        yield
        tasks.cancel_scope.cancel()
