"""One call: its deadline, who may end it, what it may log; and callbacks onto an event loop."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from orchestrator_plugin_host import (
    DeadlineExceededError,
    DocumentTooLargeError,
    LimitExceededError,
    Limits,
    LogLimitError,
    PluginAbortedError,
    StreamLimitError,
)
from orchestrator_plugin_host.calls import Call, call_soon
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


def test_a_call_that_has_not_begun_has_all_its_time() -> None:
    one = call(deadline_ms=1500)
    assert one.left() == 1.5
    assert one.deadline_ms_left() == 1500
    assert not one.interrupted
    one.check()


@pytest.mark.anyio
async def test_the_clock_runs_only_inside() -> None:
    one = call(deadline_ms=60_000)
    async with one.scope():
        await anyio.sleep(0.01)
    left = one.left()
    assert left < 60
    await anyio.sleep(0.01)
    assert one.left() == left
    async with one.scope():
        assert one.left() <= left


@pytest.mark.anyio
async def test_a_scope_ends_at_the_deadline() -> None:
    one = call(deadline_ms=20)
    with pytest.raises(DeadlineExceededError) as caught:
        async with one.scope():
            await anyio.sleep_forever()
    assert (caught.value.limit, caught.value.value) == ("deadline_ms", 20)
    assert one.interrupted
    with pytest.raises(DeadlineExceededError):
        one.check()
    with pytest.raises(DeadlineExceededError):
        async with one.scope():
            raise AssertionError("a call without time must not go on")
    assert one.deadline_ms_left() == 1


@pytest.mark.anyio
async def test_waiting_on_a_thread_ends_at_the_deadline() -> None:
    one = call(deadline_ms=20)
    with one._running(), pytest.raises(DeadlineExceededError):
        one.wait(3600)


@pytest.mark.parametrize("seconds", [0, 0.001])
def test_waiting_a_little(seconds: float) -> None:
    call().wait(seconds)


# --- interruption --------------------------------------------------------------------------------


def test_the_first_reason_stays() -> None:
    one = call()
    one.interrupt(PluginAbortedError("first"))
    one.interrupt(PluginAbortedError("second"))
    assert one.interrupted
    with pytest.raises(PluginAbortedError, match="first"):
        one.check()
    assert str(one.reason()) == "first"


def test_interrupting_a_wait_from_another_thread() -> None:
    one = call()
    waiter = threading.Thread(target=lambda: caught.append(error_of(lambda: one.wait(3600))))
    caught: list[BaseException] = []
    waiter.start()
    one.interrupt(PluginAbortedError("enough"))
    waiter.join()
    assert [str(error) for error in caught] == ["enough"]


def error_of(function: Callable[[], Any]) -> BaseException:
    with pytest.raises(BaseException) as caught:
        function()
    return caught.value


@pytest.mark.anyio
async def test_the_abort_signal_from_another_thread() -> None:
    controller = AbortController()
    one = call(PluginContext(abort_signal=controller.signal))
    with pytest.raises(PluginAbortedError, match="plugin 'plugin': changed my mind"):
        async with one.scope():
            await anyio.to_thread.run_sync(controller.abort, "changed my mind")
            await anyio.sleep_forever()


@pytest.mark.anyio
async def test_a_signal_that_was_aborted_before() -> None:
    controller = AbortController()
    controller.abort("long ago")
    one = call(PluginContext(abort_signal=controller.signal))
    with pytest.raises(PluginAbortedError, match="long ago"):
        async with one.scope():
            raise AssertionError("an aborted call must not begin")


@pytest.mark.anyio
async def test_a_call_that_is_over_no_longer_listens() -> None:
    controller = AbortController()
    for _ in range(3):
        async with call(PluginContext(abort_signal=controller.signal)).scope():
            pass
    assert controller.signal._listeners == {}
    controller.abort()
    await anyio.lowlevel.checkpoint()


@pytest.mark.anyio
async def test_a_cancellation_from_outside_stays_one() -> None:
    one = call()
    with anyio.CancelScope() as outer:
        async with one.scope():
            outer.cancel()
            await anyio.sleep_forever()
    assert outer.cancelled_caught


@pytest.mark.anyio
async def test_an_error_passes_through_a_scope() -> None:
    with pytest.raises(KeyError, match="mine"):
        async with call().scope():
            raise KeyError("mine")


@pytest.mark.anyio
async def test_scopes_in_one_another() -> None:
    # A call waits for an instance, that is made in a call of its own.
    outer, inner = call(deadline_ms=20), call(deadline_ms=60_000)
    with pytest.raises(DeadlineExceededError) as caught:
        async with outer.scope(), inner.scope():
            await anyio.sleep_forever()
    assert caught.value.value == 20


# --- budgets -------------------------------------------------------------------------------------

SIZE = len(pack(to_document(LogEvent("hello"))))


def log(one: Call, times: int) -> None:
    for _ in range(times):
        one.context.logger.emit(LogEvent("hello"))


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
    one = call(PluginContext(logger=logger))
    one.context.logger.info("hello", answer=42)
    assert logger.events == [LogEvent("hello", fields={"answer": 42})]


def test_what_is_too_much_does_not() -> None:
    logger = MemoryLogger()
    one = call(PluginContext(logger=logger), log_events=1)
    log(one, 1)
    error = error_of(lambda: log(one, 1))
    assert len(logger.events) == 1
    assert one.host_error is error


def test_an_event_that_is_none_is_the_plugins_fault() -> None:
    one = call()
    wrong: Any = LogEvent("hello", fields={"thing": object()})
    with pytest.raises(ValueError):
        one.context.logger.emit(wrong)
    assert one.host_error is None


class RaisingLogger(PluginLogger):
    def emit(self, event: LogEvent) -> None:
        raise KeyboardInterrupt("mine")


def test_what_the_callers_logger_raises_is_kept() -> None:
    one = call(PluginContext(logger=RaisingLogger()))
    error = error_of(lambda: log(one, 1))
    assert isinstance(error, KeyboardInterrupt)
    assert one.host_error is error


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
