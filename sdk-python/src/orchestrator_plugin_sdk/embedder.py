"""Embedders: the interface `EmbedderPlugin`."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from .plugin import Plugin
from .vectors import VectorLike, Vectors

if TYPE_CHECKING:
    from .context import PluginContext


class EmbedderPlugin(Plugin):
    """A plugin that turns texts into vectors."""

    @abstractmethod
    def dims(self) -> int:
        """How many components each vector has, after `init`."""

    @abstractmethod
    async def embed_texts(
        self, texts: Sequence[str], ctx: PluginContext
    ) -> Vectors | Iterable[VectorLike]:
        """One vector a text, in the order of the texts: float32 `[len(texts), dims]`.

        Return `Vectors`, rows of numbers, or anything two-dimensional that iterates as rows.
        """
