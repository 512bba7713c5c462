"""A call that is given up ends at once, whatever its guest does, and the event loop goes on."""

from __future__ import annotations

import os
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest
from orchestrator_plugin_host import DeadlineExceededError, Limits, PluginAbortedError
from orchestrator_plugin_host.sandbox.inprocess import Sandbox
from orchestrator_plugin_host.sandbox.instance import Instance
from orchestrator_plugin_host.sandbox.values import Err
from orchestrator_plugin_sdk import (
    AbortController,
    LogEvent,
    PluginContext,
    PluginLogger,
)
from support.guests import DATA, Guest
from support.heartbeat import unhindered
from support.processes import HANG_SECONDS, resident_bytes

from .busy import DOING, EVENT, FOR_EVER, LARGE, NEEDS_MUCH, Quiet, busy
from .conftest import Make, ask, nothing_is_left

pytestmark = pytest.mark.anyio


class Waiting:
    """One call of an instance, that is given up after a while."""

    def __init__(self, instance: Instance, limits: Limits) -> None:
        self._instance = instance
        self._limits = limits
        self._controller = AbortController()
        self._context = PluginContext(logger=Quiet(), abort_signal=self._controller.signal)

    async def call(self, **changed: int) -> Any:
        limits = self._limits.model_copy(update=changed)
        return await ask(self._instance, limits=limits, context=self._context)

    async def cancelled(self) -> None:
        with anyio.move_on_after(0.1) as scope:
            await self.call()
        assert scope.cancelled_caught

    async def aborted(self) -> None:
        async with anyio.create_task_group() as group:

            async def abort() -> None:
                await anyio.sleep(0.1)
                self._controller.abort("changed my mind")

            group.start_soon(abort)
            with pytest.raises(PluginAbortedError, match="changed my mind"):
                await self.call()

    async def aborted_by_another_thread(self) -> None:
        timer = threading.Timer(0.1, self._controller.abort, ["changed my mind"])
        timer.start()
        with pytest.raises(PluginAbortedError, match="changed my mind"):
            await self.call()
        timer.join()

    async def out_of_time(self) -> None:
        with pytest.raises(DeadlineExceededError):
            await self.call(deadline_ms=100)


WAYS: dict[str, Callable[[Waiting], Awaitable[None]]] = {
    "cancelled": Waiting.cancelled,
    "aborted": Waiting.aborted,
    "aborted by another thread": Waiting.aborted_by_another_thread,
    "out of time": Waiting.out_of_time,
}


def cases() -> list[Any]:
    """Everything that a guest does, where it may, given up in every way; a quick run has each of
    them once."""
    found = []
    for doing in DOING:
        for limits in (LARGE,) if doing in NEEDS_MUCH else (FOR_EVER, LARGE):
            for way in WAYS:
                once = way == "cancelled" and (limits is FOR_EVER or doing in NEEDS_MUCH)
                quick = once or (doing == "computes" and limits is FOR_EVER)
                name = f"{doing}-{way}-{'inline' if limits is FOR_EVER else 'in threads'}"
                marks = () if quick else (pytest.mark.slow,)
                found.append(pytest.param(doing, way, limits, id=name, marks=marks))
    return found


@pytest.mark.parametrize(("doing", "way", "limits"), cases())
async def test_a_call_that_is_given_up(
    make: Make, sandbox: Sandbox, doing: str, way: str, limits: Limits
) -> None:
    instance = await make(busy(doing), limits=limits)
    async with unhindered():
        with anyio.fail_after(HANG_SECONDS):
            await WAYS[way](Waiting(instance, limits))
    assert not instance.usable
    nothing_is_left(sandbox)


async def test_an_instance_that_is_given_up_as_it_is_made(make: Make, sandbox: Sandbox) -> None:
    for body in ("(loop $spin (br $spin))", "(call $sleep (i64.const 3600000))"):
        guest = Guest(fields=f"(func $start {body}) (start $start)")
        async with unhindered():
            with anyio.fail_after(HANG_SECONDS), anyio.move_on_after(0.1) as scope:
                await make(guest, limits=FOR_EVER)
        assert scope.cancelled_caught
        with pytest.raises(DeadlineExceededError):
            await make(guest, limits=FOR_EVER.model_copy(update={"deadline_ms": 50}))
    nothing_is_left(sandbox)


