"""Each limit, broken by a guest made for it: a typed error that teaches, and a call that works."""

from __future__ import annotations

import time
from typing import Any

import anyio
import pytest
from orchestrator_plugin_host import (
    ComponentTooLargeError,
    ConcurrencyLimitError,
    DeadlineExceededError,
    DocumentTooLargeError,
    FuelExhaustedError,
    LimitExceededError,
    Limits,
    LogLimitError,
    MemoryLimitError,
    PluginAbortedError,
    PluginHost,
    PluginRefusedError,
    PoolSettings,
    StreamLimitError,
)
from orchestrator_plugin_sdk import (
    AbortController,
    LogEvent,
    MemoryLogger,
    PluginContext,
    PluginType,
    pack,
    to_document,
)
from support.guests import DATA, Guest

from .conftest import Load

pytestmark = pytest.mark.anyio

SPIN = "(loop $spin (br $spin)) (unreachable)"
REQUEST: dict[str, Any] = {"messages": []}
EVENT = pack(to_document(LogEvent("hello")))
LOG_FOR_EVER = (
    f"(loop $more (call $emit (i32.const 0) (i32.const {DATA}) (i32.const {len(EVENT)}))"
    "(br $more)) (unreachable)"
)
STREAM_EVENT = pack({"type": "text_delta", "text": "x"})
STREAM_FOR_EVER = f"(call $ok_some (i32.const {DATA}) (i32.const {len(STREAM_EVENT)}))"
OUT_OF_MEMORY = "(call $err (i32.const 9) (i32.const 4096) (i32.const 0))"


def check(error: LimitExceededError, limit: str, value: int) -> None:
    """The error says which limit, what it is, and how to raise it."""
    assert error.limit == limit
    assert error.value == value
    assert f"Limits({limit}=" in str(error)
    assert f"{value:,}" in str(error)


async def works(plugin: Any) -> None:
    assert (await plugin.health_check()).healthy


async def test_fuel(load: Load) -> None:
    plugin = await load(Guest(functions={"generate": SPIN}), limits=Limits(fuel=1_000_000))
    with pytest.raises(FuelExhaustedError) as caught:
        await plugin.generate(REQUEST)
    check(caught.value, "fuel", 1_000_000)
    await works(plugin)


async def test_fuel_is_for_each_call(load: Load) -> None:
    body = (
        "(local $i i32) (loop $more (local.set $i (i32.add (local.get $i) (i32.const 1)))"
        "(br_if $more (i32.lt_u (local.get $i) (i32.const 20000)))) $document_2096"
    )
    plugin = await load(Guest(functions={"generate": body}), limits=Limits(fuel=300_000))
    for _ in range(10):
        await plugin.generate(REQUEST)


async def test_deadline(load: Load) -> None:
    plugin = await load(Guest(functions={"generate": SPIN}), limits=Limits(deadline_ms=100))
    with pytest.raises(DeadlineExceededError) as caught:
        await plugin.generate(REQUEST)
    check(caught.value, "deadline_ms", 100)
    await works(plugin)


async def test_deadline_while_sleeping(load: Load) -> None:
    body = "(call $sleep (i64.const 3600000)) $document_2096"
    plugin = await load(Guest(functions={"generate": body}), limits=Limits(deadline_ms=100))
    with pytest.raises(DeadlineExceededError):
        await plugin.generate(REQUEST)
    await works(plugin)


async def test_deadline_while_waiting_for_an_instance(load: Load) -> None:
    body = "(call $sleep (i64.const 400)) $document_2096"
    plugin = await load(
        Guest(functions={"generate": body}),
        limits=Limits(deadline_ms=600),
        pool=PoolSettings(instances=1),
    )
    outcomes: list[str] = []

    async def one() -> None:
        try:
            await plugin.generate(REQUEST)
        except DeadlineExceededError:
            outcomes.append("late")
        else:
            outcomes.append("done")

    async with anyio.create_task_group() as group:
        for _ in range(4):
            group.start_soon(one)
    assert sorted(outcomes) == ["done", "late", "late", "late"]
    await works(plugin)


@pytest.mark.parametrize("body", [SPIN, "(call $sleep (i64.const 3600000)) $document_2096"])
async def test_cancelling_the_task_interrupts_the_guest(load: Load, body: str) -> None:
    plugin = await load(Guest(functions={"generate": body}), pool=PoolSettings(instances=1))
    with anyio.move_on_after(0.1) as scope:
        await plugin.generate(REQUEST)
    assert scope.cancelled_caught
    await works(plugin)  # with one instance, it could not if the guest still ran


