"""The core module that both adapters are built on: a memory, its allocator, and base64.

The memory has what one call moves across the boundary, and nothing in between calls. Whatever
crosses is allocated here before it is copied, by wasmtime: so the allocator is where the size of
what comes out of a guest is first known, and the one place to refuse it. What goes in, the host has
measured.

`encode` and `decode` take sixteen letters at a time. Both work in place, and touch up to `_SLACK`
bytes behind what they are given, which each allocation has.
"""

from __future__ import annotations

from typing import Final, Literal

from ..config import FUEL_SLICE
from . import NO_MEMORY, TOO_LARGE

Side = Literal["imports", "exports"]
"""Which functions of the guest's an adapter is for. Out of the guest go the parameters of its
imports and the results of its exports."""

RESULT: Final = 64
"""The address at which a function of an adapter leaves its result."""
RESULT_BYTES: Final = 192
"""How large it may be."""
LARGE: Final = 1 << 20
"""Bytes at once that are copied in a slice of fuel of their own."""
_BASE: Final = RESULT + RESULT_BYTES
"""The address of the first allocation."""
_SLACK: Final = 16
_BURN: Final = 1_000
"""Units of fuel that a turn of the loop uses which ends a slice."""

_ALLOCATOR: Final = f"""
  (import "host" "room" (func $room (result i32)))
  ;; Whether what is allocated comes out of the guest: what an import is passed, before the adapter
  ;; is called, and what an export returns, while it is within.
  (global $comes-out (mut i32) (i32.const {{outside}}))
  (memory (export "memory") 1)
  (global $top (mut i32) (i32.const {_BASE}))
  (global $limit (mut i64) (i64.const 0))
  (func $begin (global.set $limit
    (i64.add (i64.extend_i32_u (call $room)) (i64.const {_BASE + _SLACK}))))
  (start $begin)
  (func ${TOO_LARGE} (unreachable))
  (func ${NO_MEMORY} (unreachable))
  ;; Before the function behind an adapter is called, when what it is passed was read: forgets that.
  (func (export "enter")
    (global.set $comes-out (i32.const {{inside}}))
    (global.set $top (i32.const {_BASE})))
  (func (export "leave") (global.set $comes-out (i32.const {{outside}})))
  (func (export "post-return") (param i32) (global.set $top (i32.const {_BASE})))
  ;; Uses up what a slice of fuel may have left.
  (func $end-slice (local $turns i32)
    (local.set $turns (i32.const {FUEL_SLICE // _BURN + 1}))
    (loop $more
      {"(drop (i32.const 0))" * _BURN}
      (br_if $more (local.tee $turns (i32.sub (local.get $turns) (i32.const 1))))))
  (func $reserve (param $end i64) (local $pages i32)
    (local.set $pages (i32.sub
      (i32.wrap_i64 (i64.shr_u (i64.add (local.get $end) (i64.const 65535)) (i64.const 16)))
      (memory.size)))
    (if (i32.gt_s (local.get $pages) (i32.const 0)) (then
      (if (i32.eq (memory.grow (local.get $pages)) (i32.const -1))
        (then (call ${NO_MEMORY}))))))
  (func (export "realloc") (param $old i32) (param $old_size i32) (param $align i32)
      (param $size i32) (result i32)
    (local $at i32) (local $end i64)
    (local.set $at (select (local.get $old)
      (i32.and (i32.add (global.get $top) (i32.const 7)) (i32.const -8))
      (i32.eq (global.get $top)
        (i32.add (i32.add (local.get $old) (local.get $old_size)) (i32.const {_SLACK})))))
    (local.set $end (i64.add (i64.extend_i32_u (local.get $at))
      (i64.add (i64.extend_i32_u (local.get $size)) (i64.const {_SLACK}))))
    ;; What grows is a string of another encoding, to up to three times what it began with.
    (if (i32.eqz (local.get $old)) (then
      (if (i32.and (global.get $comes-out) (i64.gt_u (local.get $end) (global.get $limit)))
        (then (call ${TOO_LARGE})))
      (if (i32.gt_u (local.get $size) (i32.const {LARGE})) (then (call $end-slice)))))
    (call $reserve (local.get $end))
    (global.set $top (i32.wrap_i64 (local.get $end)))
    (if (i32.and (i32.ne (local.get $old) (i32.const 0))
                 (i32.ne (local.get $old) (local.get $at)))
      (then (memory.copy (local.get $at) (local.get $old) (local.get $old_size))))
    (local.get $at))
"""

