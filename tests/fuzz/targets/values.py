"""Python values on their way into a document: bytes that say the same, or a `DocumentError`."""

from __future__ import annotations

import random
from typing import ClassVar

from orchestrator_plugin_sdk import DocumentError, from_document, pack, to_document, unpack

from ..shapes import anything, is_same, value_of
from ..target import BrokenPromiseError, Outcome, Target
from .documents import TYPES


class Values(Target):
    """Values of the SDK's types and of any other. An input is the chance that makes the value."""

    name: ClassVar[str] = "values"
    seconds: ClassVar[float] = 5.0
    batch: ClassVar[int] = 50_000
    stages: ClassVar[tuple[str, ...]] = ("to_document", "pack", "unpack")

    def make(self, chance: random.Random) -> bytes:
        """Eight bytes."""
        return chance.randbytes(8)

    def run(self, data: bytes) -> Outcome:
        """Packs the value and looks at what comes out."""
        chance = random.Random(data)
        if chance.random() < 0.4:
            return self._typed(chance)
        value = anything(chance)
        try:
            document = to_document(value)
        except DocumentError:
            return Outcome("to_document", "DocumentError")
        try:
            packed = pack(document)
        except DocumentError:
            return Outcome("pack", "DocumentError")
        if not is_same(unpack(packed), document):
            raise BrokenPromiseError(f"what was packed is another: {document!r}")
        return Outcome("unpack", "the same again")

    def _typed(self, chance: random.Random) -> Outcome:
        wanted = chance.choice(TYPES)
        value = value_of(chance, wanted)
        again = from_document(wanted, unpack(pack(to_document(value))))
        if not is_same(value, again):
            raise BrokenPromiseError(f"a value is another after packing: {value!r}, {again!r}")
        return Outcome("unpack", "the same value again")