@pytest.mark.parametrize("body", [SPIN, "(call $sleep (i64.const 3600000)) $document_2096"])
async def test_the_abort_signal_interrupts_the_guest(load: Load, body: str) -> None:
    plugin = await load(Guest(functions={"generate": body}), pool=PoolSettings(instances=1))
    controller = AbortController()
    async with anyio.create_task_group() as group:

        async def abort_soon() -> None:
            await anyio.sleep(0.1)
            await anyio.to_thread.run_sync(controller.abort, "changed my mind")

        group.start_soon(abort_soon)
        with pytest.raises(PluginAbortedError, match="changed my mind"):
            await plugin.generate(REQUEST, PluginContext(abort_signal=controller.signal))
    await works(plugin)


async def test_an_aborted_signal_stops_a_call_before_it_begins(load: Load) -> None:
    plugin = await load(Guest(functions={"generate": "(unreachable)"}))
    controller = AbortController()
    controller.abort()
    with pytest.raises(PluginAbortedError):
        await plugin.generate(REQUEST, PluginContext(abort_signal=controller.signal))


async def test_initial_memory(load: Load) -> None:
    with pytest.raises(MemoryLimitError) as caught:
        await load(Guest(memory="200"), limits=Limits(memory_bytes=100 * 65536))
    check(caught.value, "memory_bytes", 100 * 65536)


async def test_memory_does_not_grow_past_its_limit(load: Load) -> None:
    # Grows until it may not, then answers how many pages it got, in the text's length.
    body = (
        "(block $full (loop $more (br_if $full (i32.eq (i32.const -1)"
        "(memory.grow (i32.const 1)))) (br $more)))"
        "(if (result i32) (i32.eq (memory.size) (i32.const 50)) (then $document_2096)"
        "(else (unreachable)))"
    )
    plugin = await load(Guest(functions={"generate": body}), limits=Limits(memory_bytes=50 * 65536))
    assert (await plugin.generate(REQUEST)).text == "hi"


async def test_a_plugin_that_says_it_is_out_of_memory(load: Load) -> None:
    plugin = await load(Guest(functions={"generate": OUT_OF_MEMORY}))
    with pytest.raises(MemoryLimitError) as caught:
        await plugin.generate(REQUEST)
    check(caught.value, "memory_bytes", plugin.limits.memory_bytes)
    await works(plugin)


SEVERAL_MEMORIES = """
  (core module $hog (memory 30) (memory 30) (memory 30))
  (core instance (instantiate $hog))
"""


async def test_the_memory_limit_is_for_all_memories_together(load: Load) -> None:
    guest = Guest(extra=SEVERAL_MEMORIES)
    await load(guest, limits=Limits(memory_bytes=4 * 30 * 65536))
    with pytest.raises(MemoryLimitError):
        await load(guest, limits=Limits(memory_bytes=3 * 30 * 65536))


async def test_instantiating_a_memory_again_and_again(load: Load) -> None:
    extra = "(core module $hog (memory 1))" + "(core instance (instantiate $hog))" * 20
    with pytest.raises(MemoryLimitError) as caught:
        await load(Guest(extra=extra))
    assert caught.value.limit == "memories"


async def test_number_of_core_instances(load: Load) -> None:
    extra = "(core module $one)" + "(core instance (instantiate $one))" * 300
    with pytest.raises(MemoryLimitError) as caught:
        await load(Guest(extra=extra))
    check(caught.value, "core_instances", 256)


async def test_tables(load: Load) -> None:
    with pytest.raises(MemoryLimitError) as caught:
        await load(Guest(fields="(table 200000 funcref)"))
    check(caught.value, "table_elements", 100_000)
    with pytest.raises(MemoryLimitError) as caught:
        await load(Guest(fields="(table 1 funcref)" * 90), limits=Limits(tables=80))
    check(caught.value, "tables", 80)


async def test_size_of_a_component(load: Load) -> None:
    with pytest.raises(ComponentTooLargeError) as caught:
        await load(Guest(), limits=Limits(component_bytes=1000))
    check(caught.value, "component_bytes", 1000)


async def test_size_of_a_document_in(load: Load) -> None:
    plugin = await load(Guest(), limits=Limits(document_in_bytes=2000))
    with pytest.raises(DocumentTooLargeError) as caught:
        await plugin.generate({"messages": [{"role": "user", "content": "x" * 3000}]})
    check(caught.value, "document_in_bytes", 2000)
    await works(plugin)


@pytest.mark.parametrize("form", [0, 1, 2])
async def test_size_of_a_document_out(load: Load, form: int) -> None:
    body = f"(call $ok_payload (i32.const {form}) (i32.const 131072) (i32.const 100000))"
    plugin = await load(
        Guest(functions={"generate": body}), limits=Limits(document_out_bytes=50_000)
    )
    with pytest.raises(DocumentTooLargeError) as caught:
        await plugin.generate(REQUEST)
    check(caught.value, "document_out_bytes", 50_000)
    await works(plugin)


async def test_number_of_log_events(load: Load) -> None:
    plugin = await load(
        Guest(functions={"generate": LOG_FOR_EVER}, data=EVENT), limits=Limits(log_events=10)
    )
    logger = MemoryLogger()
    with pytest.raises(LogLimitError) as caught:
        await plugin.generate(REQUEST, PluginContext(logger=logger))
    check(caught.value, "log_events", 10)
    assert len(logger.events) == 10
    await works(plugin)


