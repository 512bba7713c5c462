"""One call of a plugin: its deadline, its abort, its budgets. The same for both backends.

A `Call` is made by a handle. All of it happens on the event loop; a guest that computes for long
does so in a thread, which reads the call's clock and abort signal.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

import anyio
from anyio.lowlevel import current_token
from orchestrator_plugin_sdk.errors import DocumentError
from orchestrator_plugin_sdk.log import LogEvent, PluginLogger, log_document

from .budget import CallBudget
from .errors import (
    CallTimes,
    DeadlineExceededError,
    FirstEventTimeoutError,
    IdleTimeoutError,
    PluginAbortedError,
    PluginOutputError,
)
from .log_events import read_log_event
from .timing import Stopwatch, call_soon

if TYPE_CHECKING:
    from orchestrator_plugin_sdk.context import PluginContext

    from .limits import Limits
    from .reach import Reach

ABORT_GRACE_SECONDS: Final = 0.01
"""How long a plugin may take to stop by itself, after an abort or a cancellation."""

MOMENT_SECONDS: Final = 0.03
"""What a plugin gets to tidy up in, all in all, when its call has no time left."""

_STEPS: Final[Mapping[str, tuple[type[DeadlineExceededError], str]]] = {
    "first_event_ms": (FirstEventTimeoutError, "gave no first event in time"),
    "idle_ms": (IdleTimeoutError, "gave no further event in time"),
}


def _no_reach() -> Reach:
    from .no_reach import NO_REACH  # here: calls of loaded plugins have a reach

    return NO_REACH


class Call(CallBudget):
    """The state of one call. Its clock runs from when it is made, but where `pause` stops it."""

    __slots__ = (
        "_given_up_at", "_hosted", "_id", "_left", "_moment_ends", "_queued", "_resumed_at",
        "_step", "_step_left", "context", "fuelled", "host_error", "network_denial", "operation",
        "reach",
    )  # fmt: skip

    def __init__(
        self,
        plugin: str,
        limits: Limits,
        context: PluginContext,
        *,
        operation: str = "",
        reach: Reach | None = None,
    ) -> None:
        """`operation` is what is called, for the audit; `reach`, what the plugin may reach, if
        anything."""
        super().__init__(plugin, limits)
        self.operation = operation
        self.context = context
        self.host_error: BaseException | None = None
        """What was raised on the host's side while the plugin ran: it ends the call, whatever the
        plugin makes of it."""
        self.fuelled: object = None
        """The instance that has had the fuel of this call: it is for all that the call does there.
        """
        self.network_denial: str | None = None
        """Why the plugin may make no request in this call, whatever else it is granted."""
        self._id = ""
        self._left = limits.deadline_ms / 1000
        self._step: str | None = None
        self._step_left = 0.0
        self._queued: Stopwatch | None = None
        self._hosted: Stopwatch | None = None
        self._resumed_at: float | None = time.monotonic()
        self._given_up_at: float | None = None
        self._moment_ends: float | None = None
        self.reach = (reach or _no_reach()).open(self)

    @property
    def id(self) -> str:
        """What tells the call apart in the audit: 16 random digits."""
        if not self._id:
            self._id = os.urandom(8).hex()
        return self._id

    # Time.

    def left(self) -> float:
        """Seconds until the deadline; negative after it."""
        left = self._left if self._step is None else min(self._left, self._step_left)
        return left - self._running_for()

    def _running_for(self) -> float:
        resumed_at = self._resumed_at
        return 0.0 if resumed_at is None else time.monotonic() - resumed_at

    def pause(self) -> None:
        """Stops the clock: between the events of a stream the time is the caller's."""
        spent = self._running_for()
        self._left -= spent
        self._step_left -= spent
        self._resumed_at = None

    def resume(self) -> None:
        """Starts the clock again."""
        if self._resumed_at is None:
            self._resumed_at = time.monotonic()

    def begin_step(self, limit: str) -> None:
        """From now on, time is also up after this limit (`first_event_ms`, `idle_ms`)."""
        now = self._running_for()  # what has run belongs to the step before
        self._step, self._step_left = limit, getattr(self.limits, limit) / 1000 + now

    def queuing(self) -> AbstractContextManager[None]:
        """Around waiting for an instance."""
        if self._queued is None:
            self._queued = Stopwatch()
        return self._queued

    def hosting(self) -> AbstractContextManager[None]:
        """Around what the host does for the plugin, while that waits."""
        if self._hosted is None:
            self._hosted = Stopwatch()
        return self._hosted

    def times(self) -> CallTimes:
        """Where the time of the call has gone so far."""
        spent = self.limits.deadline_ms / 1000 - self._left + self._running_for()
        queued = 0.0 if self._queued is None else self._queued.seconds()
        hosted = 0.0 if self._hosted is None else self._hosted.seconds()
        guest = max(spent - queued - hosted, 0.0)
        return CallTimes(*(round(one * 1000) for one in (queued, guest, hosted)))

    def time_to_end(self) -> float:
        """Seconds for what ends a call: what is left of it, or a moment.

        The caller is waiting: what a plugin does then must not outlast the caller's deadline by
        more than that moment, in however many steps it is done.
        """
        left = self.left()
        if left > MOMENT_SECONDS:
            return left
        if self._moment_ends is None:
            self._moment_ends = time.monotonic() + MOMENT_SECONDS
        return max(self._moment_ends - time.monotonic(), 0.0)

    def deadline_ms_left(self) -> int:
        """Milliseconds until the deadline, at least 1: what a plugin is told."""
        return max(1, int(self.left() * 1000))

    # Ends.

    @property
    def interrupted(self) -> bool:
        """Whether the caller has given up, or time has run out: what a plugin is told."""
        given_up = self._given_up_at is not None or self.context.abort_signal.aborted
        return given_up or self.left() <= 0

    @property
    def grace(self) -> float:
        """Seconds that a plugin may still take to stop by itself, of a call that is given up. They
        count from when this is first asked for."""
        if self._given_up_at is None:
            self._given_up_at = time.monotonic()
        return min(self._given_up_at + ABORT_GRACE_SECONDS - time.monotonic(), self.left())

    def check(self) -> None:
        """Raises why the call must end, if it must."""
        if self.context.abort_signal.aborted:
            raise self.aborted()
        if self.left() <= 0:
            raise self.out_of_time()

    def check_running(self) -> None:
        """`check`, for a plugin that runs: after an abort it has a moment to stop by itself."""
        if not self.context.abort_signal.aborted or self.grace <= 0:
            self.check()

    def aborted(self) -> PluginAbortedError:
        """The error of the caller's abort."""
        reason = self.context.abort_signal.reason
        return PluginAbortedError(f"plugin {self.plugin!r}: {reason or 'aborted'}")

    def out_of_time(self) -> DeadlineExceededError:
        """The error of the deadline that has passed."""
        times = self.times()
        if self._step is not None and self._step_left < self._left:
            kind, what = _STEPS[self._step]
            return kind(*self._limit(self._step), f"{what} ({times})", times)
        return DeadlineExceededError(*self._limit("deadline_ms"), f"took too long ({times})", times)

    async def end(self, error: BaseException | None) -> None:
        """Ends what the call has open, however it ended."""
        if not self.reach.close_at_once(error):
            with anyio.CancelScope(shield=True):
                await self.reach.close(error)

    def log(self, document: bytes) -> None:
        """Counts a log event, and gives it to the caller's logger without the values of secrets.

        Raises `LogLimitError`, `PluginOutputError`, or whatever the logger raises.
        """
        self.count_log_event(len(document))
        try:
            event = read_log_event(document, self.limits.log_bytes, self.reach.scrub)
        except DocumentError as error:
            raise PluginOutputError(
                f"plugin {self.plugin!r} logged what is not a log event: {error}"
            ) from None
        self.context.logger.emit(event)

    def scope(self) -> CallScope:
        """Around a piece of the call that waits: ends it at the deadline or on abort."""
        return CallScope(self)


