"""WebAssembly text changed by its form, and assembled: mutants that get past the parser.

The text is a list of tokens; a change replaces a run of them, mostly a whole expression.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from functools import cache
from typing import Final

import wasmtime

from .words import ALIKE_TYPES, BODIES, FIELDS, HEADS, NUMBERS, OPCODES, TYPES

_TOKEN: Final = re.compile(r'"(?:[^"\\]|\\.)*"|[()]|[^\s()"]+')
_ATTEMPTS: Final = 8

Tokens = list[str]
Way = Callable[[random.Random, Tokens, Tokens], None]


@cache
def _tokens(text: str) -> tuple[str, ...]:
    return tuple(_TOKEN.findall(text))


def _end(tokens: Tokens, start: int) -> int:
    """Where the expression that begins at `start` ends."""
    if tokens[start] != "(":
        return start + 1
    depth = 0
    for at in range(start, len(tokens)):
        if tokens[at] == "(":
            depth += 1
        elif tokens[at] == ")":
            depth -= 1
            if not depth:
                return at + 1
    return len(tokens)


def _some(chance: random.Random, tokens: Tokens, fits: Callable[[str], bool]) -> int | None:
    """Where one of the tokens that fit is: the next after any place."""
    start = chance.randrange(len(tokens))
    for at in (*range(start, len(tokens)), *range(start)):
        if fits(tokens[at]):
            return at
    return None


def _expression(chance: random.Random, tokens: Tokens, head: str | None = None) -> int | None:
    """Where an expression begins, of a head or of any."""
    if head is None:
        at = _some(chance, tokens[1:], lambda token: token == "(")
        return None if at is None else at + 1
    start = chance.randrange(len(tokens))
    for at in (*range(start, len(tokens)), *range(1, start)):
        if tokens[at] == head and tokens[at - 1] == "(":
            return at - 1
    return None


def opcode(chance: random.Random, tokens: Tokens, other: Tokens) -> None:
    """An instruction by another of the same type."""
    at = _some(chance, tokens, OPCODES.__contains__)
    if at is not None:
        tokens[at] = chance.choice(OPCODES[tokens[at]])


def constant(chance: random.Random, tokens: Tokens, other: Tokens) -> None:
    """The number of an instruction."""
    at = _some(chance, tokens, lambda token: token in ("i32.const", "i64.const"))
    if at is not None:
        tokens[at + 1] = chance.choice((*NUMBERS, str(chance.randrange(70_000))))


def number(chance: random.Random, tokens: Tokens, other: Tokens) -> None:
    """Any number: of a constant, an address, a size, an index."""
    at = _some(chance, tokens, lambda token: token[0].isdigit())
    if at is not None:
        tokens[at] = chance.choice(NUMBERS)


def local(chance: random.Random, tokens: Tokens, other: Tokens) -> None:
    """A variable by another."""
    at = _some(chance, tokens, lambda token: token.startswith(("local.", "global.")))
    if at is not None:
        tokens[at + 1] = chance.choice(("0", "1", "2", "3", tokens[at + 1]))


def body(chance: random.Random, tokens: Tokens, other: Tokens) -> None:
    """Instructions before, or around, those that are there."""
    at = _expression(
        chance, tokens, chance.choice(("call", "i32.store", "i32.store8", "local.set"))
    )
    if at is not None:
        tokens[at:at] = _tokens(chance.choice(BODIES))


def fields(chance: random.Random, tokens: Tokens, other: Tokens) -> None:
    """Something more in a module or a component."""
    head = chance.choice(("module", "func", "export", "instance"))
    at = _expression(chance, tokens, "core" if head == "module" else head)
    if at is not None:
        end = _end(tokens, at) - 1 if head == "module" else at
        tokens[end:end] = _tokens(chance.choice(FIELDS))


def wit_type(chance: random.Random, tokens: Tokens, other: Tokens) -> None:
    """A type of the component model by another."""
    heads = ("list", "option", "result", "record", "variant", "enum", "own", "borrow", "tuple")
    if chance.random() < 0.5:
        at = _some(chance, tokens, lambda token: token in ("string", "bool", "u8", "u32", "u64"))
    else:
        at = _expression(chance, tokens, chance.choice(heads))
    if at is not None:
        tokens[at : _end(tokens, at)] = _tokens(chance.choice(TYPES))


def alike_type(chance: random.Random, tokens: Tokens, other: Tokens) -> None:
    """A type of the component model by one that core functions can't tell from it.

    The text says most types in several places that must agree, so it is often changed in all.
    """
    word = chance.choice(tuple(ALIKE_TYPES))
    new = _tokens(chance.choice(ALIKE_TYPES[word]))
    old = [word] if word[0] != "(" else ["(", word[1:]]
    size = len(old)
    places = [at for at in range(len(tokens) - size) if tokens[at : at + size] == old]
    if chance.random() < 0.4:
        places = places and [chance.choice(places)]
    if chance.random() < 0.5 and size == 2 and places:  # only those that are the same throughout
        like = tokens[places[0] : _end(tokens, places[0])]
        places = [at for at in places if tokens[at : _end(tokens, at)] == like]
    for at in reversed(places):
        tokens[at : _end(tokens, at)] = new


def core_type(chance: random.Random, tokens: Tokens, other: Tokens) -> None:
    """A type of a core function's parameter, result or variable."""
    at = _some(chance, tokens, lambda token: token in ("i32", "i64", "f32", "f64"))
    if at is not None:
        tokens[at] = chance.choice(("i32", "i64", "f32", "f64", "v128", "funcref", "externref"))


