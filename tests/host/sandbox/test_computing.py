"""The threads that guests compute in: what is given up there, and what becomes of it."""

from __future__ import annotations

import gc
import os
import threading
import weakref
from collections.abc import Iterator
from concurrent.futures import CancelledError

import anyio
import anyio.lowlevel
import pytest
from orchestrator_plugin_host import PluginClosedError
from orchestrator_plugin_host.sandbox.computing import Computing
from support.processes import HANG_SECONDS, run, wait_until

pytestmark = pytest.mark.anyio


@pytest.fixture
def computing() -> Iterator[Computing]:
    one = Computing()
    yield one
    one.close()


class Block:
    """Work that nothing interrupts, until the test lets it go."""

    def __init__(self, result: str = "done") -> None:
        self.entered, self.may_leave = threading.Event(), threading.Event()
        self._result = result

    def __call__(self) -> str:
        self.entered.set()
        assert self.may_leave.wait(HANG_SECONDS)
        return self._result


def blocked(computing: Computing) -> list[Block]:
    """Work in every thread."""
    blocks = [Block() for _ in range(os.cpu_count() or 1)]
    for block in blocks:
        computing.begun(block)
    for block in blocks:
        assert block.entered.wait(HANG_SECONDS)
    return blocks


async def test_work_runs_in_another_thread(computing: Computing) -> None:
    found = {await computing.run(threading.get_ident) for _ in range(20)}
    assert threading.get_ident() not in found
    assert len(found) <= (os.cpu_count() or 1)


class OddError(BaseException):
    """Not even an `Exception`."""


@pytest.mark.parametrize("error", [ValueError("mine"), OddError("mine")], ids=repr)
async def test_what_work_raises_reaches_whoever_waits(
    computing: Computing, error: BaseException
) -> None:
    def fail() -> None:
        raise error

    for _ in range(2):
        with pytest.raises(type(error)) as caught:
            await computing.run(fail)
        assert caught.value is error
    assert await computing.run(lambda: 42) == 42


async def test_the_event_loop_goes_on_meanwhile(computing: Computing) -> None:
    block = Block()
    ticks: list[int] = []

    async def tick() -> None:
        for i in range(50):
            ticks.append(i)
            await anyio.lowlevel.checkpoint()
        block.may_leave.set()

    async with anyio.create_task_group() as group:
        group.start_soon(tick)
        assert await computing.run(block) == "done"
    assert len(ticks) == 50


# --- given up ------------------------------------------------------------------------------------


async def test_given_up_before_a_thread_has_begun_it(computing: Computing) -> None:
    blocks, begun, discarded = blocked(computing), [0], [0]
    with anyio.move_on_after(0.02) as scope:
        await computing.run(lambda: begun.append(1), discarded.append)
    assert scope.cancelled_caught
    for block in blocks:
        block.may_leave.set()
    assert await computing.run(lambda: "later") == "later"
    assert (begun, discarded) == ([0], [0])


async def test_given_up_while_a_thread_does_it(computing: Computing) -> None:
    block, discarded = Block(), threading.Event()
    found: list[str] = []

    def discard(result: str) -> None:
        found.append(result)
        discarded.set()

    with anyio.fail_after(HANG_SECONDS), anyio.move_on_after(0.02) as scope:
        await computing.run(block, discard)
    assert scope.cancelled_caught
    assert block.entered.is_set()
    assert found == []
    block.may_leave.set()
    assert discarded.wait(HANG_SECONDS)
    assert found == ["done"]


async def test_given_up_and_raised_later(computing: Computing) -> None:
    block, discarded = Block(), [0]

    def fail() -> str:
        block()
        raise ValueError("for nobody")

    with anyio.move_on_after(0.02):
        await computing.run(fail, discarded.append)
    block.may_leave.set()
    assert await computing.run(lambda: 1) == 1
    assert discarded == [0]


async def test_work_can_be_waited_for_again(computing: Computing) -> None:
    block = Block("late")
    work = computing.begun(block)
    for _ in range(3):
        with anyio.move_on_after(0.01) as scope:
            await computing.ended(work)
        assert scope.cancelled_caught
    block.may_leave.set()
    assert await computing.ended(work) == "late"
    assert await computing.ended(work) == "late"


async def test_work_that_was_cancelled_is_told_so(computing: Computing) -> None:
    blocks = blocked(computing)
    work = computing.begun(lambda: 1)
    assert work.cancel()
    with pytest.raises(CancelledError):
        await computing.ended(work)
    for block in blocks:
        block.may_leave.set()


async def test_an_error_keeps_nothing_alive(computing: Computing) -> None:
    class Thing:
        pass

    async def fail() -> weakref.ref[Thing]:
        thing = Thing()

        def work(held: Thing = thing) -> None:
            raise ValueError

        with pytest.raises(ValueError):
            await computing.run(work)
        return weakref.ref(thing)

    found = await fail()
    await computing.run(lambda: None)

    def gone() -> bool:
        gc.collect()
        return found() is None

    wait_until(gone, "the end of what the work held")


# --- closing -------------------------------------------------------------------------------------


async def test_closing_waits_for_what_was_begun(anyio_backend: str) -> None:
    computing, block = Computing(), Block()
    work = computing.begun(block)
    assert block.entered.wait(HANG_SECONDS)
    closed = threading.Event()
    closer = threading.Thread(target=lambda: (computing.close(), closed.set()))
    closer.start()
    assert not closed.wait(0.05)
    block.may_leave.set()
    closer.join()
    assert await computing.ended(work) == "done"
    computing.close()


async def test_nothing_begins_after_closing(anyio_backend: str) -> None:
    computing = Computing()
    before = threading.active_count()
    assert await computing.run(lambda: 1) == 1
    computing.close()
    assert threading.active_count() <= before
    with pytest.raises(PluginClosedError, match="the host has been closed"):
        computing.begun(lambda: 1)
    with pytest.raises(PluginClosedError, match="the host has been closed"):
        await computing.run(lambda: 1)


def test_what_is_for_nobody_is_done_after_closing_too() -> None:
    computing, done = Computing(), [0]
    computing.soon(lambda: done.append(1))
    computing.close()
    assert done == [0, 1]
    computing.soon(lambda: done.append(2))
    assert done == [0, 1, 2]


FORKED = """
import os, sys
import anyio
from orchestrator_plugin_host import PluginClosedError
from orchestrator_plugin_host.sandbox.computing import Computing

computing = Computing()
async def use():
    return await computing.run(os.getpid)
assert anyio.run(use) == os.getpid()
child = os.fork()
if child == 0:
    code = 3
    try:
        computing.check_process()
    except PluginClosedError as error:
        assert "forked" in str(error)
        try:
            computing.begun(os.getpid)
        except PluginClosedError:
            computing.close()  # which waits for threads that are not there, if it waits
            code = 5
    os._exit(code)
_, status = os.waitpid(child, 0)
assert anyio.run(use) == os.getpid()
computing.close()
print(os.waitstatus_to_exitcode(status))
"""


def test_a_forked_process_is_refused() -> None:
    done = run(FORKED)
    assert (done.returncode, done.stdout, done.stderr) == (0, "5\n", "")