class CallScope:
    """A piece of a call that waits on the event loop. A context manager; ends what is within at
    the deadline or on abort, and raises `DeadlineExceededError` or `PluginAbortedError` then."""

    __slots__ = ("_call", "_forget", "_scope", "_token")

    def __init__(self, call: Call) -> None:
        self._call = call

    def __enter__(self) -> Self:
        call = self._call
        call.check()
        self._token = current_token()
        self._scope = anyio.CancelScope(deadline=anyio.current_time() + call.left())
        self._scope.__enter__()
        self._forget = call.context.abort_signal.add_listener(self._abort)
        return self

    def _abort(self) -> None:
        call_soon(self._token, self._scope.cancel)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool | None:
        self._forget()
        swallowed = self._scope.__exit__(kind, error, trace)
        if self._scope.cancelled_caught:
            call = self._call
            raise call.aborted() if call.context.abort_signal.aborted else call.out_of_time()
        return swallowed


class CallLogger(PluginLogger):
    """The caller's logger, as a native plugin gets it: counted, and without secrets."""

    def __init__(self, call: Call) -> None:
        self._call = call

    def emit(self, event: LogEvent) -> None:
        """Takes one event. Raises `ValueError` for what is no log event."""
        document = log_document(event)
        try:
            self._call.log(document)
        except BaseException as error:
            self._call.host_error = error
            raise
