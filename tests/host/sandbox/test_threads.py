"""The threads that guests run on: their stacks, cancellation, and their end."""

from __future__ import annotations

import contextlib
import gc
import subprocess
import sys
import threading
import time
import weakref
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from orchestrator_plugin_host import (
    Limits,
    PluginAbortedError,
    PluginBlockedError,
    PluginClosedError,
    PluginTrapError,
)
from orchestrator_plugin_host.calls import Call
from orchestrator_plugin_host.sandbox.config import MAX_WASM_STACK
from orchestrator_plugin_host.sandbox.threads import MAX_BLOCKED, WorkerThreads
from orchestrator_plugin_sdk import PluginContext
from support.guests import Guest
from support.processes import wait_until

from ..conftest import Load

REQUEST: dict[str, Any] = {"messages": []}
DEEP = Guest(
    functions={"generate": "(call $deep (i32.const 0))"},
    fields="(func $deep (param i32) (result i32)"
    "(i32.add (call $deep (local.get 0)) (i32.const 1)))",
)


def stack_size_now() -> int:
    """The size for new threads. Asking for it sets it to the default, so it is set again."""
    size = threading.stack_size()
    threading.stack_size(size)
    return size


@pytest.fixture
def threads() -> Iterator[WorkerThreads]:
    """Threads that are closed afterwards."""
    one = WorkerThreads()
    yield one
    one.close()


@pytest.fixture
def call() -> Call:
    return Call("plugin", Limits(), PluginContext())


@pytest.fixture(params=[0, 64 * 1024, 128 * 1024, 16 * 1024 * 1024])
def stack_size(request: pytest.FixtureRequest) -> Iterator[int]:
    """The interpreter's stack size for new threads, as an application may have set it."""
    before = threading.stack_size(request.param)
    yield request.param
    threading.stack_size(before)


@pytest.mark.anyio
async def test_a_guests_endless_recursion_ends_its_call_alone(load: Load, stack_size: int) -> None:
    plugin = await load(DEEP)
    for _ in range(2):
        with pytest.raises(PluginTrapError) as caught:
            await plugin.generate(REQUEST)
        assert caught.value.trap == "stack overflow"
        assert (await plugin.health_check()).healthy
    assert stack_size_now() == stack_size


SMALL_STACKS = """
import sys, threading
sys.path[:0] = {path!r}
threading.stack_size(64 * 1024)
from pathlib import Path
import anyio
from orchestrator_plugin_host import HostSettings, PluginHost, PluginTrapError

async def main():
    async with PluginHost(HostSettings(cache_directory=Path({cache!r}))) as host:
        plugin = await host.load({file!r})
        try:
            await plugin.generate({{"messages": []}})
        except PluginTrapError as error:
            sys.stdout.write(error.trap + "\\n")

anyio.run(main)
# Many hosts at once, each with threads of its own to start.
threading.stack_size(1024 * 1024)
threads = [threading.Thread(target=anyio.run, args=(main,)) for _ in range(8)]
threading.stack_size(64 * 1024)
for thread in threads: thread.start()
for thread in threads: thread.join()
"""


def test_many_hosts_with_a_small_stack_size(tmp_path: Path, cache_directory: Path) -> None:
    # In a process of its own: what is tested is that it lives.
    file = tmp_path / "deep.wasm"
    file.write_bytes(DEEP.build())
    code = SMALL_STACKS.format(path=sys.path, file=str(file), cache=str(cache_directory))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.replace("\n", "") == "stack overflow" * 9


@pytest.mark.anyio
async def test_threads_have_room_for_a_guest(
    threads: WorkerThreads, call: Call, stack_size: int
) -> None:
    made: list[int] = []
    start = threading.Thread.start

    def note(thread: threading.Thread) -> None:
        made.append(stack_size_now())
        start(thread)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(threading.Thread, "start", note)
        await threads.run("plugin", call, lambda: None)
    assert made == [max(made[0], stack_size)]
    assert made[0] > MAX_WASM_STACK + 1024 * 1024