MUCH = 8_000_000
FILL = f"(memory.fill (i32.const 65536) (i32.const 7) (i32.const {MUCH}))"


@pytest.mark.parametrize("tier", ["in-process"])
@pytest.mark.parametrize("limits", [FOR_EVER, LARGE], ids=["inline", "in threads"])
@pytest.mark.parametrize("doing", ["computes", "sleeps"])
async def test_the_memory_of_guests_that_are_given_up_is_freed(
    make: Make, sandbox: Sandbox, doing: str, limits: Limits
) -> None:
    guest = busy(doing).but(memory=str(MUCH // 65_536 + 2))
    body = f"{FILL} {(guest.functions or {})['generate']}"
    guest = guest.but(functions={"generate": body})

    async def many(count: int) -> None:
        for _ in range(count):
            instance = await make(guest, limits=limits)
            with anyio.move_on_after(0.02):
                await ask(instance, limits=limits)
        nothing_is_left(sandbox)

    await many(5)
    before = resident_bytes(os.getpid())
    await many(60)
    assert resident_bytes(os.getpid()) < before + 8 * MUCH


# --- a moment to stop ----------------------------------------------------------------------------

NOTICE = f"""(loop $more (br_if $more (i32.eqz (call $is_aborted))))
    (call $emit (i32.const 0) (i32.const {DATA}) (i32.const {len(EVENT)}))
    (call $err (i32.const 0) (i32.const {DATA}) (i32.const 0))"""
NOTICING = Guest(
    functions={
        "generate": NOTICE,
        "generate-stream": f"(drop (block (result i32) {NOTICE}))"
        "(call $ok_u32 (call $new_stream (i32.const 7)))",
        "[method]event-stream.next": "(call $ok_none)",
    },
    data=EVENT,
)


class Counting(PluginLogger):
    def __init__(self) -> None:
        self.events = 0

    def emit(self, event: LogEvent) -> None:
        self.events += 1


async def given_up(instance: Instance, way: str, context: PluginContext) -> None:
    """A call that is given up after a while."""
    if way == "cancelled":
        with anyio.move_on_after(0.05) as scope:
            await ask(instance, limits=FOR_EVER, context=context)
        assert scope.cancelled_caught
        return
    controller = AbortController()
    timer = threading.Timer(0.05, controller.abort)
    timer.start()
    try:
        answer = await ask(
            instance, limits=FOR_EVER, context=context.with_(abort_signal=controller.signal)
        )
    except PluginAbortedError:
        pass
    else:  # the guest heard of it before the event loop did
        assert isinstance(answer, Err)
    timer.join()


@pytest.mark.parametrize("way", ["cancelled", "aborted"])
async def test_a_guest_that_stops_by_itself_keeps_its_instance(make: Make, way: str) -> None:
    logger = Counting()
    instance, kept = await make(NOTICING), 0
    for _ in range(10):  # a busy machine may take longer than the moment that it has
        with anyio.fail_after(HANG_SECONDS):
            await given_up(instance, way, PluginContext(logger=logger))
        if instance.usable:
            kept += 1
        else:
            instance = await make(NOTICING)
    assert kept > 0
    assert logger.events >= kept  # it may say why it stops


async def test_a_stream_that_nobody_waited_for_costs_the_instance(
    make: Make, sandbox: Sandbox
) -> None:
    # What its guest holds for the stream could not be given back.
    instance = await make(NOTICING)
    with anyio.move_on_after(0.05) as scope:
        await ask(instance, "generate-stream", limits=FOR_EVER)
    assert scope.cancelled_caught
    assert not instance.usable
    nothing_is_left(sandbox)


async def test_nothing_is_waited_for_once_time_is_up(make: Make) -> None:
    instance = await make(NOTICING)
    with pytest.raises(DeadlineExceededError):
        await ask(instance, limits=FOR_EVER.model_copy(update={"deadline_ms": 50}))
    instance.close()
