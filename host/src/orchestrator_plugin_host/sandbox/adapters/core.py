"""The core module of one adapter: a function for each that goes through it.

Each takes what the other side passes, puts payloads into the form that they cross in, calls the
function behind it, and does the same with the result.
"""

from __future__ import annotations

from collections.abc import Sequence

from ...componentize.abi import Signature, exported, flattened, imported
from ...wit import (
    EnumType,
    Function,
    HandleType,
    ListType,
    OptionType,
    Primitive,
    RecordType,
    ResultType,
    TupleType,
    Type,
    VariantType,
    full_name,
    read_contract,
)
from .tools import RESULT, RESULT_BYTES, Side

_BITS_64 = ("s64", "u64", "f64")
_NARROW = {"bool": 1, "s8": 1, "u8": 1, "s16": 2, "u16": 2}


def is_payload(one: Type) -> bool:
    """Whether a type is the contract's `payload`."""
    return one == read_contract().interfaces[full_name("types")].types["payload"]


def goes_through(function: Function, side: Side) -> bool:
    """Whether a function needs an adapter: if something of any size comes out of the guest, or a
    payload goes in.

    Raises `TypeError` for a list that would come out: an adapter makes strings of payloads alone.
    """
    params: list[Type] = [one for _, one in function.params]
    results = [] if function.result is None else [function.result]
    out, into = (params, results) if side == "imports" else (results, params)
    sized = [one for one in out if _is_sized(one)]
    return bool(sized) or any(is_payload(inner) for one in into for inner in _parts(one))


def _parts(one: Type) -> list[Type]:
    """A type and all that is in it, but for what is in a payload."""
    inner: list[Type | None] = []
    match one:
        case OptionType(some):
            inner = [some]
        case ResultType(ok, err):
            inner = [ok, err]
        case RecordType(fields):
            inner = [field for _, field in fields]
        case TupleType(elements):
            inner = [*elements]
        case VariantType(cases) if not is_payload(one):
            inner = [case for _, case in cases]
    return [one, *(part for each in inner if each is not None for part in _parts(each))]


def _is_sized(one: Type) -> bool:
    parts = _parts(one)
    if any(isinstance(part, ListType) for part in parts):
        raise TypeError(f"no adapter for {one}: a list must be in a payload")
    return any(is_payload(part) or part == Primitive("string") for part in parts)


def module_text(functions: Sequence[Function], side: Side) -> str:
    """The module's text. It imports `host`, with the functions behind as `f0` and so on and a
    `drop-RESOURCE` for each resource that is lent, and `tools`; it exports `f0` and so on."""
    imported_types = [(f"f{i}", _type(imported(one))) for i, one in enumerate(functions)]
    imported_types += [(f"drop-{name}", "(param i32)") for name in lent_resources(functions)]
    imports = [f'(import "host" "{name}" (func ${name} {one}))' for name, one in imported_types]
    bodies = [_function(i, one, side) for i, one in enumerate(functions)]
    return "\n".join(["(module", *imports, _TOOLS, *bodies, ")"])


def lent_resources(functions: Sequence[Function]) -> list[str]:
    """The resources of which functions take a borrowed handle, which they have to give back."""
    params = (one for function in functions for _, one in function.params)
    return sorted({one.resource for one in params if isinstance(one, HandleType) and not one.owned})


_TOOLS = """
(import "tools" "memory" (memory 1))
(import "tools" "enter" (func $enter))
(import "tools" "leave" (func $leave))
(import "tools" "encode" (func $encode (param i32 i32) (result i32)))
(import "tools" "encoded-size" (func $encoded-size (param i32) (result i32)))
(import "tools" "decode" (func $decode (param i32 i32) (result i32)))
;; The payload at an address: its form, its address and its size.
(func $encode-there (param $at i32)
  (if (i32.eqz (i32.load8_u (local.get $at))) (then
    (i32.store offset=4 (local.get $at) (call $encode
      (i32.load offset=4 (local.get $at)) (i32.load offset=8 (local.get $at))))
    (i32.store offset=8 (local.get $at)
      (call $encoded-size (i32.load offset=8 (local.get $at))))
    (i32.store8 (local.get $at) (i32.const 2)))))
(func $decode-there (param $at i32)
  (if (call $is-marked (i32.load8_u (local.get $at)) (i32.load offset=4 (local.get $at))
        (i32.load offset=8 (local.get $at))) (then
    (i32.store offset=4 (local.get $at)
      (i32.add (i32.load offset=4 (local.get $at)) (i32.const 1)))
    (i32.store offset=8 (local.get $at) (call $decode (i32.load offset=4 (local.get $at))
      (i32.sub (i32.load offset=8 (local.get $at)) (i32.const 1))))
    (i32.store8 (local.get $at) (i32.const 0)))))
;; Whether a payload is base64 that begins with a "=".
(func $is-marked (param $form i32) (param $at i32) (param $size i32) (result i32)
  (if (i32.ne (local.get $form) (i32.const 2)) (then (return (i32.const 0))))
  (if (i32.eqz (local.get $size)) (then (return (i32.const 0))))
  (i32.eq (i32.load8_u (local.get $at)) (i32.const 61)))
"""


