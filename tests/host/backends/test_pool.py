"""The instances of a sandboxed plugin: lent, kept, replaced, and never left over."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import anyio
import pytest
from orchestrator_plugin_host import (
    DeadlineExceededError,
    DocumentTooLargeError,
    Limits,
    LoadedPlugin,
    PluginAbortedError,
    PluginHost,
    PluginInitError,
    PluginTrapError,
    PoolSettings,
)
from orchestrator_plugin_host.backends.wasm import WasmBackend
from orchestrator_plugin_host.settings import Tier
from orchestrator_plugin_sdk import (
    AbortController,
    LogEvent,
    PluginContext,
    PluginLogger,
    PluginType,
    pack,
    to_document,
)
from support.guests import DATA, Guest

from ..conftest import Load

pytestmark = pytest.mark.anyio

REQUEST: dict[str, Any] = {"messages": []}
SPIN = "(loop $spin (br $spin)) (unreachable)"
EVENT = pack(to_document(LogEvent("hello")))
EMIT = f"(call $emit (i32.const 0) (i32.const {DATA}) (i32.const {len(EVENT)}))"

TEXT = pack({"text": "0"})
DIGIT = DATA + TEXT.index(b"0")
# Answers with how many calls this instance has had, as a digit.
COUNTING = Guest(
    functions={
        "generate": f"(i32.store8 (i32.const {DIGIT})"
        f"(i32.add (i32.load8_u (i32.const {DIGIT})) (i32.const 1)))"
        f"(call $ok_bytes (i32.const {DATA}) (i32.const {len(TEXT)}))"
    },
    data=TEXT,
)


async def count(plugin: Any) -> int:
    return int((await plugin.generate(REQUEST)).text)


@pytest.fixture(autouse=True)
async def nothing_is_left_over(host: PluginHost) -> AsyncIterator[None]:
    """After each test: closing the host frees every instance."""
    yield
    sandbox = host._loading.sandbox.made
    with anyio.fail_after(20):
        with suppress(PluginTrapError, DeadlineExceededError):
            await host.close()
    assert sandbox is None or sandbox.imports.guests == {}


async def alive(host: PluginHost, expected: int) -> bool:
    """Waits until so many guests are there: what is closed is freed in a thread."""
    sandbox = host._loading.sandbox.made
    assert sandbox is not None
    with anyio.move_on_after(20):
        while len(sandbox.imports.guests) != expected:
            await anyio.sleep(0.001)
    return len(sandbox.imports.guests) == expected


async def test_a_fresh_instance_is_used_once(load: Load, host: PluginHost) -> None:
    plugin = await load(COUNTING, manifest={"fresh_instances": True})
    assert [await count(plugin) for _ in range(4)] == [1, 1, 1, 1]
    async with anyio.create_task_group() as group:
        for _ in range(8):
            group.start_soon(count, plugin)
    assert await alive(host, 1)  # one is made for the next call
    assert await count(plugin) == 1
    await plugin.shutdown()
    assert await alive(host, 0)


async def test_a_spare_that_can_not_be_made_is_told_to_the_next_call(load: Load) -> None:
    limits = Limits(document_in_bytes=1_000)
    plugin = await load(COUNTING, manifest={"fresh_instances": True}, limits=limits)
    backend = plugin._backend
    assert isinstance(backend, WasmBackend)
    backend._config = {"long": "x" * 1_000}  # too long to be passed
    with pytest.raises(DocumentTooLargeError):
        for _ in range(3):  # one or two were made before
            await count(plugin)
    backend._config = {}
    assert await count(plugin) == 1


async def test_a_spare_on_its_way_ends_with_the_plugin(load: Load, host: PluginHost) -> None:
    for _ in range(5):
        plugin = await load(COUNTING, manifest={"fresh_instances": True})
        assert await count(plugin) == 1
        await plugin.shutdown()
    assert await alive(host, 0)


async def test_an_instance_is_used_again(load: Load, host: PluginHost) -> None:
    plugin = await load(COUNTING)
    assert [await count(plugin) for _ in range(4)] == [1, 2, 3, 4]
    assert await alive(host, 1)


async def test_nothing_kept_means_a_fresh_instance_each_call(load: Load, host: PluginHost) -> None:
    plugin = await load(COUNTING, pool=PoolSettings(idle=0))
    assert await alive(host, 0)
    assert [await count(plugin) for _ in range(4)] == [1, 1, 1, 1]
    assert await alive(host, 0)


async def test_a_trap_costs_the_instance(load: Load, host: PluginHost) -> None:
    guest = COUNTING.but(functions={**(COUNTING.functions or {}), "health-check": "(unreachable)"})
    plugin = await load(guest)
    assert [await count(plugin) for _ in range(2)] == [1, 2]
    with pytest.raises(PluginTrapError):
        await plugin.health_check()
    assert await alive(host, 0)
    assert await count(plugin) == 1


SLOW = COUNTING.but(
    functions={"generate": f"(call $sleep (i64.const 50)) {(COUNTING.functions or {})['generate']}"}
)


async def counts_at_once(plugin: Any, calls: int) -> list[int]:
    found: list[int] = []

    async def one() -> None:
        found.append(await count(plugin))

    async with anyio.create_task_group() as group:
        for _ in range(calls):
            group.start_soon(one)
    return sorted(found)


async def test_calls_at_once_have_an_instance_each(load: Load, host: PluginHost) -> None:
    plugin = await load(SLOW, pool=PoolSettings(instances=3, idle=3))
    assert await counts_at_once(plugin, 3) == [1, 1, 1]
    assert await alive(host, 3)


async def test_more_calls_than_instances_wait(load: Load, host: PluginHost) -> None:
    plugin = await load(SLOW, pool=PoolSettings(instances=2, idle=2))
    found = await counts_at_once(plugin, 6)
    assert len(found) == 6
    assert max(Counter(found).values()) == 2  # no more than two instances had their n-th call
    assert await alive(host, 2)


async def test_fewer_are_kept_than_there_may_be(load: Load, host: PluginHost) -> None:
    plugin = await load(SLOW, pool=PoolSettings(instances=4, idle=1))
    await counts_at_once(plugin, 4)
    assert await alive(host, 1)


@pytest.mark.parametrize("pool", [PoolSettings(instances=4, idle=0), PoolSettings()])
async def test_a_stateful_plugin_has_one_instance(
    load: Load, host: PluginHost, pool: PoolSettings
) -> None:
    plugin = await load(SLOW, manifest={"stateful": True}, pool=pool)
    assert await counts_at_once(plugin, 4) == [1, 2, 3, 4]
    assert await alive(host, 1)


async def test_a_vector_memory_is_stateful(load: Load) -> None:
    plugin = await load(Guest(PluginType.VECTOR_MEMORY_BACKEND))
    assert plugin.manifest.keeps_state
    assert await settings_of(plugin) == (1, 1)


async def settings_of(plugin: LoadedPlugin) -> tuple[int, int]:
    backend = plugin._backend
    assert isinstance(backend, WasmBackend)
    return backend._pool._places.value, backend._pool._keep


# --- nothing is left over ------------------------------------------------------------------------


async def test_a_caller_gone_while_an_instance_is_made(load: Load, host: PluginHost) -> None:
    # The instance becomes ready although nobody waits for it any more.
    controller = AbortController()

    class AbortingLogger(PluginLogger):
        armed = False

        def emit(self, event: LogEvent) -> None:
            if self.armed:
                controller.abort()

    logger = AbortingLogger()
    plugin = await load(
        Guest(functions={"init": f"{EMIT} (call $ok_unit)"}, data=EVENT),
        context=PluginContext(logger=logger),
        pool=PoolSettings(idle=0),
    )
    assert await alive(host, 0)
    logger.armed = True
    with pytest.raises(PluginAbortedError):
        await plugin.generate(REQUEST, PluginContext(abort_signal=controller.signal))
    assert await alive(host, 0)


async def test_an_init_that_fails_later(load: Load, host: PluginHost) -> None:
    # The first `init` succeeds, a later one says no: it looks at the clock.
    body = f"""
        (if (i64.gt_s (call $monotonic_now) (i64.load (i32.const {DATA})))
          (then (return (call $err (i32.const 5) (i32.const 0) (i32.const 0)))))
        (call $ok_unit)
    """
    until = time.monotonic_ns() + 3_000_000_000
    plugin = await load(
        Guest(functions={"init": body}, data=until.to_bytes(8, "little")),
        pool=PoolSettings(idle=0),
    )
    await anyio.sleep(max(0, until - time.monotonic_ns()) / 1e9 + 0.02)
    with pytest.raises(PluginInitError, match="unavailable"):
        await plugin.generate(REQUEST)
    assert await alive(host, 0)


async def test_an_aborted_load_context_keeps_nothing_alive(load: Load, host: PluginHost) -> None:
    controller = AbortController()
    plugin = await load(
        Guest(), context=PluginContext(abort_signal=controller.signal), pool=PoolSettings(idle=0)
    )
    kept = await load(Guest(), context=PluginContext(abort_signal=controller.signal))
    controller.abort()
    for each in (plugin, kept):
        with pytest.raises(PluginAbortedError):
            await each.generate(REQUEST)
        # With a context of its own, a call is not aborted; nor is what it needs.
        assert (await each.generate(REQUEST, PluginContext())).text == "hi"
        await each.shutdown()
    assert await alive(host, 0)


NOTICING = COUNTING.but(
    functions={
        **(COUNTING.functions or {}),
        "health-check": "(loop $more (br_if $more (i32.eqz (call $is_aborted))))"
        "(call $err (i32.const 0) (i32.const 0) (i32.const 0))",
    }
)


@pytest.mark.parametrize("tier", ["in-process", "process"])
async def test_a_plugin_that_stops_by_itself_keeps_its_state(load: Load, tier: Tier) -> None:
    plugin = await load(
        NOTICING, manifest={"stateful": True}, tier=tier, limits=Limits(fuel=1 << 60)
    )
    counted: list[int] = []
    for _ in range(8):  # a busy machine may take longer than the moment that it has
        counted.append(await count(plugin))
        with anyio.move_on_after(0.05) as scope:
            await plugin.health_check()
        assert scope.cancelled_caught
    assert max(counted) > 1


# --- what ends an instance does not outlast the call ---------------------------------------------


# Its `shutdown` spins once it has answered.
SPITEFUL = Guest(
    functions={
        "generate": f"(i32.store8 (i32.const {DATA}) (i32.const 1)) $document_2096",
        "shutdown": f"(if (i32.load8_u (i32.const {DATA})) (then (loop $spin (br $spin))))"
        "(call $ok_unit)",
    }
)


async def test_a_shutdown_that_spins_does_not_hold_the_caller(load: Load) -> None:
    # With the host's 30 s for an `init`, it would wait much longer than this.
    plugin = await load(
        SPITEFUL, pool=PoolSettings(idle=0), limits=Limits(deadline_ms=100, fuel=1 << 60)
    )
    with anyio.fail_after(5) as scope:
        assert (await plugin.generate(REQUEST)).text == "hi"
    assert not scope.cancel_called


async def test_a_destructor_that_spins_does_not_hold_the_caller(load: Load) -> None:
    plugin = await load(
        Guest(destructor="(loop $spin (br $spin))"),
        pool=PoolSettings(instances=1),
        limits=Limits(deadline_ms=100, fuel=1 << 60),
    )
    with anyio.fail_after(5) as scope:
        assert [event async for event in plugin.stream(REQUEST)] == []
        assert (await plugin.generate(REQUEST)).text == "hi"
    assert not scope.cancel_called


async def test_many_shutdowns_that_spin(load: Load, host: PluginHost) -> None:
    plugin = await load(
        SLOW.but(functions={**(SLOW.functions or {}), "shutdown": SPIN}),
        pool=PoolSettings(instances=4, idle=4),
        limits=Limits(deadline_ms=500, fuel=1 << 60),
    )
    await counts_at_once(plugin, 4)
    assert await alive(host, 4)
    with anyio.fail_after(10), pytest.raises(DeadlineExceededError):
        await plugin.shutdown()
    assert await alive(host, 0)