async def test_bytes_of_log_events(load: Load) -> None:
    plugin = await load(
        Guest(functions={"generate": LOG_FOR_EVER}, data=EVENT), limits=Limits(log_bytes=500)
    )
    logger = MemoryLogger()
    with pytest.raises(LogLimitError) as caught:
        await plugin.generate(REQUEST, PluginContext(logger=logger))
    check(caught.value, "log_bytes", 500)
    assert len(logger.events) == 500 // len(EVENT)


async def test_number_of_stream_events(load: Load) -> None:
    guest = Guest(functions={"[method]event-stream.next": STREAM_FOR_EVER}, data=STREAM_EVENT)
    plugin = await load(guest, limits=Limits(stream_events=25), pool=PoolSettings(instances=1))
    seen = []

    async def listen() -> None:
        async for event in plugin.stream(REQUEST):
            seen.append(event)

    with pytest.raises(StreamLimitError) as caught:
        await listen()
    check(caught.value, "stream_events", 25)
    assert len(seen) == 25
    await works(plugin)


async def test_a_streams_deadline_is_for_the_time_inside_the_plugin(load: Load) -> None:
    guest = Guest(functions={"[method]event-stream.next": STREAM_FOR_EVER}, data=STREAM_EVENT)
    plugin = await load(guest, limits=Limits(deadline_ms=300))
    stream = plugin.stream(REQUEST)
    for _ in range(3):
        await anext(stream)
        await anyio.sleep(0.2)  # the caller's own time
    await stream.aclose()

    spinning = await load(
        guest.but(functions={"[method]event-stream.next": SPIN}), limits=Limits(deadline_ms=100)
    )
    with pytest.raises(DeadlineExceededError):
        async for _ in spinning.stream(REQUEST):
            pass
    await works(spinning)


async def test_a_streams_fuel_is_for_all_of_it(load: Load) -> None:
    work = (
        "(local $i i32) (loop $more (local.set $i (i32.add (local.get $i) (i32.const 1)))"
        "(br_if $more (i32.lt_u (local.get $i) (i32.const 10000))))"
    )
    guest = Guest(
        functions={"[method]event-stream.next": work + STREAM_FOR_EVER}, data=STREAM_EVENT
    )
    plugin = await load(guest, limits=Limits(fuel=1_000_000))
    with pytest.raises(FuelExhaustedError):
        async for _ in plugin.stream(REQUEST):
            pass
    await works(plugin)


async def test_concurrent_calls(load: Load) -> None:
    body = "(call $sleep (i64.const 300)) $document_2096"
    plugin = await load(Guest(functions={"generate": body}), limits=Limits(concurrent_calls=3))
    outcomes: list[str] = []

    async def one() -> None:
        try:
            await plugin.generate(REQUEST)
            outcomes.append("done")
        except ConcurrencyLimitError as error:
            check(error, "concurrent_calls", 3)
            outcomes.append("refused")

    async with anyio.create_task_group() as group:
        for _ in range(5):
            group.start_soon(one)
    assert sorted(outcomes) == ["done", "done", "done", "refused", "refused"]
    await works(plugin)


async def test_a_manifest_lowers_limits(load: Load) -> None:
    plugin = await load(Guest(functions={"generate": SPIN}), manifest={"limits": {"fuel": 50_000}})
    with pytest.raises(FuelExhaustedError) as caught:
        await plugin.generate(REQUEST)
    check(caught.value, "fuel", 50_000)
    assert "manifest" in str(caught.value)


async def test_a_manifest_does_not_raise_limits(load: Load) -> None:
    with pytest.raises(PluginRefusedError, match=r"limits\.fuel = 5,000.*Limits\(fuel=5000\)"):
        await load(Guest(), manifest={"limits": {"fuel": 5000}}, limits=Limits(fuel=1000))


async def test_two_spinning_plugins_leave_the_loop_free(load: Load, host: PluginHost) -> None:
    plugin = await load(Guest(functions={"generate": SPIN}), limits=Limits(deadline_ms=500))
    turns = 0

    async def spin() -> None:
        with pytest.raises(DeadlineExceededError):
            await plugin.generate(REQUEST)

    async with anyio.create_task_group() as group:
        group.start_soon(spin)
        group.start_soon(spin)
        ends = time.monotonic() + 0.4
        while time.monotonic() < ends:
            await anyio.sleep(0.005)
            turns += 1
    assert turns > 5


async def test_other_kinds_are_limited_alike(load: Load) -> None:
    plugin = await load(
        Guest(PluginType.EMBEDDER, functions={"embed-texts": SPIN}), limits=Limits(fuel=100_000)
    )
    with pytest.raises(FuelExhaustedError):
        await plugin.embed_texts(["a"])
    await works(plugin)
