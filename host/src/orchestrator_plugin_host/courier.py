"""From a guest's thread to the event loop that waits for it: how imports do asynchronous work.

What a guest asks for runs in the very task that awaits its call, within that call's deadline, abort
and cancellation. There is no other task to be forgotten.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

import anyio
from anyio.lowlevel import EventLoopToken

T = TypeVar("T")

_ASK_SECONDS: Final = 0.02
"""How often a guest's thread looks whether its call must end."""


class _Errand:
    """One piece of work, and what became of it."""

    def __init__(self, work: Callable[[], Awaitable[Any]]) -> None:
        self.work = work
        self.done = threading.Event()
        self.result: Any = None
        self.raised: BaseException | None = None


class Courier:
    """Between one thread and one task, for as long as the task waits for the thread."""

    def __init__(self, token: EventLoopToken, call_soon: Callable[..., None]) -> None:
        self._token = token
        self._call_soon = call_soon
        self._errands: deque[_Errand] = deque()
        self._changed = anyio.Event()
        self._finished = False

    # On the thread.

    def run(self, work: Callable[[], Awaitable[T]], go_on: Callable[[], None]) -> T:
        """What `work` gives on the event loop. Raises what it raises, or what `go_on` does, which
        is asked meanwhile."""
        errand = _Errand(work)
        self._errands.append(errand)
        self._call_soon(self._token, self._wake)
        while not errand.done.wait(_ASK_SECONDS):
            go_on()
        if errand.raised is not None:
            try:
                raise errand.raised
            finally:
                errand.raised = None  # no cycle through the traceback
        result: T = errand.result
        return result

    def finish(self) -> None:
        """Says that the thread is done."""
        self._finished = True
        self._call_soon(self._token, self._wake)

    # On the event loop.

    def _wake(self) -> None:
        self._changed.set()

    @property
    def finished(self) -> bool:
        """Whether the thread is done."""
        return self._finished

    async def serve(self) -> None:
        """Does what the thread asks for until it is done. A cancellation ends it, and whatever
        runs for the thread; `serve` may be called again."""
        while not self._finished:
            if not self._errands:
                self._changed = anyio.Event()
                if not self._errands and not self._finished:
                    await self._changed.wait()
                continue
            await self._do(self._errands.popleft())

    async def wait(self) -> None:
        """Waits until the thread is done, and does nothing more for it."""
        while not self._finished:
            self._changed = anyio.Event()
            if not self._finished:
                await self._changed.wait()

    async def _do(self, errand: _Errand) -> None:
        try:
            errand.result = await errand.work()
        except Exception as error:
            errand.raised = error
        except BaseException as error:  # a cancellation: the thread is told by its call
            errand.raised = RuntimeError(f"the call was cancelled: {type(error).__name__}")
            raise
        finally:
            errand.done.set()
