"""Bytes as documents of every type of the contract, by both readers and both validators."""

from __future__ import annotations

import random
from typing import Any, ClassVar, Final
from unittest.mock import patch

import msgpack
import msgpack.fallback
from orchestrator_plugin_host.documents import validate
from orchestrator_plugin_sdk import DocumentError, from_document, pack, to_document, unpack
from orchestrator_plugin_sdk.contract import DOCUMENTS, KINDS

from ..mutate import binary
from ..shapes import is_same, nearly, plain
from ..target import BrokenPromiseError, Outcome, Target

TYPES: Final[tuple[Any, ...]] = (
    *DOCUMENTS.values(),
    *dict.fromkeys(
        operation.result
        for kind in KINDS.values()
        for operation in kind.operations
        if operation.form in ("document", "stream", "scalar")
    ),
)
"""Every type that a document, or an answer, is read as."""

_HOSTILE: Final = (
    b"\xdd\x00\x1e\x84\x80", b"\xdf\x00\x1e\x84\x80\xa1a", b"\xdc\xff\xff", b"\xde\xff\xff",
    b"\x91", b"\x81\xa1a", b"\x9f", b"\x90", b"\x80", b"\xc1", b"\xc7\x0c\xff", b"\xd6\xff\0\0\0\0",
    b"\xc9",
    b"\xd4\x05a", b"\xc6\xff\xff\xff\xff", b"\xdb\xff\xff\xff\xff", b"\xca\x7f\xc0\0\0", b"\xc0",
)  # fmt: skip


class Documents(Target):
    """MessagePack, whole and damaged. The first byte of an input says what type to read it as."""

    name: ClassVar[str] = "documents"
    seconds: ClassVar[float] = 5.0
    batch: ClassVar[int] = 50_000
    stages: ClassVar[tuple[str, ...]] = ("unpack", "schema", "value")

    def make(self, chance: random.Random) -> bytes:
        """A document of a type or nearly, any document, damaged ones, and sheer bytes."""
        at = chance.randrange(len(TYPES))
        way = chance.random()
        if way < 0.1:
            return bytes([at]) + chance.randbytes(chance.randrange(60))
        if way < 0.2:
            return bytes([at]) + self._hostile(chance)
        document = plain(chance) if way < 0.3 else nearly(chance, TYPES[at])
        data = bytes([at]) + pack(document)
        if way < 0.8:
            return data
        return binary.mutated(chance, data, pack(plain(chance)), keep=1)

    def _hostile(self, chance: random.Random) -> bytes:
        made = b""
        for _ in range(chance.choice((1, 2, 5))):
            made += chance.choice(_HOSTILE) * chance.choice((1, 1, 2, 60, 64, 65, 500, 1030))
        return made

    def run(self, data: bytes) -> Outcome:
        """Unpacks with both readers, then reads with both validators, and compares them."""
        wanted, data = TYPES[data[0] % len(TYPES)] if data else Any, data[1:]
        document = _unpacked(data)
        with patch.object(msgpack, "unpackb", msgpack.fallback.unpackb):
            in_guest = _unpacked(data)
        if isinstance(document, DocumentError) or isinstance(in_guest, DocumentError):
            if type(document) is not type(in_guest):
                raise BrokenPromiseError(f"the readers differ: {document!r}, {in_guest!r}")
            return Outcome("unpack", "DocumentError")
        if not is_same(document, in_guest):
            raise BrokenPromiseError("the readers read different documents")
        if not is_same(unpack(pack(document)), document):
            raise BrokenPromiseError("a document is another after packing")
        return _read(wanted, document)


def _unpacked(data: bytes) -> Any:
    try:
        return unpack(data)
    except DocumentError as error:
        return error


def _read(wanted: Any, document: Any) -> Outcome:
    value = _accepted(lambda: from_document(wanted, document))
    in_host = _accepted(lambda: validate(wanted, document, "it", from_plugin=True))
    if isinstance(value, DocumentError) or isinstance(in_host, DocumentError):
        if type(value) is not type(in_host):
            raise BrokenPromiseError(f"the validators differ: {value!r}, {in_host!r}")
        return Outcome("schema", "DocumentError")
    if not is_same(value, in_host):
        raise BrokenPromiseError(f"the validators read different values: {value!r}, {in_host!r}")
    again = from_document(wanted, unpack(pack(to_document(value))))
    if not is_same(value, again):
        raise BrokenPromiseError(f"a value is another after packing: {value!r}, {again!r}")
    return Outcome("value", "the same again")


def _accepted(read: Any) -> Any:
    try:
        return read()
    except DocumentError as error:
        return error
