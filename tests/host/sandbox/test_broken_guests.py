"""Guests that crash, lie or break the rules: a typed error each, and the next call works."""

from __future__ import annotations

from contextlib import aclosing
from typing import Any

import pytest
from orchestrator_plugin_host import (
    FuelExhaustedError,
    Limits,
    LoadedProvider,
    MemoryLimitError,
    PluginHost,
    PluginInitError,
    PluginOutputError,
    PluginTrapError,
    PoolSettings,
)
from orchestrator_plugin_sdk import ErrorKind, PluginCallError, PluginType, pack
from support.guests import DATA, Guest
from support.processes import wait_until

from ..conftest import Load

REQUEST: dict[str, Any] = {"messages": []}
SPIN = "(loop $spin (br $spin)) (unreachable)"
DEEP = "(func $deep (param i32) (result i32) (i32.add (call $deep (local.get 0)) (i32.const 1)))"
RULES = "broken rules of the component model"


async def works(plugin: Any) -> None:
    assert (await plugin.health_check()).healthy
    if isinstance(plugin, LoadedProvider):
        assert plugin.capabilities() is not None


# --- traps ---------------------------------------------------------------------------------------

TRAPS = {
    "unreachable": "(unreachable)",
    "out-of-bounds memory access": "(drop (i32.load (i32.const -8))) (unreachable)",
    "out-of-bounds table access": "(call_indirect (result i32) (i32.const 99))",
    "indirect call to null": "(call_indirect (result i32) (i32.const 1))",
    "indirect call of another type": "(call_indirect (result i32) (i32.const 0))",
    "integer division by zero": "(i32.div_u (i32.const 1) (i32.const 0))",
    "integer overflow": "(i32.div_s (i32.const 0x80000000) (i32.const -1))",
    "invalid conversion to integer": "(i32.trunc_f32_s (f32.const nan))",
    "stack overflow": "(call $deep (i32.const 0))",
}
TABLE = "(table 4 funcref) (elem (i32.const 0) $realloc)"


@pytest.mark.parametrize("trap", TRAPS)
async def test_a_trap(load: Load, trap: str) -> None:
    plugin = await load(
        Guest(functions={"generate": TRAPS[trap]}, fields=DEEP + TABLE),
        pool=PoolSettings(instances=1),
    )
    for _ in range(2):
        with pytest.raises(PluginTrapError, match="crashed in generate") as caught:
            await plugin.generate(REQUEST)
        assert caught.value.trap == trap
        assert trap in str(caught.value)
        await works(plugin)


@pytest.mark.parametrize("function", ["health-check", "generate-stream"])
async def test_a_trap_in_other_functions(load: Load, function: str) -> None:
    plugin = await load(Guest(functions={function: "(unreachable)"}), pool=PoolSettings(idle=1))
    with pytest.raises(PluginTrapError, match=f"crashed in {function}"):
        await (plugin.health_check() if function == "health-check" else drain(plugin))
    assert (await plugin.generate(REQUEST)).text == "hi"


async def drain(plugin: LoadedProvider) -> list[Any]:
    events: list[Any] = []
    async with aclosing(plugin.stream(REQUEST)) as stream:
        events.extend([event async for event in stream])
    return events


@pytest.mark.parametrize(
    "guest",
    [
        Guest(functions={"init": "(unreachable)"}),
        Guest(functions={"capabilities": "(unreachable)"}),
        Guest(fields="(func $start (unreachable)) (start $start)"),
        Guest(realloc="(unreachable)"),
    ],
    ids=["init", "capabilities", "start", "realloc"],
)
async def test_a_trap_while_loading(load: Load, guest: Guest) -> None:
    with pytest.raises(PluginTrapError) as caught:
        await load(guest)
    assert caught.value.trap == "unreachable"
    await works(await load(Guest()))


async def test_a_trap_in_shutdown(load: Load) -> None:
    plugin = await load(Guest(functions={"shutdown": "(unreachable)"}))
    await works(plugin)
    with pytest.raises(PluginTrapError, match="crashed in shutdown"):
        await plugin.shutdown()
    assert plugin.closed
    await works(await load(Guest()))


