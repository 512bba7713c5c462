"""The end of a guest at any step, and its stack: on whatever thread, however deep."""

from __future__ import annotations

import gc
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from orchestrator_plugin_host.sandbox import _capi
from orchestrator_plugin_host.sandbox.config import FUEL_SLICE
from orchestrator_plugin_host.sandbox.guest import Guest, LoadedComponent, forget_resource
from orchestrator_plugin_host.sandbox.inprocess import Sandbox
from orchestrator_plugin_host.sandbox.steps import YIELDED, Asked, Done, Step
from orchestrator_plugin_host.sandbox.store import Store
from orchestrator_plugin_host.sandbox.values import Err, Ok
from support.guests import DATA
from support.guests import Guest as Text
from support.processes import resident_bytes

from .stepping import (
    ECHO,
    EMPTY,
    FUEL,
    LIMITS,
    ROOMS,
    SPIN,
    WAIT,
    Made,
    as_bytes,
    in_base64,
    loaded,
    start,
)

STACK_OVERFLOW = 0
DEEP = "(func $deep (param i32) (result i32) (i32.add (call $deep (local.get 0)) (i32.const 1)))"
KEPT_BYTES = 20_000_000
"""What memory may grow by in hundreds of guests that are gone: one of them has 256 kB."""

# --- closed at any step ---------------------------------------------------------------------------


def made_only(one: Guest) -> None:
    """Nothing is begun."""


def in_a_loop(one: Guest) -> None:
    one.instantiate(FUEL, ROOMS)
    assert start(one, "generate", ("latin1", bytes(10_000))) is YIELDED


def in_a_loop_for_long(one: Guest) -> None:
    in_a_loop(one)
    for _ in range(3):
        assert one.proceed() is YIELDED


def in_an_import(one: Guest) -> None:
    one.instantiate(FUEL, ROOMS)
    step = start(one, "generate-stream", ("latin1", bytes(10_000)))
    assert step == Asked("log", "emit", [in_base64(bytes(10_000))])


def in_an_import_that_was_answered(one: Guest) -> None:
    one.instantiate(FUEL, ROOMS)
    assert start(one, "[method]event-stream.next", stream(one)) == Asked("random", "get-bytes", [9])
    one.answer(bytes(60_000))


def stream(one: Guest) -> int:
    """The address of a resource that was given, and asked for nothing."""
    step = start(one, "generate-stream")
    assert isinstance(step, Asked)
    one.answer(None)
    step = one.proceed()
    assert isinstance(step, Done)
    return int(step.value.value)


AT_ANY_STEP = Text(
    functions={
        "generate": SPIN,
        "generate-stream": "(call $emit (i32.const 0) (local.get 1) (local.get 2))"
        "(call $ok_u32 (call $new_stream (i32.const 7)))",
        "[method]event-stream.next": "(call $get_bytes (i32.const 9) (i32.const 16))"
        "(call $ok_none)",
    }
)


@pytest.mark.parametrize(
    "reach",
    [made_only, in_a_loop, in_a_loop_for_long, in_an_import, in_an_import_that_was_answered],
)
def test_closed_at_any_step(sandbox: Sandbox, reach: Callable[[Guest], None]) -> None:
    component = loaded(sandbox.engine, AT_ANY_STEP)

    def many(count: int) -> None:
        for _ in range(count):
            one = Guest(sandbox.engine, sandbox.imports, component, LIMITS)
            reach(one)
            one.close()

    many(50)
    gc.collect()
    before = resident_bytes(os.getpid())
    many(300)
    gc.collect()
    assert resident_bytes(os.getpid()) < before + KEPT_BYTES
    assert sandbox.imports.guests == {}


def test_closed_before_the_first_poll(sandbox: Sandbox) -> None:
    component = loaded(sandbox.engine, AT_ANY_STEP)
    for _ in range(300):
        store = Store(sandbox.engine)
        store.set_fuel(FUEL)
        store.begin_instance(sandbox.imports.linker, component.component)
        store.close()


