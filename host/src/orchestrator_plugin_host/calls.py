"""One call of a plugin: its deadline, its abort, its budgets. The same for both backends.

A `Call` is made by a handle on the event loop and read by whichever thread runs the plugin.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Iterator,
    Mapping,
)
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from typing import Any, Final, TypeVar

import anyio
from anyio.lowlevel import EventLoopToken, current_token
from orchestrator_plugin_sdk import (
    ErrorKind,
    LogEvent,
    PluginCallError,
    PluginContext,
    PluginLogger,
    from_document,
    unpack,
)
from orchestrator_plugin_sdk.log import log_document

from .courier import Courier
from .errors import (
    CallTimes,
    DeadlineExceededError,
    DocumentTooLargeError,
    FirstEventTimeoutError,
    IdleTimeoutError,
    LogLimitError,
    PluginAbortedError,
    PluginError,
    StreamLimitError,
)
from .limits import UNITS, Limits
from .reach import NO_REACH, Reach
from .stopwatch import Stopwatch

T = TypeVar("T")

ABORT_GRACE_SECONDS: Final = 0.01
"""How long an aborted plugin may take to stop by itself."""


_STEPS: Final[Mapping[str, tuple[type[DeadlineExceededError], str]]] = {
    "first_event_ms": (FirstEventTimeoutError, "gave no first event in time"),
    "idle_ms": (IdleTimeoutError, "gave no further event in time"),
}

MOMENT_SECONDS: Final = 0.05
"""What a plugin gets to tidy up in when its call has no time left."""


def call_soon(token: EventLoopToken, function: Callable[[], Any]) -> None:
    """Runs `function` on an event loop soon, from any thread, without waiting for it.

    Does nothing if the loop has ended.
    """
    loop: Any = token.native_token
    schedule = getattr(loop, "call_soon_threadsafe", None) or loop.run_sync_soon
    try:
        schedule(function)
    except RuntimeError:  # asyncio: the loop is closed; trio's RunFinishedError is one too
        return


class Call:
    """The state of one call. Thread-safe where both sides use it."""

    def __init__(
        self,
        plugin: str,
        limits: Limits,
        context: PluginContext,
        *,
        operation: str = "",
        reach: Reach = NO_REACH,
    ) -> None:
        """`operation` is what is called, for the audit; `reach`, what the plugin may reach."""
        self.id = os.urandom(8).hex()
        self.plugin = plugin
        self.operation = operation
        self.limits = limits
        self.reach = reach.open(self)
        self.courier: Courier | None = None
        self.context = context.with_(
            logger=_MeteredLogger(self, context.logger), secrets=self.reach.secrets
        )
        self._left = limits.deadline_ms / 1000
        self._step: str | None = None
        self._step_left = 0.0
        self._queued = Stopwatch()
        self._hosted = Stopwatch()
        self._resumed_at: float | None = None
        self._interrupted = threading.Event()
        self._interrupted_at = 0.0
        self._reason: PluginError | None = None
        self.host_error: BaseException | None = None
        """What was raised on the host's side while the plugin ran: it ends the call, whatever the
        plugin makes of it."""
        self._log_events = 0
        self._log_bytes = 0
        self._stream_events = 0
        self._lock = threading.Lock()

    @asynccontextmanager
    async def closing(self) -> AsyncIterator[None]:
        """Around the whole call: what it has open ends with it."""
        try:
            yield
        except BaseException as error:
            with anyio.CancelScope(shield=True):
                await self.reach.close(error)
            raise
        with anyio.CancelScope(shield=True):
            await self.reach.close(None)

    def on_event_loop(self, work: Callable[[], Awaitable[T]]) -> T:
        """What `work` gives on the event loop, for a plugin's thread, which waits. Raises why the
        call must end, if it must."""
        assert self.courier is not None
        return self.courier.run(work, self.check_running)

    # Time.

    def left(self) -> float:
        """Seconds until the deadline; negative after it. The clock stands between the events of a
        stream."""
        left = self._left if self._step is None else min(self._left, self._step_left)
        return left - self._running_for()

    def _running_for(self) -> float:
        return 0.0 if self._resumed_at is None else time.monotonic() - self._resumed_at

    def begin_step(self, limit: str) -> None:
        """From now on, time is also up after this limit (`first_event_ms`, `idle_ms`)."""
        now = self._running_for()  # what has run belongs to the step before
        self._step, self._step_left = limit, getattr(self.limits, limit) / 1000 + now

    def queuing(self) -> AbstractContextManager[None]:
        """Around waiting for an instance."""
        return self._queued.running()

    def hosting(self) -> AbstractContextManager[None]:
        """Around what the host does for the plugin, while that waits."""
        return self._hosted.running()

    def times(self) -> CallTimes:
        """Where the time of the call has gone so far."""
        spent = self.limits.deadline_ms / 1000 - self._left + self._running_for()
        queued, hosted = self._queued.seconds(), self._hosted.seconds()
        guest = max(spent - queued - hosted, 0.0)
        return CallTimes(*(round(one * 1000) for one in (queued, guest, hosted)))

    def time_to_end(self) -> float:
        """Seconds for what ends a call: what is left of it, or a moment.

        The caller is waiting: what a plugin does then must not outlast the caller's deadline.
        """
        return max(self.left(), MOMENT_SECONDS)

    def deadline_ms_left(self) -> int:
        """Milliseconds until the deadline, at least 1: what a plugin is told."""
        return max(1, int(self.left() * 1000))

    @contextmanager
    def _running(self) -> Iterator[None]:
        self._resumed_at = time.monotonic()
        try:
            yield
        finally:
            spent = self._running_for()
            self._left -= spent
            self._step_left -= spent
            self._resumed_at = None

    # Ends.

    @property
    def interrupted(self) -> bool:
        """Whether the caller has given up, or time has run out."""
        return self._interrupted.is_set() or self.left() <= 0

    def interrupt(self, reason: PluginError) -> None:
        """Ends the call, from any thread. The first reason stays."""
        with self._lock:
            if self._reason is None:
                self._reason = reason
                self._interrupted_at = time.monotonic()
        self._interrupted.set()

    def check(self) -> None:
        """Raises why the call must end, if it must."""
        if self._interrupted.is_set():
            raise self.reason()
        if self.left() <= 0:
            raise self.out_of_time()

    def check_running(self) -> None:
        """`check`, for a plugin that runs: after an abort it has a moment to stop by itself."""
        if (
            self._interrupted.is_set()
            and time.monotonic() - self._interrupted_at < ABORT_GRACE_SECONDS
            and self.left() > 0
        ):
            return
        self.check()

    def reason(self) -> PluginError:
        """Why the call was ended."""
        return self._reason or self.out_of_time()

    def out_of_time(self) -> DeadlineExceededError:
        """The error of the deadline that has passed."""
        times = self.times()
        if self._step is not None and self._step_left < self._left:
            kind, what = _STEPS[self._step]
            return kind(*self._limit(self._step), f"{what} ({times})", times)
        return DeadlineExceededError(*self._limit("deadline_ms"), f"took too long ({times})", times)

    def wait(self, seconds: float) -> None:
        """Sleeps for the plugin, on its thread. Raises why the call must end, if it must."""
        until = time.monotonic() + seconds
        with self.hosting():
            while True:
                self.check()
                rest = min(until - time.monotonic(), self.left())
                if rest <= 0 and time.monotonic() >= until:
                    return
                self._interrupted.wait(max(rest, 0))

    @asynccontextmanager
    async def scope(self) -> AsyncIterator[None]:
        """Runs a piece of the call on the event loop, and ends it at the deadline or on abort.

        Raises `DeadlineExceededError` or `PluginAbortedError`.
        """
        token = current_token()
        signal = self.context.abort_signal
        with self._running():
            cancelling = anyio.CancelScope(deadline=anyio.current_time() + self.left())

            def abort() -> None:
                self.interrupt(
                    PluginAbortedError(f"plugin {self.plugin!r}: {signal.reason or 'aborted'}")
                )
                call_soon(token, cancelling.cancel)

            forget = signal.add_listener(abort)
            try:
                self.check()
                with cancelling:
                    yield
                if cancelling.cancelled_caught:
                    raise self.reason()
            except PluginCallError as error:
                # The plugin looked at the signal, and stopped before it was made to.
                if error.kind is ErrorKind.ABORTED and self._interrupted.is_set():
                    raise self.reason() from error
                raise
            finally:
                forget()

    # Budgets.

    def count_stream_event(self) -> None:
        """Counts an event of a stream. Raises `StreamLimitError`."""
        self._stream_events += 1
        if self._stream_events > self.limits.stream_events:
            raise StreamLimitError(*self._limit("stream_events"), "streamed too many events")

    def count_log_event(self, size: int) -> None:
        """Counts a log event of `size` bytes. Raises `LogLimitError`."""
        self._log_events += 1
        self._log_bytes += size
        if self._log_events > self.limits.log_events:
            raise LogLimitError(*self._limit("log_events"), "logged too many events")
        if self._log_bytes > self.limits.log_bytes:
            raise LogLimitError(*self._limit("log_bytes"), "logged too many bytes")

    def check_log_bytes(self, size: int) -> None:
        """Raises `LogLimitError` for an event that is too large even to be read."""
        if self._log_bytes + size > self.limits.log_bytes:
            raise LogLimitError(*self._limit("log_bytes"), "logged too many bytes")

    def check_document_in(self, size: int) -> None:
        """Raises `DocumentTooLargeError` for a document that is too large to pass in."""
        if size > self.limits.document_in_bytes:
            raise DocumentTooLargeError(
                *self._limit("document_in_bytes"), f"was to get a document of {size:,} bytes"
            )

    def check_document_out(self, size: int) -> None:
        """Raises `DocumentTooLargeError` for a document that is too large to take."""
        if size > self.limits.document_out_bytes:
            raise DocumentTooLargeError(
                *self._limit("document_out_bytes"), f"gave a document of {size:,} bytes"
            )

    def _limit(self, name: str) -> tuple[str, str, int, str]:
        return self.plugin, name, getattr(self.limits, name), UNITS[name]


class _MeteredLogger(PluginLogger):
    """The caller's logger, counted. Both backends log through it."""

    def __init__(self, call: Call, target: PluginLogger) -> None:
        self._call = call
        self._target = target

    def emit(self, event: LogEvent) -> None:
        document = log_document(event)
        try:
            self._call.count_log_event(len(document))
            plain = self._call.reach.scrub(unpack(document))
            self._target.emit(from_document(LogEvent, plain))
        except BaseException as error:
            self._call.host_error = error
            raise
