"""The functions that the host adds to a component: what they do, and what they are made of."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
import wasmtime
from hypothesis import given
from hypothesis import strategies as st
from orchestrator_plugin_host import InvalidComponentError
from orchestrator_plugin_host.component_file import read_component
from orchestrator_plugin_host.component_tail import drop_export, with_drops
from orchestrator_plugin_host.wit import read_contract
from orchestrator_plugin_sdk import PluginType
from support.guests import Guest
from wasmtime import component as wt

COUNTS = Guest(
    destructor="(i32.store (i32.const 2064) (i32.add (local.get 0) (i32.load (i32.const 2064))))",
    functions={
        "generate-stream": "(call $ok_u32 (call $new_stream (i32.const 7)))",
        "health-check": "(call $ok_bytes (i32.const 2064) (i32.const 4))",
    },
)
"""A guest whose `health-check` returns the sum of what its destructor was called with."""

WORLDS = {kind: read_contract().worlds[f"{kind.replace('_', '-')}-plugin"] for kind in PluginType}
PROVIDER = WORLDS[PluginType.PROVIDER]

# What may stand before the tail: of each sort of definition, and of each way to refer to one.
SURROUNDINGS: dict[str, str] = {
    "nothing": "",
    "types beyond one signed byte": "(type (list u8))" * 70,
    "types beyond two signed bytes": "(type (list u8))" * 9_000,
    "core types": "(core type (func)) (core type (module))",
    "modules": '(core module $m (func (export "f"))) (core instance $i (instantiate $m))'
    '(alias core export $i "f" (core func)) (core instance (export "g" (func $i "f")))',
    "components": '(component $c (component (type u8)) (type $t u8) (export "t" (type $t)))'
    '(instance $j (instantiate $c)) (alias export $j "t" (type))'
    '(instance (export "c" (component $c)))',
    "aliases of what is around a component": "(type $t (list u8))"
    "(component (alias outer 1 $t (type)) (alias outer 1 $t (type)))",
    "functions": '(func $f (canon lift (core func $main "generate-stream2")))'
    "(core func (canon lower (func $f))) (core func (canon resource.new $event-stream))"
    "(core func (canon resource.rep $event-stream))"
    "(core func (canon resource.drop $event-stream))",
    "exports": '(instance $i) (export "a" (instance $i))(type $t (list u8)) (export "b" (type $t))',
}


class Opened:
    """An instance whose imports trap."""

    def __init__(self, data: bytes) -> None:
        engine = wasmtime.Engine()
        self.store = wasmtime.Store(engine)
        component = wt.Component(engine, data)
        linker = wt.Linker(engine)
        linker.define_unknown_imports_as_traps(component)
        self.instance = linker.instantiate(self.store, component)

    def call(self, interface: str | None, name: str, *arguments: Any) -> Any:
        """Calls an exported function."""
        inside = self.instance.get_export_index(self.store, interface) if interface else None
        index = self.instance.get_export_index(self.store, name, inside)
        assert index is not None
        function = self.instance.get_func(self.store, index)
        assert function is not None
        return function(self.store, *arguments)

    def stream(self) -> Any:
        """An event stream of the guest."""
        payload = wt.Variant("bytes", b"")
        return self.call("orchestrator:plugin/provider@1.0.0", "generate-stream", payload)

    def dropped(self) -> int:
        """What `COUNTS` has counted."""
        found = self.call("orchestrator:plugin/lifecycle@1.0.0", "health-check")
        return int.from_bytes(found.payload, "little")


def surrounded(text: str) -> bytes:
    fields = '(func (export "generate-stream2"))'
    return COUNTS.but(extra=text, fields=fields).core()


@pytest.mark.parametrize("name", SURROUNDINGS)
def test_the_function_runs_the_destructor(name: str) -> None:
    guest = Opened(with_drops(surrounded(SURROUNDINGS[name]), PROVIDER))
    for turn in range(1, 4):
        stream = guest.stream()
        before = guest.dropped()
        guest.call(None, drop_export("event-stream"), stream)
        assert (before, guest.dropped()) == (7 * (turn - 1), 7 * turn)


def test_a_trap_of_the_destructor_is_the_functions() -> None:
    data = Guest(destructor="(unreachable)").core()
    guest = Opened(with_drops(data, PROVIDER))
    with pytest.raises(wasmtime.WasmtimeError, match="unreachable"):
        guest.call(None, drop_export("event-stream"), guest.stream())


def test_nothing_but_functions_is_added() -> None:
    data = COUNTS.build()
    before, after = read_component(data), read_component(with_drops(data, PROVIDER))
    assert after.data.startswith(data)
    assert after.exports == (*before.exports, ("drop-event-stream", "func"))
    assert (after.imports, after.contents) == (before.imports, before.contents)
    assert after.manifest_document == before.manifest_document


@pytest.mark.parametrize("kind", [kind for kind in PluginType if kind is not PluginType.PROVIDER])
def test_a_world_without_resources_needs_none(kind: PluginType) -> None:
    data = Guest(kind).core()
    assert with_drops(data, WORLDS[kind]) is data


def test_a_component_of_another_world_is_left_to_the_comparison_with_its_world() -> None:
    data = Guest(PluginType.EMBEDDER).core()
    assert with_drops(data, PROVIDER) is data


def test_an_exported_name_that_is_taken_is_invalid() -> None:
    taken = COUNTS.but(exports='(export "drop-event-stream" (func $lifecycle/shutdown))')
    with pytest.raises(wasmtime.WasmtimeError, match="conflicts"):
        Opened(with_drops(taken.core(), PROVIDER))


HEADER = b"\0asm\x0d\0\1\0"

INVALID: dict[str, tuple[bytes, str]] = {
    "a section that is cut off": (b"\x06\x05\x01", "truncated"),
    "an alias that is cut off": (b"\x06\x02\x01\x03", "truncated"),
    "a start section": (b"\x09\x03\0\0\0", "section of kind 9"),
    "a function of another kind": (b"\x08\x02\x01\x07", "asynchronous functions or threads"),
    "a name of another kind": (b"\x0b\x02\x01\x02", "in a way that this host does not read"),
    "an import of a value": (b"\x0a\x05\x01\0\x01a\x02", "unknown kind of thing"),
    "more sections than are read": (b"\0\x01\0" * 20_001, "more than 20,000"),
    "more aliases than are read": (
        b"\x06\x84\xf1\x04\xa1\x9c\x01" + b"\x03\x02\0\0" * 20_001,
        "more than 20,000",
    ),
}


@pytest.mark.parametrize("name", INVALID)
def test_what_can_not_be_read(name: str) -> None:
    body, reason = INVALID[name]
    with pytest.raises(InvalidComponentError, match=reason):
        with_drops(HEADER + body, PROVIDER)


DATA = COUNTS.build()


@given(st.integers(0, len(DATA)), st.binary(max_size=8))
def test_any_bytes_are_read_or_refused(at: int, instead: bytes) -> None:
    data = DATA[:at] + instead + DATA[at + len(instead) :]
    with suppress(InvalidComponentError):
        assert with_drops(data, PROVIDER).startswith(data)
