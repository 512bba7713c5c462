"""A guest, step by step, without an event loop: what it is told, and what it is kept from."""

from __future__ import annotations

import gc
import os
from typing import Any

import pytest
from orchestrator_plugin_host import PluginClosedError
from orchestrator_plugin_host.sandbox import _capi
from orchestrator_plugin_host.sandbox.config import FUEL_SLICE
from orchestrator_plugin_host.sandbox.guest import DROP, Guest, forget_resource
from orchestrator_plugin_host.sandbox.inprocess import Sandbox
from orchestrator_plugin_host.sandbox.linking import BadArgumentError
from orchestrator_plugin_host.sandbox.steps import YIELDED, Asked, Done
from orchestrator_plugin_host.sandbox.values import Ok, ValueTooLargeError
from support.guests import DATA
from support.guests import Guest as Text

from .stepping import (
    ECHO,
    EMPTY,
    FORGET,
    FUEL,
    LIMITS,
    ROOMS,
    SPIN,
    WAIT,
    Made,
    as_bytes,
    ended,
    in_base64,
    loaded,
    start,
)

# --- the steps ------------------------------------------------------------------------------------


def test_done(guest: Made) -> None:
    one = guest(Text(functions={"generate": ECHO}, edits=FORGET))
    for i in range(100):
        assert start(one, "generate", as_bytes(b"%d" % i)) == Done(Ok(in_base64(b"%d" % i)))


def test_asked(guest: Made) -> None:
    one = guest(Text(functions={"generate": WAIT}))
    step = start(one, "generate", ("latin1", b"hi"))
    assert step == Asked("clock", "sleep", [7])
    assert one.proceed() == step  # it waits until it is answered
    one.answer(None)
    assert one.proceed() == Done(Ok(("latin1", b"hi")))


def test_yielded(guest: Made) -> None:
    slices = 20
    count = f"""(local $i i64)
        (loop $more
          (local.set $i (i64.add (local.get $i) (i64.const 1)))
          (br_if $more (i64.lt_u (local.get $i) (i64.const {slices * FUEL_SLICE // 8}))))
        {ECHO}"""
    one = guest(Text(functions={"generate": count}))
    step, yields = start(one), 0
    while step is YIELDED:
        step, yields = one.proceed(), yields + 1
    assert step == Done(Ok(EMPTY))
    assert slices / 4 < yields < slices * 4


def test_a_slice_ends_within_a_loop_that_never_does(guest: Made) -> None:
    one = guest(Text(functions={"generate": SPIN}))
    assert start(one) is YIELDED
    for _ in range(20):
        assert one.proceed() is YIELDED


def test_asked_and_yielded_in_turn(guest: Made) -> None:
    body = f"""(local $i i32) (local $j i32)
        (loop $again
          (drop (call $wall_now))
          (local.set $j (i32.const 0))
          (loop $busy
            (local.set $j (i32.add (local.get $j) (i32.const 1)))
            (br_if $busy (i32.lt_u (local.get $j) (i32.const {FUEL_SLICE // 4}))))
          (local.set $i (i32.add (local.get $i) (i32.const 1)))
          (br_if $again (i32.lt_u (local.get $i) (i32.const 5))))
        {ECHO}"""
    one = guest(Text(functions={"generate": body}))
    step, asked, yields = start(one), 0, 0
    while not isinstance(step, Done):
        if isinstance(step, Asked):
            one.answer(asked)
            asked += 1
        else:
            yields += 1
        step = one.proceed()
    assert asked == 5
    assert yields > 5


def test_an_instance_is_made_in_steps_too(sandbox: Sandbox) -> None:
    text = Text(fields=f"(func $start (drop (call $wall_now)) {SPIN}) (start $start)")
    one = Guest(sandbox.engine, sandbox.imports, loaded(sandbox.engine, text), LIMITS)
    assert one.instantiate(FUEL, ROOMS) == Asked("clock", "wall-now", [])
    one.answer(5)
    for _ in range(3):
        assert one.proceed() is YIELDED
    one.close()


def test_fuel_is_used_up(guest: Made) -> None:
    one = guest(Text(functions={"generate": SPIN}))
    step = start(one, fuel=10 * FUEL_SLICE)
    with pytest.raises(_capi.CapiError) as caught:
        while step is YIELDED:
            step = one.proceed()
    assert caught.value.trap_code == _capi.TRAP_OUT_OF_FUEL


