"""The threads that guests run on: of our own, because their stacks must be large enough.

A guest may use `MAX_WASM_STACK` of the stack of whatever thread calls it. On a smaller one its
recursion would end the process instead of its call.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, Final, TypeVar

import anyio
from anyio.lowlevel import current_token

from ..calls import Call, call_soon
from ..errors import PluginAbortedError, PluginClosedError
from .engine import MAX_WASM_STACK

T = TypeVar("T")
_STACK_SIZE: Final = MAX_WASM_STACK + 4 * 1024 * 1024
_Job = Callable[[], None]

# `threading.stack_size` is one setting of the whole interpreter. Without a lock that all hosts
# share, one would set it back before another's thread has started, and a guest's recursion there
# would end the process.
_stack_size_lock = threading.Lock()


def _start_with_large_stack(thread: threading.Thread) -> None:
    with _stack_size_lock:
        before = threading.stack_size()
        threading.stack_size(max(before, _STACK_SIZE))
        try:
            thread.start()
        finally:
            threading.stack_size(before)


class WorkerThreads:
    """Threads made when needed and kept for the next call."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._idle: deque[SimpleQueue[_Job | None]] = deque()
        self._threads: list[threading.Thread] = []
        self._closed = False

    async def run(self, call: Call, function: Callable[[], T]) -> T:
        """Runs `function` on a thread. When the awaiting task is cancelled, the call is
        interrupted, and the cancellation goes on once the thread has left the guest."""
        token = current_token()
        done = anyio.Event()
        result: list[T] = []
        raised: list[BaseException] = []

        def job() -> None:
            try:
                result.append(function())
            except BaseException as error:
                raised.append(error)
            call_soon(token, done.set)

        self._submit(job)
        given_up: BaseException | None = None
        while not done.is_set():
            try:
                with anyio.CancelScope(shield=given_up is not None):
                    await done.wait()
            except BaseException as error:
                # A cancellation, a second one that no shield holds back, Ctrl-C: whatever it is,
                # the thread is in the guest, and its store must not be touched until it is out.
                given_up = error
                call.interrupt(
                    PluginAbortedError(f"plugin {call.plugin!r}: the awaiting task was cancelled")
                    if call.left() > 0
                    else call.out_of_time()
                )
        if given_up is not None:
            raise given_up
        if raised:
            try:
                raise raised[0]
            finally:
                raised.clear()  # no cycle through the traceback
        return result[0]

    def _submit(self, job: _Job) -> None:
        with self._lock:
            if self._closed:
                raise PluginClosedError("the host has been closed")
            if self._idle:
                self._idle.pop().put(job)
                return
            jobs: SimpleQueue[_Job | None] = SimpleQueue()
            jobs.put(job)
            thread = threading.Thread(
                target=self._work, args=(jobs,), name="orchestrator-plugin-call", daemon=True
            )
            _start_with_large_stack(thread)
            self._threads.append(thread)

    def _work(self, jobs: SimpleQueue[_Job | None]) -> None:
        job: Any
        while (job := jobs.get()) is not None:
            job()
            job = None
            with self._lock:
                if self._closed:
                    return
                self._idle.append(jobs)

    def close(self) -> None:
        """Ends the threads once their calls have."""
        with self._lock:
            self._closed = True
            for jobs in self._idle:
                jobs.put(None)
            self._idle.clear()
        for thread in self._threads:
            thread.join()
