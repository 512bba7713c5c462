"""Adapters, by themselves and around a guest: what they change, what they refuse, what they add."""

from __future__ import annotations

import base64
import os
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
import wasmtime
from hypothesis import given, settings
from hypothesis import strategies as st
from orchestrator_plugin_host.binary import unsigned
from orchestrator_plugin_host.componentize.encoding import (
    FUNC,
    INSTANCE,
    TYPE,
    ComponentScope,
    Scope,
)
from orchestrator_plugin_host.componentize.shape import inner_arguments
from orchestrator_plugin_host.sandbox import _capi
from orchestrator_plugin_host.sandbox.adapters import CORE_INSTANCES, MEMORIES, NO_MEMORY, TOO_LARGE
from orchestrator_plugin_host.sandbox.adapters.component import ROOM, ROOM_TYPE, adapter
from orchestrator_plugin_host.sandbox.adapters.core import goes_through
from orchestrator_plugin_host.sandbox.adapters.tools import LARGE, Side
from orchestrator_plugin_host.sandbox.guest import DROP, Guest, StoreLimits, forget_resource
from orchestrator_plugin_host.sandbox.inprocess import Sandbox
from orchestrator_plugin_host.sandbox.steps import YIELDED, Asked, Done
from orchestrator_plugin_host.sandbox.values import Err, Ok
from orchestrator_plugin_host.wit import (
    Function,
    HandleType,
    ListType,
    OptionType,
    Primitive,
    RecordType,
    ResultType,
    Type,
    VariantType,
    full_name,
    read_contract,
)
from orchestrator_plugin_sdk import ErrorKind, PluginType
from support.guests import DATA
from support.guests import Guest as Text
from wasmtime import component as wt

from .stepping import (
    ECHO,
    FORGET,
    FUEL,
    LIMITS,
    ROOMS,
    Made,
    as_bytes,
    ended,
    in_base64,
    loaded,
    start,
)
from .stepping import ROOM as GUEST_ROOM

CONTRACT = read_contract()
TYPES = CONTRACT.interfaces[full_name("types")].types
WORLDS = {kind: CONTRACT.worlds[f"{kind.replace('_', '-')}-plugin"] for kind in PluginType}


def functions_of(side: Side) -> dict[str, Function]:
    """All functions of one side of the contract."""
    of_worlds = [one.imports if side == "imports" else one.exports for one in WORLDS.values()]
    interfaces = [interface for world in of_worlds for interface in world.values()]
    return {
        f"{interface.name.partition('/')[2].partition('@')[0]}.{name}": function
        for interface in interfaces
        for name, function in interface.functions.items()
    }


# --- each function of the contract, through an adapter and nothing else ---------------------------


def test_which_functions_go_through_an_adapter() -> None:
    without = {
        name for name, one in functions_of("imports").items() if not goes_through(one, "imports")
    }
    assert without == {
        "abort.is-aborted",
        "clock.wall-now",
        "clock.monotonic-now",
        "clock.sleep",
        "random.get-bytes",
        "http.close",
    }
    assert all(goes_through(one, "exports") for one in functions_of("exports").values())


@pytest.mark.parametrize("side", ["imports", "exports"])
def test_a_list_that_would_come_out_has_no_adapter(side: Side) -> None:
    listed = ListType(Primitive("u8"))
    one = Function((("data", listed),), None) if side == "imports" else Function((), listed)
    with pytest.raises(TypeError, match="must be in a payload"):
        goes_through(one, side)


class Relay:
    """A component that is an adapter, for one function that it imports and exports."""

    def __init__(self, function: Function, side: Side) -> None:
        self.passed: tuple[Any, ...] = ()
        self.answer: Any = None
        engine = wasmtime.Engine()
        component = wt.Component(engine, _relay(function, side))
        self._store = wasmtime.Store(engine)
        linker = wt.Linker(engine)
        with linker.root() as root, root.add_instance("host") as host:
            host.add_func("f", self._called)
            host.add_func(ROOM, lambda _: 1 << 20)
        instance = linker.instantiate(self._store, component)
        index = instance.get_export_index(self._store, "f")
        assert index is not None
        found = instance.get_func(self._store, index)
        assert found is not None
        self._function = found

    def _called(self, _: Any, *arguments: Any) -> Any:
        self.passed = arguments
        return self.answer

    def call(self, arguments: list[Any], answer: Any) -> tuple[list[Any], Any]:
        """What was passed to the function behind the adapter, and what it returned then."""
        self.answer = answer
        returned = self._function(self._store, *arguments)
        return [plain(one) for one in self.passed], plain(returned)


