"""Handles of vector memory backends."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, cast

from orchestrator_plugin_sdk.naming import PluginType

from ..errors import (
    PluginInputError,
    PluginOutputError,
)
from ._base import LoadedPlugin, listed

if TYPE_CHECKING:
    from orchestrator_plugin_sdk.context import PluginContext
    from orchestrator_plugin_sdk.vector_memory import (
        VectorBackendInfo,
        VectorItem,
        VectorQueryFilter,
        VectorQueryResult,
    )
    from orchestrator_plugin_sdk.vectors import VectorLike


class LoadedVectorMemoryBackend(LoadedPlugin):
    """A store of vectors with metadata, kept apart by repository."""

    plugin_type = PluginType.VECTOR_MEMORY_BACKEND

    async def upsert(
        self,
        repo_id: str,
        items: Iterable[VectorItem | Mapping[str, Any]],
        context: PluginContext | None = None,
    ) -> None:
        """Adds items, or replaces those whose id is there already. All or none."""
        await self._call("upsert", [repo_id, listed(items)], context)

    async def query(
        self,
        repo_id: str,
        vector: VectorLike,
        top_k: int,
        context: PluginContext | None = None,
        filter: VectorQueryFilter | Mapping[str, Any] | None = None,
    ) -> tuple[VectorQueryResult, ...]:
        """The `top_k` items nearest to `vector` (float32 `[dims]`), best first."""
        if isinstance(top_k, int) and top_k < 1:
            raise PluginInputError(f"query of plugin {self.name!r}: top_k must be 1 or more")
        found: tuple[VectorQueryResult, ...] = await self._call(
            "query", [repo_id, vector, top_k, filter], context
        )
        if len(found) > top_k:
            raise PluginOutputError(
                f"plugin {self.name!r} answered a query for {top_k} items with {len(found)}"
            )
        return found

    async def delete_by_ids(
        self, repo_id: str, ids: Iterable[str], context: PluginContext | None = None
    ) -> None:
        """Removes items. Ids that are not there are no error."""
        await self._call("delete_by_ids", [repo_id, listed(ids)], context)

    async def wipe_repo(self, repo_id: str, context: PluginContext | None = None) -> None:
        """Removes everything of one repository."""
        await self._call("wipe_repo", [repo_id], context)

    async def info(self, context: PluginContext | None = None) -> VectorBackendInfo:
        """What this store is."""
        return cast("VectorBackendInfo", await self._call("info", [], context))
