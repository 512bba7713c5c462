"""Searching: the vector stores among the examples that keep what they have."""

from __future__ import annotations

import array
import random
import time
import zlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

from orchestrator_plugin_sdk import FieldCondition, Vector, VectorItem, VectorQueryFilter
from support.backends import LASTING, Stores

from ..guests import ROOMY
from ..timing import Place, Round

_BATCH: Final = 1_000
_NUMBERS: Final = 1_000_003
_A_THIRD: Final = VectorQueryFilter(all_of=(FieldCondition("lang", "eq", "pl"),))
_A_HUNDRED: Final = VectorQueryFilter(all_of=(FieldCondition("number", "lt", 100),))
_QUERIES: Final[Mapping[str, tuple[int, VectorQueryFilter | None]]] = {
    "best": (1, None),
    "best_10": (10, None),
    "best_10_of_a_third": (10, _A_THIRD),
    "best_10_of_a_hundred": (10, _A_HUNDRED),
}


class _Vectors:
    """Random vectors, the same ones each time, cut out of one run of numbers."""

    def __init__(self, dims: int) -> None:
        chance = random.Random(1)
        self._dims = dims
        self._numbers = array.array("f", [chance.gauss(0, 1) for _ in range(_NUMBERS)])

    def __getitem__(self, number: int) -> Vector:
        start = number * 7919 % (_NUMBERS - self._dims)
        return Vector(self._numbers[start : start + self._dims])

    def items(self, start: int, end: int) -> list[VectorItem]:
        """Items with some metadata."""
        return [
            VectorItem(
                f"item-{number:08}",
                self[number],
                {"number": number, "lang": "en" if number % 3 else "pl"},
            )
            for number in range(start, end)
        ]


@asynccontextmanager
async def searching(place: Place, *, store: str, items: int, dims: int) -> AsyncIterator[Round]:
    """A store with so many vectors. A round has one query of each kind, an upsert of items that
    are there, and loads the store again. `check` is what was found, as a number: all stores are
    exact."""
    vectors = _Vectors(dims)
    backend, where = LASTING[store]
    limits = ROOMY.model_copy(update={"memory_bytes": 4 * items * dims + 128 * 1024 * 1024})
    quota = 8 * items * (dims + 100)
    async with Stores(backend, where, place.cache, place.folder / store, quota) as stores:
        opened = await stores.open(limits=limits)
        for start in range(0, items, _BATCH):
            await opened.upsert("repo", vectors.items(start, min(start + _BATCH, items)))
        batch, query = vectors.items(0, _BATCH), vectors[items + 17]

        async def round_(_: float) -> Mapping[str, float]:
            nonlocal opened
            figures: dict[str, float] = {}
            found: list[Any] = []
            for name, (top_k, filter_) in _QUERIES.items():
                started = time.perf_counter()
                answer = await opened.query("repo", query, top_k, filter=filter_)
                figures[name] = time.perf_counter() - started
                found.append([one.id for one in answer])
            started = time.perf_counter()
            await opened.upsert("repo", batch)
            figures["upsert"] = time.perf_counter() - started
            await opened.shutdown()
            started = time.perf_counter()
            opened = await stores.open(limits=limits)
            figures["load"] = time.perf_counter() - started
            return {**figures, "check": zlib.crc32(repr(found).encode())}

        yield round_