def _type(signature: Signature) -> str:
    params, results = " ".join(signature.params), " ".join(signature.results)
    return (f"(param {params}) " if params else "") + (f"(result {results})" if results else "")


def _function(i: int, function: Function, side: Side) -> str:
    outer, behind = exported(function), imported(function)
    arguments = [f"(local.get {j})" for j in range(len(outer.params))]
    before, after = [], []
    at = 0
    for _, one in function.params:
        if is_payload(one):
            before.append((_encode if side == "imports" else _decode)(at))
        elif isinstance(one, HandleType) and not one.owned:
            after.append(f"(call $drop-{one.resource} (local.get {at}))")
        elif any(map(is_payload, _parts(one))):
            raise TypeError(f"no adapter for a parameter of type {one}")
        at += len(flattened(one))
    if at != len(outer.params) or len(flattened(function.result)) * 8 > RESULT_BYTES:
        raise TypeError(f"no adapter for {function}: it takes or returns too much")
    before.append("(call $enter)")
    after.append("(call $leave)")
    result = ""
    if outer.results and len(behind.params) > len(outer.params):
        arguments.append(f"(i32.const {RESULT})")
        result = f"(i32.const {RESULT})"
        there = "$decode-there" if side == "imports" else "$encode-there"
        after.append(_in_memory(function.result, RESULT, there))
    called = f"(call $f{i} {' '.join(arguments)})"
    body = "\n  ".join([*before, called, *after, result])
    return f'(func (export "f{i}") {_type(outer)}\n  {body})'


def _encode(at: int) -> str:
    """Makes base64 of the bytes of a payload in three locals."""
    return f"""(if (i32.eqz (local.get {at})) (then
    (local.set {at + 1} (call $encode (local.get {at + 1}) (local.get {at + 2})))
    (local.set {at + 2} (call $encoded-size (local.get {at + 2})))
    (local.set {at} (i32.const 2))))"""


def _decode(at: int) -> str:
    """Makes bytes of the marked base64 of a payload in three locals."""
    return f"""(if (call $is-marked (local.get {at}) (local.get {at + 1}) (local.get {at + 2}))
    (then
      (local.set {at + 1} (i32.add (local.get {at + 1}) (i32.const 1)))
      (local.set {at + 2} (call $decode (local.get {at + 1})
        (i32.sub (local.get {at + 2}) (i32.const 1))))
      (local.set {at} (i32.const 0))))"""


def _in_memory(one: Type | None, at: int, there: str) -> str:
    """Calls `there` with the address of each payload in a value at an address."""
    if one is None or not any(map(is_payload, _parts(one))):
        return ""
    if is_payload(one):
        return f"(call {there} (i32.const {at}))"
    cases: list[tuple[int, Type | None]]
    match one:
        case OptionType(some):
            cases = [(1, some)]
        case ResultType(ok, err):
            cases = [(0, ok), (1, err)]
        case _:
            raise TypeError(f"no adapter for a result with {one} in it")
    inner = at + max(_alignment(case) for _, case in cases)
    tests = [
        f"(if (i32.eq (i32.load8_u (i32.const {at})) (i32.const {number})) (then {body}))"
        for number, case in cases
        if (body := _in_memory(case, inner, there))
    ]
    return " ".join(tests)


def _alignment(one: Type | None) -> int:
    """The alignment of a value in memory, of which its place in another follows."""
    match one:
        case Primitive(name):
            return 8 if name in _BITS_64 else _NARROW.get(name, 4)
        case OptionType() | ResultType() | RecordType() | TupleType() | VariantType():
            parts = _parts(one)[1:] if not is_payload(one) else [Primitive("string")]
            return max([1, *map(_alignment, parts)])
        case None | EnumType():
            return 1
        case _:
            return 4
