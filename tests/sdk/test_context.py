"""Abort signals, and what a plugin finds in its context."""

from __future__ import annotations

import threading
from functools import partial

import anyio
import pytest
from orchestrator_plugin_sdk import (
    AbortController,
    AbortSignal,
    ErrorKind,
    LogEvent,
    MemoryLogger,
    NativeServices,
    NullLogger,
    PluginCallError,
    PluginContext,
    PluginLogger,
)


class RecordingServices:
    """Services that note what they are asked for."""

    def __init__(self, during_sleep: AbortController | None = None) -> None:
        self.asked: list[object] = []
        self._during_sleep = during_sleep

    async def sleep(self, seconds: float) -> None:
        self.asked.append(seconds)
        if self._during_sleep is not None:
            self._during_sleep.abort("meanwhile")

    def wall_time(self) -> float:
        return 1.5

    def monotonic(self) -> float:
        return 2.5

    def random_bytes(self, length: int) -> bytes:
        return b"\x07" * length


class EmptyLogger(PluginLogger):
    """A sink that is false, as an empty container is."""

    def emit(self, event: LogEvent) -> None:
        raise AssertionError(event)

    def __len__(self) -> int:
        return 0


# --- abort ---------------------------------------------------------------------------------------


def test_a_signal_is_aborted_once_and_keeps_the_first_reason() -> None:
    controller = AbortController()
    signal = controller.signal
    signal.throw_if_aborted()
    assert (signal.aborted, signal.reason) == (False, None)
    controller.abort("first")
    controller.abort("second")
    assert (signal.aborted, signal.reason) == (True, "first")
    with pytest.raises(PluginCallError, match="aborted: first") as raised:
        signal.throw_if_aborted()
    assert raised.value.kind is ErrorKind.ABORTED
    assert not raised.value.retryable


def test_an_empty_reason_is_an_abort_too() -> None:
    controller = AbortController()
    controller.abort("")
    assert controller.signal.aborted
    with pytest.raises(PluginCallError, match="aborted: aborted"):
        controller.signal.throw_if_aborted()


def test_listeners_are_called_once_in_order() -> None:
    controller = AbortController()
    called: list[str] = []
    controller.signal.add_listener(partial(called.append, "a"))
    forget = controller.signal.add_listener(partial(called.append, "b"))
    controller.signal.add_listener(partial(called.append, "c"))
    forget()
    forget()
    controller.abort()
    controller.abort()
    assert called == ["a", "c"]


def test_a_listener_that_comes_late_is_called_at_once() -> None:
    controller = AbortController()
    controller.abort()
    called: list[str] = []
    forget = controller.signal.add_listener(partial(called.append, "late"))
    assert called == ["late"]
    forget()
    controller.abort()
    assert called == ["late"]


def test_a_listener_may_take_itself_away_and_add_others() -> None:
    controller = AbortController()
    called: list[str] = []

    def listener() -> None:
        forget()
        controller.signal.add_listener(partial(called.append, "inner"))

    forget = controller.signal.add_listener(listener)
    controller.abort()
    assert called == ["inner"]


def test_a_listener_that_fails_keeps_no_other_from_being_called() -> None:
    controller = AbortController()
    called: list[str] = []

    def failing() -> None:
        raise RuntimeError("no")

    controller.signal.add_listener(failing)
    controller.signal.add_listener(partial(called.append, "after"))
    with pytest.raises(ExceptionGroup) as raised:
        controller.abort()
    assert [str(fault) for fault in raised.value.exceptions] == ["no"]
    assert called == ["after"]
    assert controller.signal.aborted


def test_an_abort_comes_through_from_another_thread() -> None:
    controller = AbortController()
    threads: list[threading.Thread] = []
    controller.signal.add_listener(lambda: threads.append(threading.current_thread()))
    aborting = [threading.Thread(target=controller.abort, args=(str(n),)) for n in range(8)]
    for thread in aborting:
        thread.start()
    for thread in aborting:
        thread.join()
    assert len(threads) == 1
    assert controller.signal.reason == str(aborting.index(threads[0]))


# --- context -------------------------------------------------------------------------------------


def test_a_context_of_nothing_has_everything() -> None:
    context = PluginContext()
    assert (context.run_id, context.deadline_ms) == (None, None)
    assert isinstance(context.logger, NullLogger)
    assert not context.abort_signal.aborted
    assert PluginContext().abort_signal is not context.abort_signal


def test_time_and_randomness_come_from_the_services() -> None:
    context = PluginContext(services=RecordingServices())
    assert context.wall_time() == 1.5
    assert context.monotonic() == 2.5
    assert context.random_bytes(3) == b"\x07\x07\x07"


def test_a_copy_replaces_what_is_given_and_keeps_the_rest() -> None:
    context = PluginContext("run", MemoryLogger(), AbortSignal(), 100, RecordingServices())
    assert context.with_() == context
    logger, signal, services = EmptyLogger(), AbortSignal(), RecordingServices()
    copy = context.with_(logger=logger, abort_signal=signal, deadline_ms=0, services=services)
    assert copy == PluginContext("run", logger, signal, 0, services)
    assert copy.logger is logger


@pytest.mark.anyio
async def test_sleep_waits_by_the_services() -> None:
    services = RecordingServices()
    await PluginContext(services=services).sleep(0.25)
    assert services.asked == [0.25]


@pytest.mark.anyio
async def test_sleep_of_an_aborted_call_does_not_begin() -> None:
    controller, services = AbortController(), RecordingServices()
    controller.abort("before")
    with pytest.raises(PluginCallError, match="aborted: before"):
        await PluginContext(abort_signal=controller.signal, services=services).sleep(1)
    assert services.asked == []


@pytest.mark.anyio
async def test_sleep_of_a_call_aborted_meanwhile_fails() -> None:
    controller = AbortController()
    context = PluginContext(abort_signal=controller.signal, services=RecordingServices(controller))
    with pytest.raises(PluginCallError, match="aborted: meanwhile"):
        await context.sleep(1)


# --- the process itself --------------------------------------------------------------------------


def test_native_services_are_those_of_the_process() -> None:
    services = NativeServices()
    assert services.wall_time() > 1_700_000_000
    assert services.monotonic() <= services.monotonic()
    assert len(services.random_bytes(16)) == 16
    assert services.random_bytes(16) != services.random_bytes(16)


@pytest.mark.anyio
async def test_native_sleep_lets_others_run() -> None:
    ran: list[str] = []

    async def other() -> None:
        ran.append("other")

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(other)
        for _ in range(1_000):
            if not ran:
                await NativeServices().sleep(0.001)
        assert ran == ["other"]