def test_hosts_that_start_threads_at_once_do_not_shrink_each_others(call: Call) -> None:
    # The size is one setting of the interpreter: what is it when a thread really starts?
    sizes: list[int] = []
    start = threading.Thread.start

    def note(thread: threading.Thread) -> None:
        if thread.name == "orchestrator-plugin-call":
            sizes.append(stack_size_now())
            time.sleep(0.002)
            sizes.append(stack_size_now())
        start(thread)

    def one_host() -> None:
        threads = WorkerThreads()
        anyio.run(threads.run, "plugin", call, together.wait)
        threads.close()

    together = threading.Barrier(8, timeout=10)
    callers = [threading.Thread(target=one_host) for _ in range(8)]
    before = threading.stack_size(1024 * 1024)
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(threading.Thread, "start", note)
            for caller in callers:
                caller.start()
            for caller in callers:
                caller.join()
        assert len(sizes) == 16
        assert min(sizes) > MAX_WASM_STACK + 1024 * 1024
        assert stack_size_now() == 1024 * 1024
    finally:
        threading.stack_size(before)


@pytest.mark.anyio
async def test_a_thread_is_used_again(threads: WorkerThreads, call: Call) -> None:
    names = set()
    for _ in range(20):
        names.add(await threads.run("plugin", call, threading.get_ident))
        await anyio.sleep(0.001)
    assert len(names) <= 2  # the one before may not be idle yet
    assert threading.get_ident() not in names


@pytest.mark.anyio
async def test_calls_run_beside_each_other(threads: WorkerThreads, call: Call) -> None:
    together = threading.Barrier(5, timeout=10)
    async with anyio.create_task_group() as group:
        for _ in range(5):
            group.start_soon(threads.run, "plugin", call, together.wait)
    assert not together.broken


class OddError(BaseException):
    pass


@pytest.mark.anyio
@pytest.mark.parametrize("error", [ValueError("mine"), OddError("mine")], ids=repr)
async def test_results_and_errors(threads: WorkerThreads, call: Call, error: BaseException) -> None:
    def fail() -> None:
        raise error

    assert await threads.run("plugin", call, lambda: 42) == 42
    with pytest.raises(type(error)) as caught:
        await threads.run("plugin", call, fail)
    assert caught.value is error
    assert await threads.run("plugin", call, lambda: 43) == 43


@pytest.mark.anyio
async def test_cancelling_waits_until_the_thread_has_left(
    threads: WorkerThreads, call: Call
) -> None:
    entered, left = threading.Event(), threading.Event()

    def work() -> None:
        entered.set()
        try:
            call.wait(3600)
        finally:
            left.set()

    async with anyio.create_task_group() as group:
        group.start_soon(threads.run, "plugin", call, work)
        await anyio.to_thread.run_sync(entered.wait)
        group.cancel_scope.cancel()
    assert left.is_set()
    with pytest.raises(PluginAbortedError, match="the awaiting task was cancelled"):
        call.check()


@pytest.mark.anyio
async def test_closing_ends_the_threads(call: Call) -> None:
    threads = WorkerThreads()
    await threads.run("plugin", call, lambda: None)
    alive = [one for one in threads._threads if one.is_alive()]
    assert len(alive) == 1
    threads.close()
    assert [one.is_alive() for one in alive] == [False]
    with pytest.raises(PluginClosedError, match="the host has been closed"):
        await threads.run("plugin", call, lambda: None)
    threads.close()


@pytest.mark.anyio
async def test_an_error_keeps_nothing_alive(threads: WorkerThreads, call: Call) -> None:
    class Thing:
        pass

    async def fail() -> weakref.ref[Thing]:
        thing = Thing()

        def work(held: Thing = thing) -> None:
            raise ValueError

        with pytest.raises(ValueError):
            await threads.run("plugin", call, work)
        return weakref.ref(thing)

    found = await fail()
    await threads.run("plugin", call, lambda: None)

    def gone() -> bool:
        gc.collect()
        return found() is None

    wait_until(gone, "the end of what the work held")  # its thread may not have laid it down yet


class Block:
    """Work that nothing can interrupt, until the test lets it go."""

    def __init__(self, gives: str = "") -> None:
        self.entered, self.may_leave = threading.Event(), threading.Event()
        self._gives = gives

    def __call__(self) -> str:
        self.entered.set()
        self.may_leave.wait()
        return self._gives


async def give_up(threads: WorkerThreads, call: Call, block: Block, **more: Any) -> None:
    """Runs work that blocks, and cancels the caller, who gets away."""

    async def run() -> None:
        await threads.run("plugin", call, block, **more)

    async with anyio.create_task_group() as group:
        group.start_soon(run)
        await anyio.to_thread.run_sync(block.entered.wait)
        group.cancel_scope.cancel()


