"""One round trip of every shape of value, before anything is trusted to the layouts.

The layouts in `_capi` are facts of one version of wasmtime. If they did not hold, memory would be
read where it should not be; so a host that can't make this trip refuses to start.
"""

from __future__ import annotations

from typing import Any, Final

from wasmtime import wat2wasm

from ..wit import Function, Interface, ResultType, World, full_name, read_contract
from . import _capi
from .guest import Guest, LoadedComponent, StoreLimits
from .inprocess import Sandbox
from .steps import Done, Step
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
_PAYLOADS: Final[tuple[tuple[str, bytes], ...]] = (
    ("latin1", "déjà vu".encode()),
    ("base64", b"AAECAwQ="),
    ("latin1", b""),
)
_LIMITS: Final = StoreLimits(1 << 20, 1, 8, 8, 1_000)
_FUEL: Final = 1_000_000


def check_round_trip(sandbox: Sandbox) -> None:
    """Raises `RuntimeError` if values do not come back as they went, or `SignalsTakenError`."""
    sandbox.signals.check()
    types = read_contract().interfaces[full_name("types")].types
    function = Function((("call", types["payload"]),), ResultType(types["payload"], types["error"]))
    interface = Interface("check", {"echo": function, "fail": function}, {}, frozenset())
    world = World("self-check", {}, {"check": interface})
    try:
        component = _capi.compile_component(sandbox.engine, bytes(wat2wasm(_WAT)))
        loaded = LoadedComponent.of(component, world, memories=1, wasi=False)
        guest = Guest(sandbox.engine, sandbox.imports, loaded, _LIMITS)
        try:
            _ended(guest.instantiate(_FUEL, {}))
            answers = [_called(guest, "echo", payload) for payload in _PAYLOADS]
            answers.append(_called(guest, "fail", _PAYLOADS[0]))
        finally:
            guest.close()
    except Exception as error:
        raise RuntimeError(_refusal(f"{type(error).__name__}: {error}")) from error
    if answers != [*map(Ok, _PAYLOADS), Err(_SAID)]:
        raise RuntimeError(_refusal("values come back changed"))


def _called(guest: Guest, name: str, payload: tuple[str, bytes]) -> Any:
    return _ended(guest.start("check", name, (payload,), fuel=_FUEL, room=1_000, rooms={}))


def _ended(step: Step) -> Any:
    if not isinstance(step, Done):
        raise TypeError(f"a guest without imports and loops suspended: {step}")
    return step.value


def _refusal(reason: str) -> str:
    return (
        f"the host can't exchange values with this version of wasmtime ({reason}): "
        "install wasmtime>=50.0.1,<51"
    )
