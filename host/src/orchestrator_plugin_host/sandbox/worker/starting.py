"""Makes wasmtime start its threads, all of them, before a worker is sealed and can have no others.

wasmtime starts them when it first needs them: those that compile when a component is compiled,
those of WASI when it first waits.
"""

from __future__ import annotations

from typing import Final

from wasmtime import Engine, wat2wasm

from .. import _capi
from ..linking import GuestImports
from ..store import Store

_EMPTY: Final = b"\0asm\x0d\0\x01\0"
"""A component with nothing in it."""
_FUEL: Final = 1_000
_WAITS: Final = """
(component
  (import "wasi:io/poll@0.2.0" (instance $poll
    (export "pollable" (type $pollable (sub resource)))
    (export "[method]pollable.block" (func (param "self" (borrow $pollable))))))
  (alias export $poll "pollable" (type $pollable))
  (import "wasi:clocks/monotonic-clock@0.2.0" (instance $clock
    (alias outer 1 $pollable (type $p))
    (export "pollable" (type $pollable (eq $p)))
    (export "subscribe-duration" (func (param "when" u64) (result (own $pollable))))))
  (core func $subscribe (canon lower (func $clock "subscribe-duration")))
  (core func $block (canon lower (func $poll "[method]pollable.block")))
  (core module $waits
    (import "wasi" "subscribe" (func $subscribe (param i64) (result i32)))
    (import "wasi" "block" (func $block (param i32)))
    (func $wait (call $block (call $subscribe (i64.const 1))))
    (start $wait))
  (core instance (instantiate $waits (with "wasi" (instance
    (export "subscribe" (func $subscribe)) (export "block" (func $block)))))))
"""
"""A component that waits for a nanosecond when it is instantiated."""


def start_compiling(engine: Engine) -> None:
    """Starts the threads that an engine compiles with. Raises `CapiError`."""
    _capi.compile_component(engine, _EMPTY)


def start_wasi(engine: Engine, imports: GuestImports) -> None:
    """Starts the threads that WASI waits with. Raises `CapiError`."""
    component = _capi.compile_component(engine, bytes(wat2wasm(_WAITS)))
    store = Store(engine)
    try:
        store.give_wasi()
        store.set_fuel(_FUEL)
        store.begin_instance(imports.linker, component)
        while not store.poll():
            pass
    finally:
        store.close()
