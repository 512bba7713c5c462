"""A vector memory backend in memory: exact cosine search, no index, nothing kept after the end.

It compares the query with every item that passes the filter. That is right for some thousands of
vectors, and the measure for any backend that is faster and approximate.

No method waits for anything, so each runs whole, and calls that share an event loop can't mix.
"""

from __future__ import annotations

import heapq
import math
import operator
from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace

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

ABORT_CHECK_EVERY = 1024
"""Items between two looks at the abort signal: in a sandbox, each look is a call of the host."""


@dataclass(frozen=True, slots=True)
class _Stored:
    """An item and the length of its vector, which a search would else work out each time."""

    item: VectorItem
    norm: float


class MemoryVectors(VectorMemoryBackendPlugin):
    """Keeps items by repository and id. All vectors of one backend have the same dims."""

    name = "memory-vectors"
    sdk_version = SdkVersionRange(1, 1)

    def __init__(self) -> None:
        self._dims: int | None = None  # unknown until configured or until the first upsert
        self._repos: dict[str, dict[str, _Stored]] = {}

    async def init(self, config: PluginConfig, ctx: PluginContext) -> None:
        dims = config.get("dims")
        if dims is not None and (type(dims) is not int or dims < 1):
            raise _invalid(f"the config key dims must be a positive integer, got {dims!r}")
        self._dims = dims

    async def health_check(self) -> HealthCheckResult:
        items = self._item_count()
        return HealthCheckResult(
            healthy=True,
            message=f"{items} items in {len(self._repos)} repositories",
            details={"items": items, "repos": len(self._repos), "dims": self._dims},
        )

    async def shutdown(self) -> None:
        self._repos.clear()

    async def upsert(self, repo_id: str, items: Sequence[VectorItem], ctx: PluginContext) -> None:
        if not items:
            return
        # All or none: every item is checked before the first is kept.
        dims = self._dims or len(items[0].vector)
        for item in items:
            _check_dims(item.vector, dims, f"the vector of item {item.id!r}")
        stored = {item.id: _Stored(_own_copy(item), _norm(item.vector)) for item in items}
        self._dims = dims
        self._repos.setdefault(repo_id, {}).update(stored)

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
        if self._dims is not None:
            _check_dims(vector, self._dims, "the query's vector")
        # Ids in order: `nlargest` keeps the order of equal scores, so a tie goes to the smaller id.
        found = self._scores(repo_id, vector, filter, ctx)
        best = heapq.nlargest(top_k, found, key=operator.itemgetter(0))
        return [
            VectorQueryResult(item.id, score, deepcopy(item.metadata), item.text)
            for score, item in best
        ]

    async def delete_by_ids(self, repo_id: str, ids: Sequence[str], ctx: PluginContext) -> None:
        repo = self._repos.get(repo_id, {})
        for item_id in ids:
            repo.pop(item_id, None)

    async def wipe_repo(self, repo_id: str, ctx: PluginContext) -> None:
        self._repos.pop(repo_id, None)

    async def info(self) -> VectorBackendInfo:
        return VectorBackendInfo(
            backend=self.name,
            dims=self._dims or 0,
            location="local",
            supports_filters=True,
            item_count=self._item_count(),
        )

    def _item_count(self) -> int:
        return sum(map(len, self._repos.values()))

    def _scores(
        self, repo_id: str, vector: Vector, filter: VectorQueryFilter | None, ctx: PluginContext
    ) -> Iterator[tuple[float, VectorItem]]:
        """Each item that the filter lets through, with its score, by id."""
        repo = self._repos.get(repo_id, {})
        norm = _norm(vector)
        for number, item_id in enumerate(sorted(repo)):
            if number % ABORT_CHECK_EVERY == 0:
                ctx.abort_signal.throw_if_aborted()
            stored = repo[item_id]
            # The metadata first: that is cheaper than a score.
            if filter is not None and not filter.matches(stored.item.metadata):
                continue
            score = _cosine(vector, norm, stored)
            if filter is None or filter.min_score is None or score >= filter.min_score:
                yield score, stored.item


def create_plugin() -> MemoryVectors:
    """The entry that `plugin.toml` names."""
    return MemoryVectors()


def _own_copy(item: VectorItem) -> VectorItem:
    """The item with metadata of its own. A native caller hands over its very objects, and could
    change them later; vectors are immutable."""
    return replace(item, metadata=deepcopy(item.metadata))


def _check_dims(vector: Vector, dims: int, what: str) -> None:
    if not len(vector) == dims > 0:
        wanted = dims or "at least 1"
        raise _invalid(f"{what} has {len(vector)} dims, this backend keeps vectors of {wanted}")


def _invalid(message: str) -> PluginCallError:
    return PluginCallError(ErrorKind.INVALID_REQUEST, message)


def _dot(one: Vector, other: Vector) -> float:
    total: float = sum(map(operator.mul, one.view, other.view))
    return total


def _norm(vector: Vector) -> float:
    return math.sqrt(_dot(vector, vector))


def _cosine(vector: Vector, norm: float, stored: _Stored) -> float:
    """The cosine of the angle between two vectors, -1 to 1. Zero vectors have no angle: 0."""
    if norm == 0 or stored.norm == 0:
        return 0.0
    cosine = _dot(vector, stored.item.vector) / (norm * stored.norm)
    return max(-1.0, min(1.0, cosine))  # rounding may carry it past the ends