def test_each_call_has_its_own_fuel(guest: Made) -> None:
    one = guest(Text(functions={"generate": ECHO}, edits=FORGET))
    for _ in range(200):
        assert start(one, fuel=20_000) == Done(Ok(EMPTY))
    with pytest.raises(_capi.CapiError) as caught:
        start(one, fuel=1)
    assert caught.value.trap_code == _capi.TRAP_OUT_OF_FUEL


def test_a_trap(guest: Made) -> None:
    one = guest(Text(functions={"generate": f"(call $sleep (i64.const 1)) {SPIN}"}))
    assert isinstance(start(one, fuel=FUEL_SLICE), Asked)
    one.answer(None)
    with pytest.raises(_capi.CapiError):
        ended(one, one.proceed())
    with pytest.raises(RuntimeError, match="in no call"):
        one.proceed()


# --- what must not be done to a guest is refused --------------------------------------------------


def test_one_call_at_a_time(guest: Made) -> None:
    one = guest(Text(functions={"generate": WAIT}))
    assert isinstance(start(one), Asked)
    with pytest.raises(RuntimeError, match="in a call"):
        start(one)
    with pytest.raises(RuntimeError, match="in a call"):
        one.instantiate(FUEL, ROOMS)
    one.answer(None)
    with pytest.raises(RuntimeError, match="waits for no answer"):
        one.answer(None)
    assert one.proceed() == Done(Ok(EMPTY))


def test_nothing_after_the_end(guest: Made) -> None:
    one = guest(Text(functions={"generate": WAIT}))
    with pytest.raises(RuntimeError, match="in no call"):
        one.proceed()
    assert isinstance(start(one), Asked)
    one.close()
    one.close()
    with pytest.raises(RuntimeError, match="closed"):
        start(one)
    with pytest.raises(RuntimeError, match="in no call"):
        one.proceed()


def test_no_guest_once_the_imports_are_closed(sandbox: Sandbox) -> None:
    component = loaded(sandbox.engine, Text(functions={"generate": WAIT}))
    one = Guest(sandbox.engine, sandbox.imports, component, LIMITS)
    assert one.instantiate(FUEL, ROOMS) == Done(None)
    sandbox.imports.close()
    with pytest.raises(PluginClosedError):
        Guest(sandbox.engine, sandbox.imports, component, LIMITS)
    # One that is there goes on: what it calls lives as long as it.
    assert isinstance(start(one), Asked)
    one.answer(None)
    assert one.proceed() == Done(Ok(EMPTY))
    assert sandbox.imports.linker.address
    one.close()
    assert not sandbox.imports.linker.address
    sandbox.imports.close()


# --- arguments and results ------------------------------------------------------------------------

TEXTS = [b"", b"plain", "déjà vu".encode(), "日本語 🜚".encode(), b"\0a\0", b"a" * 70_000]
DOCUMENTS = [bytes(range(256)) * n for n in (0, 1, 4000)]


@pytest.mark.parametrize("text", TEXTS, ids=lambda one: str(len(one)))
@pytest.mark.parametrize("form", ["latin1", "base64"])
def test_text_comes_back_as_it_went(guest: Made, form: str, text: bytes) -> None:
    one = guest(Text(functions={"generate": ECHO}, edits=FORGET))
    for _ in range(3):
        assert ended(one, start(one, "generate", (form, text))) == Ok((form, text))


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda one: str(len(one)))
def test_bytes_come_back_as_base64(guest: Made, document: bytes) -> None:
    one = guest(Text(functions={"generate": ECHO}, edits=FORGET))
    for _ in range(3):
        assert ended(one, start(one, "generate", as_bytes(document))) == Ok(in_base64(document))


def test_a_resource_as_an_argument(guest: Made) -> None:
    one = guest(Text())
    handles = [ended(one, start(one, "generate-stream")).value for _ in range(5)]
    assert len(set(handles)) == 5
    for handle in handles:
        assert start(one, "[method]event-stream.next", handle) == Done(Ok(None))
    for handle in handles:
        assert one.start(*DROP, (handle,), fuel=FUEL, room=0, rooms=ROOMS) == Done(None)
        forget_resource(handle)


@pytest.mark.parametrize(
    "argument", [("rot13", b""), ("latin1", "text"), ("latin1", None), ("bytes", b""), (), None]
)
def test_an_argument_that_is_none_is_refused_before_the_call(guest: Made, argument: Any) -> None:
    one = guest(Text(functions={"generate": ECHO}))
    for _ in range(3):
        with pytest.raises((TypeError, ValueError, KeyError)):
            start(one, "generate", argument)
    assert start(one) == Done(Ok(EMPTY))


