"""What the mutations of text put in: instructions, fields, types, numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_ALIKE: Final = (
    (
        "add sub mul div_s div_u rem_s rem_u and or xor shl shr_s shr_u rotl rotr "
        "eq ne lt_s lt_u gt_s gt_u le_s le_u ge_s ge_u"
    ),
    "clz ctz popcnt eqz extend8_s extend16_s",
)

_GROUPS: Final = (
    *(tuple(f"{kind}.{word}" for word in group.split()) for kind in ("i32",) for group in _ALIKE),
    tuple(f"i64.{word}" for word in _ALIKE[0].split()[:15]),
    ("i32.load", "i32.load8_s", "i32.load8_u", "i32.load16_s", "i32.load16_u"),
    ("i32.store", "i32.store8", "i32.store16"),
    ("i64.store", "i64.store8", "i64.store16", "i64.store32"),
    ("f64.add", "f64.sub", "f64.mul", "f64.div", "f64.min", "f64.max", "f64.copysign"),
    ("i32x4.add", "i32x4.sub", "i32x4.mul", "i8x16.swizzle", "f32x4.div", "i16x8.q15mulr_sat_s"),
    ("br_if", "br_table", "select"),
    ("block", "loop"),
    ("i64.extend_i32_u", "i64.extend_i32_s"),
    ("local.set", "local.tee"),
    ("memory.fill", "memory.copy"),
)

OPCODES: Final[Mapping[str, tuple[str, ...]]] = {word: group for group in _GROUPS for word in group}
"""Instructions, with those of the same type."""

NUMBERS: Final = (
    "0", "1", "2", "3", "4", "7", "8", "16", "100", "127", "128", "255", "1000", "1024", "4096",
    "32767", "65535", "65536", "262143", "262144", "2147483647", "0x80000000", "4294967295",
)  # fmt: skip
"""Edges: of bytes, of pages, of the guests' memory, of 32 bits."""

BODIES: Final = (
    "(unreachable)",
    "(loop $l (br $l))",
    "(drop (memory.grow (i32.const 1)))",
    "(drop (memory.grow (i32.const 65535)))",
    "(memory.fill (i32.const 0) (i32.const 255) (i32.const 262144))",
    "(memory.fill (i32.const 1024) (i32.const 255) (i32.const 64))",
    "(memory.fill (i32.const 1024) (i32.const 1) (i32.const 64))",
    "(memory.copy (i32.const 1024) (i32.const 2048) (i32.const 64))",
    "(i32.store (i32.const 1040) (i32.const -1))",
    "(i32.store (i32.const 1032) (i32.const 2))",
    "(i32.store (i32.const -4) (i32.const 1))",
    "(i32.store offset=4294967295 (i32.const 1) (i32.const 1))",
    "(drop (i32.div_u (i32.const 1) (i32.const 0)))",
    "(drop (i32.trunc_f64_s (f64.const nan)))",
    "(drop (call $realloc (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 200000)))",
    "(drop (call $realloc (i32.const 0) (i32.const 0) (i32.const 1) (i32.const -1)))",
    "(call $reset)",
    "(call $get_bytes (i32.const 65536) (i32.const 1024))",
    "(call $get_bytes (i32.const -1) (i32.const 1024))",
    "(call $emit (i32.const 0) (i32.const 2048) (i32.const 9))",
    "(call $emit (i32.const 1) (i32.const 0) (i32.const 262144))",
    "(call $emit (i32.const 7) (i32.const 0) (i32.const 1))",
    "(drop (call $is_aborted))",
    "(call $sleep (i64.const 1))",
    "(drop (call $wall_now))",
    "(drop (call 0))",
    "(call 9)",
    "(nop)",
    "(drop (f64.sqrt (f64.const -1)))",
    "(drop (v128.load (i32.const 1024)))",
    "(return)",
)
"""Instructions that need nothing and leave nothing."""

