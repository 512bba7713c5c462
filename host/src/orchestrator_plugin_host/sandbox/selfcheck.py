"""One round trip of every shape of value, before anything is trusted to the layouts.

The layouts in `_capi` are facts of one version of wasmtime. If they did not hold, memory would be
read where it should not be; so a host that can't make this trip refuses to start.
"""

from __future__ import annotations

from typing import Any, Final

from orchestrator_plugin_sdk import PluginContext
from wasmtime import wat2wasm

from ..calls import Call
from ..errors import SignalsTakenError
from ..limits import Limits
from ..wit import Function, Interface, ResultType, World, full_name, read_contract
from . import _capi
from .guest import LoadedComponent
from .instance import Sandbox, ThreadInstance
from .threads import on_large_stack
from .values import Err, Ok

_WAT: Final = """
(component
  (core module $m
    (memory (export "memory") 1)
    (global $top (mut i32) (i32.const 4096))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32)
      (global.set $top (i32.add (global.get $top) (local.get 3)))
      (i32.sub (global.get $top) (local.get 3)))
    ;; the payload back
    (func (export "echo") (param i32 i32 i32) (result i32)
      (i32.store8 (i32.const 0) (i32.const 0))
      (i32.store8 (i32.const 8) (local.get 0))
      (i32.store (i32.const 12) (local.get 1))
      (i32.store (i32.const 16) (local.get 2))
      (i32.const 0))
    ;; the error {kind: rate-limited, message: "no", retryable: true, retry-after-ms: 7}
    (data (i32.const 1024) "no")
    (func (export "fail") (param i32 i32 i32) (result i32)
      (i32.store8 (i32.const 0) (i32.const 1))
      (i32.store8 (i32.const 8) (i32.const 4))
      (i32.store (i32.const 12) (i32.const 1024))
      (i32.store (i32.const 16) (i32.const 2))
      (i32.store8 (i32.const 20) (i32.const 1))
      (i32.store8 (i32.const 24) (i32.const 1))
      (i64.store (i32.const 32) (i64.const 7))
      (i32.const 0)))
  (core instance $i (instantiate $m))
  (alias core export $i "memory" (core memory $memory))
  (type $p (variant (case "bytes" (list u8)) (case "latin1" string) (case "base64" string)))
  (export $payload "payload" (type $p))
  (type $k (enum "invalid-request" "unauthenticated" "permission-denied" "not-found"
    "rate-limited"))
  (export $kind "error-kind" (type $k))
  (type $e (record (field "kind" $kind) (field "message" string) (field "retryable" bool)
    (field "retry-after-ms" (option u64))))
  (export $error "error" (type $e))
  (type $f (func (param "call" $payload) (result (result $payload (error $error)))))
  (func $echo (type $f) (canon lift (core func $i "echo") (memory $memory)
    (realloc (core func $i "realloc"))))
  (func $fail (type $f) (canon lift (core func $i "fail") (memory $memory)
    (realloc (core func $i "realloc"))))
  (instance $check (export "echo" (func $echo)) (export "fail" (func $fail)))
  (export "check" (instance $check)))
"""
_SAID: Final = {
    "kind": "rate-limited",
    "message": "no",
    "retryable": True,
    "retry-after-ms": 7,
}
_PAYLOADS: Final[tuple[tuple[str, Any], ...]] = (
    ("bytes", bytes(range(256))),
    ("latin1", "déjà vu"),
    ("base64", "AAECAwQ="),
    ("bytes", b""),
)


def check_round_trip(sandbox: Sandbox) -> None:
    """Raises `RuntimeError` if values do not come back as they went."""
    on_large_stack(lambda: _check(sandbox))


def _check(sandbox: Sandbox) -> None:
    types = read_contract().interfaces[full_name("types")].types
    function = Function((("call", types["payload"]),), ResultType(types["payload"], types["error"]))
    interface = Interface("check", {"echo": function, "fail": function}, {}, frozenset())
    world = World("self-check", {}, {"check": interface})
    try:
        component = _capi.compile_component(sandbox.engine.engine, bytes(wat2wasm(_WAT)))
        loaded = LoadedComponent.of(component, world, memories=1, wasi=False)
        instance = ThreadInstance(sandbox, loaded, Call("self-check", Limits(), PluginContext()))
        try:
            answers: list[Any] = [
                instance.invoke("check", "echo", payload) for payload in _PAYLOADS
            ]
            answers.append(instance.invoke("check", "fail", _PAYLOADS[0]))
        finally:
            instance.close()
    except SignalsTakenError:
        raise
    except Exception as error:
        raise RuntimeError(_refusal(f"{type(error).__name__}: {error}")) from error
    if answers != [*map(Ok, _PAYLOADS), Err(_SAID)]:
        raise RuntimeError(_refusal("values come back changed"))


def _refusal(reason: str) -> str:
    return (
        f"the host can't exchange values with this version of wasmtime ({reason}): "
        "install wasmtime>=50.0.1,<51"
    )
