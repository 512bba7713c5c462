"""Payloads in each of their forms, from any text and any bytes."""

from __future__ import annotations

import random
import re
from typing import ClassVar, Final

from orchestrator_plugin_host.payloads import payload_bytes
from orchestrator_plugin_sdk import DocumentError
from orchestrator_plugin_sdk.payload import choose_encoding, from_text, to_text

from ..mutate import binary
from ..target import BrokenPromiseError, Outcome, Target

_BASE64: Final = re.compile(
    r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?", re.ASCII
)
_FORMS: Final = ("latin1", "base64")


class Payloads(Target):
    """Text as a plugin may send it. An input is text in UTF-8, lone surrogates included."""

    name: ClassVar[str] = "payloads"
    seconds: ClassVar[float] = 5.0
    batch: ClassVar[int] = 100_000
    stages: ClassVar[tuple[str, ...]] = ("refused", "read")

    def make(self, chance: random.Random) -> bytes:
        """Text of a form, whole and damaged, and any other."""
        data = chance.randbytes(chance.choice((0, 1, 2, 3, 4, 50, 300)))
        way = chance.randrange(4)
        if way == 0:
            return "".join(chr(chance.randrange(0x400)) for _ in range(20)).encode()
        made = to_text("base64" if way > 1 else "latin1", data).encode()
        if way == 3:
            return binary.mutated(chance, made or b"=", b"====\n A-_\xed\xa0\x80\xc3\xa9")
        return made

    def run(self, data: bytes) -> Outcome:
        """Reads the text as both forms; then sends the input itself in each form."""
        text = data.decode("utf-8", "surrogatepass" if _is_text(data) else "replace")
        accepted = [self._read("latin1", text), self._read("base64", text)]
        for readable in (("bytes",), ("bytes", "latin1"), ("bytes", "base64"), _FORMS):
            form = choose_encoding(data, readable)  # type: ignore[arg-type]
            if form not in (*readable, "bytes"):
                raise BrokenPromiseError(f"{form} was chosen of {readable}")
            if form == "bytes":
                continue  # which crosses as base64
            if payload_bytes((form, to_text(form, data).encode()), len(data)) != data:
                raise BrokenPromiseError(f"bytes sent as {form} arrive as others")
        return Outcome("read" if any(accepted) else "refused", f"forms: {sum(accepted)}")

    def _read(self, form: str, text: str) -> bool:
        valid = all(ord(one) < 256 for one in text) if form == "latin1" else _BASE64.fullmatch(text)
        try:
            read = from_text(form, text)  # type: ignore[arg-type]
        except DocumentError:
            if valid:
                raise BrokenPromiseError(f"valid {form} was refused") from None
            return False
        if not valid:
            raise BrokenPromiseError(f"text that is not {form} was read as {read!r}")
        if from_text(form, to_text(form, read)) != read:  # type: ignore[arg-type]
            raise BrokenPromiseError(f"{form} is other bytes after writing")
        return True


def _is_text(data: bytes) -> bool:
    try:
        data.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return False
    return True
