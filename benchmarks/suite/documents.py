"""Documents for echoes: text, or bytes that are not."""

from __future__ import annotations

import array
import random

_SENTENCE = b"The quick brown fox jumps over the lazy dog. "


def document_of(kind: str, size: int) -> bytes:
    """`size` bytes of `text`, of `float32` numbers as vectors have them, or of `random` bytes."""
    chance = random.Random(1)
    if kind == "text":
        return (_SENTENCE * (size // len(_SENTENCE) + 1))[:size]
    if kind == "float32":
        numbers = array.array("f", (chance.gauss(0, 0.05) for _ in range(size // 4 + 1)))
        return numbers.tobytes()[:size]
    return chance.randbytes(size)
