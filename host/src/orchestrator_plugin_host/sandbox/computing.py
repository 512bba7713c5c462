"""The threads that guests compute in, when they do so for long: as many as there are cores.

A guest that is in no thread takes none: one that waits is an object, nothing more. A thread has a
guest for a moment at a time (`QUANTUM_SECONDS`), and then takes the next that wants to go on.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

import anyio
from anyio.lowlevel import current_token

from ..errors import PluginClosedError
from ..timing import call_soon

T = TypeVar("T")

QUANTUM_SECONDS: Final = 0.02
"""How long a thread has one guest while others wait."""


def _none() -> float:
    return 0.0


class Computing:
    """The threads of one host. Of the process that they were made in."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(os.cpu_count() or 1, "orchestrator-plugin")
        self._process = os.getpid()

    def check_process(self) -> None:
        """Raises `PluginClosedError` in a process that was forked from the host's."""
        if os.getpid() != self._process:
            raise PluginClosedError(
                "the host belongs to the process that made it, and this one was forked from that: "
                "make a PluginHost in each process"
            )

    async def run(self, work: Callable[[], T], *, patience: Callable[[], float] = _none) -> T:
        """What `work` returns, from a thread.

        A cancellation waits for it for as many seconds as `patience` says then. After that `work`
        must know by itself that nobody wants it any more.
        """
        self.check_process()
        token, done = current_token(), anyio.Event()
        future = self._threads.submit(work)
        future.add_done_callback(lambda _: call_soon(token, done.set))
        try:
            await done.wait()
        except BaseException:
            if not future.cancel():  # a thread has begun it
                with anyio.move_on_after(patience(), shield=True):
                    await done.wait()
            raise
        return future.result()

    def soon(self, work: Callable[[], None]) -> None:
        """Does `work` in a thread, for nobody who waits for it."""
        try:
            self._threads.submit(work)
        except RuntimeError:  # the threads have ended, or the interpreter does
            work()

    def close(self) -> None:
        """Ends the threads, once they have done what was begun."""
        if os.getpid() == self._process:
            self._threads.shutdown()