def test_closed_while_an_instance_is_made(sandbox: Sandbox) -> None:
    for body in (SPIN, "(call $sleep (i64.const 1))"):
        text = Text(fields=f"(func $start {body}) (start $start)")
        component = loaded(sandbox.engine, text)
        for _ in range(100):
            one = Guest(sandbox.engine, sandbox.imports, component, LIMITS)
            assert not isinstance(one.instantiate(FUEL, ROOMS), Done)
            one.close()


def test_large_memories_of_closed_guests_are_freed(sandbox: Sandbox) -> None:
    # 16 MiB each, all of it touched, closed in the middle of a call: 300 of them are 4.8 GB.
    body = f"(memory.fill (i32.const 65536) (i32.const 1) (i32.const 16000000)) {SPIN}"
    component = loaded(sandbox.engine, Text(functions={"generate": body}, memory="256"))

    def many(count: int) -> None:
        for _ in range(count):
            one = Guest(sandbox.engine, sandbox.imports, component, LIMITS)
            assert one.instantiate(FUEL, ROOMS) == Done(None)
            for _ in range(8):
                assert (start(one) if _ == 0 else one.proceed()) is YIELDED
            one.close()

    many(10)
    before = resident_bytes(os.getpid())
    many(300)
    assert resident_bytes(os.getpid()) < before + 2 * KEPT_BYTES


def test_a_resource_of_a_guest_that_is_gone(sandbox: Sandbox) -> None:
    component = loaded(sandbox.engine, AT_ANY_STEP)
    for _ in range(100):
        one = Guest(sandbox.engine, sandbox.imports, component, LIMITS)
        one.instantiate(FUEL, ROOMS)
        held = stream(one)
        one.close()
        forget_resource(held)


def test_a_guest_at_the_address_of_one_that_was_freed(sandbox: Sandbox) -> None:
    # Closed in threads, made here: the next store may lie where one is just being freed, and its
    # imports must be found all the same.
    component = loaded(sandbox.engine, Text(functions={"generate": WAIT}))
    addresses = set()
    with ThreadPoolExecutor(4) as threads:
        for _ in range(3000):
            one = Guest(sandbox.engine, sandbox.imports, component, LIMITS)
            addresses.add(one._store.context)
            assert one.instantiate(FUEL, ROOMS) == Done(None)
            assert isinstance(start(one), Asked)
            one.answer(None)
            assert one.proceed() == Done(Ok(EMPTY))
            threads.submit(one.close)
    assert len(addresses) < 3000
    assert sandbox.imports.guests == {}


# --- on any thread --------------------------------------------------------------------------------


def test_each_step_on_another_thread(sandbox: Sandbox) -> None:
    body = f"""(local $i i32) (local $sum i64)
        (loop $more
          (if (i32.eqz (i32.rem_u (local.get $i) (i32.const {FUEL_SLICE // 20})))
            (then (local.set $sum (i64.add (local.get $sum) (call $wall_now)))))
          (local.set $i (i32.add (local.get $i) (i32.const 1)))
          (br_if $more (i32.lt_u (local.get $i) (i32.const {FUEL_SLICE}))))
        (i64.store (i32.const {DATA}) (local.get $sum))
        (call $ok_bytes (i32.const {DATA}) (i32.const 8))"""
    component = loaded(sandbox.engine, Text(functions={"generate": body}))
    guests = [Guest(sandbox.engine, sandbox.imports, component, LIMITS) for _ in range(16)]
    threads = [ThreadPoolExecutor(1) for _ in range(4)]
    used: set[int] = set()

    def step_of(one: Guest, step: Step | None) -> Step:
        used.add(threading.get_ident())
        if step is None:
            return start(one)
        if isinstance(step, Asked):
            one.answer(guests.index(one))
        return one.proceed()

    steps: list[Step | None] = [None] * len(guests)
    for i, one in enumerate(guests):
        assert threads[i % 4].submit(one.instantiate, FUEL, ROOMS).result() == Done(None)
    turn = 0
    while not all(isinstance(step, Done) for step in steps):
        turn += 1
        waiting = [i for i, step in enumerate(steps) if not isinstance(step, Done)]
        futures = {i: threads[(i + turn) % 4].submit(step_of, guests[i], steps[i]) for i in waiting}
        for i, future in futures.items():
            steps[i] = future.result()
    assert len(used) == 4
    assert turn > 25
    for i, step in enumerate(steps):
        assert step == Done(Ok(in_base64((20 * i).to_bytes(8, "little"))))
    for i, one in enumerate(guests):
        threads[(i + 1) % 4].submit(one.close).result()
    for thread in threads:
        thread.shutdown()
    assert sandbox.imports.guests == {}


