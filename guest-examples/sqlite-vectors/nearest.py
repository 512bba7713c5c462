"""The nearest items, exactly as the definition says, though sqlite-vec looks for them in single
precision: it gives a few more than are wanted, and those are scored again.

Whether they were enough is known by the bound of its rounding. If not, more are asked for, and in
the end all.
"""

from __future__ import annotations

import heapq
import json
from collections.abc import Iterable, Iterator

from database import ORDINARY, Database, dot, norm_of
from orchestrator_plugin_sdk import (
    AbortSignal,
    Vector,
    VectorQueryFilter,
    VectorQueryResult,
    unpack,
)

MOST = 4096
"""How many neighbours sqlite-vec gives at once, at most."""
FEW = 500
"""So few items are scored at once, without asking which are near."""
_ABORT_CHECK_EVERY = 1024

Scored = tuple[float, str, int]
"""The score with its sign turned, the id, and the item's number: the least is the best."""


class Search:
    """One query of a repository."""

    def __init__(
        self, database: Database, repository: str, vector: Vector, abort_signal: AbortSignal
    ) -> None:
        self._database = database
        self._repository = database.number_of(repository)
        self._vector = vector
        self._norm = norm_of(vector)
        self._abort_signal = abort_signal
        # Each of the sums of a cosine has no more roundings than numbers, each a part in 2^24.
        self._margin = 4 * (len(vector) + 16) * 2.0**-24

    def best(self, top_k: int, filter: VectorQueryFilter | None) -> list[VectorQueryResult]:
        """The best that pass, best first."""
        if self._repository is None or top_k == 0:
            return []
        min_score = None if filter is None else filter.min_score
        passing = None
        if filter is not None and (filter.all_of or filter.any_of or filter.none_of):
            passing = list(self._passing(filter))
        found = heapq.nsmallest(
            top_k,
            (
                one
                for one in self._candidates(top_k, passing, min_score)
                if min_score is None or -one[0] >= min_score
            ),
        )
        results = []
        for negated, _, number in found:
            item_id, metadata, text = self._database.item(number)
            results.append(VectorQueryResult(item_id, -negated, metadata, text))
        return results

    def _passing(self, filter: VectorQueryFilter) -> Iterator[int]:
        rows = self._database.run(
            "SELECT number, metadata FROM items WHERE repository = ?", self._repository
        )
        for number, metadata in self._watched(rows):
            if filter.matches(unpack(metadata)):
                yield number

    def _candidates(
        self, top_k: int, passing: list[int] | None, min_score: float | None
    ) -> Iterable[Scored]:
        """Scored items, the best `top_k` of those that pass among them."""
        if not ORDINARY[0] <= self._norm <= ORDINARY[1]:
            return self._all(passing)
        if passing is not None and len(passing) <= FEW:
            return self._all(passing)
        odd = list(self._all(passing, only_odd=True))
        wanted = top_k + 32
        while wanted <= MOST:
            near, farthest = self._near(wanted, passing)
            if len(near) < wanted:
                return [*near, *odd]
            # What was not given scores less than this.
            beyond = 1 - farthest + self._margin
            best = heapq.nsmallest(top_k, near)
            if -best[-1][0] > beyond or (min_score is not None and min_score > beyond):
                return [*near, *odd]
            wanted *= 4
        return self._all(passing)

    def _near(self, wanted: int, passing: list[int] | None) -> tuple[list[Scored], float]:
        """Neighbours, scored, and the distance of the farthest."""
        only = "" if passing is None else "AND rowid IN (SELECT value FROM json_each(?))"
        given = [] if passing is None else [json.dumps(passing)]
        rows = list(
            self._database.run(
                "SELECT rowid, distance FROM vectors"  # noqa: S608  # our own words
                f" WHERE vector MATCH ? AND k = ? AND repository = ? {only}",
                self._vector.data,
                wanted,
                self._repository,
                *given,
            )
        )
        farthest = max((distance for _, distance in rows), default=0.0)
        return list(self._all([number for number, _ in rows])), farthest

    def _all(self, numbers: list[int] | None, *, only_odd: bool = False) -> Iterator[Scored]:
        """Items of these numbers, or of all, scored."""
        joined = "FROM items LEFT JOIN vectors ON vectors.rowid = items.number"
        chosen, given = "items.repository = ?", [self._repository]
        if numbers is not None:
            chosen, given = (
                "items.number IN (SELECT value FROM json_each(?))",
                [json.dumps(numbers)],
            )
        if only_odd:
            joined, chosen = "FROM items", f"{chosen} AND odd IS NOT NULL"
        vector = "odd" if only_odd else "coalesce(odd, vectors.vector)"
        rows = self._database.run(
            f"SELECT items.number, id, norm, {vector} {joined} WHERE {chosen}",
            *given,
        )
        for number, item_id, norm, data in self._watched(rows):
            yield -self._cosine(Vector.from_bytes(data), norm), item_id, number

    def _cosine(self, vector: Vector, norm: float) -> float:
        """The cosine of the angle between two vectors, -1 to 1. Zero vectors have no angle: 0."""
        if self._norm == 0 or norm == 0:
            return 0.0
        return max(-1.0, min(1.0, dot(self._vector, vector) / (self._norm * norm)))

    def _watched(self, rows: Iterable[tuple]) -> Iterator[tuple]:
        """The rows, with a look at the abort signal now and then."""
        for count, row in enumerate(rows):
            if count % _ABORT_CHECK_EVERY == 0:
                self._abort_signal.throw_if_aborted()
            yield row
