"""What guests may call: each import's behaviour, and whose errors they are."""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import Callable
from ctypes import c_void_p
from typing import Any

import anyio
import pytest
from orchestrator_plugin_host import (
    DeadlineExceededError,
    Limits,
    LogLimitError,
    PluginOutputError,
    PoolSettings,
)
from orchestrator_plugin_host.capabilities.registry import answers_of
from orchestrator_plugin_host.payloads import payload_bytes
from orchestrator_plugin_host.sandbox import _capi, imports
from orchestrator_plugin_host.sandbox.inprocess import Sandbox
from orchestrator_plugin_host.sandbox.linking import import_function
from orchestrator_plugin_host.wit import full_name, read_contract
from orchestrator_plugin_sdk import (
    DocumentError,
    LogEvent,
    MemoryLogger,
    PluginContext,
    PluginLogger,
    pack,
    to_document,
)
from orchestrator_plugin_sdk.capabilities.registry import REACHED_BY_ACCESS
from support.guests import DATA, Guest

from ..conftest import Load
from .conftest import Make, ask

pytestmark = pytest.mark.anyio

PLENTY = 1 << 20
REQUEST: dict[str, Any] = {"messages": []}
EVENT = pack(to_document(LogEvent("hello")))
EMIT = f"(call $emit (i32.const 0) (i32.const {DATA}) (i32.const {len(EVENT)})) $document_2096"


def test_every_import_of_the_contract_has_a_handler() -> None:
    world = read_contract().worlds["provider-plugin"]
    of_capabilities = [
        (name, function) for name in REACHED_BY_ACCESS for function in answers_of(name)
    ]
    handlers = [*imports._AT_ONCE, *imports._AWAITED, *of_capabilities]
    assert len(set(handlers)) == len(handlers)
    assert {
        (name, function) for name, one in world.imports.items() for function in one.functions
    } == {(full_name(name), function) for name, function in handlers}


# --- random --------------------------------------------------------------------------------------


def random(length: int) -> Guest:
    """A guest that answers with `random.get-bytes(length)`, whatever they are."""
    body = (
        f"(call $get_bytes (i32.const {length}) (i32.const 16))"
        "(call $ok_bytes (i32.load (i32.const 16)) (i32.load (i32.const 20)))"
    )
    return Guest(functions={"generate": body})


@pytest.mark.parametrize("length", [0, 1, 31, 65_536])
async def test_random_bytes(make: Make, length: int) -> None:
    instance = await make(random(length))
    answers = [payload_bytes((await ask(instance)).value, PLENTY) for _ in range(2)]
    assert [len(data) for data in answers] == [length, length]
    if length > 16:
        assert answers[0] != answers[1]


@pytest.mark.parametrize("length", [65_537, 0x7FFFFFFF, 0xFFFFFFFF])
async def test_too_many_random_bytes(make: Make, length: int) -> None:
    instance = await make(random(length))
    with pytest.raises(PluginOutputError, match=f"{length:,} bytes, it returns at most 65,536"):
        await ask(instance)
    assert not instance.usable


# --- clock ---------------------------------------------------------------------------------------

WRITE_CLOCKS = f"""
    (i64.store (i32.const {DATA}) (call $monotonic_now))
    (i64.store (i32.const {DATA + 8}) (call $wall_now))
    (i64.store (i32.const {DATA + 16}) (call $monotonic_now))
    (call $ok_bytes (i32.const {DATA}) (i32.const 24))
"""


async def test_clocks(make: Make) -> None:
    instance = await make(Guest(functions={"generate": WRITE_CLOCKS}))
    earlier = 0
    for _ in range(20):
        before = time.time_ns()
        data = payload_bytes((await ask(instance)).value, PLENTY)
        first, wall, second = (int.from_bytes(data[i : i + 8], "little") for i in (0, 8, 16))
        assert earlier <= first <= second
        assert before <= wall <= time.time_ns()
        earlier = second


async def test_sleep_lasts_at_least_as_long_as_asked(make: Make) -> None:
    instance = await make(
        Guest(functions={"generate": "(call $sleep (i64.const 30)) $document_2096"})
    )
    before = time.monotonic()
    await ask(instance)
    assert time.monotonic() - before >= 0.03