_ENCODE: Final = f"""
  (func $encoded-size (export "encoded-size") (param $size i32) (result i32)
    (i32.mul (i32.const 4)
      (i32.div_u (i32.add (local.get $size) (i32.const 2)) (i32.const 3))))
  ;; Bytes as base64, which it returns the address of.
  (func (export "encode") (param $at i32) (param $size i32) (result i32)
    (local $letters i32) (local $to i32) (local $end i32) (local $x v128) (local $y v128)
    (local.set $letters (call $encoded-size (local.get $size)))
    ;; In their place, if nothing is behind them.
    (if (i32.ne (global.get $top)
          (i32.add (i32.add (local.get $at) (local.get $size)) (i32.const {_SLACK})))
      (then (local.set $to (global.get $top)))
      (else (local.set $to (local.get $at))))
    (local.set $end (i32.add (local.get $to) (local.get $letters)))
    (call $reserve (i64.add (i64.extend_i32_u (local.get $end)) (i64.const {3 * _SLACK})))
    (global.set $top (i32.add (local.get $end) (i32.const {_SLACK})))
    ;; Moved to the end first: so what is written never gets to what is still to be read.
    (local.set $end (i32.add (local.get $end) (i32.const {_SLACK})))
    (memory.copy (i32.sub (local.get $end) (local.get $size)) (local.get $at) (local.get $size))
    (local.set $at (i32.sub (local.get $end) (local.get $size)))
    (i64.store align=1 (local.get $end) (i64.const 0))
    (block $done (loop $more
      (br_if $done (i32.ge_u (local.get $at) (local.get $end)))
      ;; Each three bytes into four, 6 bits in each.
      (local.set $x (i8x16.swizzle (v128.load align=1 (local.get $at))
        (v128.const i8x16 1 0 2 1 4 3 5 4 7 6 8 7 10 9 11 10)))
      (local.set $y (v128.or
        (v128.or
          (i32x4.shr_u (v128.and (local.get $x) (i32x4.splat (i32.const 0xfc00))) (i32.const 10))
          (i32x4.shl (v128.and (local.get $x) (i32x4.splat (i32.const 0x3f0))) (i32.const 4)))
        (v128.or
          (i32x4.shr_u (v128.and (local.get $x) (i32x4.splat (i32.const 0xfc00000)))
            (i32.const 6))
          (i32x4.shl (v128.and (local.get $x) (i32x4.splat (i32.const 0x3f0000)))
            (i32.const 8)))))
      ;; 0 to 25 become class 0, 26 to 51 class 1, each other its own; a class has its distance.
      (local.set $x (i8x16.sub
        (i8x16.sub_sat_u (local.get $y) (i8x16.splat (i32.const 51)))
        (i8x16.gt_u (local.get $y) (i8x16.splat (i32.const 25)))))
      (v128.store align=1 (local.get $to) (i8x16.add (local.get $y) (i8x16.swizzle
        (v128.const i8x16 65 71 -4 -4 -4 -4 -4 -4 -4 -4 -4 -4 -19 -16 0 0) (local.get $x))))
      (local.set $at (i32.add (local.get $at) (i32.const 12)))
      (local.set $to (i32.add (local.get $to) (i32.const 16)))
      (br $more)))
    (local.set $end (i32.sub (local.get $end) (i32.const {_SLACK})))
    (local.set $size (i32.rem_u (local.get $size) (i32.const 3)))
    (if (local.get $size) (then
      (i32.store8 (i32.sub (local.get $end) (i32.const 1)) (i32.const 61))
      (if (i32.eq (local.get $size) (i32.const 1)) (then
        (i32.store8 (i32.sub (local.get $end) (i32.const 2)) (i32.const 61))))))
    (i32.sub (local.get $end) (local.get $letters)))
"""

_DECODE: Final = """
  ;; base64 as bytes, in its place; returns how many. It is the host's: always valid.
  (func (export "decode") (param $at i32) (param $size i32) (result i32)
    (local $to i32) (local $end i32) (local $x v128) (local $y v128)
    (local.set $to (local.get $at))
    (local.set $end (i32.add (local.get $at) (local.get $size)))
    (if (i32.eqz (local.get $size)) (then (return (i32.const 0))))
    (local.set $size (i32.sub (i32.mul (i32.shr_u (local.get $size) (i32.const 2)) (i32.const 3))
      (i32.add (i32.eq (i32.const 61) (i32.load8_u (i32.sub (local.get $end) (i32.const 1))))
               (i32.eq (i32.const 61) (i32.load8_u (i32.sub (local.get $end) (i32.const 2)))))))
    (loop $more
      (local.set $x (v128.load align=1 (local.get $at)))
      ;; A class is the upper half of a letter; "/" is set apart from "+".
      (local.set $y (i8x16.add (i8x16.shr_u (local.get $x) (i32.const 4))
        (i8x16.eq (local.get $x) (i8x16.splat (i32.const 47)))))
      (local.set $x (i8x16.add (local.get $x) (i8x16.swizzle
        (v128.const i8x16 0 16 19 4 -65 -65 -71 -71 0 0 0 0 0 0 0 0) (local.get $y))))
      ;; Each four 6 bits into three bytes.
      (local.set $y (v128.or
        (v128.or
          (i32x4.shl (v128.and (local.get $x) (i32x4.splat (i32.const 0x3f))) (i32.const 18))
          (i32x4.shl (v128.and (local.get $x) (i32x4.splat (i32.const 0x3f00))) (i32.const 4)))
        (v128.or
          (v128.and (i32x4.shr_u (local.get $x) (i32.const 10)) (i32x4.splat (i32.const 0xfc0)))
          (v128.and (i32x4.shr_u (local.get $x) (i32.const 24)) (i32x4.splat (i32.const 0x3f))))))
      (v128.store align=1 (local.get $to) (i8x16.swizzle (local.get $y)
        (v128.const i8x16 2 1 0 6 5 4 10 9 8 14 13 12 -1 -1 -1 -1)))
      (local.set $to (i32.add (local.get $to) (i32.const 12)))
      (local.set $at (i32.add (local.get $at) (i32.const 16)))
      (br_if $more (i32.lt_u (local.get $at) (local.get $end))))
    (local.get $size))
"""


def tools_text(side: Side) -> str:
    """The module's text. It imports `room`, and exports `memory`, `realloc`, `enter`, `leave`,
    `post-return`, `encode`, `encoded-size` and `decode`."""
    outside, inside = ("1", "0") if side == "imports" else ("0", "1")
    allocator = _ALLOCATOR.replace("{outside}", outside).replace("{inside}", inside)
    return f"(module {allocator}\n{_ENCODE}\n{_DECODE})"
