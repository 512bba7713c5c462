"""The guests, requests and examples that the contenders run, all defined once."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import wasmtime
from orchestrator_plugin_host import Limits
from orchestrator_plugin_sdk import pack
from support.building import EXAMPLES, built
from support.guests import DATA, Guest
from support.wasi import wasi_guest

ROOMY: Final = Limits(fuel=10**18, deadline_ms=3_600_000)
"""Limits that nothing here reaches."""

_ANSWER: Final = pack({"text": "hi"})
_LARGE: Final = pack({"text": "x" * 1_000_000}).decode("latin-1").encode()
"""An answer of 1 MB, in the form `latin1`."""

_ITERATIONS: Final = 1_000_000_000
_ECHO: Final = "(call $ok_payload (local.get 0) (local.get 1) (local.get 2))"
_COUNT: Final = f"""(local $i i64) (loop $l
  (local.set $i (i64.add (local.get $i) (i64.const 1)))
  (br_if $l (i64.lt_u (local.get $i) (i64.const {_ITERATIONS}))))
  (call $ok_bytes (i32.const 2096) (i32.const {len(_ANSWER)}))"""

_MEMORY: Final = 32 * 1024 * 1024
"""So much a guest may have that begins its calls on the event loop."""

_ANEW: Final = "(global.set $top (i32.const 65536))"
"""What an allocator begins with that gives the same memory each time, for guests that are passed
one thing a call: what they have by default frees nothing."""

GUESTS: Final[dict[str, Guest]] = {
    # Answers at once.
    "trivial": Guest(realloc=_ANEW),
    # Answers with its own payload.
    "echo": Guest(memory="1024", functions={"generate": _ECHO}, realloc=_ANEW),
    # Answers with 1 MB of text.
    "large": Guest(
        memory="64",
        functions={
            "generate": f"(call $ok_payload (i32.const 1) (i32.const {DATA}) "
            f"(i32.const {len(_LARGE)}))"
        },
        data=_LARGE,
        realloc="(global.set $top (i32.const 2000000))",
    ),
    # Waits for a second, then answers.
    "waits": Guest(
        functions={
            "generate": "(call $sleep (i64.const 1000)) "
            f"(call $ok_bytes (i32.const 2096) (i32.const {len(_ANSWER)}))"
        },
        realloc=_ANEW,
    ),
    # Computes for a while, then answers.
    "counts": Guest(functions={"generate": _COUNT}),
    "crashes": Guest(functions={"generate": "(unreachable)"}),
    "spins": Guest(functions={"generate": "(loop $l (br $l)) (unreachable)"}),
    "sleeps": Guest(functions={"generate": "(call $sleep (i64.const 9999999)) (unreachable)"}),
    "blocks": wasi_guest(
        functions={
            "generate": "(call $block (call $subscribe (i64.const 1000000000))) (unreachable)"
        }
    ),
}


def component(name: str, folder: Path, *, says_memory: bool = True) -> Path:
    """One of `GUESTS` as a component in `folder`, which reads every form of a payload, as the ones
    that the build of the SDK makes do. With `says_memory`, its manifest says how much memory it
    needs."""
    limits = {"memory_bytes": _MEMORY} if says_memory else {}
    path = folder / f"{name}.wasm"
    path.write_bytes(
        GUESTS[name].build(payload_encodings=("bytes", "latin1", "base64"), limits=limits)
    )
    return path


def example(name: str) -> Path:
    """The component of an example plugin, built if it isn't yet, which takes a while."""
    return built(EXAMPLES / name)


def chat_request(size: int = 2_000) -> dict[str, Any]:
    """A request of a chat whose document has about `size` bytes, with the fields of a real one."""
    turns = ["What does the tide do twice a day?", "It turns. High water, then low water."]
    messages = [{"role": "system", "content": "You answer briefly, and only about the sea."}]
    request = {
        "messages": messages,
        "model": "any-model",
        "temperature": 0.2,
        "max_tokens": 200,
        "stop": ["\n\n"],
        "metadata": {"run": "benchmark"},
    }
    while (left := size - len(pack(request))) > 0:
        role, text = ("assistant", turns[1]) if len(messages) % 2 == 0 else ("user", turns[0])
        messages.append({"role": role, "content": (text * 4)[: max(left - 24, 1)]})
    return request


