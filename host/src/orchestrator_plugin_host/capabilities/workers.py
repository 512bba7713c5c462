"""Threads for what may block: looking up a name, a slow disk.

A few threads for each use of each plugin, so that nobody waits behind another plugin's hanging disk
or name server; the application's own threads have no part in it. Whoever waits can be cancelled at
any moment. The thread then goes on until its work returns, and counts until then: however often a
plugin's calls give up, it has no more than so many threads, and nothing else is left of its calls.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Any, Final, Generic, TypeVar

import anyio
from anyio.lowlevel import EventLoopToken, current_token

T = TypeVar("T")

GoOn = Callable[[], None]
"""Raises `GivenUpError` if nobody waits for the work any more."""

_IDLE_SECONDS: Final = 5.0


class GivenUpError(Exception):
    """Nobody waits for this work any more."""


class Errand(Generic[T]):
    """A piece of work on its way to a thread, and what became of it."""

    def __init__(self, work: Callable[[GoOn], T]) -> None:
        self._work = work
        self._token: EventLoopToken = current_token()
        self._done = anyio.Event()
        self._waiters = 0
        self._given_up = False
        self._result: Any = None
        self._raised: Exception | None = None

    # On the event loop.

    @property
    def finished(self) -> bool:
        """Whether the thread is done."""
        return self._done.is_set()

    @property
    def given_up(self) -> bool:
        """Whether everybody who waited has stopped waiting."""
        return self._given_up

    async def outcome(self) -> T:
        """What the work returns. Raises what it raises. Several may wait; when the last of them is
        cancelled, the work is told."""
        self._waiters += 1
        try:
            await self._done.wait()
        finally:
            self._waiters -= 1
            self._given_up = not self._waiters
        if self._raised is not None:
            raise self._raised
        result: T = self._result
        return result

    # On a thread.

    def do(self) -> None:
        """Does the work."""
        try:
            self._go_on()
            self._result = self._work(self._go_on)
        except Exception as error:
            self._raised = error
        except BaseException as error:  # a thread has nobody else to tell
            self._raised = RuntimeError(f"a thread ended early: {type(error).__name__}")

    def _go_on(self) -> None:
        if self._given_up:
            raise GivenUpError

    def tell(self, then: Callable[[], None]) -> None:
        """Tells those who wait, and calls `then`, on the event loop."""

        def finished() -> None:
            self._done.set()
            then()

        loop: Any = self._token.native_token
        schedule = getattr(loop, "call_soon_threadsafe", None) or loop.run_sync_soon
        try:
            schedule(finished)
        except RuntimeError:  # the event loop has ended, and with it whoever waited
            return


class Workers:
    """At most `limit` threads, which exist while there is work, and a few seconds longer. Belongs
    to one event loop."""

    def __init__(self, name: str, limit: int) -> None:
        self._name = name
        self._room = anyio.Semaphore(limit, fast_acquire=True)
        self._queue: SimpleQueue[Errand[Any] | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._under_way = 0
        self._threads = 0
        self._closed = False

    @property
    def threads(self) -> int:
        """How many threads there are."""
        return self._threads

    async def run(self, work: Callable[[GoOn], T]) -> T:
        """What `work` returns, on a thread. Raises what it raises. Work that takes long asks the
        function that it is passed whether to go on; a cancellation does not wait for it."""
        await self.room()
        return await self.start(work).outcome()

    async def room(self) -> None:
        """Waits until there is room for `start`, which is kept until that, or `leave`, is
        called."""
        await self._room.acquire()

    def leave(self) -> None:
        """Gives back what `room` kept."""
        self._room.release()

    def start(self, work: Callable[[GoOn], T]) -> Errand[T]:
        """Begins some work, in the room that was kept for it."""
        errand = Errand(work)
        with self._lock:
            self._under_way += 1
            more = self._under_way > self._threads
            self._threads += more
        if more:
            try:
                threading.Thread(target=self._serve, name=self._name, daemon=True).start()
            except BaseException:
                with self._lock:
                    self._under_way -= 1
                    self._threads -= 1
                self.leave()
                raise
        self._queue.put(errand)
        return errand

    def close(self) -> None:
        """Lets the threads end as soon as they are idle, rather than some seconds later."""
        with self._lock:
            self._closed = True
            for _ in range(self._threads):
                self._queue.put(None)

    def _serve(self) -> None:
        while True:
            try:
                errand = self._queue.get(timeout=_IDLE_SECONDS)
            except Empty:
                errand = None
            if errand is not None:
                errand.do()
                # Before anyone is told, who may begin the next: there is never one thread too many.
                with self._lock:
                    self._under_way -= 1
                errand.tell(self.leave)
                del errand  # and what it holds
                if not self._closed:
                    continue
            with self._lock:
                if self._threads > self._under_way:
                    self._threads -= 1
                    return
