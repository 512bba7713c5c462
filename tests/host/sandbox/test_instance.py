"""Instances, in each tier and on each event loop: one call at a time, and gone after a failure."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import pytest
from anyio import CancelScope
from orchestrator_plugin_host import (
    DeadlineExceededError,
    DocumentTooLargeError,
    Limits,
    MemoryLimitError,
    PluginAbortedError,
    PluginClosedError,
    PluginOutputError,
    PluginTrapError,
    WorkerLostError,
)
from orchestrator_plugin_host.sandbox.inprocess import InProcessInstance, Sandbox
from orchestrator_plugin_host.sandbox.instance import Instance
from orchestrator_plugin_host.sandbox.processes import ProcessInstance
from orchestrator_plugin_host.sandbox.values import Ok
from orchestrator_plugin_host.settings import Tier
from orchestrator_plugin_sdk import AbortController, PluginContext
from support.guests import DATA, Guest
from support.processes import HANG_SECONDS, alive, run

from .conftest import Compile, Make, ask, nothing_is_left, one_call
from .stepping import ECHO, SPIN, as_bytes, in_base64

pytestmark = pytest.mark.anyio

TRAP = Guest(functions={"generate": "(unreachable)"})
SLEEP = f"(call $sleep (i64.const 300)) {ECHO}"


async def test_a_call_and_its_result(make: Make) -> None:
    instance = await make(Guest(functions={"generate": ECHO}))
    for i in range(50):
        assert await ask(instance, "generate", as_bytes(b"%d" % i)) == Ok(in_base64(b"%d" % i))
    assert instance.usable


async def test_where_a_guest_runs(make: Make, tier: Tier) -> None:
    instance = await make(Guest())
    if tier == "in-process":
        assert isinstance(instance, InProcessInstance)
    else:
        assert isinstance(instance, ProcessInstance)
        assert instance.pid != os.getpid()
        assert alive(instance.pid)


async def test_an_instance_keeps_its_memory_between_calls(make: Make) -> None:
    count = f"""(i32.store (i32.const {DATA}) (i32.add (i32.load (i32.const {DATA}))
        (i32.const 1))) (call $ok_bytes (i32.const {DATA}) (i32.const 1))"""
    first, second = [await make(Guest(functions={"generate": count})) for _ in range(2)]
    for i in range(3):
        assert await ask(first) == Ok(in_base64(bytes([i + 1])))
    assert await ask(second) == Ok(in_base64(b"\1"))


# --- after a failure -----------------------------------------------------------------------------


async def test_after_a_failure_an_instance_is_not_entered_again(make: Make) -> None:
    instance = await make(TRAP)
    assert instance.usable
    with pytest.raises(PluginTrapError):
        await ask(instance)
    assert not instance.usable
    for _ in range(3):
        with pytest.raises(PluginClosedError):
            await ask(instance)


async def test_an_answer_that_breaks_the_contract_costs_the_instance(make: Make) -> None:
    instance = await make(
        Guest(functions={"generate": f"(call $ok_bytes (i32.const {DATA}) (i32.const 200000))"})
    )
    with pytest.raises(Exception, match="266,668"):
        await ask(instance, limits=Limits(document_out_bytes=10))
    assert not instance.usable


def returned(size: int) -> Guest:
    answer = f"(call $ok_bytes (i32.const 4096) (i32.const {size}))"
    return Guest(functions={"generate": answer}, memory="100")


async def test_more_than_there_is_room_for_is_never_moved(make: Make) -> None:
    limits = Limits(document_out_bytes=1000, log_bytes=1000)
    instance = await make(returned(68_000), limits=limits)
    with pytest.raises(DocumentTooLargeError, match="more than twice as much at once") as caught:
        await ask(instance, limits=limits)
    assert (caught.value.limit, caught.value.value) == ("document_out_bytes", 1000)
    assert not instance.usable


async def test_what_goes_in_may_be_larger_than_what_comes_out(make: Make) -> None:
    limits = Limits(document_out_bytes=1000, log_bytes=1000)
    instance = await make(returned(5), limits=limits)
    for argument in (("latin1", bytes(3_000_000)), as_bytes(bytes(1_000_000))):
        answer = await ask(instance, "generate", argument, limits=limits)
        assert answer == Ok(in_base64(bytes(5)))


async def test_no_memory_for_what_is_moved(make: Make) -> None:
    limits = Limits(memory_bytes=100 * 65_536)
    instance = await make(returned(6_000_000), limits=limits)
    with pytest.raises(MemoryLimitError, match="no memory for what it gets, returns or passes"):
        await ask(instance, limits=limits)
    assert not instance.usable


@pytest.mark.parametrize(
    ("guest", "error"),
    [
        (Guest(fields="(func $start (unreachable)) (start $start)"), PluginTrapError),
        (Guest(memory="1000"), MemoryLimitError),
    ],
    ids=["a trap", "too much memory"],
)
async def test_an_instance_that_could_not_be_made_is_freed(
    make: Make, sandbox: Sandbox, guest: Guest, error: type[Exception]
) -> None:
    with pytest.raises(error):
        await make(guest, limits=Limits(memory_bytes=1 << 20))
    nothing_is_left(sandbox)


async def test_a_call_out_of_time_is_not_begun(make: Make) -> None:
    instance, call = await make(TRAP), one_call(Limits(deadline_ms=1))
    await anyio.sleep(0.005)
    with pytest.raises(DeadlineExceededError):
        await instance.run(call, "orchestrator:plugin/provider@1.0.0", "generate", ("latin1", b""))


async def test_an_aborted_call_is_not_begun(make: Make) -> None:
    controller = AbortController()
    instance = await make(TRAP)
    controller.abort("changed my mind")
    with pytest.raises(PluginAbortedError, match="changed my mind"):
        await ask(instance, context=PluginContext(abort_signal=controller.signal))


# --- closed, or in use ---------------------------------------------------------------------------


async def test_closing_twice(make: Make, sandbox: Sandbox) -> None:
    instance = await make(Guest())
    instance.close()
    instance.close()
    assert not instance.usable
    with pytest.raises(PluginClosedError):
        await ask(instance)
    nothing_is_left(sandbox)


@asynccontextmanager
async def in_a_call(instance: Instance, *errors: type[Exception]) -> AsyncIterator[CancelScope]:
    """While the instance is in a call, that fails with one of these errors. Gives what cancels."""

    async def call() -> None:
        with pytest.raises(errors):
            await ask(instance)

    with anyio.fail_after(HANG_SECONDS):
        async with anyio.create_task_group() as group:
            group.start_soon(call)
            await anyio.sleep(0.05)
            yield group.cancel_scope


@pytest.mark.parametrize("doing", [SLEEP, SPIN], ids=["waits", "computes"])
async def test_an_instance_that_is_closed_in_a_call(
    make: Make, sandbox: Sandbox, doing: str
) -> None:
    instance = await make(Guest(functions={"generate": doing}))
    async with in_a_call(instance, PluginClosedError, WorkerLostError):
        instance.close()
    assert not instance.usable
    nothing_is_left(sandbox)


async def test_a_second_call_at_once_is_refused(make: Make) -> None:
    # A store has one call at a time: another would be undefined in wasmtime.
    instance = await make(Guest(functions={"generate": SLEEP}))
    async with in_a_call(instance, PluginClosedError, WorkerLostError) as scope:
        with pytest.raises(RuntimeError, match="in a call"):
            await ask(instance)
        scope.cancel()  # the first can't go on either


async def test_no_instance_is_made_of_a_sandbox_that_was_closed(
    compiled: Compile, sandbox: Sandbox, tier: Tier
) -> None:
    source = compiled(Guest()).source()
    sandbox.close()
    if tier == "in-process":
        for _ in range(2):
            with pytest.raises((PluginClosedError, RuntimeError)):
                await source.instance(one_call())
    await source.close()
    assert sandbox.imports.guests == {}


# --- resources -----------------------------------------------------------------------------------


async def test_a_streams_handle_outlives_other_calls(make: Make) -> None:
    instance = await make(Guest())
    stream = (await ask(instance, "generate-stream")).value
    await ask(instance)
    assert (await ask(instance, "[method]event-stream.next", stream)).value is None
    await instance.drop(one_call(), stream)
    assert instance.usable


async def test_a_handle_of_another_instance_is_refused(make: Make) -> None:
    first, second = await make(Guest()), await make(Guest())
    stream = (await ask(first, "generate-stream")).value
    with pytest.raises((PluginTrapError, PluginOutputError)):
        await ask(second, "[method]event-stream.next", stream)
    assert not second.usable
    assert (await ask(first, "[method]event-stream.next", stream)).value is None
    await first.drop(one_call(), stream)


async def test_a_dropped_handle_is_refused(make: Make) -> None:
    instance = await make(Guest())
    first, second = [(await ask(instance, "generate-stream")).value for _ in range(2)]
    await instance.drop(one_call(), first)
    assert (await ask(instance, "[method]event-stream.next", second)).value is None
    await instance.drop(one_call(), second)


async def test_dropping_runs_the_destructor(make: Make) -> None:
    destructor = f"(i32.store (i32.const {DATA}) (local.get 0))"
    guest = Guest(
        functions={"generate": f"(call $ok_bytes (i32.const {DATA}) (i32.const 1))"},
        destructor=destructor,
    )
    instance = await make(guest)
    stream = (await ask(instance, "generate-stream")).value
    assert await ask(instance) == Ok(in_base64(b"\0"))
    await instance.drop(one_call(), stream)
    assert await ask(instance) == Ok(in_base64(b"\7"))


async def test_a_destructor_that_traps_costs_the_instance(make: Make) -> None:
    instance = await make(Guest(destructor="(unreachable)"))
    stream = (await ask(instance, "generate-stream")).value
    with pytest.raises(PluginTrapError, match="crashed in drop"):
        await instance.drop(one_call(), stream)
    assert not instance.usable


async def test_a_resource_of_an_instance_that_is_gone_is_forgotten(make: Make) -> None:
    instance = await make(Guest())
    stream = (await ask(instance, "generate-stream")).value
    instance.close()
    instance.forget(stream)
    with pytest.raises(PluginClosedError):
        await ask(instance, "[method]event-stream.next", stream)


# --- signals -------------------------------------------------------------------------------------

TAKEN = """
import signal, sys
import anyio
from orchestrator_plugin_host import SignalsTakenError
from orchestrator_plugin_host.sandbox.inprocess import Sandbox
sandbox = Sandbox()
sandbox.signals.check()
signal.signal(getattr(signal, sys.argv[1]), lambda *_: None)
try:
    sandbox.signals.check()
except SignalsTakenError as error:
    print(sys.argv[1] in str(error))
"""


@pytest.mark.parametrize("name", ["SIGSEGV", "SIGILL", "SIGFPE"])
def test_signals_that_were_taken_are_noticed(name: str) -> None:
    done = run(TAKEN, name)
    assert (done.stdout, done.stderr, done.returncode) == ("True\n", "", 0)