async def test_a_trap_in_a_stream(load: Load) -> None:
    plugin = await load(
        Guest(functions={"[method]event-stream.next": "(unreachable)"}),
        pool=PoolSettings(instances=1),
    )
    with pytest.raises(PluginTrapError, match=r"event-stream\.next"):
        await drain(plugin)
    await works(plugin)


# --- answers that break the component model's rules ----------------------------------------------

NOT_UTF8 = b"ab\xff\xfe"
SURROGATE = b"\xed\xa0\x80"
BROKEN = {
    "a result past the memory": Guest(functions={"generate": "(i32.const 0x7ffffff0)"}),
    "a misaligned result": Guest(functions={"generate": "(i32.const 1025)"}),
    "an unknown case of the result": Guest(
        functions={"generate": "(i32.store8 (i32.const 1024) (i32.const 7)) (i32.const 1024)"}
    ),
    "an unknown form": Guest(
        functions={"generate": "(call $ok_payload (i32.const 9) (i32.const 0) (i32.const 0))"}
    ),
    "bytes past the memory": Guest(
        functions={"generate": f"(call $ok_bytes (i32.const {DATA}) (i32.const 0x7fffffff))"}
    ),
    "bytes from past the memory": Guest(
        functions={"generate": "(call $ok_bytes (i32.const -16) (i32.const 8))"}
    ),
    "a length that overflows": Guest(
        functions={"generate": "(call $ok_bytes (i32.const 16) (i32.const -1))"}
    ),
    "a string past the memory": Guest(
        functions={
            "generate": f"(call $ok_payload (i32.const 1) (i32.const {DATA}) (i32.const -1))"
        }
    ),
    "latin1 that is not UTF-8": Guest(
        functions={
            "generate": f"(call $ok_payload (i32.const 1) (i32.const {DATA}) (i32.const 4))"
        },
        data=NOT_UTF8,
    ),
    "base64 that is not UTF-8": Guest(
        functions={
            "generate": f"(call $ok_payload (i32.const 2) (i32.const {DATA}) (i32.const 4))"
        },
        data=NOT_UTF8,
    ),
    "a surrogate": Guest(
        functions={
            "generate": f"(call $ok_payload (i32.const 1) (i32.const {DATA}) (i32.const 3))"
        },
        data=SURROGATE,
    ),
    "half a pair of UTF-16": Guest(
        functions={
            "generate": f"(call $ok_payload (i32.const 1) (i32.const {DATA}) (i32.const 1))"
        },
        data=b"\x00\xd8",
        string_encoding="string-encoding=utf16",
    ),
    "an unknown error kind": Guest(
        functions={"generate": "(call $err (i32.const 99) (i32.const 0) (i32.const 0))"}
    ),
    "an error message that is not UTF-8": Guest(
        functions={"generate": f"(call $err (i32.const 0) (i32.const {DATA}) (i32.const 4))"},
        data=NOT_UTF8,
    ),
    "an error message past the memory": Guest(
        functions={"generate": f"(call $err (i32.const 0) (i32.const {DATA}) (i32.const -1))"}
    ),
}


SAID = {
    "a result past the memory": "out-of-bounds memory access",
    "a misaligned result": "unaligned pointer",
    "an unknown case of the result": "invalid discriminant",
    "an unknown form": "invalid discriminant",
    "bytes past the memory": "list out of bounds",
    "bytes from past the memory": "list out of bounds",
    "a length that overflows": "list out of bounds",
    "a string past the memory": "string out of bounds",
    "an unknown error kind": "invalid discriminant",
    "an error message past the memory": "string out of bounds",
}
"""What the trap is called, where it has a name of its own."""


@pytest.mark.parametrize("case", BROKEN)
async def test_an_answer_that_breaks_the_rules(load: Load, case: str) -> None:
    plugin = await load(BROKEN[case], pool=PoolSettings(instances=1))
    with pytest.raises(PluginTrapError) as caught:
        await plugin.generate(REQUEST)
    assert caught.value.trap == SAID.get(case, RULES)
    await works(plugin)


