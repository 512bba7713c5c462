"""Handles of embedders."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from orchestrator_plugin_sdk.naming import PluginType

from ..errors import (
    PluginOutputError,
)
from ._base import LoadedPlugin, listed

if TYPE_CHECKING:
    from orchestrator_plugin_sdk.context import PluginContext
    from orchestrator_plugin_sdk.vectors import Vectors


class LoadedEmbedder(LoadedPlugin):
    """Texts to vectors."""

    plugin_type = PluginType.EMBEDDER

    def dims(self) -> int:
        """How many components each vector has. Asked once, when it was loaded."""
        return self._dims

    async def _learn(self) -> None:
        self._dims: int = await self._call("dims", [], None)
        if not self._dims:
            raise PluginOutputError(
                f"plugin {self.name!r} says that its vectors have no components: dims must be 1 "
                "at least"
            )

    async def embed_texts(
        self, texts: Iterable[str], context: PluginContext | None = None
    ) -> Vectors:
        """One vector a text: float32 `[len(texts), dims]`."""
        asked = listed(texts)
        vectors: Vectors = await self._call("embed_texts", [asked], context)
        if len(vectors) != len(asked) or (asked and vectors.dims != self._dims):
            raise PluginOutputError(
                f"plugin {self.name!r} answered {len(asked)} texts with {len(vectors)} vectors of "
                f"{vectors.dims} dims; it says that it has {self._dims}"
            )
        return vectors
