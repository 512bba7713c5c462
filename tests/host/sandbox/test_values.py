"""Values across the boundary and back, and values of another kind than their type says."""

from __future__ import annotations

import base64
import ctypes
from collections.abc import Iterator
from ctypes import addressof, c_uint8, c_uint64
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from orchestrator_plugin_host import PluginOutputError
from orchestrator_plugin_host.sandbox import _capi
from orchestrator_plugin_host.sandbox.instance import Instance
from orchestrator_plugin_host.sandbox.lowering import lowerer
from orchestrator_plugin_host.sandbox.values import (
    Err,
    Ok,
    ValueMismatchError,
    ValueTooLargeError,
    lifter,
)
from orchestrator_plugin_host.wit import (
    EnumType,
    FlagsType,
    HandleType,
    ListType,
    OptionType,
    Primitive,
    RecordType,
    ResultType,
    TupleType,
    Type,
    VariantType,
    full_name,
    read_contract,
)
from orchestrator_plugin_sdk import ErrorKind, PluginType
from support.guests import DATA, Guest

from .conftest import Make, ask, one_call
from .stepping import ECHO, FORGET, in_base64

pytestmark = pytest.mark.anyio

TYPES = read_contract().interfaces["orchestrator:plugin/types@1.0.0"].types
PAYLOAD = TYPES["payload"]
ERROR = TYPES["error"]
U8, U32, U64 = Primitive("u8"), Primitive("u32"), Primitive("u64")
BOOL, STRING = Primitive("bool"), Primitive("string")

# --- through a guest -----------------------------------------------------------------------------

ECHOING = Guest(functions={"generate": ECHO})


@pytest.fixture
async def echo(make: Make) -> Instance:
    return await make(ECHOING.but(edits=FORGET))


TEXTS = st.text(st.characters(codec="utf-8"), max_size=2000).map(str.encode)
PAYLOADS = st.one_of(
    st.tuples(st.sampled_from(["latin1", "base64"]), TEXTS),
    st.tuples(st.just("latin1"), st.binary().map(lambda data: data.decode("latin-1").encode())),
    st.tuples(st.just("base64"), st.binary().map(base64.b64encode)),
)
SENT = st.tuples(st.just("latin1"), TEXTS) | st.binary(max_size=5000).map(in_base64)
"""What a host sends: a guest that reads `bytes` gets these in place of base64."""
ONCE = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


@ONCE
@given(payload=SENT)
async def test_payloads_come_back(echo: Instance, payload: tuple[str, Any]) -> None:
    assert await ask(echo, "generate", payload) == Ok(payload)