@pytest.mark.parametrize("handle", ["0", "1", "77", "-1"])
async def test_a_stream_that_does_not_exist(load: Load, handle: str) -> None:
    plugin = await load(
        Guest(functions={"generate-stream": f"(call $ok_u32 (i32.const {handle}))"}),
        pool=PoolSettings(instances=1),
    )
    with pytest.raises(PluginTrapError) as caught:
        await drain(plugin)
    assert caught.value.trap == RULES
    await works(plugin)


@pytest.mark.parametrize(
    "realloc",
    ["(return (i32.const -16))", "(return (i32.const 0x40000000))"],
    ids=["overflowing", "past the memory"],
)
async def test_a_realloc_that_lies(load: Load, realloc: str) -> None:
    with pytest.raises(PluginTrapError) as caught:
        await load(Guest(realloc=realloc))
    assert caught.value.trap == "list out of bounds"
    await works(await load(Guest()))


async def test_a_realloc_that_lies_only_to_an_import(load: Load) -> None:
    # The first allocation is for `init`; `random.get-bytes` asks for the next.
    guest = Guest(
        functions={"generate": "(call $get_bytes (i32.const 64) (i32.const 16)) $document_2096"},
        realloc="(if (i32.eq (local.get $size) (i32.const 64)) (then (return (i32.const -16))))",
    )
    plugin = await load(guest)
    with pytest.raises(PluginTrapError):
        await plugin.generate(REQUEST)
    await works(plugin)


async def test_a_realloc_that_spins(load: Load) -> None:
    with pytest.raises(FuelExhaustedError):
        await load(Guest(realloc=SPIN), limits=Limits(fuel=1_000_000))


async def test_a_destructor_that_spins(load: Load) -> None:
    guest = Guest(destructor=SPIN)
    plugin = await load(guest, limits=Limits(fuel=1_000_000), pool=PoolSettings(instances=1))
    assert await drain(plugin) == []
    await works(plugin)


async def test_a_destructor_that_traps(load: Load) -> None:
    plugin = await load(Guest(destructor="(unreachable)"), pool=PoolSettings(instances=1))
    for _ in range(3):
        assert await drain(plugin) == []
    await works(plugin)


# --- documents that are none ---------------------------------------------------------------------

NOT_A_NUMBER = b"\x00\x00\xc0\x7f"
INFINITY = b"\x00\x00\x80\x7f"
DOCUMENTS = {
    "nothing": (0, b""),
    "not MessagePack": (0, b"\xc1"),
    "more than one document": (0, pack({"text": "a"}) * 2),
    "a document cut short": (0, pack({"text": "a"})[:-1]),
    "a list": (0, pack([])),
    "a number": (0, pack(1)),
    "a missing key": (0, pack({"tool_calls": [{}]})),
    "an unknown key": (0, pack({"text": "a", "colour": "red"})),
    "a value of another type": (0, pack({"text": 1})),
    "a key twice": (0, b"\x82\xa4text\xa1a\xa4text\xa1b"),
    "an extension": (0, b"\x81\xa4text\xd4\x05\x00"),
    "text that is not UTF-8": (0, b"\x81\xa4text\xa1\xff"),
    "lists nested too deep": (0, b"\x91" * 1000 + b"\x90"),
    "latin1 beyond U+00FF": (1, "\u20ac".encode()),
    "base64 without its padding": (2, b"gaR0ZXh0oWE"[:-1]),
    "base64 of other letters": (2, b"!!!!"),
}


@pytest.mark.parametrize("case", DOCUMENTS)
async def test_an_answer_that_is_no_document(load: Load, case: str) -> None:
    form, data = DOCUMENTS[case]
    body = f"(call $ok_payload (i32.const {form}) (i32.const {DATA}) (i32.const {len(data)}))"
    plugin = await load(
        Guest(
            functions={"generate": body, "[method]event-stream.next": some(form, data)}, data=data
        )
    )
    with pytest.raises(PluginOutputError, match="'wat-guest' answered to generate"):
        await plugin.generate(REQUEST)
    with pytest.raises(PluginOutputError, match="'wat-guest' answered to stream"):
        await drain(plugin)
    await works(plugin)