# --- deep stacks ----------------------------------------------------------------------------------


def deeper(call: str) -> Text:
    """A guest that does `call` so many frames deep as the bytes that it is given say."""
    return Text(
        functions={
            "generate": f"(drop (call $down (i32.load (local.get 1)))) {ECHO}",
        },
        fields=f"""(func $down (param $left i32) (result i32)
            (if (i32.eqz (local.get $left)) (then {call} (return (i32.const 0))))
            (i32.add (i32.const 1) (call $down (i32.sub (local.get $left) (i32.const 1)))))""",
        reaching=True,
    )


def survives(guest: Made, component: LoadedComponent, frames: int, answer: Any) -> bool:
    """Whether a guest gets so deep and back, with its import answered."""
    one = guest(component)
    argument = as_bytes(frames.to_bytes(4, "little"))
    try:
        step = start(one, "generate", argument)
        while isinstance(step, Asked):
            one.answer(answer)
            step = one.proceed()
    except _capi.CapiError as error:
        if error.trap_code != STACK_OVERFLOW:
            raise
        return False
    finally:
        one.close()
    assert step == Done(Ok(in_base64(frames.to_bytes(4, "little"))))
    return True


DEEP_IMPORTS: dict[str, tuple[str, Any]] = {
    "clock": ("(drop (call $wall_now))", 5),
    "random": ("(call $get_bytes (i32.const 4096) (i32.const 16))", bytes(65_536)),
    "log": (f"(call $emit (i32.const 0) (i32.const {DATA}) (i32.const 100000))", None),
    "http": (
        f"(call $send (i32.const 0) (i32.const {DATA}) (i32.const 1000) (i32.const 512))",
        Err({"kind": "internal", "message": "x" * 5000, "retryable": True, "retry-after-ms": 1}),
    ),
}


@pytest.mark.parametrize("name", DEEP_IMPORTS)
def test_an_import_from_as_deep_as_the_stack_goes(sandbox: Sandbox, guest: Made, name: str) -> None:
    call, answer = DEEP_IMPORTS[name]
    component = loaded(sandbox.engine, deeper(call))
    fits, too_deep = 100, 1_000_000
    while too_deep - fits > 1:
        middle = (fits + too_deep) // 2
        if survives(guest, component, middle, answer):
            fits = middle
        else:
            too_deep = middle
    assert fits > 5_000
    for frames in range(fits - 20, fits + 20):
        survives(guest, component, frames, answer)


def test_recursion_without_end(guest: Made) -> None:
    one = guest(Text(functions={"generate": "(call $deep (i32.const 0))"}, fields=DEEP))
    with pytest.raises(_capi.CapiError) as caught:
        start(one)
    assert caught.value.trap_code == 0


def test_recursion_without_end_on_a_thread_with_a_small_stack(guest: Made) -> None:
    # A guest has a stack of its own, wherever it runs.
    before = threading.stack_size(128 * 1024)
    try:
        with ThreadPoolExecutor(1) as thread:
            thread.submit(test_recursion_without_end, guest).result()
    finally:
        threading.stack_size(before)
