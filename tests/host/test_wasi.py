"""Guests that were granted WASI: it works in a worker, it holds nothing, and it blocks nobody."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from orchestrator_plugin_host import (
    DeadlineExceededError,
    HostSettings,
    InvalidComponentError,
    Limits,
    PluginAbortedError,
    PluginHost,
    PluginRefusedError,
    PluginTrapError,
    Policy,
    PoolSettings,
)
from orchestrator_plugin_sdk import AbortController, PluginContext
from support.guests import Guest
from support.heartbeat import unhindered
from support.processes import HANG_SECONDS, children, wait_until
from support.wasi import wasi_guest

from .conftest import Load

pytestmark = pytest.mark.anyio
REQUEST: dict[str, Any] = {"messages": []}
OK = "$document_2096"
HOUR = "(i64.const 3600000000000)"
BLOCKS = f"(call $block (call $subscribe {HOUR})) {OK}"


@pytest.fixture
def settings(cache_directory: Path) -> HostSettings:
    """Settings that grant the core of WASI, in workers."""
    return HostSettings(cache_directory=cache_directory, tier="process", policy=Policy(wasi="core"))


@pytest.fixture(autouse=True)
async def nothing_is_left_over(host: PluginHost) -> AsyncIterator[None]:
    """After each test: closing the host ends every worker, whatever its guest does."""
    yield
    await host.close()
    wait_until(lambda: not children(os.getpid()), "the workers' end")


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


async def test_in_the_process_of_the_host_it_is_refused(load: Load) -> None:
    # Its functions block whoever calls them: there that would be the host.
    with pytest.raises(PluginRefusedError, match="tier='process'"):
        await load(wasi_guest(), tier="in-process")
    assert (await (await load(Guest(), tier="in-process")).health_check()).healthy


async def test_a_guest_that_blocks_releases_its_caller(load: Load) -> None:
    plugin = await load(wasi_guest(functions={"generate": BLOCKS}), pool=PoolSettings(instances=3))
    good = await load(Guest())
    controller = AbortController()
    aborting = PluginContext(abort_signal=controller.signal)
    async with unhindered():
        with anyio.fail_after(HANG_SECONDS):
            with anyio.move_on_after(0.1) as scope:
                await plugin.generate(REQUEST)
            assert scope.cancelled_caught
            async with anyio.create_task_group() as group:

                async def abort() -> None:
                    await anyio.sleep(0.1)
                    controller.abort()

                group.start_soon(abort)
                with pytest.raises(PluginAbortedError):
                    await plugin.generate(REQUEST, aborting)
            assert (await good.generate(REQUEST)).text == "hi"
    assert (await plugin.health_check()).healthy


async def test_a_guest_that_blocks_ends_at_its_deadline(load: Load) -> None:
    plugin = await load(
        wasi_guest(functions={"generate": BLOCKS}),
        limits=Limits(deadline_ms=4000),  # a busy machine takes long to start a worker
        pool=PoolSettings(instances=2),
    )
    for _ in range(2):
        with anyio.fail_after(HANG_SECONDS), pytest.raises(DeadlineExceededError):
            await plugin.generate(REQUEST)
        assert (await plugin.health_check()).healthy


async def test_a_guest_that_blocks_in_its_init(load: Load, host: PluginHost) -> None:
    host.settings = host.settings.model_copy(update={"init_deadline_ms": 500})
    for _ in range(2):
        with anyio.fail_after(HANG_SECONDS), pytest.raises(DeadlineExceededError):
            await load(wasi_guest(functions={"init": BLOCKS}))


async def test_a_guest_that_blocks_in_its_shutdown(load: Load) -> None:
    plugin = await load(wasi_guest(functions={"shutdown": BLOCKS}), limits=Limits(deadline_ms=1000))
    assert (await plugin.health_check()).healthy
    with anyio.fail_after(HANG_SECONDS), pytest.raises(DeadlineExceededError):
        await plugin.shutdown()
