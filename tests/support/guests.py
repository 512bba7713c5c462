"""Guests in WebAssembly text: components of our worlds whose functions a test writes itself.

They need no toolchain but wasmtime's assembler, and do exactly what their text says.

Core functions see a payload as three numbers (form, address, length) and give the address of their
result: a `result` of the contract has its discriminant at byte 0 and its value at byte 8. The
helpers `$ok_bytes`, `$ok_unit`, `$ok_u32`, `$ok_some`, `$ok_none`, `$ok_handle` and `$err` build
the results.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import wasmtime
from orchestrator_plugin_host import with_manifest
from orchestrator_plugin_sdk import (
    ErrorKind,
    ManifestLimits,
    PluginManifest,
    PluginType,
    SdkVersionRange,
    pack,
)

VERSION = "1.0.0"
KINDS = list(ErrorKind)

_TYPES = f"""
  (import "orchestrator:plugin/types@{VERSION}" (instance $types
    (type $p (variant (case "bytes" (list u8)) (case "latin1" string) (case "base64" string)))
    (export "payload" (type (eq $p)))
    (type $k (enum {" ".join(f'"{kind}"' for kind in KINDS)}))
    (export "error-kind" (type $kind (eq $k)))
    (type $e (record (field "kind" $kind) (field "message" string) (field "retryable" bool)
      (field "retry-after-ms" (option u64))))
    (export "error" (type (eq $e)))))
  (alias export $types "payload" (type $payload))
  (alias export $types "error" (type $error))
  (alias export $types "error-kind" (type $error_kind))
  (import "orchestrator:plugin/log@{VERSION}" (instance $log
    (alias outer 1 $payload (type $p)) (export "payload" (type $payload (eq $p)))
    (export "emit" (func (param "event" $payload)))))
  (import "orchestrator:plugin/abort@{VERSION}" (instance $abort
    (export "is-aborted" (func (result bool)))))
  (import "orchestrator:plugin/clock@{VERSION}" (instance $clock
    (export "wall-now" (func (result u64)))
    (export "monotonic-now" (func (result u64)))
    (export "sleep" (func (param "duration-ms" u64)))))
  (import "orchestrator:plugin/random@{VERSION}" (instance $random
    (export "get-bytes" (func (param "length" u32) (result (list u8))))))
"""

# What a guest that is `reaching` imports besides.
_REACH_TYPES = f"""
  (import "orchestrator:plugin/http@{VERSION}" (instance $http
    (alias outer 1 $payload (type $p)) (export "payload" (type $payload (eq $p)))
    (alias outer 1 $error (type $e)) (export "error" (type $error (eq $e)))
    (export "send" (func (param "request" $payload) (result (result $payload (error $error)))))
    (export "read" (func (param "response" u32) (param "most" u32)
      (result (result (option $payload) (error $error)))))
    (export "close" (func (param "response" u32)))))
  (import "orchestrator:plugin/files@{VERSION}" (instance $files
    (alias outer 1 $payload (type $p)) (export "payload" (type $payload (eq $p)))
    (alias outer 1 $error (type $e)) (export "error" (type $error (eq $e)))
    (export "read" (func (param "path" string) (param "offset" u64) (param "length" u32)
      (result (result $payload (error $error)))))
    (export "write" (func (param "path" string) (param "offset" u64) (param "data" $payload)
      (result (result (error $error)))))
    (export "resize" (func (param "path" string) (param "size" u64)
      (result (result (error $error)))))
    (export "stat" (func (param "path" string) (result (result $payload (error $error)))))
    (export "remove" (func (param "path" string) (result (result (error $error)))))))