async def test_sleeping_not_at_all(make: Make) -> None:
    instance = await make(
        Guest(functions={"generate": "(call $sleep (i64.const 0)) $document_2096"})
    )
    assert payload_bytes((await ask(instance)).value, PLENTY)


@pytest.mark.parametrize("milliseconds", [1 << 40, (1 << 63) - 1, (1 << 64) - 1])
async def test_sleeping_for_ever(make: Make, milliseconds: int) -> None:
    body = f"(call $sleep (i64.const {milliseconds})) $document_2096"
    instance = await make(Guest(functions={"generate": body}))
    with pytest.raises(DeadlineExceededError):
        await ask(instance, limits=Limits(deadline_ms=20))


# --- abort ---------------------------------------------------------------------------------------


async def test_is_aborted(make: Make) -> None:
    # What follows when it is: test_giving_up.py.
    body = """(i32.store8 (i32.const 8) (call $is_aborted)) (call $ok_bytes (i32.const 8)
        (i32.const 1))"""
    instance = await make(Guest(functions={"generate": body}))
    for _ in range(3):
        assert payload_bytes((await ask(instance)).value, PLENTY) == b"\0"


# --- log -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("form", "data"),
    [(0, EVENT), (1, EVENT.decode("latin-1").encode()), (2, base64.b64encode(EVENT))],
    ids=["bytes", "latin1", "base64"],
)
async def test_logging(make: Make, form: int, data: bytes) -> None:
    body = f"(call $emit (i32.const {form}) (i32.const {DATA}) (i32.const {len(data)}))"
    logger = MemoryLogger()
    instance = await make(Guest(functions={"generate": body + "$document_2096"}, data=data))
    await ask(instance, context=PluginContext(logger=logger))
    assert logger.events == [LogEvent("hello")]


EVENTS: dict[str, tuple[int, bytes]] = {
    "nothing": (0, b""),
    "not MessagePack": (0, b"\xc1"),
    "a list": (0, pack([])),
    "no type": (0, pack({"level": "info"})),
    "an unknown level": (0, pack({**to_document(LogEvent("a")), "level": "loud"})),
    "an unknown key": (0, pack({**to_document(LogEvent("a")), "colour": "red"})),
    "fields that are a list": (0, pack({**to_document(LogEvent("a")), "fields": []})),
    "nested too deep": (0, b"\x91" * 200 + b"\x90"),
    "latin1 beyond U+00FF": (1, "\u20ac".encode()),
    "broken base64": (2, b"a"),
}


@pytest.mark.parametrize("case", EVENTS)
async def test_an_event_that_is_none(make: Make, case: str) -> None:
    form, data = EVENTS[case]
    body = f"(call $emit (i32.const {form}) (i32.const {DATA}) (i32.const {len(data)}))"
    logger = MemoryLogger()
    instance = await make(Guest(functions={"generate": body + "$document_2096"}, data=data))
    with pytest.raises(PluginOutputError, match="'wat-guest' logged what is not a log event"):
        await ask(instance, context=PluginContext(logger=logger))
    assert logger.events == []
    assert not instance.usable


@pytest.mark.parametrize("form", [0, 1, 2])
async def test_a_huge_event(make: Make, form: int) -> None:
    body = f"(call $emit (i32.const {form}) (i32.const 131072) (i32.const 100000)) $document_2096"
    limits = Limits(log_bytes=50_000)
    instance = await make(Guest(functions={"generate": body}), limits=limits)
    with pytest.raises(LogLimitError):
        await ask(instance, limits=limits)


# --- whose error it is ---------------------------------------------------------------------------


class UnlikeAnyOtherError(BaseException):
    """Not even an `Exception`."""


class RaisingLogger(PluginLogger):
    def __init__(self, error: BaseException) -> None:
        self.error = error

    def emit(self, event: LogEvent) -> None:
        raise self.error


ERRORS: list[Callable[[], BaseException]] = [
    lambda: ValueError("mine"),
    lambda: KeyError("mine"),
    lambda: RecursionError("mine"),
    lambda: MemoryError("mine"),
    lambda: DocumentError("mine"),
    lambda: TimeoutError("mine"),
    lambda: StopIteration("mine"),
    lambda: StopAsyncIteration("mine"),
    lambda: UnlikeAnyOtherError("mine"),
    lambda: KeyboardInterrupt("mine"),
    lambda: SystemExit("mine"),
    lambda: GeneratorExit("mine"),
    lambda: asyncio.CancelledError("mine"),
    lambda: ExceptionGroup("mine", [ValueError("one")]),
]


