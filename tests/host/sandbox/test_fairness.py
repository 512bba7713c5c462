"""Guests share an event loop and its threads: none of them keeps the others from either."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from functools import partial
from itertools import cycle, islice

import anyio
import anyio.lowlevel
import pytest
from orchestrator_plugin_host import DeadlineExceededError, Limits, PluginOutputError
from orchestrator_plugin_host.payloads import payload_bytes
from orchestrator_plugin_host.sandbox.config import FUEL_SLICE
from orchestrator_plugin_host.sandbox.inprocess import Sandbox
from orchestrator_plugin_host.sandbox.instance import InlineTime, Instance
from orchestrator_plugin_host.sandbox.steps import YIELDED, Asked, Done
from orchestrator_plugin_host.sandbox.values import Ok
from orchestrator_plugin_host.wit import full_name
from orchestrator_plugin_sdk import MemoryLogger, PluginContext
from support.guests import DATA, Guest
from support.heartbeat import unhindered
from support.processes import HANG_SECONDS

from .busy import DOING, EVENT, FOR_EVER, LARGE, NEEDS_MUCH, Quiet, busy
from .conftest import Make, ask, one_call
from .stepping import ECHO, as_bytes, in_base64

pytestmark = pytest.mark.anyio


def a_guest_on_the_event_loop(seconds: float) -> None:
    time.sleep(seconds)


async def test_a_timer_that_is_due_runs_before_guests_have_the_event_loop_again() -> None:
    inline = InlineTime()
    woken = False

    async def sleeper() -> None:
        nonlocal woken
        await anyio.sleep(0.001)
        woken = True

    async with anyio.create_task_group() as group:
        group.start_soon(sleeper)
        await anyio.wait_all_tasks_blocked()
        a_guest_on_the_event_loop(seconds=0.01)
        inline.use(0.01)
        while not inline.left:
            await anyio.lowlevel.checkpoint()
        assert woken


async def is_ended(instance: Instance, deadline_ms: int = 1000) -> None:
    """Runs what never ends by itself until its time is up."""
    limits = FOR_EVER.model_copy(update={"deadline_ms": deadline_ms})
    with pytest.raises(DeadlineExceededError):
        await ask(instance, limits=limits, context=PluginContext(logger=Quiet()))


async def all_at_once(make: Make, doing: Iterable[str]) -> None:
    """Runs guests that do these, until their time is up."""
    instances = [
        await make(busy(one), limits=LARGE if one in NEEDS_MUCH else FOR_EVER) for one in doing
    ]
    async with unhindered(), anyio.create_task_group() as group:
        for instance in instances:
            group.start_soon(is_ended, instance)


@pytest.mark.slow
@pytest.mark.parametrize("doing", [one for one in DOING if one not in NEEDS_MUCH])
async def test_many_guests_that_do_the_same(make: Make, tier: str, doing: str) -> None:
    with anyio.fail_after(2 * HANG_SECONDS):
        await all_at_once(make, [doing] * (40 if tier == "in-process" else 4))


async def test_many_guests_that_do_this_and_that(make: Make, tier: str) -> None:
    with anyio.fail_after(2 * HANG_SECONDS):
        await all_at_once(make, islice(cycle(DOING), 60 if tier == "in-process" else 12))


async def test_calls_beside_guests_that_compute_for_ever(make: Make) -> None:
    # One that is done in a moment, one that waits, and one that needs a thread for a while.
    computes = f"""(local $i i32)
        (loop $more
          (local.set $i (i32.add (local.get $i) (i32.const 1)))
          (br_if $more (i32.lt_u (local.get $i) (i32.const {10 * FUEL_SLICE}))))
        {ECHO}"""
    spinning = [await make(busy("computes"), limits=FOR_EVER) for _ in range(8)]
    others = [
        await make(Guest(functions={"generate": body}), limits=FOR_EVER)
        for body in (ECHO, f"(call $sleep (i64.const 5)) {ECHO}", computes)
    ]
    async with unhindered(), anyio.create_task_group() as group:
        for one in spinning:
            group.start_soon(is_ended, one, 600_000)
        with anyio.fail_after(HANG_SECONDS):
            for _ in range(5):
                for other in others:
                    answer = await ask(other, limits=FOR_EVER)
                    assert payload_bytes(answer.value, 0) == b""
        group.cancel_scope.cancel()


async def test_quick_calls_one_after_the_other_leave_room_for_others(make: Make) -> None:
    # Each is done at once, and nothing is ever waited for.
    instance = await make(Guest(functions={"generate": ECHO}))
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            await anyio.lowlevel.checkpoint()
            turns += 1

    async with anyio.create_task_group() as group:
        group.start_soon(other)
        for _ in range(100_000):  # a hundredth of them should be enough
            await ask(instance)
            if turns > 5:
                break
        group.cancel_scope.cancel()
    assert turns > 5


@pytest.mark.parametrize("tier", ["in-process"])
async def test_many_guests_wait_at_once(make: Make, sandbox: Sandbox) -> None:
    # A guest that waits takes no thread: two hundred do so at once, and the threads are free.
    body = f"""(call $emit (i32.const 0) (i32.const {DATA}) (i32.const {len(EVENT)}))
        {DOING["sleeps"]} {ECHO}"""
    guest = Guest(functions={"generate": body}, data=EVENT, memory="1")
    instances = [await make(guest) for _ in range(200)]
    logger = MemoryLogger()
    async with unhindered(), anyio.create_task_group() as group:
        for instance in instances:
            context = PluginContext(logger=logger)
            group.start_soon(partial(ask, instance, limits=FOR_EVER, context=context))
        with anyio.fail_after(HANG_SECONDS):
            while len(logger.events) < 200:
                await anyio.sleep(0.005)
            await sandbox.computing.run(lambda: None)
        group.cancel_scope.cancel()


@pytest.mark.parametrize(
    ("limits", "size"),
    [(FOR_EVER, 2_500_096), (LARGE, 10_240_000)],
    ids=["inline", "in threads"],
)
async def test_large_documents_do_not_keep_the_event_loop(
    make: Make, limits: Limits, size: int
) -> None:
    # To a guest that reads and returns lists of bytes, and passes one to an import.
    document = bytes(range(256)) * (size // 256)
    pages = str(size // 65_536 + 8)
    echoing = await make(Guest(functions={"generate": ECHO}, memory=pages), limits=limits)
    async with unhindered():
        for _ in range(2):
            answer = await ask(echoing, "generate", as_bytes(document), limits=limits)
            assert answer == Ok(in_base64(document))
    body = f"(call $emit (i32.const 0) (i32.const {DATA}) (i32.const {size})) {ECHO}"
    logging = await make(Guest(functions={"generate": body}, memory=pages), limits=limits)
    async with unhindered():
        with pytest.raises(PluginOutputError, match="logged what is not a log event"):
            await ask(logging, limits=limits)


# --- what is copied in one piece -----------------------------------------------------------------

MOVED = 16_000_000


@asynccontextmanager
async def computed_in_threads() -> AsyncIterator[None]:
    """Fails if the event loop's thread computes much while the context is open, by the time that
    the process's threads have used, whatever else the machine does."""
    async with unhindered():
        here, everywhere = time.thread_time(), time.process_time()
        yield
        here, everywhere = time.thread_time() - here, time.process_time() - everywhere
    assert here < everywhere / 2


