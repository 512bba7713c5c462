"""What a worker process sends its host: a message and its value, of the contract's types or not.

A worker runs what an enemy wrote, so that it may have been taken over: nothing it sends is trusted.
"""

from __future__ import annotations

import random
import socket
from typing import Any, ClassVar, Final

import msgpack
from orchestrator_plugin_host.sandbox.values import Err, Ok, Resource, ValueMismatchError
from orchestrator_plugin_host.sandbox.worker.channel import Channel, ChannelClosedError
from orchestrator_plugin_host.sandbox.worker.wire import reader, to_wire
from orchestrator_plugin_host.wit import (
    EnumType,
    HandleType,
    ListType,
    OptionType,
    Primitive,
    RecordType,
    ResultType,
    Type,
    VariantType,
    read_contract,
)

from ..mutate import binary
from ..shapes import is_same, plain, text
from ..target import BrokenPromiseError, Outcome, Target

_MOST: Final = 1 << 16
TYPES: Final = tuple(
    dict.fromkeys(
        one
        for interface in read_contract().interfaces.values()
        for function in interface.functions.values()
        for one in (function.result, *(kind for _, kind in function.params))
    )
)
"""The type of every parameter and every result of the contract."""


class Messages(Target):
    """The first byte of an input says which type to read the rest as, as it comes off a socket."""

    name: ClassVar[str] = "messages"
    seconds: ClassVar[float] = 5.0
    batch: ClassVar[int] = 50_000
    stages: ClassVar[tuple[str, ...]] = ("message", "mismatch", "value")

    def make(self, chance: random.Random) -> bytes:
        """A value of a type, or something else, with its length or with another."""
        at = chance.randrange(len(TYPES))
        way = chance.random()
        value = plain(chance) if way < 0.2 else to_wire(_value(chance, TYPES[at]))
        document: bytes = msgpack.packb(value, use_bin_type=True)
        if way > 0.6:
            document = binary.mutated(chance, document, msgpack.packb(plain(chance)))
        size = len(document)
        if chance.random() < 0.1:
            size = chance.choice((0, 1, size + 1, max(size - 1, 0), _MOST, _MOST + 1, 2**32 - 1))
        return bytes([at]) + size.to_bytes(4, "little") + document

    def run(self, data: bytes) -> Outcome:
        """Receives the message, and reads what is in it."""
        wanted = TYPES[data[0] % len(TYPES)] if data else None
        host, worker = socket.socketpair()
        channel = Channel(host)
        try:
            worker.sendall(data[1:])  # an input is smaller than what a socket holds
            worker.shutdown(socket.SHUT_WR)
            document = channel.receive(_MOST)
        except ChannelClosedError:
            return Outcome("message", "ChannelClosedError")
        finally:
            channel.close()
            worker.close()
        try:
            value = reader(wanted)(document)
        except ValueMismatchError:
            return Outcome("mismatch", "ValueMismatchError")
        if not _is_of(value, wanted):
            raise BrokenPromiseError(f"{value!r} is not of the type {wanted}")
        if not is_same(to_wire(value), document):
            raise BrokenPromiseError(f"{document!r} was read as {value!r}")
        return Outcome("value", "of its type")


def _value(chance: random.Random, wanted: Type | None) -> Any:
    """A value of a type, as Python's side has it."""
    match wanted:
        case Primitive("bool"):
            return chance.random() < 0.5
        case Primitive("string"):
            return text(chance)
        case Primitive(name):
            return chance.choice((0, 1, (1 << int(name[1:])) - 1))
        case ListType():
            return chance.randbytes(chance.randrange(20))
        case HandleType():
            return chance.randrange(1 << 32)
        case EnumType(names):
            return chance.choice(names)
        case OptionType(some):
            return None if chance.random() < 0.5 else _value(chance, some)
        case ResultType(ok, err):
            is_ok = chance.random() < 0.5
            return Ok(_value(chance, ok)) if is_ok else Err(_value(chance, err))
        case VariantType(cases):
            name, kind = chance.choice(cases)
            return name, _value(chance, kind)
        case RecordType(fields):
            return {name: _value(chance, kind) for name, kind in fields}
    return None


def _is_of(value: Any, wanted: Type | None) -> bool:
    match wanted:
        case Primitive("bool"):
            return type(value) is bool
        case Primitive("string"):
            return type(value) is str
        case Primitive(name):
            return type(value) is int and 0 <= value < 1 << int(name[1:])
        case ListType():
            return type(value) is bytes
        case HandleType():
            return type(value) is Resource and 0 <= value < 1 << 32
        case EnumType(names):
            return value in names
        case OptionType(some):
            return value is None or _is_of(value, some)
        case ResultType(ok, err):
            if isinstance(value, Ok):
                return _is_of(value.value, ok)
            return isinstance(value, Err) and _is_of(value.value, err)
        case VariantType(cases):
            kinds = dict(cases)
            return type(value) is tuple and value[0] in kinds and _is_of(value[1], kinds[value[0]])
        case RecordType(fields):
            return {*value} == {name for name, _ in fields} and all(
                _is_of(value[name], kind) for name, kind in fields
            )
    return value is None
