"""Vector memory backends: items, filters, results, and `VectorMemoryBackendPlugin`."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from .plugin import Plugin
from .vectors import Vector

if TYPE_CHECKING:
    from .context import PluginContext

FilterOperator = Literal["eq", "ne", "lt", "lte", "gt", "gte", "in", "not_in", "contains", "exists"]
"""How a condition compares; `FieldCondition` says what each means."""


@dataclass(frozen=True, slots=True)
class VectorItem:
    """A vector to keep: float32 `[dims]`, under an id that is unique in its repository."""

    id: str
    vector: Vector
    metadata: Mapping[str, Any] = field(default_factory=dict)
    text: str | None = None


@dataclass(frozen=True, slots=True)
class VectorQueryResult:
    """An item found. `score` is the similarity: more is nearer."""

    id: str
    score: float
    metadata: Mapping[str, Any] = field(default_factory=dict)
    text: str | None = None


@dataclass(frozen=True, slots=True)
class FieldCondition:
    """A condition on one metadata field; dots go into nested maps (`author.name`).

    `contains` looks for an element in a list or a substring in a text; `in` and `not_in` look for
    the field in the list `value`, and nothing is in anything but a list; `exists` compares the
    field's presence with `value` (true or false); the orderings hold between two numbers or two
    texts, and are false for anything else. A missing field meets `ne`, `not_in` and
    `exists: false`, nothing more.
    """

    field: str
    op: FilterOperator
    value: Any = True

    def matches(self, metadata: Mapping[str, Any]) -> bool:
        """Whether an item with this metadata meets the condition."""
        found: Any = metadata
        present = True
        for key in self.field.split("."):
            if not isinstance(found, Mapping) or key not in found:
                present, found = False, None
                break
            found = found[key]
        if self.op == "exists":
            return present is bool(self.value)
        if self.op == "ne":
            return not present or not _equal(found, self.value)
        if self.op == "not_in":
            return not present or not _is_in(found, self.value)
        return present and self._compare(found)

    def _compare(self, found: Any) -> bool:
        wanted = self.value
        if self.op == "eq":
            return _equal(found, wanted)
        if self.op == "in":
            return _is_in(found, wanted)
        if self.op == "contains":
            if isinstance(found, str):
                return isinstance(wanted, str) and wanted in found
            return _is_in(wanted, found)
        if not (_is_number(found) and _is_number(wanted)) and not (
            isinstance(found, str) and isinstance(wanted, str)
        ):
            return False
        if self.op == "lt":
            return bool(found < wanted)
        if self.op == "lte":
            return bool(found <= wanted)
        if self.op == "gt":
            return bool(found > wanted)
        return bool(found >= wanted)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_in(one: Any, several: Any) -> bool:
    return isinstance(several, (list, tuple)) and any(_equal(one, other) for other in several)


def _equal(one: Any, other: Any) -> bool:
    """Equality of documents: true is not 1, and a tuple is a list."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)):
        return len(one) == len(other) and all(map(_equal, one, other))
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(_equal(one[key], other[key]) for key in one)
    return bool(one == other)


@dataclass(frozen=True, slots=True)
class VectorQueryFilter:
    """Which items a query may find: those that meet every condition of `all_of`, at least one of
    `any_of` (unless it is empty), none of `none_of`, and whose score is at least `min_score`."""

    all_of: tuple[FieldCondition, ...] = ()
    any_of: tuple[FieldCondition, ...] = ()
    none_of: tuple[FieldCondition, ...] = ()
    min_score: float | None = None

    def matches(self, metadata: Mapping[str, Any]) -> bool:
        """Whether an item with this metadata passes. Does not look at `min_score`."""
        return (
            all(condition.matches(metadata) for condition in self.all_of)
            and (not self.any_of or any(c.matches(metadata) for c in self.any_of))
            and not any(condition.matches(metadata) for condition in self.none_of)
        )


@dataclass(frozen=True, slots=True)
class VectorBackendInfo:
    """What a store is. `dims` is 0 while it takes any size."""

    backend: str
    dims: int
    embedder_id: str | None = None
    location: Literal["local", "remote"] = "local"
    supports_filters: bool = False
    item_count: int | None = None


class VectorMemoryBackendPlugin(Plugin):
    """A plugin that keeps vectors and finds the nearest ones."""

    @abstractmethod
    async def upsert(self, repo_id: str, items: Sequence[VectorItem], ctx: PluginContext) -> None:
        """Adds items, or replaces those whose id is there already. All or none."""

    @abstractmethod
    async def query(
        self,
        repo_id: str,
        vector: Vector,
        top_k: int,
        ctx: PluginContext,
        filter: VectorQueryFilter | None = None,
    ) -> Sequence[VectorQueryResult]:
        """The `top_k` items nearest to `vector`, best first."""

    @abstractmethod
    async def delete_by_ids(self, repo_id: str, ids: Sequence[str], ctx: PluginContext) -> None:
        """Removes items. Ids that are not there are no error."""

    @abstractmethod
    async def wipe_repo(self, repo_id: str, ctx: PluginContext) -> None:
        """Removes everything of one repository."""

    @abstractmethod
    async def info(self) -> VectorBackendInfo:
        """What this store is."""
