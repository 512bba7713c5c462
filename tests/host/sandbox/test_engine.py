"""The engine: what it refuses to compile, and its fingerprint."""

from __future__ import annotations

from typing import Any

import pytest
import wasmtime
from orchestrator_plugin_host.sandbox import _capi, config
from orchestrator_plugin_host.sandbox.config import make_engine
from orchestrator_plugin_host.sandbox.fingerprint import fingerprint
from wasmtime import Engine


@pytest.fixture(scope="module")
def one() -> Engine:
    return make_engine()


# What isn't in WebAssembly 2.0 with several memories: a core module or a component that uses it.
REFUSED = {
    "threads": "(core module (memory 1 1 shared))",
    "atomics": "(core module (memory 1) (func (drop (i32.atomic.load (i32.const 0)))))",
    "memory64": "(core module (memory i64 1))",
    "table64": "(core module (table i64 1 funcref))",
    "GC structs": "(core module (type (struct (field i32))))",
    "GC references": "(core module (func (param i31ref)))",
    "exceptions": "(core module (tag))",
    "function references": "(core module (type $f (func)) (func (param (ref $f))))",
    "wide arithmetic": (
        "(core module (func (param i64 i64 i64 i64) (result i64 i64)"
        "(i64.add128 (local.get 0) (local.get 1) (local.get 2) (local.get 3))))"
    ),
    "custom page sizes": "(core module (memory 1 (pagesize 1)))",
    "relaxed SIMD": (
        "(core module (func (param v128 v128) (result v128)"
        "(i8x16.relaxed_swizzle (local.get 0) (local.get 1))))"
    ),
    "stack switching": "(core module (type $f (func)) (type $c (cont $f)))",
    "streams": '(type $s (stream u8)) (import "f" (func (param "s" $s)))',
    "futures": '(type $s (future u8)) (import "f" (func (param "s" $s)))',
    "error contexts": '(import "f" (func (param "e" error-context)))',
    "asynchronous lifts": (
        '(core module $m (func (export "f"))) (core instance $i (instantiate $m))'
        '(func async (canon lift (core func $i "f") async))'
    ),
    "asynchronous lowering": ('(import "f" (func $f)) (core func (canon lower (func $f) async))'),
    "threads of components": "(core type $t (func (param i32))) "
    "(core func (canon thread.spawn-ref $t))",
}


def assemble(text: str) -> bytes:
    return bytes(wasmtime.wat2wasm(f"(component {text})"))


@pytest.mark.parametrize("proposal", REFUSED)
def test_what_guests_do_not_need_does_not_compile(one: Engine, proposal: str) -> None:
    with pytest.raises(_capi.CapiError):
        _capi.compile_component(one, assemble(REFUSED[proposal]))


ACCEPTED = {
    "nothing": "",
    "several memories": "(core module (memory 1) (memory 1))",
    "SIMD": "(core module (func (drop (v128.const i64x2 1 2))))",
    "bulk memory": (
        "(core module (memory 1) (func (memory.fill (i32.const 0) (i32.const 0) (i32.const 9))))"
    ),
    "reference types": "(core module (table 1 funcref) (func (drop (ref.null func))))",
    "several values": "(core module (func (result i32 i32) (i32.const 1) (i32.const 2)))",
}


@pytest.mark.parametrize("feature", ACCEPTED)
def test_what_toolchains_use_compiles(one: Engine, feature: str) -> None:
    _capi.compile_component(one, assemble(ACCEPTED[feature]))


@pytest.mark.parametrize("data", [b"", b"\0asm", b"(component)", b"\0asm\x01\0\0\0", b"\x7fELF"])
def test_what_is_no_component_does_not_compile(one: Engine, data: bytes) -> None:
    with pytest.raises(_capi.CapiError):
        _capi.deserialize_component(one, data)
    if data[:1] != b"(":  # text is kept from here by `read_component`
        with pytest.raises(_capi.CapiError):
            _capi.compile_component(one, data)


def test_code_of_another_engine_is_refused(one: Engine) -> None:
    other = wasmtime.Engine()
    code = bytes(wasmtime.component.Component(other, assemble("")).serialize())
    with pytest.raises(_capi.CapiError):
        _capi.deserialize_component(one, code)


def test_the_fingerprint_is_the_same_each_time() -> None:
    assert fingerprint() == fingerprint()
    assert len(fingerprint()) == 64


@pytest.mark.parametrize(
    ("target", "replacement"),
    [
        ("version", lambda name: "50.0.2"),
        ("platform.machine", lambda: "riscv64"),
        ("platform.system", lambda: "Plan 9"),
        ("processor_features", lambda: "fpu and no more"),
        ("SETTINGS", {**config.SETTINGS, "max_wasm_stack": 256 * 1024}),
    ],
    ids=["version", "machine", "system", "processor", "settings"],
)
def test_the_fingerprint_changes(
    monkeypatch: pytest.MonkeyPatch, target: str, replacement: Any
) -> None:
    before = fingerprint()
    monkeypatch.setattr(f"orchestrator_plugin_host.sandbox.fingerprint.{target}", replacement)
    assert fingerprint() != before


def test_layouts_that_differ_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_capi, "KIND_STRING", 99)
    with pytest.raises(RuntimeError, match=r"kind STRING is 12, not 99.*wasmtime>=50"):
        make_engine()
