"""The threads that guests compute in, when they do so for long: as many as there are cores.

A guest that is in no thread takes none: one that waits is an object, nothing more. A thread has a
guest for a moment at a time (`QUANTUM_SECONDS`), and then takes the next that wants to go on.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final, TypeVar

import anyio
from anyio.lowlevel import current_token

from ..errors import PluginClosedError
from ..timing import call_soon

T = TypeVar("T")

QUANTUM_SECONDS: Final = 0.005
"""How long a thread has one guest while others wait."""


def _nothing(_: object) -> None:
    return


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

    def begun(self, work: Callable[[], T]) -> Future[T]:
        """Work that a thread does once it is free. Raises `PluginClosedError` in a fork, and after
        `close`."""
        self.check_process()
        try:
            return self._threads.submit(work)
        except RuntimeError as error:
            raise PluginClosedError(f"the host has been closed ({error})") from None

    async def ended(self, work: Future[T]) -> T:
        """What `begun` work returns or raises. Giving up the waiting for it does not end it: it can
        be waited for again."""
        token, done = current_token(), anyio.Event()
        work.add_done_callback(lambda _: call_soon(token, done.set))
        await done.wait()
        return work.result()

    async def run(self, function: Callable[[], T], discard: Callable[[T], object] = _nothing) -> T:
        """What `function` returns, from a thread. Giving up does not wait for it: what it returns
        then, if a thread has begun it, `discard` gets, in any thread."""
        work = self.begun(function)
        try:
            return await self.ended(work)
        except BaseException:
            if not work.cancel():
                work.add_done_callback(lambda ended: ended.exception() or discard(ended.result()))
            raise

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
