"""The component around a guest and its adapters: what it begins with, and what it is made of."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
import wasmtime
from hypothesis import given, settings
from hypothesis import strategies as st
from orchestrator_plugin_host import InvalidComponentError, read_component
from orchestrator_plugin_host.sandbox import _capi
from orchestrator_plugin_host.sandbox.adapters import (
    ROOM_INTERFACE,
    drop_export,
    guest_export,
)
from orchestrator_plugin_host.sandbox.adapters.outer import with_adapters
from orchestrator_plugin_host.sandbox.adapters.prefix import read_prefix
from orchestrator_plugin_host.sandbox.config import make_engine
from orchestrator_plugin_host.sandbox.guest import DROP, forget_resource
from orchestrator_plugin_host.sandbox.steps import Done
from orchestrator_plugin_host.sandbox.typecheck import ComponentTypeError, check_component
from orchestrator_plugin_host.sandbox.values import Ok
from orchestrator_plugin_host.wit import read_contract
from orchestrator_plugin_sdk import PluginType
from support.guests import Guest as Text

from .stepping import ECHO, FUEL, ROOMS, Made, ended, in_base64, start

WORLDS = {kind: read_contract().worlds[f"{kind.replace('_', '-')}-plugin"] for kind in PluginType}
PROVIDER = WORLDS[PluginType.PROVIDER]
HEADER = b"\0asm\x0d\0\1\0"
FIRST = '(import "orchestrator:plugin/types@1.0.0"'
RANDOM = '(import "orchestrator:plugin/random@1.0.0"'


@pytest.fixture(scope="module")
def engine() -> wasmtime.Engine:
    return make_engine()


def before(first: str, text: str) -> Text:
    """A guest with more before one of its imports."""
    counts = "(i32.store (i32.const 2064) (i32.add (local.get 0) (i32.load (i32.const 2064))))"
    return Text(
        destructor=counts,
        functions={
            "generate": ECHO,
            "capabilities": "(call $ok_bytes (i32.const 2064) (i32.const 4))",
        },
        edits={first: f"{text} {first}"},
    )


# --- its beginning -------------------------------------------------------------------------------

# What may stand before an import: of each sort of definition, and of each way to refer to one.
SURROUNDINGS: dict[str, Text] = {
    "nothing": before(FIRST, ""),
    "types beyond one signed byte": before(FIRST, "(type (list u8))" * 70),
    "types beyond two signed bytes": before(FIRST, "(type (list u8))" * 9_000),
    "core types": before(FIRST, "(core type (func)) (core type (module))"),
    "types between imports": before(RANDOM, "(type (list u8))" * 3),
    "aliases of imported functions and types": before(
        RANDOM, '(alias export $log "emit" (func)) (alias export $types "payload" (type))' * 50
    ),
    "custom sections": before(FIRST, '(@custom "a" "bcd") (@custom "component-type" "xyz")'),
}


@pytest.mark.parametrize("name", SURROUNDINGS)
def test_what_imports_may_be_among(guest: Made, name: str) -> None:
    one = guest(SURROUNDINGS[name])
    for turn in range(1, 4):
        assert ended(one, start(one, "generate", ("latin1", b"hi"))) == Ok(("latin1", b"hi"))
        handle = ended(one, start(one, "generate-stream")).value
        assert one.start(*DROP, (handle,), fuel=FUEL, room=0, rooms=ROOMS) == Done(None)
        forget_resource(handle)
        counted = in_base64((7 * turn).to_bytes(4, "little"))
        assert ended(one, start_without(one, "capabilities")) == Ok(counted)


def start_without(one: Any, name: str) -> Any:
    interface = "orchestrator:plugin/provider@1.0.0"
    return one.start(interface, name, (), fuel=FUEL, room=1 << 20, rooms=ROOMS)


LATE: dict[str, str] = {
    "a core module": "(core module)",
    "a component": "(component)",
    "an instance": "(instance)",
    "a core instance": "(core instance)",
    "a function": "(core func (canon lower (func $clock2)))",
    "an export": '(export "a" (instance $log))',
}


@pytest.mark.parametrize("name", LATE)
def test_imports_after_other_definitions_are_refused(engine: wasmtime.Engine, name: str) -> None:
    text = LATE[name].replace("(func $clock2)", '(func $log "emit")')
    with pytest.raises(InvalidComponentError, match="imports must come first"):
        read_prefix(before(RANDOM, text).core())


INVALID: dict[str, tuple[bytes, str]] = {
    "a section that is cut off": (b"\x06\x05\x01", "truncated"),
    "an alias that is cut off": (b"\x06\x02\x01\x03", "truncated"),
    "a name of another kind": (b"\x0a\x02\x01\x02", "in a way that this host does not read"),
    "an import of a value": (b"\x0a\x05\x01\0\x01a\x02", "unknown kind of thing"),
    "more aliases than are read": (
        b"\x06\x84\xf1\x04\xa1\x9c\x01" + b"\x03\x02\0\0" * 20_001,
        "more than 20,000",
    ),
}


@pytest.mark.parametrize("name", INVALID)
def test_what_can_not_be_read(name: str) -> None:
    body, reason = INVALID[name]
    with pytest.raises(InvalidComponentError, match=reason):
        read_prefix(HEADER + body)


DATA = Text().core()


@given(st.integers(0, len(DATA)), st.binary(max_size=8))
@settings(max_examples=200)
def test_any_bytes_are_read_or_refused(engine: wasmtime.Engine, at: int, instead: bytes) -> None:
    data = DATA[:at] + instead + DATA[at + len(instead) :]
    with suppress(InvalidComponentError, _capi.CapiError):
        assert data in with_adapters(engine, data, PROVIDER)


# --- the whole -----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", PluginType)
@pytest.mark.parametrize("reaching", [False, True])
def test_it_imports_and_exports_what_the_guest_does(
    engine: wasmtime.Engine, kind: PluginType, reaching: bool
) -> None:
    data, world = Text(kind, reaching=reaching).core(), WORLDS[kind]
    outer = with_adapters(engine, data, world)
    within, around = read_component(data), read_component(outer)
    assert data in outer
    assert around.imports == (*within.imports, (ROOM_INTERFACE, "instance"))
    assert set(around.exports) - {
        *((name, "type") for name in ("payload", "error-kind", "error")),
        *((guest_export(name), "instance") for name in world.exports),
        *((drop_export(name), "func") for one in world.exports.values() for name in one.resources),
    } == set(within.exports)
    assert (around.contents.modules, around.contents.memories) == (
        within.contents.modules + 4,
        within.contents.memories + 2,
    )
    check_component(engine, _capi.compile_component(engine, outer), world, [])


def test_a_guest_that_imports_what_is_the_adapters() -> None:
    # Admission refuses it by the name. If it did not, this would.
    own = f'(import "{ROOM_INTERFACE}" (instance (export "bytes" (func (result u32)))))'
    engine, data = make_engine(), before(FIRST, own).core()
    with pytest.raises(_capi.CapiError, match="conflicts with previous"):
        _capi.compile_component(engine, with_adapters(engine, data, PROVIDER))


def test_what_the_guests_own_instances_have_is_compared(engine: wasmtime.Engine) -> None:
    lifecycle = "(instance $lifecycle ("
    more = f'{lifecycle}export "more" (func $lifecycle/shutdown)) ('
    edited = Text(edits={lifecycle: more})
    component = _capi.compile_component(engine, with_adapters(engine, edited.core(), PROVIDER))
    with pytest.raises(ComponentTypeError, match="function 'more', the contract has not"):
        check_component(engine, component, PROVIDER, [])


WASI = """
  (import "wasi:io/error@0.2.0" (instance $wasi_error (export "error" (type (sub resource)))))
  (alias export $wasi_error "error" (type $wasi_error_type))
  (import "wasi:io/streams@0.2.0" (instance
    (alias outer 1 $wasi_error_type (type $e))
    (export "error" (type $error (eq $e)))
    (export "output-stream" (type $out (sub resource)))
    (type $failed (variant (case "last-operation-failed" (own $error)) (case "closed")))
    (export "stream-error" (type $stream_error (eq $failed)))
    (export "[method]output-stream.check-write" (func (param "self" (borrow $out))
      (result (result u64 (error $stream_error)))))))
"""


@pytest.mark.parametrize("where", [FIRST, RANDOM])
def test_other_imports_are_passed_on_as_they_are(engine: wasmtime.Engine, where: str) -> None:
    text = before(where, WASI)
    outer = with_adapters(engine, text.core(), PROVIDER)
    component = _capi.compile_component(engine, outer)
    check_component(engine, component, PROVIDER, ["wasi:io/error@0.2.0", "wasi:io/streams@0.2.0"])
    with pytest.raises(ComponentTypeError, match="wasi:io/error"):
        check_component(engine, component, PROVIDER, [])
