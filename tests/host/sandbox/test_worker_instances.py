"""The workers of instances: one guest at a time, kept for the next, and never left over."""

from __future__ import annotations

import os
import signal

import anyio
import pytest
from orchestrator_plugin_host import DeadlineExceededError, Limits, PluginTrapError
from orchestrator_plugin_host.admission import world_of
from orchestrator_plugin_host.sandbox import workers
from orchestrator_plugin_host.sandbox.code import Code
from orchestrator_plugin_host.sandbox.inprocess import Sandbox
from orchestrator_plugin_host.sandbox.processes import ProcessInstance
from orchestrator_plugin_host.sandbox.sources import WorkerSource
from orchestrator_plugin_host.sandbox.values import Ok
from orchestrator_plugin_host.sandbox.worker import spawn
from orchestrator_plugin_host.sandbox.workers import ReadyWorker, StoredCode
from orchestrator_plugin_host.settings import Tier
from orchestrator_plugin_sdk.contract import KINDS
from support.guests import DATA, Guest
from support.processes import (
    HANG_SECONDS,
    alive,
    children,
    resident_bytes,
    state,
    wait_until,
)

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


STOPPING = "import os, signal\nos.kill(os.getpid(), signal.SIGSTOP)\n"
"""What a worker begins with that stops before it has started."""


async def test_a_worker_that_starts_is_kept_for_the_next(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, anyio_backend: str
) -> None:
    # Or a plugin whose calls have less time than a worker takes to start would never have one.
    guest = Guest()
    code = bytes(component_of(sandbox.engine, guest).serialize())
    stored = StoredCode(world_of(KINDS[guest.kind]), frozenset(), 1, Code.of(code))
    parted: list[ReadyWorker] = []
    monkeypatch.setattr(spawn, "_START", STOPPING + spawn._START)
    ready = ReadyWorker(stored, "wat-guest", Limits())
    for _ in range(3):
        call = one_call(Limits(deadline_ms=10))
        with pytest.raises(DeadlineExceededError), call.scope():
            await ProcessInstance.made(ready, call, sandbox.computing, parted.append)
        assert parted.pop() is ready
    wait_until(lambda: state(ready.worker.pid) == "T", "the worker's stop")
    os.kill(ready.worker.pid, signal.SIGCONT)
    made = await ProcessInstance.made(ready, one_call(), sandbox.computing, parted.append)
    assert isinstance(await ask(made), Ok)
    made.close()
    assert parted == [ready]
    ready.worker.close(wait=True)


HANGING = f"import time\ntime.sleep({2 * HANG_SECONDS})\n"
"""What a worker does that hangs at its start."""


@pytest.fixture
def sent_code(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, anyio_backend: str) -> StoredCode:
    """The code of a guest, more than a channel takes at once, that workers are sent: there are no
    memory files."""
    monkeypatch.delattr(os, "memfd_create", raising=False)
    guest = Guest(data=os.urandom(2_000_000), memory="40")
    code = bytes(component_of(sandbox.engine, guest).serialize())
    stored = StoredCode(world_of(KINDS[guest.kind]), frozenset(), 1, Code.of(code))
    assert stored.code.descriptor is None
    return stored


async def test_a_worker_that_is_sent_its_code(sandbox: Sandbox, sent_code: StoredCode) -> None:
    source = WorkerSource(sent_code, sandbox.computing)
    for _ in range(3):
        made = await source.instance(one_call())
        assert isinstance(await ask(made), Ok)
        made.close()
    await source.close()


async def test_workers_that_hang_at_their_start_hold_no_thread(
    sandbox: Sandbox, sent_code: StoredCode, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = WorkerSource(sent_code, sandbox.computing)
    before = children(os.getpid())
    monkeypatch.setattr(spawn, "_START", HANGING)
    with anyio.fail_after(HANG_SECONDS):
        async with anyio.create_task_group() as group:
            for _ in range(2 * (os.cpu_count() or 1)):
                group.start_soon(is_late, source)
        await sandbox.computing.run(lambda: None)
    await source.close()
    wait_until(lambda: children(os.getpid()) <= before, "the end of every worker")


async def test_a_worker_that_hangs_at_its_start_is_given_up_at_last(
    sandbox: Sandbox, sent_code: StoredCode, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Or each call after it would wait for it, too.
    source = WorkerSource(sent_code, sandbox.computing)
    with monkeypatch.context() as hanging:
        hanging.setattr(spawn, "_START", HANGING)
        hanging.setattr(workers, "START_SECONDS", 0.0)
        with anyio.fail_after(HANG_SECONDS):
            await is_late(source)
    made = await source.instance(one_call())
    assert isinstance(await ask(made), Ok)
    made.close()
    await source.close()


async def is_late(source: WorkerSource) -> None:
    """Asks for an instance, which is not there in time."""
    call = one_call(Limits(deadline_ms=300))
    with pytest.raises(DeadlineExceededError), call.scope():
        await source.instance(call)


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