def some(form: int, data: bytes) -> str:
    return (
        f"(drop (call $ok_some (i32.const {DATA}) (i32.const {len(data)})))"
        f"(i32.store8 (i32.const 1036) (i32.const {form})) (i32.const 1024)"
    )


VECTORS = {
    "NaN": {"dims": 2, "data": NOT_A_NUMBER * 2},
    "infinity": {"dims": 2, "data": INFINITY * 2},
    "half a number": {"dims": 2, "data": bytes(7)},
    "half a vector": {"dims": 2, "data": bytes(4)},
    "negative dims": {"dims": -2, "data": bytes(8)},
    "no dims": {"dims": 0, "data": bytes(8)},
    "other dims than it said": {"dims": 1, "data": bytes(4)},
    "too few vectors": {"dims": 2, "data": b""},
    "too many vectors": {"dims": 2, "data": bytes(16)},
    "a list of numbers": [0.0, 0.0],
}


@pytest.mark.parametrize("case", VECTORS)
async def test_vectors_that_are_none(load: Load, case: str) -> None:
    data = pack(VECTORS[case])
    body = f"(call $ok_bytes (i32.const {DATA}) (i32.const {len(data)}))"
    plugin = await load(
        Guest(PluginType.EMBEDDER, functions={"embed-texts": body}, data=data),
    )
    with pytest.raises(PluginOutputError):
        await plugin.embed_texts(["a"])
    await works(plugin)


async def test_more_results_than_asked_for(load: Load) -> None:
    data = pack([{"id": str(i), "score": 1.0, "text": "", "metadata": {}} for i in range(3)])
    body = f"(call $ok_bytes (i32.const {DATA}) (i32.const {len(data)}))"
    plugin = await load(
        Guest(PluginType.VECTOR_MEMORY_BACKEND, functions={"query": body}, data=data)
    )
    with pytest.raises(PluginOutputError):
        await plugin.query("repo", [1.0], 2)
    await works(plugin)


# --- a plugin that says no -----------------------------------------------------------------------


@pytest.mark.parametrize("kind", ErrorKind)
async def test_every_error_kind(load: Load, kind: ErrorKind) -> None:
    number = list(ErrorKind).index(kind)
    body = f"(call $err (i32.const {number}) (i32.const {DATA}) (i32.const 9))"
    plugin = await load(Guest(functions={"generate": body}, data="ein Café".encode()))
    expected = MemoryLimitError if kind is ErrorKind.OUT_OF_MEMORY else PluginCallError
    with pytest.raises(expected) as caught:
        await plugin.generate(REQUEST)
    if isinstance(caught.value, PluginCallError):
        assert caught.value.message == "ein Café"
        assert (caught.value.kind, caught.value.retryable) == (kind, True)
        assert caught.value.retry_after_ms == 1500
    await works(plugin)


async def test_an_init_that_says_no(load: Load) -> None:
    body = f"(call $err (i32.const 1) (i32.const {DATA}) (i32.const 6))"
    with pytest.raises(PluginInitError, match="no key") as caught:
        await load(Guest(functions={"init": body}, data=b"no key"))
    assert isinstance(caught.value.__cause__, PluginCallError)


async def test_a_failed_load_leaves_no_guest(load: Load, host: PluginHost) -> None:
    for guest in (
        Guest(functions={"init": "(unreachable)"}),
        Guest(functions={"capabilities": "(unreachable)"}),
        Guest(functions={"capabilities": "(call $ok_bytes (i32.const 0) (i32.const 0))"}),
        Guest(fields="(func $start (unreachable)) (start $start)"),
    ):
        with pytest.raises((PluginTrapError, PluginOutputError)):
            await load(guest)
    sandbox = host._loading.sandbox.made
    assert sandbox is not None
    wait_until(lambda: not sandbox.imports.guests, "the end of every guest")