def _relay(function: Function, side: Side) -> bytes:
    out, scope = ComponentScope(), Scope()
    for name, one in TYPES.items():
        scope.export(name, TYPE + b"\0" + unsigned(scope.define(scope.structure(one))))
        scope.named[one] = scope.count(TYPE)
    scope.export("f", FUNC + unsigned(scope.function(function)))
    scope.export(ROOM, FUNC + unsigned(scope.function(ROOM_TYPE)))
    kind = out.define(scope.instance_type())
    host = out.import_("host", INSTANCE, INSTANCE + unsigned(kind))
    for name, one in TYPES.items():
        out.named[one] = out.alias_export(TYPE, host, name)
    behind, room = (out.alias_export(FUNC, host, name) for name in ("f", ROOM))
    arguments = [*inner_arguments(out, {}, [behind]), (ROOM, FUNC, room)]
    made = out.instance(out.component(adapter([function], [], side)), arguments)
    out.export_("f", FUNC, out.alias_export(FUNC, made, "f0"))
    return out.encoded()


def plain(value: Any) -> Any:
    """A value of wasmtime's as one that compares."""
    if isinstance(value, wt.Variant):
        return (value.tag, plain(value.payload))
    if isinstance(value, wt.Record):
        return {name: plain(one) for name, one in vars(value).items()}
    return value


def _error(values: tuple[ErrorKind, str, bool, int | None]) -> wt.Record:
    made = wt.Record()
    names = ("kind", "message", "retryable", "retry-after-ms")
    for name, value in zip(names, (str(values[0]), *values[1:]), strict=True):
        setattr(made, name, value)
    return made


TEXT = st.text(max_size=40)
BASE64 = st.binary(max_size=80).map(lambda data: base64.b64encode(data).decode())


def values_of(one: Type | None) -> st.SearchStrategy[Any]:
    """Values of a type of the contract, as wasmtime takes them. What has the mark is base64: the
    host makes it."""
    match one:
        case VariantType() if one == TYPES["payload"]:
            return st.one_of(
                st.binary(max_size=80).map(lambda data: wt.Variant("bytes", data)),
                TEXT.map(lambda text: wt.Variant("latin1", text)),
                TEXT.map(lambda text: wt.Variant("base64", text.lstrip("="))),
                BASE64.map(lambda text: wt.Variant("base64", f"={text}")),
            )
        case RecordType():
            kinds, numbers = st.sampled_from(ErrorKind), st.none() | st.integers(0, 2**64 - 1)
            return st.tuples(kinds, TEXT, st.booleans(), numbers).map(_error)
        case ResultType(OptionType() as ok, _):
            return values_of(ok)  # wasmtime-py takes any error for an option
        case ResultType(ok, err):
            return values_of(ok) | values_of(err)
        case OptionType(some):
            return st.none() | values_of(some)
        case Primitive("string"):
            return TEXT
        case Primitive("bool"):
            return st.booleans()
        case Primitive("u32"):
            return st.integers(0, 2**32 - 1)
        case Primitive("u64"):
            return st.integers(0, 2**64 - 1)
        case None:
            return st.none()
    raise AssertionError(one)


def crossed(value: Any, *, outwards: bool) -> Any:
    """What a value is on the other side of an adapter."""
    match plain(value):
        case ("bytes", bytes(data)) if outwards:
            return ("base64", base64.b64encode(data).decode())
        case ("base64", str(text)) if text.startswith("=") and not outwards:
            return ("bytes", base64.b64decode(text[1:]))
        case other:
            return other


def has_handles(function: Function) -> bool:
    ok = function.result.ok if isinstance(function.result, ResultType) else None
    return any(isinstance(one, HandleType) for one in (ok, *(one for _, one in function.params)))


RELAYED = [
    (side, name, function)
    for side in ("imports", "exports")
    for name, function in functions_of(side).items()
    if goes_through(function, side) and not has_handles(function)
]


@pytest.mark.parametrize(
    ("side", "function"),
    [(side, function) for side, _, function in RELAYED],
    ids=[f"{side}-{name}" for side, name, _ in RELAYED],
)
def test_every_function_with_any_values(side: Side, function: Function) -> None:
    relay = Relay(function, side)
    of_guest = side == "imports"

    @settings(max_examples=50)
    @given(
        st.tuples(*(values_of(one) for _, one in function.params)),
        values_of(function.result),
    )
    def check(arguments: tuple[Any, ...], answer: Any) -> None:
        passed, returned = relay.call([*arguments], answer)
        assert passed == [crossed(one, outwards=of_guest) for one in arguments]
        assert returned == crossed(answer, outwards=not of_guest)

    check()


