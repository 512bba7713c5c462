"""The threads that guests run on: of our own, because their stacks must be large enough.

A guest may use `config.MAX_WASM_STACK` of the stack of whatever thread calls it. On a smaller one
its recursion would end the process instead of its call.
"""

from __future__ import annotations

import atexit
import os
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any, Final, TypeVar

import anyio
from anyio.lowlevel import current_token

from ..calls import Call, call_soon
from ..courier import Courier
from ..errors import PluginAbortedError, PluginBlockedError, PluginClosedError
from .config import GUEST_THREAD_STACK

T = TypeVar("T")
_Job = Callable[[], None]

PATIENCE_SECONDS: Final = 0.03
"""How long a caller whose call was interrupted waits for the guest to leave its thread. A guest
that runs leaves within two ticks; one that blocks in the system may never."""

MAX_BLOCKED: Final = 3
"""Threads that one plugin may hold past its deadlines before it is called no more."""

_EXIT_SECONDS: Final = 1.0

# `threading.stack_size` is one setting of the whole interpreter. Without a lock that all hosts
# share, one would set it back before another's thread has started, and a guest's recursion there
# would end the process.
_stack_size_lock = threading.Lock()


def _start_with_large_stack(thread: threading.Thread) -> None:
    with _stack_size_lock:
        before = threading.stack_size()
        threading.stack_size(max(before, GUEST_THREAD_STACK))
        try:
            thread.start()
        finally:
            threading.stack_size(before)


@dataclass(eq=False)
class _Run:
    """One function on its way through a thread."""

    owner: str
    call: Call
    thread: threading.Thread | None = None
    withdrawn: bool = False
    finished: bool = False
    abandoned: bool = False