@pytest.mark.parametrize("form", ["latin1", "base64"])
@pytest.mark.parametrize(
    "text",
    [b"\xff", b"a" * 5_000 + b"\xc3", "\ud800".encode(errors="surrogatepass")],
    ids=["no UTF-8", "half a character", "half a pair"],
)
def test_an_argument_that_is_not_utf8_is_refused(guest: Made, form: str, text: bytes) -> None:
    # wasmtime would end the process.
    one = guest(Text(functions={"generate": ECHO}))
    with pytest.raises(ValueError, match="the text of a payload is not UTF-8"):
        start(one, "generate", (form, text))
    assert start(one) == Done(Ok(EMPTY))


@pytest.mark.parametrize("form", ["latin1", "base64"])
def test_an_answer_that_is_not_utf8_is_refused(guest: Made, form: str) -> None:
    body = """(call $file_read (i32.const 0) (i32.const 0) (i64.const 0) (i32.const 0)
        (i32.const 512)) (call $as_answered)"""
    one = guest(Text(functions={"generate": body}, reaching=True))
    assert isinstance(start(one), Asked)
    with pytest.raises(ValueError, match="the text of a payload is not UTF-8"):
        one.answer(Ok((form, b"\xff")))
    one.close()


def test_arguments_stay_while_the_guest_is_still_taking_them(guest: Made) -> None:
    # Memory for an argument is the guest's to find: it may take slices of fuel for it.
    slow = f"""(local $i i32)
        (loop $busy
          (local.set $i (i32.add (local.get $i) (i32.const 1)))
          (br_if $busy (i32.lt_u (local.get $i) (i32.const {FUEL_SLICE}))))"""
    one = guest(Text(functions={"generate": ECHO}, realloc=slow))
    for form, data in (("latin1", os.urandom(5000).hex().encode()), in_base64(os.urandom(5000))):
        step = start(one, "generate", (form, bytes(data)))
        assert step is YIELDED
        kept = [os.urandom(len(data)) for _ in range(50)]  # where they would lie, if they were gone
        gc.collect()
        assert ended(one, step) == Ok((form, data))
        del kept


def test_a_result_that_is_too_large_is_not_copied(guest: Made) -> None:
    one = guest(Text(functions={"generate": ECHO}))
    with pytest.raises(ValueTooLargeError) as caught:
        ended(one, start(one, "generate", ("latin1", b"x" * 1001), room=1000))
    assert caught.value.size == 1001


# --- callbacks that fail --------------------------------------------------------------------------


class Raising(dict[str, int]):
    """Rooms that raise when an import is called."""

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def get(self, *_: Any) -> Any:
        raise self.error


@pytest.mark.parametrize(
    "error", [ValueError("mine"), KeyboardInterrupt(), SystemExit(3), MemoryError()], ids=repr
)
def test_what_is_raised_in_a_callback_ends_the_call_alone(
    guest: Made, error: BaseException
) -> None:
    one, other = [guest(Text(functions={"generate": WAIT})) for _ in range(2)]
    assert isinstance(start(other), Asked)
    with pytest.raises(type(error)) as caught:
        start(one, rooms=Raising(error))
    assert caught.value is error
    other.answer(None)
    assert other.proceed() == Done(Ok(EMPTY))


def test_an_argument_of_an_import_that_is_too_large(guest: Made) -> None:
    body = f"(call $emit (i32.const 1) (i32.const {DATA}) (i32.const 1001)) {ECHO}"
    one = guest(Text(functions={"generate": body}))
    with pytest.raises(BadArgumentError) as caught:
        start(one, rooms={**ROOMS, "log": 1000})
    assert caught.value.interface == "log"
    assert isinstance(caught.value.why, ValueTooLargeError)
    with pytest.raises(BadArgumentError):  # no room, where none is named
        start(guest(Text(functions={"generate": body})), rooms={})


def test_an_answer_that_is_none_ends_the_call_alone(guest: Made) -> None:
    one = guest(
        Text(functions={"generate": f"(call $get_bytes (i32.const 9) (i32.const 16)){ECHO}"})
    )
    assert isinstance(start(one), Asked)
    with pytest.raises(TypeError):
        one.answer(None)
    one.close()