TEXTS: Final = tuple(
    f"{number} {word} leaves the harbour before the tide turns."
    for number, word in enumerate(
        ("boat", "ferry", "crew", "pilot", "gull", "barge", "tug", "yacht", "storm", "lamp")
    )
)
"""Ten short texts."""


_EXTISM: Final = """
(module
  (import "extism:host/env" "input_length" (func $input_length (result i64)))
  (import "extism:host/env" "input_load_u8" (func $input_load_u8 (param i64) (result i32)))
  (import "extism:host/env" "input_load_u64" (func $input_load_u64 (param i64) (result i64)))
  (import "extism:host/env" "alloc" (func $alloc (param i64) (result i64)))
  (import "extism:host/env" "store_u8" (func $store_u8 (param i64 i32)))
  (import "extism:host/env" "store_u64" (func $store_u64 (param i64 i64)))
  (import "extism:host/env" "output_set" (func $output_set (param i64 i64)))
  (memory 32)
  (data (i32.const 0) "{data}")
  (func $read_input (param $to i32) (param $size i64) (local $i i64)
    (block $end (loop $words
      (br_if $end (i64.gt_u (i64.add (local.get $i) (i64.const 8)) (local.get $size)))
      (i64.store (i32.add (local.get $to) (i32.wrap_i64 (local.get $i)))
        (call $input_load_u64 (local.get $i)))
      (local.set $i (i64.add (local.get $i) (i64.const 8)))
      (br $words)))
    (block $end (loop $bytes
      (br_if $end (i64.ge_u (local.get $i) (local.get $size)))
      (i32.store8 (i32.add (local.get $to) (i32.wrap_i64 (local.get $i)))
        (call $input_load_u8 (local.get $i)))
      (local.set $i (i64.add (local.get $i) (i64.const 1)))
      (br $bytes))))
  (func $write_output (param $from i32) (param $size i64) (local $i i64) (local $at i64)
    (local.set $at (call $alloc (local.get $size)))
    (block $end (loop $words
      (br_if $end (i64.gt_u (i64.add (local.get $i) (i64.const 8)) (local.get $size)))
      (call $store_u64 (i64.add (local.get $at) (local.get $i))
        (i64.load (i32.add (local.get $from) (i32.wrap_i64 (local.get $i)))))
      (local.set $i (i64.add (local.get $i) (i64.const 8)))
      (br $words)))
    (block $end (loop $bytes
      (br_if $end (i64.ge_u (local.get $i) (local.get $size)))
      (call $store_u8 (i64.add (local.get $at) (local.get $i))
        (i32.load8_u (i32.add (local.get $from) (i32.wrap_i64 (local.get $i)))))
      (local.set $i (i64.add (local.get $i) (i64.const 1)))
      (br $bytes)))
    (call $output_set (local.get $at) (local.get $size)))
  (func (export "echo") (result i32) (local $size i64)
    (local.set $size (call $input_length))
    (call $read_input (i32.const 65536) (local.get $size))
    (call $write_output (i32.const 65536) (local.get $size))
    (i32.const 0))
  (func (export "answer") (result i32)
    (call $read_input (i32.const 65536) (call $input_length))
    (call $write_output (i32.const 0) (i64.const {size}))
    (i32.const 0)))
"""


def extism_module() -> bytes:
    """A plugin for Extism, whose `echo` answers with its input, and `answer` with the document that
    the trivial guest answers with.

    Both copy their input into their own memory and their output out of it, eight bytes at a time,
    as Extism's libraries for guests do: a guest of ours has a document in its memory, too.
    """
    data = "".join(f"\\{byte:02x}" for byte in _ANSWER)
    return bytes(wasmtime.wat2wasm(_EXTISM.format(data=data, size=len(_ANSWER))))