@pytest.mark.parametrize("make_error", ERRORS, ids=lambda make: type(make()).__name__)
async def test_whatever_a_logger_raises_comes_out_of_the_call(
    make: Make, make_error: Callable[[], BaseException]
) -> None:
    error = make_error()
    instance = await make(Guest(functions={"generate": EMIT}, data=EVENT))
    with pytest.raises(BaseException) as caught:
        await ask(instance, context=PluginContext(logger=RaisingLogger(error)))
    # A coroutine can't raise StopIteration or its like: Python wraps it in a RuntimeError.
    assert error in (caught.value, caught.value.__cause__)
    assert not instance.usable


@pytest.mark.parametrize(
    "make_error",
    [one for one in ERRORS if not isinstance(one(), (KeyboardInterrupt, SystemExit))],
    ids=lambda make: type(make()).__name__,
)
async def test_it_reaches_the_caller_and_the_next_call_works(
    load: Load, make_error: Callable[[], BaseException]
) -> None:
    error = make_error()
    plugin = await load(
        Guest(functions={"generate": EMIT}, data=EVENT), pool=PoolSettings(instances=1)
    )
    with pytest.raises(BaseException) as caught:
        await plugin.generate(REQUEST, PluginContext(logger=RaisingLogger(error)))
    # A coroutine can't raise StopIteration or its like: Python wraps it in a RuntimeError.
    assert error in (caught.value, caught.value.__cause__)
    await plugin.generate(REQUEST)


async def test_a_keyboard_interrupt_reaches_the_caller(load: Load) -> None:
    plugin = await load(Guest(functions={"generate": EMIT}, data=EVENT))
    for error in (KeyboardInterrupt("mine"), SystemExit("mine")):
        with pytest.raises(type(error)) as caught:
            await plugin.generate(REQUEST, PluginContext(logger=RaisingLogger(error)))
        assert caught.value is error
    await plugin.generate(REQUEST)


async def test_a_real_cancellation_raised_by_a_logger(load: Load) -> None:
    kept: list[BaseException] = []
    with anyio.CancelScope() as scope:
        scope.cancel()
        try:
            await anyio.lowlevel.checkpoint()
        except anyio.get_cancelled_exc_class() as error:
            kept.append(error)
            raise
    plugin = await load(Guest(functions={"generate": EMIT}, data=EVENT))
    with pytest.raises(anyio.get_cancelled_exc_class()) as caught:
        await plugin.generate(REQUEST, PluginContext(logger=RaisingLogger(kept[0])))
    assert caught.value is kept[0]
    await plugin.generate(REQUEST)


async def test_a_loggers_error_in_a_stream(load: Load) -> None:
    error = ValueError("mine")
    body = EMIT.replace("$document_2096", "(call $ok_none)")
    guest = Guest(functions={"[method]event-stream.next": body}, data=EVENT)
    plugin = await load(guest, pool=PoolSettings(instances=1))
    with pytest.raises(ValueError, match="mine") as caught:
        async for _ in plugin.stream(REQUEST, PluginContext(logger=RaisingLogger(error))):
            pass
    assert caught.value is error
    assert [one async for one in plugin.stream(REQUEST)] == []


async def test_a_loggers_error_while_loading(load: Load) -> None:
    error = ValueError("mine")
    guest = Guest(functions={"init": EMIT.replace("$document_2096", "(call $ok_unit)")}, data=EVENT)
    with pytest.raises(ValueError, match="mine") as caught:
        await load(guest, context=PluginContext(logger=RaisingLogger(error)))
    assert caught.value is error
    await (await load(guest)).generate(REQUEST)


def test_a_call_of_an_unknown_store_is_an_error_and_no_crash(sandbox: Sandbox) -> None:
    function = import_function("abort", "is-aborted")
    assert function is not None
    callback = sandbox.imports._callback("abort", "is-aborted", function)
    error = (c_void_p * 1)()
    callback(None, 12345, None, 0, 0, 0, 1, error, None)
    assert error[0]
    _capi.error_delete(error[0])