@pytest.mark.parametrize("tier", ["in-process"])
async def test_large_arguments_are_taken_in_a_thread(make: Make) -> None:
    # wasmtime copies them before anything of the guest runs.
    instance = await make(Guest(functions={"generate": "(call $reset) $document_2096"}))
    argument = ("latin1", bytes(MOVED))
    async with computed_in_threads():
        for _ in range(12):
            await ask(instance, "generate", argument)


@pytest.mark.parametrize("tier", ["in-process"])
async def test_large_answers_are_taken_in_a_thread(make: Make) -> None:
    read = """(call $file_read (i32.const 0) (i32.const 0) (i64.const 0) (i32.const 0)
        (i32.const 512)) (call $reset)"""
    body = f"{' '.join([read] * 12)} $document_2096"
    instance = await make(Guest(functions={"generate": body}, reaching=True))
    call, answer = one_call(), Ok(("latin1", bytes(MOVED)))
    async with computed_in_threads():
        step = instance.start(call, full_name("provider"), "generate", [("latin1", b"")], run=True)
        for _ in range(12):
            assert isinstance(step, Asked)
            step = instance.resume(call, answer, run=True)
            while step is YIELDED:
                step = await instance.proceed(call)
        assert isinstance(step, Done)


# --- instructions that take long -----------------------------------------------------------------

BYTES = 200_000_000
BULK = {
    "memory.fill": f"(memory.fill (i32.const 0) (i32.const 7) (i32.const {BYTES}))",
    "memory.copy": f"(memory.copy (i32.const {BYTES // 2}) (i32.const 0) (i32.const {BYTES // 2}))",
}


@pytest.mark.parametrize("tier", ["in-process"])
@pytest.mark.parametrize("before", ["", "(call $sleep (i64.const 0))", "(drop (call $wall_now))"])
@pytest.mark.parametrize("instruction", BULK)
async def test_what_moves_much_memory_at_once_runs_in_a_thread(
    make: Make, instruction: str, before: str
) -> None:
    pieces = [f"{before} {BULK[instruction]}"] * 12
    guest = Guest(functions={"generate": f"{' '.join(pieces)} {ECHO}"}, memory="3100")
    instance = await make(guest, limits=LARGE)
    async with computed_in_threads():
        await ask(instance, limits=LARGE)
