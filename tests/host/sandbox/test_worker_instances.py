"""The workers of instances: one guest at a time, kept for the next, and never left over."""

from __future__ import annotations

import os

import anyio
import pytest
from orchestrator_plugin_host import DeadlineExceededError, Limits, PluginTrapError
from orchestrator_plugin_host.admission import world_of
from orchestrator_plugin_host.sandbox.code import Code
from orchestrator_plugin_host.sandbox.inprocess import Sandbox
from orchestrator_plugin_host.sandbox.processes import ProcessInstance
from orchestrator_plugin_host.sandbox.values import Ok
from orchestrator_plugin_host.sandbox.workers import ReadyWorker, StoredCode
from orchestrator_plugin_host.settings import Tier
from orchestrator_plugin_sdk.contract import KINDS
from support.guests import DATA, Guest
from support.processes import HANG_SECONDS, alive, children, resident_bytes, wait_until

from .conftest import Compile, ask, one_call
from .stepping import ECHO, component_of, in_base64

pytestmark = pytest.mark.anyio

BYTES = 100_000_000


async def test_a_worker_has_a_fresh_guest_afterwards(sandbox: Sandbox, anyio_backend: str) -> None:
    # Only one whose guest is between two calls.
    count = f"""(i32.store8 (i32.const {DATA}) (i32.add (i32.load8_u (i32.const {DATA}))
        (i32.const 1))) (call $ok_bytes (i32.const {DATA}) (i32.const 1))"""
    guest = Guest(functions={"generate": count, "generate-stream": "(unreachable)"})
    code = bytes(component_of(sandbox.engine, guest).serialize())
    stored = StoredCode(world_of(KINDS[guest.kind]), frozenset(), 1, Code.of(code))
    parted: list[ReadyWorker] = []
    ready = ReadyWorker(stored, "wat-guest", Limits())
    for _ in range(4):
        made = await ProcessInstance.made(ready, one_call(), sandbox.computing, parted.append)
        for i in range(2):
            assert await ask(made) == Ok(in_base64(bytes([i + 1])))
        made.close()
        assert parted.pop() is ready
    made = await ProcessInstance.made(ready, one_call(), sandbox.computing, parted.append)
    with pytest.raises(PluginTrapError):
        await ask(made, "generate-stream")
    made.close()
    assert parted == []
    wait_until(lambda: not alive(ready.worker.pid), "the end of a worker whose guest failed")


async def test_a_worker_without_a_guest_has_its_memory_no_more(
    sandbox: Sandbox, anyio_backend: str
) -> None:
    fill = f"(memory.fill (i32.const 65536) (i32.const 7) (i32.const {BYTES})) {ECHO}"
    guest = Guest(functions={"generate": fill}, memory=str(BYTES // 65_536 + 2))
    code = bytes(component_of(sandbox.engine, guest).serialize())
    stored = StoredCode(world_of(KINDS[guest.kind]), frozenset(), 1, Code.of(code))
    limits = Limits(memory_bytes=2 * BYTES)
    ready = ReadyWorker(stored, "wat-guest", limits)
    for _ in range(3):
        made = await ProcessInstance.made(
            ready, one_call(limits), sandbox.computing, lambda _: None
        )
        await ask(made, limits=limits)
        assert resident_bytes(ready.worker.pid) > BYTES
        made.close()
        wait_until(
            lambda: resident_bytes(ready.worker.pid) < BYTES, "the end of the guest's memory"
        )
    ready.worker.close(wait=True)


async def test_a_worker_that_starts_is_kept_for_the_next(
    sandbox: Sandbox, anyio_backend: str
) -> None:
    # Or a plugin whose calls have less time than a worker takes to start would never have one.
    guest = Guest()
    code = bytes(component_of(sandbox.engine, guest).serialize())
    stored = StoredCode(world_of(KINDS[guest.kind]), frozenset(), 1, Code.of(code))
    parted: list[ReadyWorker] = []
    ready = ReadyWorker(stored, "wat-guest", Limits())
    given_up = 0
    with anyio.fail_after(HANG_SECONDS):
        while True:
            try:
                call = one_call(Limits(deadline_ms=1))
                with call.scope():
                    made = await ProcessInstance.made(ready, call, sandbox.computing, parted.append)
            except DeadlineExceededError:
                given_up += 1
                if ready.confined is not None:
                    break
                assert parted.pop() is ready
            else:
                made.close()
                break
    assert given_up > 1
    ready.worker.close(wait=True)


async def test_giving_up_at_any_moment_leaves_no_worker(compiled: Compile, tier: Tier) -> None:
    source = compiled(Guest()).source()
    before = children(os.getpid())
    for turn in range(16):
        with anyio.move_on_after(turn * 0.01):
            call = one_call()
            with call.scope():
                (await source.instance(call)).close()
    await source.close()
    wait_until(lambda: children(os.getpid()) <= before, "the end of every worker")


async def test_a_worker_ends_with_its_source(compiled: Compile, tier: Tier) -> None:
    if tier == "in-process":
        return
    source = compiled(Guest()).source()
    instances = [await source.instance(one_call()) for _ in range(3)]
    pids = [one.pid for one in instances if isinstance(one, ProcessInstance)]
    assert len(set(pids)) == 3
    for instance in instances:
        instance.close()
    await source.close()
    wait_until(lambda: not any(map(alive, pids)), "the workers' end")