"""

_REACH = {
    "send": ("$http", "send", "i32 i32 i32 i32"),
    "http_read": ("$http", "read", "i32 i32 i32"),
    "http_close": ("$http", "close", "i32"),
    "file_read": ("$files", "read", "i32 i32 i64 i32 i32"),
    "file_write": ("$files", "write", "i32 i32 i64 i32 i32 i32 i32"),
    "file_resize": ("$files", "resize", "i32 i32 i64 i32"),
    "file_stat": ("$files", "stat", "i32 i32 i32"),
    "file_remove": ("$files", "remove", "i32 i32 i32"),
}
"""By the name of the core function: where it is, and its core parameters. The last is where the
result goes."""

_REACH_HELPERS = """
    (func $as_answered (result i32)
      (if (i32.eqz (i32.load8_u (i32.const 512))) (then (return $document_2096)))
      (call $err (i32.load8_u (i32.const 520)) (i32.load (i32.const 524))
        (i32.load (i32.const 528))))
"""
"""What was answered at 512: an error is the guest's own, too."""

_LIBC = """
  (core module $libc
    (memory (export "memory") {memory})
    (global $top (mut i32) (i32.const 65536))
    (func (export "realloc") (param $old i32) (param $old_size i32) (param $align i32)
      (param $size i32) (result i32) (local $at i32)
      {realloc}
      (local.set $at (i32.and (i32.add (global.get $top) (i32.const 15)) (i32.const -16)))
      (global.set $top (i32.add (local.get $at) (local.get $size)))
      (block $enough
        (br_if $enough (i32.le_u (global.get $top)
          (i32.mul (memory.size) (i32.const 65536))))
        (br_if $enough (i32.ne (i32.const -1) (memory.grow (i32.add (i32.const 1)
          (i32.div_u (local.get $size) (i32.const 65536))))))
        (unreachable))
      (if (local.get $old) (then
        (memory.copy (local.get $at) (local.get $old) (local.get $old_size))))
      (local.get $at))
    (func (export "reset") (global.set $top (i32.const 65536))))
"""

_LOWERED = """
  (core instance $libc (instantiate $libc))
  (alias core export $libc "memory" (core memory $memory))
  (core func $emit (canon lower (func $log "emit") (memory $memory)))
  (core func $is_aborted (canon lower (func $abort "is-aborted")))
  (core func $wall_now (canon lower (func $clock "wall-now")))
  (core func $monotonic_now (canon lower (func $clock "monotonic-now")))
  (core func $sleep (canon lower (func $clock "sleep")))
  (core func $get_bytes (canon lower (func $random "get-bytes") (memory $memory)
    (realloc (core func $libc "realloc"))))
"""

_HELPERS = """
    (import "libc" "memory" (memory 1))
    (import "libc" "realloc" (func $realloc (param i32 i32 i32 i32) (result i32)))
    (import "libc" "reset" (func $reset))
    (import "host" "emit" (func $emit (param i32 i32 i32)))
    (import "host" "is-aborted" (func $is_aborted (result i32)))
    (import "host" "wall-now" (func $wall_now (result i64)))
    (import "host" "monotonic-now" (func $monotonic_now (result i64)))
    (import "host" "sleep" (func $sleep (param i64)))
    (import "host" "get-bytes" (func $get_bytes (param i32 i32)))
    (func $ok_unit (result i32) (i32.store8 (i32.const 1024) (i32.const 0)) (i32.const 1024))
    (func $ok_payload (param $form i32) (param $at i32) (param $size i32) (result i32)
      (i32.store8 (i32.const 1024) (i32.const 0))
      (i32.store8 (i32.const 1032) (local.get $form))
      (i32.store (i32.const 1036) (local.get $at))
      (i32.store (i32.const 1040) (local.get $size))
      (i32.const 1024))
    (func $ok_bytes (param $at i32) (param $size i32) (result i32)
      (call $ok_payload (i32.const 0) (local.get $at) (local.get $size)))
    (func $ok_u32 (param $value i32) (result i32)
      (i32.store8 (i32.const 1024) (i32.const 0))
      (i32.store (i32.const 1032) (local.get $value))
      (i32.const 1024))
    (func $ok_none (result i32)
      (i32.store8 (i32.const 1024) (i32.const 0))
      (i32.store8 (i32.const 1032) (i32.const 0))
      (i32.const 1024))
    (func $ok_some (param $at i32) (param $size i32) (result i32)
      (i32.store8 (i32.const 1024) (i32.const 0))
      (i32.store8 (i32.const 1032) (i32.const 1))
      (i32.store8 (i32.const 1036) (i32.const 0))
      (i32.store (i32.const 1040) (local.get $at))
      (i32.store (i32.const 1044) (local.get $size))
      (i32.const 1024))
    (func $err (param $kind i32) (param $at i32) (param $size i32) (result i32)
      (i32.store8 (i32.const 1024) (i32.const 1))
      (i32.store8 (i32.const 1032) (local.get $kind))
      (i32.store (i32.const 1036) (local.get $at))
      (i32.store (i32.const 1040) (local.get $size))
      (i32.store8 (i32.const 1044) (i32.const 1))
      (i32.store8 (i32.const 1048) (i32.const 1))
      (i64.store (i32.const 1056) (i64.const 1500))
      (i32.const 1024))
"""

