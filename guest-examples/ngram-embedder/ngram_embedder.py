"""An embedder without a model: texts that share runs of characters get vectors that are near.

Each text is cut into all its character n-grams of 3 to 5. Each n-gram is hashed to one component
of the vector and to a sign, and added there (the "hashing trick", https://arxiv.org/abs/0902.2206).
The signs make collisions cancel out on average. Of vectors of length 1, the dot product is the
cosine.
"""

from __future__ import annotations

import hashlib
import math
import unicodedata
from array import array
from collections import Counter
from collections.abc import Sequence

from orchestrator_plugin_sdk import (
    EmbedderPlugin,
    ErrorKind,
    HealthCheckResult,
    PluginCallError,
    PluginConfig,
    PluginContext,
    SdkVersionRange,
    Vectors,
)

DEFAULT_DIMENSIONS = 256
MAX_DIMENSIONS = 4096
NGRAM_SIZES = (3, 4, 5)


class NgramEmbedder(EmbedderPlugin):
    """Hashed character n-grams as unit vectors of `dimensions` components."""

    name = "ngram-embedder"
    sdk_version = SdkVersionRange(1, 1)

    def __init__(self) -> None:
        self._dimensions = DEFAULT_DIMENSIONS

    async def init(self, config: PluginConfig, ctx: PluginContext) -> None:
        dimensions = config.get("dimensions", DEFAULT_DIMENSIONS)
        # `type` rather than `isinstance`: true is an int, but no size.
        if type(dimensions) is not int or not 1 <= dimensions <= MAX_DIMENSIONS:
            raise PluginCallError(
                ErrorKind.INVALID_REQUEST,
                f"the config key dimensions must be an integer from 1 to {MAX_DIMENSIONS}, "
                f"got {dimensions!r}",
            )
        self._dimensions = dimensions

    async def health_check(self) -> HealthCheckResult:
        return HealthCheckResult(True, details={"dimensions": self._dimensions})

    async def shutdown(self) -> None:
        """Nothing was taken, nothing to give back."""

    def dims(self) -> int:
        return self._dimensions

    async def embed_texts(self, texts: Sequence[str], ctx: PluginContext) -> Vectors:
        rows = []
        for text in texts:
            # A batch may be long: stop between texts if nobody waits for it any more.
            ctx.abort_signal.throw_if_aborted()
            rows.append(_embed(text, self._dimensions))
        return Vectors(rows, self._dimensions)  # dims, for there may be no row to tell it


def create_plugin() -> NgramEmbedder:
    """The entry that `plugin.toml` names."""
    return NgramEmbedder()


def _embed(text: str, dimensions: int) -> array[float]:
    """The unit vector of one text, packed: a list of its numbers would take six times as much."""
    vector = [0.0] * dimensions
    for ngram, count in Counter(_ngrams(_normalise(text))).items():
        feature = _hash(ngram)
        sign = 1 if feature & 1 else -1
        vector[(feature >> 1) % dimensions] += sign * count
    length = math.hypot(*vector)
    if length == 0:
        # No n-grams, or ones that cancel out. A zero vector has no direction and a cosine with it
        # is undefined, so all such texts share a fixed one.
        return array("f", [1.0] + [0.0] * (dimensions - 1))
    return array("f", [number / length for number in vector])


def _normalise(text: str) -> str:
    """One form for texts that read the same: `ＦＵＬＬ　width`, `full width` and `Full  Width`.

    Case folding can undo the normal form, hence the second pass.
    """
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return " ".join(folded.split())


def _ngrams(text: str) -> list[str]:
    """All runs of 3 to 5 characters. The spaces around tell a word's edge from its middle, and
    give a text of one character an n-gram."""
    padded = f" {text} " if text else ""
    return [padded[i : i + n] for n in NGRAM_SIZES for i in range(len(padded) - n + 1)]


def _hash(ngram: str) -> int:
    """63 bits for the place and 1 for the sign. Not `hash()`, which differs in each process."""
    digest = hashlib.blake2b(ngram.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "little")
