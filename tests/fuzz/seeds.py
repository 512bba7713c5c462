"""What mutants are made of: valid guests of every world, with most of what there is."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property

import wasmtime
from orchestrator_plugin_host import with_manifest
from orchestrator_plugin_sdk import PluginManifest, PluginType, pack
from support.guests import DATA, Guest, manifest_of

_ECHO = "(call $ok_payload (local.get 0) (local.get 1) (local.get 2))"

_BUSY = """
    (memory $own 1 4)
    (table $table 8 16 funcref)
    (global $count (mut i32) (i32.const 0))
    (global $ratio (mut f64) (f64.const 1.5))
    (elem (table $table) (i32.const 0) func $add $sub $add)
    (elem $passive func $sub $add)
    (data $later "\\01\\02\\03\\04")
    (type $binary (func (param i32 i32) (result i32)))
    (func $add (type $binary) (i32.add (local.get 0) (local.get 1)))
    (func $sub (type $binary) (i32.sub (local.get 0) (local.get 1)))
    (func $work (param $n i32) (result i32) (local $i i32) (local $x i64) (local $v v128)
      (memory.init $own $later (i32.const 8) (i32.const 0) (i32.const 4))
      (table.init $table $passive (i32.const 4) (i32.const 0) (i32.const 2))
      (block $done (loop $again
        (br_if $done (i32.ge_u (local.get $i) (local.get $n)))
        (local.set $x (i64.add (i64.mul (local.get $x) (i64.const 31))
          (i64.extend_i32_u (call_indirect $table (type $binary) (local.get $i) (i32.const 3)
            (i32.and (local.get $i) (i32.const 1))))))
        (i64.store $own (i32.mul (local.get $i) (i32.const 8)) (local.get $x))
        (global.set $ratio (f64.div (global.get $ratio) (f64.convert_i32_s (local.get $i))))
        (local.set $v (i32x4.add (local.get $v) (i32x4.splat (local.get $i))))
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br $again)))
      (memory.fill $own (i32.const 0) (i32.const 7) (i32.const 64))
      (memory.copy $own $own (i32.const 128) (i32.const 0) (i32.const 64))
      (drop (memory.grow $own (i32.const 1)))
      (drop (table.grow $table (ref.null func) (i32.const 2)))
      (drop (i32.trunc_sat_f64_s (global.get $ratio)))
      (block $b2 (block $b1 (block $b0 (br_table $b0 $b1 $b2 (local.get $n)))
        (return (i32x4.extract_lane 1 (local.get $v))))
        (return (i32.wrap_i64 (local.get $x))))
      (i32.load $own offset=4 (i32.const 8)))
"""

_EVENTS = pack({"type": "text_delta", "text": "tick"})

_STREAM = f"""(if (result i32) (i32.lt_u (global.get $turns) (i32.const 3))
  (then (global.set $turns (i32.add (global.get $turns) (i32.const 1)))
    (call $ok_some (i32.const {DATA}) (i32.const {len(_EVENTS)})))
  (else (call $ok_none)))"""

_LOG = pack({"message": "hi", "type": "log", "level": "info", "fields": {"a": [1, None, "b"]}})

_IMPORTS = f"""
  (call $emit (i32.const 0) (i32.const {DATA}) (i32.const {len(_LOG)}))
  (call $get_bytes (i32.const 32) (i32.const 3000))
  (drop (call $wall_now)) (drop (call $monotonic_now)) (call $sleep (i64.const 0))
  (drop (call $is_aborted))
"""

_NESTED = """
  (component $inner
    (import "f" (func $f (result bool)))
    (core func $low (canon lower (func $f)))
    (core module $m (import "h" "f" (func $f (result i32)))
      (func (export "g") (result i32) (call $f)))
    (core instance $i (instantiate $m (with "h" (instance (export "f" (func $low))))))
    (func $g (result bool) (canon lift (core func $i "g")))
    (export "g" (func $g)))
  (instance $inside (instantiate $inner (with "f" (func $abort "is-aborted"))))
  (component $deep (component (component (core module (memory 1) (data (i32.const 0) "x")))))
"""

_LATIN = b"\x81\xa4text\xa2hi".decode("latin-1").encode()  # as latin1 travels: UTF-8

GUESTS: dict[str, Guest] = {
    "provider": Guest(),
    "embedder": Guest(PluginType.EMBEDDER),
    "memory": Guest(PluginType.VECTOR_MEMORY_BACKEND),
    "tools": Guest(PluginType.TOOL_EXECUTOR),
    "stream": Guest(
        functions={"[method]event-stream.next": _STREAM},
        data=_EVENTS,
        fields="(global $turns (mut i32) (i32.const 0))",
        destructor="(drop (i32.load (local.get 0)))",
    ),
    "echo": Guest(functions={"generate": _ECHO}, realloc="(global.set $top (i32.const 65536))"),
    "imports": Guest(
        PluginType.EMBEDDER, functions={"init": f"{_IMPORTS} (call $ok_unit)"}, data=_LOG
    ),
    "busy": Guest(
        PluginType.TOOL_EXECUTOR,
        functions={
            "is-allowed": "(call $ok_u32 (i32.and (call $work (i32.const 9)) (i32.const 1)))"
        },
        fields=_BUSY,
    ),
    "errors": Guest(
        PluginType.VECTOR_MEMORY_BACKEND,
        functions={
            "upsert": f"(call $err (i32.const 4) (i32.const {DATA}) (i32.const 5))",
            "query": f"(call $err (i32.const 9) (i32.const {DATA}) (i32.const 5))",
        },
        data=b"sorry",
    ),
    "nested": Guest(PluginType.EMBEDDER, extra=_NESTED),
    "latin1": Guest(
        functions={
            "generate": f"(call $ok_payload (i32.const 1) (i32.const {DATA}) "
            f"(i32.const {len(_LATIN)}))",
        },
        data=_LATIN,
    ),
    "utf16": Guest(PluginType.TOOL_EXECUTOR, string_encoding="string-encoding=utf16"),
    "compact": Guest(PluginType.EMBEDDER, string_encoding="string-encoding=latin1+utf16"),
}
"""Guests by name. Each is of our contract and works, so that one change of it may still do so."""


@dataclass(frozen=True)
class Seed:
    """A guest as text, as bytes, and its manifest's section."""

    name: str
    text: str
    kind: PluginType

    @cached_property
    def data(self) -> bytes:
        """The component with its manifest."""
        return with_manifest(bytes(wasmtime.wat2wasm(self.text)), self.manifest)

    @property
    def manifest(self) -> PluginManifest:
        """Its manifest."""
        return manifest_of(self.kind, payload_encodings=("bytes", "latin1", "base64"))

    @cached_property
    def manifest_section(self) -> bytes:
        """The section to append to whatever a text was assembled to."""
        empty = b"\0asm\x0d\0\x01\0"
        return with_manifest(empty, self.manifest)[len(empty) :]


@cache
def seeds() -> tuple[Seed, ...]:
    """All seeds, always in the same order."""
    return tuple(Seed(name, guest.wat(), guest.kind) for name, guest in GUESTS.items())
