"""One call: its deadline, who may end it, what it may log; and callbacks onto an event loop."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from orchestrator_plugin_host import (
    DeadlineExceededError,
    DocumentTooLargeError,
    FirstEventTimeoutError,
    IdleTimeoutError,
    LimitExceededError,
    Limits,
    LogLimitError,
    PluginAbortedError,
    StreamLimitError,
)
from orchestrator_plugin_host.calls import (
    ABORT_GRACE_SECONDS,
    MOMENT_SECONDS,
    Call,
    CallLogger,
)
from orchestrator_plugin_host.timing import call_soon
from orchestrator_plugin_sdk import (
    AbortController,
    LogEvent,
    MemoryLogger,
    PluginContext,
    PluginLogger,
    pack,
    to_document,
)


def call(context: PluginContext | None = None, **limits: int) -> Call:
    return Call("plugin", Limits(**limits), context or PluginContext())


# --- deadlines -----------------------------------------------------------------------------------


def test_the_clock_runs_from_the_beginning() -> None:
    one = call(deadline_ms=60_000)
    first = one.left()
    assert 59 < first <= 60
    time.sleep(0.002)
    assert one.left() < first
    assert 59_000 < one.deadline_ms_left() <= 60_000
    assert not one.interrupted
    one.check()


def test_the_clock_can_be_stopped() -> None:
    one = call(deadline_ms=60_000)
    one.begin_step("idle_ms")
    one.pause()
    left = one.left()
    time.sleep(0.002)
    assert one.left() == left
    one.pause()
    one.resume()
    one.resume()
    assert one.left() <= left


def out_of_time(**limits: int) -> Call:
    """A call whose time is up."""
    one = call(**limits)
    while one.left() > 0:
        time.sleep(0.001)
    return one


def test_out_of_time() -> None:
    one = out_of_time(deadline_ms=1)
    assert one.interrupted
    assert one.deadline_ms_left() == 1
    for check in (one.check, one.check_running):
        with pytest.raises(DeadlineExceededError) as caught:
            check()
        assert (caught.value.limit, caught.value.value) == ("deadline_ms", 1)


@pytest.mark.parametrize(
    ("limit", "error"), [("first_event_ms", FirstEventTimeoutError), ("idle_ms", IdleTimeoutError)]
)
def test_a_step_has_a_limit_of_its_own(limit: str, error: type[DeadlineExceededError]) -> None:
    one = call(deadline_ms=60_000, **{limit: 1})
    one.begin_step(limit)
    while one.left() > 0:
        time.sleep(0.001)
    with pytest.raises(error) as caught:
        one.check()
    assert (caught.value.limit, caught.value.value) == (limit, 1)
    one.begin_step("idle_ms" if limit == "first_event_ms" else "first_event_ms")
    one.check()


def test_the_deadline_ends_a_step_too() -> None:
    one = call(deadline_ms=1, idle_ms=60_000)
    one.begin_step("idle_ms")
    while one.left() > 0:
        time.sleep(0.001)
    with pytest.raises(DeadlineExceededError) as caught:
        one.check()
    assert type(caught.value) is DeadlineExceededError


def test_where_the_time_went() -> None:
    one = call(deadline_ms=60_000)
    with one.queuing():
        time.sleep(0.02)
    with one.hosting(), one.hosting():  # two requests at once are no longer than one
        time.sleep(0.02)
    time.sleep(0.02)
    times = one.times()
    assert times.queue_ms >= 20
    assert times.host_ms >= 20
    assert times.plugin_ms >= 20
    assert times.queue_ms + times.host_ms + times.plugin_ms <= 60_000


def test_what_ends_a_call_has_a_moment() -> None:
    assert call(deadline_ms=60_000).time_to_end() > 59
    one = out_of_time(deadline_ms=1)
    first = one.time_to_end()
    assert 0 < first <= MOMENT_SECONDS
    time.sleep(0.002)
    assert one.time_to_end() < first  # one moment, in however many steps
    while one.time_to_end() > 0:
        time.sleep(0.001)


@pytest.mark.anyio
async def test_a_scope_ends_at_the_deadline() -> None:
    one = call(deadline_ms=20)
    with pytest.raises(DeadlineExceededError) as caught, one.scope():
        await anyio.sleep_forever()
    assert (caught.value.limit, caught.value.value) == ("deadline_ms", 20)
    with pytest.raises(DeadlineExceededError), one.scope():
        raise AssertionError("a call without time must not go on")


# --- given up ------------------------------------------------------------------------------------


def aborted(reason: str = "enough") -> PluginContext:
    controller = AbortController()
    controller.abort(reason)
    return PluginContext(abort_signal=controller.signal)


def test_an_aborted_call() -> None:
    one = call(aborted("changed my mind"))
    assert one.interrupted
    with pytest.raises(PluginAbortedError, match="plugin 'plugin': changed my mind"):
        one.check()


def test_a_guest_has_a_moment_after_an_abort() -> None:
    one = call(aborted())
    one.check_running()
    assert 0 < one.grace <= ABORT_GRACE_SECONDS
    while one.grace > 0:
        time.sleep(0.001)
    with pytest.raises(PluginAbortedError):
        one.check_running()


def test_a_guest_has_a_moment_after_a_cancellation() -> None:
    one = call()
    assert not one.interrupted
    assert 0 < one.grace <= ABORT_GRACE_SECONDS  # asked for by whoever gives it up
    assert one.interrupted
    one.check_running()


def test_a_guest_has_no_moment_beyond_the_deadline() -> None:
    assert out_of_time(deadline_ms=1).grace <= 0


@pytest.mark.anyio
async def test_the_abort_signal_from_another_thread() -> None:
    controller = AbortController()
    one = call(PluginContext(abort_signal=controller.signal))
    said = "plugin 'plugin': changed my mind"
    with pytest.raises(PluginAbortedError, match=said), one.scope():
        await anyio.to_thread.run_sync(controller.abort, "changed my mind")
        await anyio.sleep_forever()


@pytest.mark.anyio
async def test_a_signal_that_was_aborted_before() -> None:
    with pytest.raises(PluginAbortedError, match="long ago"), call(aborted("long ago")).scope():
        raise AssertionError("an aborted call must not begin")


@pytest.mark.anyio
async def test_a_call_that_is_over_no_longer_listens() -> None:
    controller = AbortController()
    for _ in range(3):
        with call(PluginContext(abort_signal=controller.signal)).scope():
            pass
    assert controller.signal._listeners == {}
    controller.abort()
    await anyio.lowlevel.checkpoint()


@pytest.mark.anyio
async def test_a_cancellation_from_outside_stays_one() -> None:
    with anyio.CancelScope() as outer:
        with call().scope():
            outer.cancel()
            await anyio.sleep_forever()
    assert outer.cancelled_caught


@pytest.mark.anyio
async def test_an_error_passes_through_a_scope() -> None:
    with pytest.raises(KeyError, match="mine"), call().scope():
        raise KeyError("mine")


@pytest.mark.anyio
async def test_scopes_in_one_another() -> None:
    # A call waits for an instance, that is made in a call of its own.
    outer, inner = call(deadline_ms=20), call(deadline_ms=60_000)
    with pytest.raises(DeadlineExceededError) as caught, outer.scope(), inner.scope():
        await anyio.sleep_forever()
    assert caught.value.value == 20


# --- budgets -------------------------------------------------------------------------------------

SIZE = len(pack(to_document(LogEvent("hello"))))


def log(one: Call, times: int) -> None:
    for _ in range(times):
        CallLogger(one).emit(LogEvent("hello"))


BUDGETS: list[tuple[str, int, int, type[LimitExceededError], Callable[[Call], None]]] = [
    ("log_events", 3, 3, LogLimitError, lambda one: log(one, 1)),
    ("log_events", 0, 0, LogLimitError, lambda one: log(one, 1)),
    ("log_bytes", 3 * SIZE, 3, LogLimitError, lambda one: log(one, 1)),
    ("log_bytes", 3 * SIZE - 1, 2, LogLimitError, lambda one: log(one, 1)),
    ("stream_events", 5, 5, StreamLimitError, Call.count_stream_event),
]


@pytest.mark.parametrize(("name", "value", "fitting", "error", "spend"), BUDGETS)
def test_a_budget_is_spent(
    name: str,
    value: int,
    fitting: int,
    error: type[LimitExceededError],
    spend: Callable[[Call], None],
) -> None:
    one = call(**{name: value})
    for _ in range(fitting):
        spend(one)
    for _ in range(2):
        with pytest.raises(error) as caught:
            spend(one)
        assert (caught.value.limit, caught.value.value) == (name, value)
    spend(call(**{name: max(value, 1000)}))  # each call has its own


@pytest.mark.parametrize("name", ["document_in_bytes", "document_out_bytes"])
def test_sizes_of_documents(name: str) -> None:
    one = call(**{name: 100})
    check = one.check_document_in if name == "document_in_bytes" else one.check_document_out
    check(100)
    with pytest.raises(DocumentTooLargeError, match="of 101 bytes") as caught:
        check(101)
    assert caught.value.limit == name


def test_what_is_logged_reaches_the_callers_logger() -> None:
    logger = MemoryLogger()
    CallLogger(call(PluginContext(logger=logger))).info("hello", answer=42)
    assert logger.events == [LogEvent("hello", fields={"answer": 42})]


def test_what_is_too_much_does_not() -> None:
    logger = MemoryLogger()
    one = call(PluginContext(logger=logger), log_events=1)
    log(one, 1)
    with pytest.raises(LogLimitError) as caught:
        log(one, 1)
    assert len(logger.events) == 1
    assert one.host_error is caught.value


def test_an_event_that_is_none_is_the_plugins_fault() -> None:
    one = call()
    wrong: Any = LogEvent("hello", fields={"thing": object()})
    with pytest.raises(ValueError):
        CallLogger(one).emit(wrong)
    assert one.host_error is None


class RaisingLogger(PluginLogger):
    def emit(self, event: LogEvent) -> None:
        raise KeyboardInterrupt("mine")


def test_what_the_callers_logger_raises_is_kept() -> None:
    one = call(PluginContext(logger=RaisingLogger()))
    with pytest.raises(KeyboardInterrupt) as caught:
        log(one, 1)
    assert one.host_error is caught.value


# --- onto an event loop --------------------------------------------------------------------------


@pytest.mark.anyio
async def test_calling_soon_from_many_threads() -> None:
    token = anyio.lowlevel.current_token()
    loop = threading.get_ident()
    seen: list[tuple[int, int]] = []
    done = anyio.Event()

    def note(number: int) -> None:
        seen.append((number, threading.get_ident()))
        if len(seen) == 400:
            done.set()

    def run(caller: int) -> None:
        for i in range(50):
            call_soon(token, lambda number=caller * 50 + i: note(number))  # type: ignore[misc]

    threads = [threading.Thread(target=run, args=(caller,)) for caller in range(8)]
    for thread in threads:
        thread.start()
    await done.wait()
    for thread in threads:
        thread.join()
    assert sorted(number for number, _ in seen) == list(range(400))
    assert {thread for _, thread in seen} == {loop}


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_calling_soon_on_a_loop_that_has_ended(backend: str) -> None:
    async def token() -> Any:
        return anyio.lowlevel.current_token()

    ended = anyio.run(token, backend=backend)
    called: list[int] = []
    call_soon(ended, lambda: called.append(1))
    assert called == []
