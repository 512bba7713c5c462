"""A vector memory backend in a SQLite file, with the extension sqlite-vec. Native only.

What waits for the disk runs on another thread, one call at a time.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import anyio.to_thread
from database import Database
from nearest import Search
from orchestrator_plugin_sdk import (
    ErrorKind,
    HealthCheckResult,
    PluginCallError,
    PluginConfig,
    PluginContext,
    SdkVersionRange,
    Vector,
    VectorBackendInfo,
    VectorItem,
    VectorMemoryBackendPlugin,
    VectorQueryFilter,
    VectorQueryResult,
)

T = TypeVar("T")


class SqliteVectors(VectorMemoryBackendPlugin):
    """Keeps items by repository and id. All vectors of one file have the same dims."""

    name = "sqlite-vectors"
    sdk_version = SdkVersionRange(1, 1)

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._database: Database | None = None

    async def init(self, config: PluginConfig, ctx: PluginContext) -> None:
        dims = config.get("dims")
        if dims is not None and (type(dims) is not int or dims < 1):
            raise _invalid(f"the config key dims must be a positive integer, got {dims!r}")
        folder = config.get("folder")
        if not isinstance(folder, str):
            raise _invalid(f"the config key folder must be a path, got {folder!r}")

        def opened() -> Database:
            Path(folder).mkdir(parents=True, exist_ok=True)
            database = Database(Path(folder) / "vectors.db")
            if dims is not None and not database.fix_dims(dims):
                kept = database.dims
                database.close()
                raise _invalid(f"the config key dims is {dims}, what is kept has {kept}")
            return database

        self._database = await anyio.to_thread.run_sync(opened)

    async def health_check(self) -> HealthCheckResult:
        def asked(database: Database) -> tuple[int, int, int]:
            return database.count(), database.repositories(), database.dims

        items, repos, dims = await self._with_database(asked)
        return HealthCheckResult(
            healthy=True,
            message=f"{items} items in {repos} repositories",
            details={"items": items, "repos": repos, "dims": dims or None},
        )

    async def shutdown(self) -> None:
        database, self._database = self._database, None
        if database is not None:
            await anyio.to_thread.run_sync(database.close)

    async def upsert(self, repo_id: str, items: Sequence[VectorItem], ctx: PluginContext) -> None:
        def upserted(database: Database) -> None:
            dims = database.dims or len(items[0].vector)
            for item in items:
                _check_dims(item.vector, dims, f"the vector of item {item.id!r}")
            database.put(repo_id, dims, items)

        if items:
            await self._with_database(upserted)

    async def query(
        self,
        repo_id: str,
        vector: Vector,
        top_k: int,
        ctx: PluginContext,
        filter: VectorQueryFilter | None = None,
    ) -> list[VectorQueryResult]:
        if top_k < 0:
            raise _invalid(f"top_k must not be negative, got {top_k}")

        def queried(database: Database) -> list[VectorQueryResult]:
            if not database.dims:
                return []
            _check_dims(vector, database.dims, "the query's vector")
            return Search(database, repo_id, vector, ctx.abort_signal).best(top_k, filter)

        return await self._with_database(queried)

    async def delete_by_ids(self, repo_id: str, ids: Sequence[str], ctx: PluginContext) -> None:
        await self._with_database(lambda database: database.remove(repo_id, ids))

    async def wipe_repo(self, repo_id: str, ctx: PluginContext) -> None:
        await self._with_database(lambda database: database.wipe(repo_id))

    async def info(self) -> VectorBackendInfo:
        items, dims = await self._with_database(lambda one: (one.count(), one.dims))
        return VectorBackendInfo(
            backend=self.name,
            dims=dims,
            location="local",
            supports_filters=True,
            item_count=items,
        )

    async def _with_database(self, work: Callable[[Database], T]) -> T:
        def locked() -> T:
            with self._lock:
                if self._database is None:
                    raise PluginCallError(ErrorKind.UNAVAILABLE, "the plugin has been shut down")
                return work(self._database)

        return await anyio.to_thread.run_sync(locked)


def create_plugin() -> SqliteVectors:
    """The entry that `plugin.toml` names."""
    return SqliteVectors()


def _check_dims(vector: Vector, dims: int, what: str) -> None:
    if not len(vector) == dims > 0:
        wanted = dims or "at least 1"
        raise _invalid(f"{what} has {len(vector)} dims, this backend keeps vectors of {wanted}")


def _invalid(message: str) -> PluginCallError:
    return PluginCallError(ErrorKind.INVALID_REQUEST, message)