@pytest.mark.anyio
async def test_a_caller_gets_away_from_what_blocks(threads: WorkerThreads, call: Call) -> None:
    block, abandoned, discarded = Block("late"), threading.Event(), threading.Event()
    found: list[str] = []

    def discard(result: str) -> None:
        found.append(result)
        discarded.set()

    await give_up(threads, call, block, abandoned=abandoned.set, discard=discard)
    assert abandoned.is_set()
    assert await threads.run("plugin", Call("plugin", Limits(), PluginContext()), lambda: 1) == 1
    block.may_leave.set()
    await anyio.to_thread.run_sync(discarded.wait)
    assert found == ["late"]


@pytest.mark.anyio
async def test_what_keeps_blocking_is_refused_until_it_comes_back(threads: WorkerThreads) -> None:
    blocks = [Block() for _ in range(MAX_BLOCKED)]
    for block in blocks:
        await give_up(threads, Call("plugin", Limits(), PluginContext()), block)
    call = Call("plugin", Limits(), PluginContext())
    with pytest.raises(PluginBlockedError, match="can't be stopped"):
        await threads.run("plugin", call, lambda: 1)
    assert await threads.run("another", call, lambda: 2) == 2
    blocks[0].may_leave.set()
    while True:  # until the thread has left
        try:
            assert await threads.run("plugin", call, lambda: 3) == 3
            break
        except PluginBlockedError:
            await anyio.sleep(0.001)
    for block in blocks:
        block.may_leave.set()


@pytest.mark.anyio
async def test_a_result_that_came_with_the_cancellation_is_discarded(
    threads: WorkerThreads, call: Call
) -> None:
    found: list[str] = []
    block = Block("just in time")

    def abort() -> str:
        block.entered.set()
        with contextlib.suppress(PluginAbortedError):
            call.wait(3600)
        return "just in time"

    async def run() -> None:
        await threads.run("plugin", call, abort, discard=found.append)

    async with anyio.create_task_group() as group:
        group.start_soon(run)
        await anyio.to_thread.run_sync(block.entered.wait)
        group.cancel_scope.cancel()
    assert found == ["just in time"]


@pytest.mark.anyio
async def test_closing_does_not_wait_for_what_blocks(call: Call) -> None:
    threads, block = WorkerThreads(), Block()
    await give_up(threads, call, block)
    threads.close()
    (thread,) = threads._threads
    assert thread.is_alive()
    block.may_leave.set()
    thread.join()


@pytest.mark.anyio
async def test_a_thread_that_can_not_be_started(threads: WorkerThreads, call: Call) -> None:
    def start(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(threading.Thread, "start", start)
        with pytest.raises(RuntimeError, match="can't start"):
            await threads.run("plugin", call, lambda: None)
    assert threads._runs == set()
    assert await threads.run("plugin", call, lambda: 1) == 1  # and closing works


@pytest.mark.anyio
async def test_interrupted_as_the_thread_begins(threads: WorkerThreads, call: Call) -> None:
    # Ctrl-C in trio comes between any two steps: here as the thread is already in the guest.
    entered, left = threading.Event(), threading.Event()

    def work() -> None:
        entered.set()
        try:
            call.wait(3600)
        finally:
            left.set()

    submit = threads._submit

    def interrupted(*arguments: Any) -> None:
        submit(*arguments)
        entered.wait()
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(threads, "_submit", interrupted)
        with pytest.raises(KeyboardInterrupt):
            await threads.run("plugin", call, work)
    assert left.is_set()
    assert threads._runs == set()


@pytest.mark.anyio
async def test_what_was_given_up_before_it_began_never_begins(
    threads: WorkerThreads, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    late: list[Any] = []
    began: list[None] = []
    monkeypatch.setattr(threads, "_submit", lambda job, run: late.append(job))
    with anyio.move_on_after(0.01):
        await threads.run("plugin", call, lambda: began.append(None))
    late[0]()
    assert not began
    assert not threads._blocked


@pytest.mark.anyio
async def test_interrupted_as_a_thread_is_taken(call: Call) -> None:
    class Interrupted(deque[Any]):
        def pop(self) -> Any:  # type: ignore[override]
            super().pop()
            raise KeyboardInterrupt

    threads = WorkerThreads()
    await threads.run("plugin", call, lambda: None)
    while not threads._idle:  # noqa: ASYNC110  # nobody is told
        await anyio.sleep(0.001)
    threads._idle = Interrupted(threads._idle)
    with pytest.raises(KeyboardInterrupt):
        await threads.run("plugin", call, lambda: None)
    with anyio.fail_after(60):
        await anyio.to_thread.run_sync(threads.close, abandon_on_cancel=True)