# --- around a guest ------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["utf8", "utf16", "latin1+utf16"])
@pytest.mark.parametrize("size", [0, 1, 1000, 400_000])
def test_guests_may_have_strings_in_any_encoding(guest: Made, encoding: str, size: int) -> None:
    # What a string's length means differs, so the guest returns it as it got it.
    text = Text(
        functions={"generate": ECHO},
        edits=FORGET,
        string_encoding=f"string-encoding={encoding}",
        memory="40",
    )
    one = guest(text)
    for character in "aé日🜚":
        data = (character * size).encode()
        assert ended(one, start(one, "generate", ("latin1", data))) == Ok(("latin1", data))


BIG = 3 * LARGE


def emitted(size: int, form: int = 1) -> str:
    return f"(call $emit (i32.const {form}) (i32.const 65536) (i32.const {size}))"


def answered(size: int, form: int = 1) -> str:
    return f"(call $ok_payload (i32.const {form}) (i32.const 65536) (i32.const {size}))"


SMALL = "(call $ok_payload (i32.const 1) (i32.const 0) (i32.const 0))"


@pytest.mark.parametrize("form", [0, 1])
@pytest.mark.parametrize(
    "body", [lambda *of: answered(*of), lambda *of: emitted(*of) + SMALL], ids=["export", "import"]
)
def test_what_is_large_never_crosses_in_the_first_slice(
    guest: Made, body: Callable[..., str], form: int
) -> None:
    for size, first in ((LARGE // 8, False), (BIG, True)):
        one = guest(Text(functions={"generate": body(size, form)}, memory="200"))
        step = start(one)
        assert (step is YIELDED) is first
        while step is YIELDED:
            step = one.proceed()
        if isinstance(step, Asked):
            ((_, data),) = step.arguments
            assert len(data) == (size if form else -(-size // 3) * 4)
            one.answer(None)
            step = one.proceed()
        assert isinstance(step, Done)


def test_a_large_argument_is_taken_in_a_slice_of_its_own(guest: Made) -> None:
    one = guest(Text(functions={"generate": SMALL}, memory="200"))
    step = start(one, "generate", ("latin1", bytes(LARGE)))
    assert step == Done(Ok(("latin1", b"")))
    step = start(one, "generate", ("latin1", bytes(LARGE + 1)))
    assert step is YIELDED
    assert ended(one, step) == Ok(("latin1", b""))


TOO_MUCH = GUEST_ROOM + 1
ERROR = f"(call $err (i32.const 0) (i32.const 65536) (i32.const {TOO_MUCH}))"
AT = f"(i32.const 65536) (i32.const {TOO_MUCH})"
HALF = f"(i32.const 65536) (i32.const {TOO_MUCH // 2 + 1})"
REFUSED: dict[str, str] = {
    "an answer of bytes": answered(TOO_MUCH, 0),
    "an answer of text": answered(TOO_MUCH),
    "an answer of base64": answered(TOO_MUCH, 2),
    "an error": ERROR,
    "a log event": emitted(TOO_MUCH, 0) + SMALL,
    "a request": f"(call $send (i32.const 0) {AT} (i32.const 512)) {SMALL}",
    "a path": f"(call $file_stat {AT} (i32.const 512)) {SMALL}",
    "what a file is to hold": (
        f"(call $file_write (i32.const 0) (i32.const 1) (i64.const 0) (i32.const 0) {AT} "
        f"(i32.const 512)) {SMALL}"
    ),
    "a path and what a file is to hold": (
        f"(call $file_write {HALF} (i64.const 0) (i32.const 0) {HALF} (i32.const 512)) {SMALL}"
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_there_is_no_room_for_is_refused_before_it_is_copied(guest: Made, name: str) -> None:
    one = guest(Text(functions={"generate": REFUSED[name]}, memory="300", reaching=True))
    with pytest.raises(_capi.CapiError) as caught:
        ended(one, start(one))
    assert str(caught.value) == TOO_LARGE


def test_as_much_as_there_is_room_for(guest: Made) -> None:
    one = guest(Text(functions={"generate": answered(GUEST_ROOM - 16)}, memory="300"))
    assert ended(one, start(one)) == Ok(("latin1", bytes(GUEST_ROOM - 16)))


def test_what_goes_in_is_not_refused(guest: Made) -> None:
    body = f"""(call $file_read (i32.const 0) (i32.const 0) (i64.const 0) (i32.const 9)
        (i32.const 512)) {SMALL}"""
    one = guest(Text(functions={"generate": body}, reaching=True, edits=FORGET))
    step = start(one, "generate", ("latin1", bytes(TOO_MUCH)))
    while step is YIELDED:
        step = one.proceed()
    assert isinstance(step, Asked)
    one.answer(Ok(as_bytes(bytes(TOO_MUCH))))
    assert ended(one, one.proceed()) == Ok(("latin1", b""))


@pytest.mark.parametrize("name", [TOO_LARGE, NO_MEMORY])
def test_a_guest_cannot_trap_as_an_adapter_does(guest: Made, name: str) -> None:
    named = f"(func ${name} (unreachable))"
    one = guest(Text(functions={"generate": f"(call ${name}) {SMALL}"}, fields=named))
    with pytest.raises(_capi.CapiError) as caught:
        start(one)
    assert str(caught.value) == f"trap {_capi.TRAP_UNREACHABLE}"


def test_an_adapter_keeps_nothing_of_one_call_for_the_next(guest: Made) -> None:
    one = guest(Text(functions={"generate": ECHO}, edits=FORGET))
    for size in (70_000, 5, 0, 30_000, 1):
        data = os.urandom(size)
        assert ended(one, start(one, "generate", as_bytes(data))) == Ok(in_base64(data))


def test_imports_and_their_answers_in_the_middle_of_a_call(guest: Made) -> None:
    # The arguments of the call are still the guest's when it has passed others, and got answers.
    body = f"""(call $emit (local.get 0) (local.get 1) (local.get 2))
        (call $send (local.get 0) (local.get 1) (local.get 2) (i32.const 512))
        (call $file_read (local.get 1) (i32.const 3) (i64.const 7) (i32.const 9) (i32.const 640))
        (call $emit (i32.load8_u (i32.const 520)) (i32.load (i32.const 524))
          (i32.load (i32.const 528)))
        (call $emit (i32.load8_u (i32.const 648)) (i32.load (i32.const 652))
          (i32.load (i32.const 656)))
        {ECHO}"""
    one = guest(Text(functions={"generate": body}, reaching=True))
    step = start(one, "generate", as_bytes(b"the call's"))
    assert step == Asked("log", "emit", [in_base64(b"the call's")])
    one.answer(None)
    assert one.proceed() == Asked("http", "send", [in_base64(b"the call's")])
    one.answer(Ok(as_bytes(b"an answer")))
    assert one.proceed() == Asked("files", "read", ["the", 7, 9])
    one.answer(Ok(("latin1", b"another")))
    assert one.proceed() == Asked("log", "emit", [in_base64(b"an answer")])
    one.answer(None)
    assert one.proceed() == Asked("log", "emit", [("latin1", b"another")])
    one.answer(None)
    assert one.proceed() == Done(Ok(in_base64(b"the call's")))


def test_a_refusal_comes_back_as_it_is(guest: Made) -> None:
    body = f"""(call $send (i32.const 0) (i32.const {DATA}) (i32.const 0) (i32.const 512))
        (call $as_answered)"""
    one = guest(Text(functions={"generate": body}, reaching=True))
    said = {"kind": "timeout", "message": "too slow ✓", "retryable": True, "retry-after-ms": 1500}
    assert isinstance(start(one), Asked)
    one.answer(Err(said))
    assert one.proceed() == Done(Err(said))


# --- what they add to a component ----------------------------------------------------------------

TWICE = Text(extra="(core instance $again (instantiate $libc))")


@pytest.mark.parametrize("kind", PluginType)
@pytest.mark.parametrize("reaching", [False, True])
def test_what_adapters_add_is_added_to_the_limits(
    sandbox: Sandbox, kind: PluginType, reaching: bool
) -> None:
    component = loaded(sandbox.engine, Text(kind, reaching=reaching))
    # The guest's own: its allocator, its functions, and a provider's destructor.
    own = 3 if kind is PluginType.PROVIDER else 2
    for instances, works in ((own, True), (own - 1, False)):
        limits = StoreLimits(1 << 22, 1, instances, 0, 0)
        one = Guest(sandbox.engine, sandbox.imports, component, limits)
        with suppress(_capi.CapiError):
            assert one.instantiate(FUEL, ROOMS) == Done(None)
            assert works
            one.close()
            continue
        one.close()
        assert not works
    assert (MEMORIES, CORE_INSTANCES) == (2, 6)


def test_a_guest_does_not_get_the_adapters_memories(sandbox: Sandbox) -> None:
    # It has two memories where its file defines one.
    one = Guest(sandbox.engine, sandbox.imports, loaded(sandbox.engine, TWICE), LIMITS)
    with pytest.raises(_capi.CapiError, match="memory count too high"):
        one.instantiate(FUEL, ROOMS)
    one.close()


def test_adapters_are_the_same_whatever_is_around(guest: Made) -> None:
    one = guest(Text())
    handle = ended(one, start(one, "generate-stream")).value
    assert start(one, "[method]event-stream.next", handle) == Done(Ok(None))
    assert one.start(*DROP, (handle,), fuel=FUEL, room=0, rooms=ROOMS) == Done(None)
    forget_resource(handle)