_SHIM = f"""
  (component $shim
    (type $p (variant (case "bytes" (list u8)) (case "latin1" string) (case "base64" string)))
    (import "type-payload" (type $payload (eq $p)))
    (type $k (enum {" ".join(f'"{kind}"' for kind in KINDS)}))
    (import "type-error-kind" (type $kind (eq $k)))
    (type $e (record (field "kind" $kind) (field "message" string) (field "retryable" bool)
      (field "retry-after-ms" (option u64))))
    (import "type-error" (type $error (eq $e)))
    (import "type-event-stream" (type $event-stream (sub resource)))
    {{imports}}
    (export $named "event-stream" (type $event-stream))
    {{exports}})
  (instance $provider (instantiate $shim
    (with "type-payload" (type $payload)) (with "type-error-kind" (type $error_kind))
    (with "type-error" (type $error)) (with "type-event-stream" (type $event-stream))
    {{arguments}}))
"""
# A resource has its name only within a component that exports it: hence the shim.

_PAYLOAD = "(result (result $payload (error $error)))"
_UNIT = "(result (result (error $error)))"
_NEXT = "(result (result (option $payload) (error $error)))"
_CALL = '(param "call" $payload)'

# interface -> function -> (component type, core parameters, default body)
_INTERFACES: dict[str, dict[str, tuple[str, str, str]]] = {
    "lifecycle": {
        "init": (f"{_CALL} {_UNIT}", "i32 i32 i32", "(call $ok_unit)"),
        "health-check": (_PAYLOAD, "", "$document_2048"),
        "shutdown": (_UNIT, "", "(call $ok_unit)"),
    },
    "provider": {
        "capabilities": (_PAYLOAD, "", "$document_2080"),
        "generate": (
            f"{_CALL} {_PAYLOAD}",
            "i32 i32 i32",
            "$document_2096",
        ),
        "[method]event-stream.next": (
            f'(param "self" (borrow $event-stream)) {_NEXT}',
            "i32",
            "(call $ok_none)",
        ),
        "generate-stream": (
            f"{_CALL} (result (result (own $event-stream) (error $error)))",
            "i32 i32 i32",
            "(call $ok_u32 (call $new_stream (i32.const 7)))",
        ),
    },
    "embedder": {
        "dims": ("(result (result u32 (error $error)))", "", "(call $ok_u32 (i32.const 2))"),
        "embed-texts": (
            f"{_CALL} {_PAYLOAD}",
            "i32 i32 i32",
            "$document_2128",
        ),
    },
    "vector-memory-backend": {
        "upsert": (f"{_CALL} {_UNIT}", "i32 i32 i32", "(call $ok_unit)"),
        "query": (
            f"{_CALL} {_PAYLOAD}",
            "i32 i32 i32",
            "$document_2160",
        ),
        "delete-by-ids": (f"{_CALL} {_UNIT}", "i32 i32 i32", "(call $ok_unit)"),
        "wipe-repo": (f"{_CALL} {_UNIT}", "i32 i32 i32", "(call $ok_unit)"),
        "info": (_PAYLOAD, "", "$document_2176"),
    },
    "tool-executor": {
        "execute": (
            f"{_CALL} {_PAYLOAD}",
            "i32 i32 i32",
            "$document_2208",
        ),
        "is-allowed": (
            f"{_CALL} (result (result bool (error $error)))",
            "i32 i32 i32",
            "(call $ok_u32 (i32.const 1))",
        ),
    },
}