@pytest.mark.parametrize("size", [0, 1, 31, 32, 33, 4095, 65_536, 1_000_003])
@pytest.mark.parametrize("form", ["base64", "latin1"])
async def test_payloads_of_many_sizes(echo: Instance, form: str, size: int) -> None:
    data = (bytes(range(256)) * (size // 256 + 1))[:size]
    payload = in_base64(data) if form == "base64" else (form, data.decode("latin-1").encode())
    assert await ask(echo, "generate", payload) == Ok(payload)


@pytest.mark.parametrize("text", ["", "\0", "a\0b", "ÿ", "日本語", "🜚", "\u2028", "e\u0301"])
async def test_texts(echo: Instance, text: str) -> None:
    payload = ("latin1", text.encode())
    assert await ask(echo, "generate", payload) == Ok(payload)


@pytest.mark.parametrize("encoding", ["utf8", "utf16", "latin1+utf16"])
@pytest.mark.parametrize("text", ["", "plain", "Grüße", "日本語 🜚"])
async def test_guests_of_other_string_encodings(make: Make, encoding: str, text: str) -> None:
    # Their lengths count other units, so a copy of what they got comes back all the same.
    instance = await make(ECHOING.but(string_encoding=f"string-encoding={encoding}"))
    payload = ("latin1", text.encode())
    assert await ask(instance, "generate", payload) == Ok(payload)


@pytest.mark.parametrize("kind", ErrorKind)
async def test_errors(make: Make, kind: ErrorKind) -> None:
    body = f"(call $err (i32.const {list(ErrorKind).index(kind)}) (i32.const {DATA}) (i32.const 6))"
    instance = await make(Guest(functions={"generate": body}, data="déjà".encode()))
    expected = {"kind": kind, "message": "déjà", "retryable": True, "retry-after-ms": 1500}
    assert await ask(instance) == Err(expected)


@pytest.mark.parametrize("milliseconds", [0, 1, (1 << 32) + 5, (1 << 64) - 1])
async def test_an_optional_number(make: Make, milliseconds: int) -> None:
    body = (
        "(drop (call $err (i32.const 0) (i32.const 0) (i32.const 0)))"
        f"(i64.store (i32.const 1056) (i64.const {milliseconds})) (i32.const 1024)"
    )
    answer = await ask(await make(Guest(functions={"generate": body})))
    assert answer.value["retry-after-ms"] == milliseconds


ROOM = 1 << 30


async def test_an_optional_number_that_is_not_there(make: Make) -> None:
    body = (
        "(drop (call $err (i32.const 0) (i32.const 0) (i32.const 0)))"
        "(i32.store8 (i32.const 1048) (i32.const 0))"
        "(i32.store8 (i32.const 1044) (i32.const 0)) (i32.const 1024)"
    )
    answer = await ask(await make(Guest(functions={"generate": body})))
    assert answer == Err(
        {"kind": "invalid-request", "message": "", "retryable": False, "retry-after-ms": None}
    )


@pytest.mark.parametrize("byte", [1, 2, 255])
async def test_any_byte_but_zero_is_true(make: Make, byte: int) -> None:
    body = (
        "(drop (call $err (i32.const 0) (i32.const 0) (i32.const 0)))"
        f"(i32.store8 (i32.const 1044) (i32.const {byte})) (i32.const 1024)"
    )
    assert (await ask(await make(Guest(functions={"generate": body})))).value["retryable"] is True


@pytest.mark.parametrize("number", [0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF])
async def test_a_number(make: Make, number: int) -> None:
    instance = await make(
        Guest(PluginType.EMBEDDER, functions={"dims": f"(call $ok_u32 (i32.const {number}))"})
    )
    assert await instance.run(one_call(), full_name("embedder"), "dims") == Ok(number)


# --- in memory of our own ------------------------------------------------------------------------


@pytest.fixture
def slot() -> Iterator[int]:
    """The address of a value, freed afterwards."""
    memory = (c_uint8 * _capi.VAL_SIZE)()
    yield addressof(memory)
    _capi.val_delete(addressof(memory))


@ONCE
@given(payload=PAYLOADS)
def test_what_is_lowered_can_be_lifted(payload: tuple[str, Any]) -> None:
    memory = (c_uint8 * _capi.VAL_SIZE)()
    lowerer(PAYLOAD)(payload, addressof(memory))
    assert lifter(PAYLOAD)(addressof(memory), ROOM) == payload
    _capi.val_delete(addressof(memory))


ANSWER = read_contract().interfaces[full_name("http")].functions["read"].result
"""What an import answers: `result<option<payload>, error>`."""

ERRORS = st.fixed_dictionaries(
    {
        "kind": st.sampled_from([kind.value for kind in ErrorKind]),
        "message": st.text(st.characters(codec="utf-8"), max_size=50),
        "retryable": st.booleans(),
        "retry-after-ms": st.none() | st.integers(0, 2**64 - 1),
    }
)


@ONCE
@given(answer=st.builds(Ok, st.none() | PAYLOADS) | st.builds(Err, ERRORS))
def test_what_an_import_answers_can_be_lifted(answer: Ok | Err) -> None:
    assert ANSWER is not None
    memory = (c_uint8 * _capi.VAL_SIZE)()
    lowerer(ANSWER)(answer, addressof(memory))
    assert lifter(ANSWER)(addressof(memory), ROOM) == answer
    _capi.val_delete(addressof(memory))


@pytest.mark.parametrize(
    ("wanted", "value"),
    [(BOOL, True), (BOOL, False), (U32, 0), (U32, 2**32 - 1), (U64, 2**64 - 1), (STRING, "añ")],
)
def test_scalars(slot: int, wanted: Type, value: Any) -> None:
    lowerer(wanted)(value, slot)
    assert lifter(wanted)(slot, ROOM) == value


KINDS: dict[str, tuple[Type, int]] = {
    "bool": (BOOL, 0),
    "u8": (U8, 2),
    "u32": (U32, 6),
    "u64": (U64, 8),
    "string": (STRING, 12),
    "record": (RecordType((("a", BOOL),)), 14),
    "variant": (VariantType((("a", None),)), 16),
    "enum": (EnumType(("a",)), 17),
    "option": (OptionType(BOOL), 18),
    "result": (ResultType(None, None), 19),
    "resource": (HandleType("r", owned=True), 21),
}
"""A type of each kind that is read, and the number of its kind."""


@pytest.mark.parametrize(
    ("name", "kind"),
    [(name, kind) for name in KINDS for kind in range(24) if kind != KINDS[name][1]],
)
def test_a_value_of_another_kind(name: str, kind: int) -> None:
    # Its contents would be addresses that nobody owns, so that they must not be looked at.
    wanted, right = KINDS[name]
    memory = (c_uint64 * 4)(kind, 0xDEAD0000, 0xDEAD0008, 0xDEAD0010)
    with pytest.raises(ValueMismatchError, match=f"of kind {right}, got kind {kind}"):
        lifter(wanted)(addressof(memory), ROOM)


def named(name: bytes) -> tuple[Any, int, int]:
    text = ctypes.create_string_buffer(name)
    return text, len(name), addressof(text)


@pytest.mark.parametrize("name", [b"", b"c", b"aa", b"A", b"a\0", b"x" * 65, b"x" * 5000])
def test_a_name_that_is_none_of_them(name: bytes) -> None:
    text, size, data = named(name)
    for kind, wanted in (
        (_capi.KIND_ENUM, EnumType(("a", "b"))),
        (_capi.KIND_VARIANT, VariantType((("a", None), ("b", BOOL)))),
    ):
        memory = (c_uint64 * 4)(kind, size, data, 0)
        with pytest.raises(ValueMismatchError, match="expected one of"):
            lifter(wanted)(addressof(memory), ROOM)
    del text


def test_a_case_with_a_value_that_it_should_not_have() -> None:
    inner = (c_uint64 * 4)(_capi.KIND_BOOL, 1, 0, 0)
    for name, payload in ((b"a", addressof(inner)), (b"b", 0)):
        text, size, data = named(name)
        memory = (c_uint64 * 4)(_capi.KIND_VARIANT, size, data, payload)
        with pytest.raises(ValueMismatchError, match="should not have, or lacks"):
            lifter(VariantType((("a", None), ("b", BOOL))))(addressof(memory), ROOM)
        del text


@pytest.mark.parametrize("is_ok", [0, 1])
def test_a_result_with_a_value_that_it_should_not_have(is_ok: int) -> None:
    inner = (c_uint64 * 4)(_capi.KIND_BOOL, 1, 0, 0)
    memory = (c_uint64 * 4)(_capi.KIND_RESULT, is_ok, addressof(inner), 0)
    with pytest.raises(ValueMismatchError, match="should not have, or lacks"):
        lifter(ResultType(None, None))(addressof(memory), ROOM)
    empty = (c_uint64 * 4)(_capi.KIND_RESULT, is_ok, 0, 0)
    with pytest.raises(ValueMismatchError, match="should not have, or lacks"):
        lifter(ResultType(BOOL, BOOL))(addressof(empty), ROOM)


RECORDS = [
    (b"ab", b"cd", 1),
    (b"ab", b"cd", 3),
    (b"cd", b"ab", 2),
    (b"ab", b"c", 2),
    (b"ab", b"cde", 2),
    (b"", b"cd", 2),
]


def test_a_record_of_another_length_or_with_other_names() -> None:
    wanted = RecordType((("ab", BOOL), ("cd", BOOL)))
    for first, second, count in RECORDS:
        one, two = named(first), named(second)
        entries = (c_uint64 * 12)(
            one[1], one[2], _capi.KIND_BOOL, 1, 0, 0, two[1], two[2], _capi.KIND_BOOL, 1, 0, 0
        )
        memory = (c_uint64 * 4)(_capi.KIND_RECORD, count, addressof(entries), 0)
        with pytest.raises(ValueMismatchError, match=r"expected (a record of 2|the field)"):
            lifter(wanted)(addressof(memory), ROOM)


def test_the_same_record_as_it_should_be() -> None:
    one, two = named(b"ab"), named(b"cd")
    entries = (c_uint64 * 12)(
        one[1], one[2], _capi.KIND_BOOL, 1, 0, 0, two[1], two[2], _capi.KIND_BOOL, 0, 0, 0
    )
    memory = (c_uint64 * 4)(_capi.KIND_RECORD, 2, addressof(entries), 0)
    wanted = RecordType((("ab", BOOL), ("cd", BOOL)))
    assert lifter(wanted)(addressof(memory), ROOM) == {"ab": True, "cd": False}


def test_an_error_that_is_cut_short() -> None:
    memory = (c_uint64 * 4)(_capi.KIND_RECORD, 3, 0xDEAD0000, 0)
    with pytest.raises(ValueMismatchError, match="a record of 4 fields, got 3"):
        lifter(ERROR)(addressof(memory), ROOM)


@pytest.mark.parametrize(
    "wanted",
    [
        Primitive("s64"),
        Primitive("f64"),
        Primitive("char"),
        ListType(STRING),
        TupleType((BOOL,)),
        FlagsType(("a",)),
        OptionType(ListType(U32)),
    ],
    ids=str,
)
def test_types_that_the_contract_does_not_use(wanted: Type) -> None:
    with pytest.raises((TypeError, KeyError)):
        lifter(wanted)
    with pytest.raises((TypeError, KeyError)):
        lowerer(wanted)


def test_text_with_half_a_surrogate_pair_never_reaches_wasmtime(slot: int) -> None:
    with pytest.raises(UnicodeEncodeError):
        lowerer(STRING)("\ud800", slot)
    assert c_uint8.from_address(slot).value == 0


def test_an_unknown_form_never_reaches_wasmtime(slot: int) -> None:
    with pytest.raises(KeyError):
        lowerer(PAYLOAD)(("rot13", b"abc"), slot)
    assert bytes((c_uint8 * 32).from_address(slot)) == bytes(32)


@pytest.mark.parametrize(
    "argument",
    [("latin1", "text"), ("latin1", None), ("bytes", b""), ("rot13", b""), None, ()],
    ids=repr,
)
async def test_an_argument_that_can_not_be_lowered(echo: Instance, argument: Any) -> None:
    with pytest.raises((TypeError, KeyError, ValueError, ValueMismatchError, PluginOutputError)):
        await ask(echo, "generate", argument)
    if echo.usable:
        assert await ask(echo, "generate", ("latin1", b"ok")) == Ok(("latin1", b"ok"))


@pytest.mark.parametrize("form", ["latin1", "base64"])
def test_what_has_no_room_is_not_copied(form: str) -> None:
    memory = (c_uint64 * 4)()
    lowerer(PAYLOAD)((form, b"12345"), addressof(memory))
    assert lifter(PAYLOAD)(addressof(memory), 5)
    with pytest.raises(ValueTooLargeError) as caught:
        lifter(PAYLOAD)(addressof(memory), 4)
    assert caught.value.size == 5
    _capi.val_delete(addressof(memory))