FIELDS: Final = (
    "(memory 1)", "(memory 0 65536)", "(memory 200)", "(memory $m2 1 1)", "(table 1 funcref)",
    "(table 1000000 funcref)", "(table 2 externref)", "(global (mut i32) (i32.const 1))",
    "(start 0)", "(start $start)", "(func $start (unreachable))", "(func $start (loop (br 0)))",
    "(func $start (drop (memory.grow (i32.const 300))))", "(func $start (call $start))",
    '(data (i32.const 0) "x")', '(data (i32.const 65535) "xyz")', '(data (i32.const -1) "x")',
    "(elem (i32.const 0) func 0)", "(elem declare func 0)", "(type (func))", "(func)",
    "(core module)", "(component)", "(component (component (component)))", "(type (list u8))",
    "(type (record (field \"a\" u8)))", "(type (resource (rep i32)))", "(type (flags \"a\" \"b\"))",
    "(core module $m3 (memory 1)) (core instance (instantiate $m3))",
    "(core module $m4 (func $s (unreachable)) (start $s)) (core instance (instantiate $m4))",
    "(core module $m5 (func $s (loop (br 0))) (start $s)) (core instance (instantiate $m5))",
    "(core module $m6 (memory 4000)) (core instance (instantiate $m6))",
    "(core module $m7 (table 5000000 funcref)) (core instance (instantiate $m7))",
    "(core module $m8 (func $s (call $s)) (start $s)) (core instance (instantiate $m8))",
    '(core module $m9 (import "" "" (memory 1)) (export "" (memory 0)))',
    '(import "wasi:cli/environment@0.2.0" (instance))', '(import "x" (func))',
    '(import "orchestrator:plugin/log@1.0.0" (instance))',
    '(import "orchestrator:plugin/http@1.0.0" (instance))',
    '(export "x" (func 0))', '(export "orchestrator:plugin/lifecycle@1.0.0" (instance 0))',
    '(core func (canon resource.new 0))', "(core func (canon task.return))",
    '(@custom "note" "kept")',
    '(import "big" (type (sub resource)))', "(alias outer 0 0 (type))", "(tag)",
    "(type (stream u8))", "(type (future))", "(type (func async))",
)  # fmt: skip
"""Fields of modules and of components: wherever they land."""

TYPES: Final = (
    "bool", "u8", "s8", "u16", "s16", "u32", "s32", "u64", "s64", "f32", "f64", "char", "string",
    "error-context", "(list u8)", "(list string)", "(list bool)", "(list (list u8))", "(list u64)",
    "(list u8 4)", "(option u8)", "(option string)", "(option (option (list u8)))", "(result)",
    "(result u32)", "(result (error string))", "(tuple u8 u8)", "(tuple (list u8))",
    '(record (field "a" u8))', '(flags "a" "b")', '(enum "a" "b")', '(variant (case "a"))',
    "(own 0)", "(borrow 0)", "(own $event-stream)", "(borrow $event-stream)", "(stream u8)",
    "(stream)", "(future u8)", "(future)", "$payload",
    "$error", "$error_kind", "$e", "$p", "$k", "0",
    "(map string u8)",
)  # fmt: skip
"""Types of the component model."""

_WORDS: Final = (
    "bool", "u8", "s8", "u16", "s16", "u32", "s32", "char", '(enum "a" "b")', '(flags "a" "b")',
    "(own $event-stream)", "(borrow $event-stream)", "(future u8)", "(stream u8)", "$error_kind",
    '(record (field "a" u32))', "(tuple u32)", '(variant (case "a") (case "b"))', "error-context",
)  # fmt: skip
_RUNS: Final = (
    "string", "(list u8)", "(list s8)", "(list bool)", "(list u32)", "(list string)",
    "(list (list u8))", '(list (record (field "a" u8)))', "(tuple u32 u32)", "(list $payload)",
)  # fmt: skip

ALIKE_TYPES: Final[Mapping[str, tuple[str, ...]]] = {
    "string": _RUNS,
    "(list": _RUNS,
    "bool": _WORDS,
    "u32": _WORDS,
    "(own": _WORDS,
    "(borrow": _WORDS,
    "$error_kind": _WORDS,
    "(enum": ('(enum "a")', '(enum "a" "b")', "u8", "bool", "u32"),
    "u64": ("s64", "u64", '(record (field "a" u64))', "(tuple s64)"),
    "(option": ("(result u64)", "(result $payload)", '(variant (case "none") (case "some" u64))'),
    "$payload": ("$payload", "(tuple $payload)", '(record (field "a" $payload))', "$p", "$error"),
    "(field": ('(field "kind" $kind)', '(field "other" string)', '(field "message" (list u8))'),
    "(case": ('(case "bytes" string)', '(case "other" (list u8))', '(case "latin1" (list u8))'),
}
"""Types, or the beginnings of them, with others that are as many numbers in core code."""

HEADS: Final = (
    "case", "field", "param", "result", "export", "import", "with", "alias", "func", "type",
    "local.get", "i32.store", "call", "memory", "data", "canon", "core", "instance",
)  # fmt: skip
"""Heads of expressions that are worth taking out, or writing twice."""