DOCUMENTS: dict[int, bytes] = {
    2048: pack({"healthy": True}),
    2080: pack({}),
    2096: pack({"text": "hi"}),
    2128: pack({"dims": 2, "data": bytes(8)}),
    2160: pack([]),
    2176: pack({"backend": "wat", "dims": 0}),
    2208: pack({"exit_code": 0, "duration_ms": 0}),
}
"""What the default bodies answer: the address of each document and its bytes."""

DATA = 4096
"""Where a test's own data lies."""


@dataclass(frozen=True)
class Guest:
    """A guest to be. `functions` are bodies (WebAssembly text) of the functions that are not to do
    the default: by name, with the parameters `(local.get 0)` and so on. `data` lies at `DATA`.

    `types` replaces the component type of a function, and `signatures` its core type with it;
    `edits` replace pieces of the component's text; `fields` goes into the core module; `extra`
    into the component; `exports` are added to the component's. One that is `reaching` imports
    `http` and `files`, as `_REACH` says.
    """

    kind: PluginType = PluginType.PROVIDER
    functions: Mapping[str, str] | None = None
    types: Mapping[str, str] | None = None
    signatures: Mapping[str, str] | None = None
    data: bytes = b""
    fields: str = ""
    extra: str = ""
    exports: str = ""
    memory: str = "4"
    realloc: str = ""
    destructor: str = ""
    string_encoding: str = ""
    leave_out: frozenset[str] = frozenset()
    edits: Mapping[str, str] | None = None
    reaching: bool = False

    def wat(self) -> str:
        """The component's text."""
        text = self._text()
        for old, new in (self.edits or {}).items():
            assert old in text, old
            text = text.replace(old, new)
        return text

    def _text(self) -> str:
        interfaces = ["lifecycle", str(self.kind).replace("_", "-")]
        functions, types = self.functions or {}, self.types or {}
        cores, lifts, exports = [], [], []
        for interface in interfaces:
            names = []
            for name, (kind, params, body) in _INTERFACES[interface].items():
                if name in self.leave_out:
                    continue
                params = f"(param {params})" if params else ""
                signature = (self.signatures or {}).get(name, f"{params} (result i32)")
                body = functions.get(name, body)
                for at, document in DOCUMENTS.items():
                    answer = f"(call $ok_bytes (i32.const {at}) (i32.const {len(document)}))"
                    body = body.replace(f"$document_{at}", answer)
                kind = types.get(name, kind)
                cores.append(f'    (func (export "{name}") {signature} {body})')
                lifts.append(
                    f"  (func ${interface}/{_id(name)} {kind} (canon lift "
                    f'(core func $main "{name}") (memory $memory) '
                    f'(realloc (core func $libc "realloc")) {self.string_encoding}))'
                )
                names.append((name, kind))
            exports.append((interface, names))
        provider = self.kind is PluginType.PROVIDER
        resource = stream_import = stream_with = ""
        if provider:
            resource = (
                '  (core module $dtor_module (import "libc" "memory" (memory 1))'
                f'(func (export "dtor") (param i32) {self.destructor}))\n'
                "  (core instance $dtor (instantiate $dtor_module "
                '(with "libc" (instance $libc))))\n'
                '  (type $event-stream (resource (rep i32) (dtor (core func $dtor "dtor"))))\n'
                "  (core func $new_stream (canon resource.new $event-stream))\n"
            )
            stream_import = (
                '    (import "host" "new-stream" (func $new_stream (param i32) (result i32)))\n'
            )
            stream_with = '(export "new-stream" (func $new_stream))'
        segments = "".join(
            f'    (data (i32.const {at}) "{_escape(data)}")\n'
            for at, data in [*DOCUMENTS.items(), (DATA, self.data)]
        )
        lowered = imported = exported = helpers = ""
        if self.reaching:
            options = '(memory $memory) (realloc (core func $libc "realloc"))'
            for name, (instance, function, params) in _REACH.items():
                lower = f'(canon lower (func {instance} "{function}") {options})'
                lowered += f"  (core func ${name} {lower})\n"
                imported += f'    (import "host" "{name}" (func ${name} (param {params})))\n'
                exported += f'(export "{name}" (func ${name})) '
            helpers = _REACH_HELPERS
            for at, document in DOCUMENTS.items():
                answer = f"(call $ok_bytes (i32.const {at}) (i32.const {len(document)}))"
                helpers = helpers.replace(f"$document_{at}", answer)
        stream_import += imported
        return f"""(component
{_TYPES}
{_REACH_TYPES if self.reaching else ""}
{_LIBC.format(memory=self.memory, realloc=self.realloc)}
{_LOWERED}
{lowered}
{resource}
  (core module $main
{_HELPERS.replace("    (func $ok_unit", stream_import + "    (func $ok_unit", 1)}
{segments}
{helpers}
{self.fields}
{chr(10).join(cores)})
  (core instance $main (instantiate $main
    (with "libc" (instance $libc))
    (with "host" (instance
      (export "emit" (func $emit)) (export "is-aborted" (func $is_aborted))
      (export "wall-now" (func $wall_now)) (export "monotonic-now" (func $monotonic_now))
      (export "sleep" (func $sleep)) (export "get-bytes" (func $get_bytes)) {stream_with}
      {exported}))))
{self.extra}
{chr(10).join(lifts)}
{chr(10).join(_export(interface, names) for interface, names in exports)}
{self.exports}
)"""

    def core(self) -> bytes:
        """The component without a manifest."""
        return bytes(wasmtime.wat2wasm(self.wat()))

    def build(self, **manifest: Any) -> bytes:
        """The component with a manifest, whose fields may be given."""
        return with_manifest(self.core(), manifest_of(self.kind, **manifest))

    def but(self, **changes: Any) -> Guest:
        """Another guest, with some parts changed."""
        return replace(self, **changes)