def remove(chance: random.Random, tokens: Tokens, other: Tokens) -> None:
    """An expression."""
    at = _expression(chance, tokens, chance.choice((None, *HEADS)))
    if at is not None:
        del tokens[at : _end(tokens, at)]


def repeat(chance: random.Random, tokens: Tokens, other: Tokens) -> None:
    """An expression again, right there."""
    at = _expression(chance, tokens, chance.choice((None, *HEADS)))
    if at is not None:
        tokens[at:at] = tokens[at : _end(tokens, at)] * chance.choice((1, 1, 1, 30))


def swap(chance: random.Random, tokens: Tokens, other: Tokens) -> None:
    """An expression with the one after it."""
    at = _expression(chance, tokens)
    if at is None:
        return
    middle = _end(tokens, at)
    if middle < len(tokens) and tokens[middle] == "(":
        end = _end(tokens, middle)
        tokens[at:end] = tokens[middle:end] + tokens[at:middle]


def graft(chance: random.Random, tokens: Tokens, other: Tokens) -> None:
    """An expression by one of the same head from elsewhere."""
    at = _expression(chance, tokens)
    if at is None:
        return
    source = chance.choice((other, list(tokens)))
    found = _expression(chance, source, tokens[at + 1])
    if found is not None:
        tokens[at : _end(tokens, at)] = source[found : _end(source, found)]


def name(chance: random.Random, tokens: Tokens, other: Tokens) -> None:
    """What a thing is called, within the text or without."""
    mark = chance.choice(("$", '"'))
    at = _some(chance, tokens, lambda token: token.startswith(mark))
    source = _some(chance, tokens, lambda token: token.startswith(mark))
    if at is not None and source is not None:
        odd = ('""', '"\\00"', '"a b"', '"\\c3\\a9"', f'"{"x" * 5000}"')
        tokens[at] = chance.choice(odd) if mark == '"' and chance.random() < 0.2 else tokens[source]


_DEEP: Final[tuple[Way, ...]] = (opcode, opcode, opcode, constant, constant, local, body, body)
_SHALLOW: Final[tuple[Way, ...]] = (
    number, wit_type, alike_type, alike_type, alike_type, alike_type, core_type, fields, remove,
    repeat, swap, graft, name,
)  # fmt: skip


def mutated(chance: random.Random, text: str, other: str) -> bytes:
    """A component of the text with one to a few changes, assembled.

    Text that can't be assembled says nothing about a host, so it is changed otherwise.
    """
    for _ in range(_ATTEMPTS):
        tokens = list(_tokens(text))
        shallow = chance.random() < 0.45
        for _ in range(chance.choice((1, 1, 1, 2, 3, 5))):
            ways = _SHALLOW if shallow and chance.random() < 0.7 else _DEEP
            chance.choice(ways)(chance, tokens, list(_tokens(other)))
        try:
            return bytes(wasmtime.wat2wasm(" ".join(tokens)))
        except wasmtime.WasmtimeError:
            continue
    return bytes(wasmtime.wat2wasm(text))