class WorkerThreads:
    """Threads made when needed and kept for the next call. Of the process they were made in."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._idle: deque[SimpleQueue[_Job | None]] = deque()
        self._queues: list[SimpleQueue[_Job | None]] = []
        self._threads: list[threading.Thread] = []
        self._runs: set[_Run] = set()
        self._blocked: Counter[str] = Counter()
        self._closed = False
        self._process = os.getpid()

    async def run(
        self,
        owner: str,
        call: Call,
        function: Callable[[], T],
        *,
        abandoned: Callable[[], None] | None = None,
        discard: Callable[[T], None] | None = None,
    ) -> T:
        """Runs `function` on a thread, for the plugin that `owner` names. When the awaiting task is
        cancelled, the call is interrupted, and the cancellation goes on once the thread has left
        the guest.

        A guest that blocks in the system can't be interrupted: after `PATIENCE_SECONDS` the
        cancellation goes on without it, and `abandoned` is called. What `function` gives when
        nobody waits for it any more goes to `discard`. Raises `PluginBlockedError` while too many
        of the owner's are like that.
        """
        with self._lock:
            if self._blocked[owner] >= MAX_BLOCKED:
                raise PluginBlockedError(
                    f"plugin {call.plugin!r}: {MAX_BLOCKED} of its calls are past their deadlines "
                    "and can't be stopped, because they block in the system; it is not called "
                    "again until one has come back. Run it with tier='process', where blocked "
                    "calls are ended, or do not grant it WASI"
                )
        courier = Courier(current_token(), call_soon)
        call.courier = courier
        result: list[T] = []
        raised: list[BaseException] = []
        run = _Run(owner, call)

        def job() -> None:
            with self._lock:
                if run.withdrawn:
                    return
                run.thread = threading.current_thread()
            try:
                if not run.abandoned:  # else nobody waits, not even who closes the host
                    result.append(function())
            except BaseException as error:
                raised.append(error)
            if self._finished(run) and result and discard is not None:
                discard(result[0])
            courier.finish()

        given_up: BaseException | None = None
        patience = float("inf")
        try:
            self._submit(job, run)
        except BaseException as error:
            if self._withdraw(run):
                raise
            # Ctrl-C, which trio raises anywhere: the thread is in the guest, as below.
            given_up, patience = error, time.monotonic() + PATIENCE_SECONDS
            call.interrupt(PluginAbortedError(f"plugin {call.plugin!r}: the call was interrupted"))
        while not courier.finished:
            try:
                if given_up is None:
                    await courier.serve()
                    break
                wait = max(patience - time.monotonic(), 0.0)
                with anyio.move_on_after(wait, shield=True):
                    await courier.wait()
                    break
                if self._abandon(run):
                    if abandoned is not None:
                        abandoned()
                    break
            except BaseException as error:
                # A cancellation, a second one that no shield holds back, Ctrl-C: whatever it is,
                # the thread is in the guest, and its store must not be touched until it is out.
                if given_up is None:
                    patience = time.monotonic() + PATIENCE_SECONDS
                given_up = error
                call.interrupt(
                    PluginAbortedError(f"plugin {call.plugin!r}: the awaiting task was cancelled")
                    if call.left() > 0
                    else call.out_of_time()
                )
        if given_up is not None:
            if result and discard is not None and not run.abandoned:
                discard(result[0])
            raise given_up
        if raised:
            try:
                raise raised[0]
            finally:
                raised.clear()  # no cycle through the traceback
        return result[0]

    def _withdraw(self, run: _Run) -> bool:
        """Takes a run back, unless a thread has begun it."""
        with self._lock:
            if run.thread is None:
                run.withdrawn = True
                self._runs.discard(run)
            return run.withdrawn

    def _abandon(self, run: _Run) -> bool:
        """Gives a thread up, unless it is done after all."""
        with self._lock:
            if run.finished:
                return False
            run.abandoned = True
            self._blocked[run.owner] += 1
            return True

    def _finished(self, run: _Run) -> bool:
        """Notes that a thread is done; gives whether it had been given up."""
        with self._lock:
            run.finished = True
            self._runs.discard(run)
            if run.abandoned:
                self._blocked[run.owner] -= 1
                self._blocked += Counter()  # forgets the owners that have none
            return run.abandoned

    def _submit(self, job: _Job, run: _Run) -> None:
        if os.getpid() != self._process:
            raise PluginClosedError(
                "the host belongs to the process that made it, and this one was forked from that: "
                "make a PluginHost in each process"
            )
        with self._lock:
            if self._closed:
                raise PluginClosedError("the host has been closed")
            self._runs.add(run)
            if self._idle:
                self._idle.pop().put(job)
                return
            jobs: SimpleQueue[_Job | None] = SimpleQueue()
            jobs.put(job)
            self._queues.append(jobs)
            thread = threading.Thread(
                target=self._work, args=(jobs,), name="orchestrator-plugin-call", daemon=True
            )
            if not self._threads:
                atexit.register(self._at_exit)
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
        """Ends the threads once their calls have; those that block end when they come back."""
        with self._lock:
            self._closed = True
            for run in self._runs:  # nobody waits for it any more
                run.call.interrupt(PluginClosedError("the host has been closed"))
            # All of them, not the idle alone: Ctrl-C in trio may have come as one was taken from
            # there, and a thread that nobody tells would be waited for without end.
            for jobs in self._queues:
                jobs.put(None)
            self._idle.clear()
            lost = {run.thread for run in self._runs if run.abandoned}
        if os.getpid() == self._process:
            for thread in self._threads:
                if thread not in lost:
                    thread.join()
        atexit.unregister(self._at_exit)

    def _at_exit(self) -> None:
        """Gets guests to leave before the interpreter goes: one that called an import of a host
        without an interpreter would end the process by a signal."""
        if os.getpid() != self._process:
            return
        until = time.monotonic() + _EXIT_SECONDS
        while time.monotonic() < until:
            with self._lock:
                runs = [run for run in self._runs if not run.abandoned]
            if not runs:
                return
            for run in runs:
                run.call.interrupt(PluginClosedError("the interpreter exits"))
            time.sleep(0.005)
