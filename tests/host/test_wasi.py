"""Guests that were granted WASI: it works, it holds nothing, and it blocks nobody else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import pytest
from orchestrator_plugin_host import (
    DeadlineExceededError,
    HostSettings,
    InvalidComponentError,
    Limits,
    PluginBlockedError,
    PluginHost,
    PluginTrapError,
    Policy,
    PoolSettings,
)
from orchestrator_plugin_host.sandbox.threads import MAX_BLOCKED
from orchestrator_plugin_host.settings import Tier
from support.guests import Guest
from support.wasi import wasi_guest

from .conftest import Load

pytestmark = pytest.mark.anyio
REQUEST: dict[str, Any] = {"messages": []}
OK = "$document_2096"
HOUR = "(i64.const 3600000000000)"
BLOCKS = f"(call $block (call $subscribe {HOUR})) {OK}"


@pytest.fixture(params=["in-process", "process"])
def tier(request: pytest.FixtureRequest) -> Tier:
    return request.param


@pytest.fixture
def settings(cache_directory: Path, tier: Tier) -> HostSettings:
    """Settings that grant the core of WASI."""
    return HostSettings(cache_directory=cache_directory, tier=tier, policy=Policy(wasi="core"))


async def test_it_works_and_time_passes(load: Load) -> None:
    body = f"""(local $before i64)
        (local.set $before (call $wasi_now))
        (call $block (call $subscribe (i64.const 1000000)))
        (if (i64.lt_u (i64.sub (call $wasi_now) (local.get $before)) (i64.const 1000000))
          (then (unreachable)))
        {OK}"""
    plugin = await load(wasi_guest(functions={"generate": body}))
    assert (await plugin.generate(REQUEST)).text == "hi"


async def test_without_the_grant_it_is_refused(load: Load) -> None:
    with pytest.raises(InvalidComponentError, match=r"Policy\(wasi='core'\)"):
        await load(wasi_guest(), policy=Policy())


@pytest.mark.parametrize("call", ["$get_environment", "$get_arguments"])
async def test_nothing_of_the_hosts_is_in_it(
    load: Load, call: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET", "of the host")
    body = f"""(call {call} (i32.const 16))
        (if (i32.load (i32.const 20)) (then (unreachable)))
        {OK}"""
    plugin = await load(wasi_guest(functions={"generate": body}))
    assert (await plugin.generate(REQUEST)).text == "hi"


async def test_exit_ends_the_instance_alone(load: Load) -> None:
    plugin = await load(wasi_guest(functions={"generate": f"(call $exit (i32.const 1)) {OK}"}))
    for _ in range(2):
        with pytest.raises(PluginTrapError, match="ended itself") as caught:
            await plugin.generate(REQUEST)
        assert caught.value.trap == "exit"
        assert (await plugin.health_check()).healthy


async def test_wrong_types_of_wasi_are_refused(load: Load) -> None:
    guest = wasi_guest()
    wrong = guest.but(
        edits={
            key: value.replace(
                '(export "now" (func (result u64)))', '(export "now" (func))'
            ).replace('"now" (func $wasi_now (result i64))', '"now" (func $wasi_now)')
            for key, value in (guest.edits or {}).items()
        }
    )
    with pytest.raises(InvalidComponentError, match="of WASI with another type"):
        await load(wrong)


async def test_a_guest_that_blocks_releases_its_caller(load: Load, tier: Tier) -> None:
    plugin = await load(
        wasi_guest(functions={"generate": BLOCKS}),
        limits=Limits(deadline_ms=100),
        pool=PoolSettings(instances=MAX_BLOCKED + 1),
    )
    good = await load(Guest())
    for _ in range(MAX_BLOCKED):
        with pytest.raises(DeadlineExceededError):
            await plugin.generate(REQUEST)
        assert (await good.generate(REQUEST)).text == "hi"
    expected = PluginBlockedError if tier == "in-process" else DeadlineExceededError
    with pytest.raises(expected):
        await plugin.generate(REQUEST)
    assert (await good.generate(REQUEST)).text == "hi"


async def test_a_guest_that_blocks_in_its_init(load: Load, tier: Tier, host: PluginHost) -> None:
    host.settings = host.settings.model_copy(update={"init_deadline_ms": 100})
    for _ in range(MAX_BLOCKED):
        with pytest.raises(DeadlineExceededError):
            await load(wasi_guest(functions={"init": BLOCKS}))
    expected = PluginBlockedError if tier == "in-process" else DeadlineExceededError
    with pytest.raises(expected):
        await load(wasi_guest(functions={"init": BLOCKS}))


async def test_a_guest_that_comes_back_late_is_freed(
    load: Load, host: PluginHost, tier: Tier
) -> None:
    deadline_ms = 50 if tier == "in-process" else 2000  # a worker takes a moment to start
    nanoseconds = (deadline_ms + 300) * 1_000_000
    late = f"(call $block (call $subscribe (i64.const {nanoseconds}))) (unreachable)"
    plugin = await load(
        wasi_guest(functions={"generate": late}),
        limits=Limits(deadline_ms=deadline_ms),
        pool=PoolSettings(idle=1),
    )
    with pytest.raises(DeadlineExceededError):
        await plugin.generate(REQUEST)
    await anyio.sleep(0.5)
    assert (await plugin.health_check()).healthy
    assert host._sandbox is not None
    assert len(host._sandbox.instances) == (1 if tier == "in-process" else 0)