def manifest_of(kind: PluginType = PluginType.PROVIDER, **fields: Any) -> PluginManifest:
    """A manifest for a test's guest."""
    limits = fields.pop("limits", {})
    return PluginManifest(
        **{
            "name": "wat-guest",
            "type": kind,
            "sdk_version": SdkVersionRange(1),
            "version": "1.0.0",
            "limits": ManifestLimits(**limits),
            **fields,
        }
    )


def _id(name: str) -> str:
    return name.replace("[", "").replace("]", ".")


def _export(interface: str, functions: list[tuple[str, str]]) -> str:
    export = f'  (export "orchestrator:plugin/{interface}@{VERSION}" (instance ${interface}))'
    if interface != "provider":
        names = (f'(export "{name}" (func ${interface}/{_id(name)}))' for name, _ in functions)
        return f"  (instance ${interface} {' '.join(names)})\n{export}"
    imports, exports, arguments = [], [], []
    for i, (name, kind) in enumerate(functions):
        imports.append(f'(import "func-f{i}" (func $f{i} {kind}))')
        named = kind.replace("$event-stream", "$named")
        exports.append(f'(export "{name}" (func $f{i}) (func {named}))')
        arguments.append(f'(with "func-f{i}" (func ${interface}/{_id(name)}))')
    shim = _SHIM.format(
        imports="\n    ".join(imports),
        exports="\n    ".join(exports),
        arguments=" ".join(arguments),
    )
    return f"{shim}\n{export}"


def _escape(data: bytes) -> str:
    return "".join(f"\\{byte:02x}" for byte in data)
