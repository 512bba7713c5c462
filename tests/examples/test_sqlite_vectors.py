"""The example `sqlite-vectors`: what sqlite-vec rounds, it does not."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator

import pytest
from orchestrator_plugin_host import LoadedVectorMemoryBackend
from orchestrator_plugin_sdk import (
    FieldCondition,
    PluginCallError,
    Vector,
    VectorItem,
    VectorQueryFilter,
    load_plugin,
    load_project,
)
from support.backends import BACKENDS, Stores

pytestmark = pytest.mark.anyio
SQLITE, MEMORY = (
    next(one for one in BACKENDS if one.name == name)
    for name in ("sqlite-vectors", "memory-vectors")
)
ITEMS = 5_000


@pytest.fixture(scope="module", params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
async def both(
    anyio_backend: str,
) -> AsyncIterator[tuple[LoadedVectorMemoryBackend, LoadedVectorMemoryBackend]]:
    """The example, and the one that is the measure of all, with the same items: many near to each
    other, some the same, some zero or of sizes that single precision can't square."""
    chance = random.Random(1)
    items = []
    for number in range(ITEMS):
        vector = [1.0, chance.gauss(0, 1e-4), chance.choice([0.0, 1e-7, chance.random()])]
        if number % 50 == 0:
            vector = chance.choice([[0, 0, 0], [1e-30, 0, 0], [3e38, 1e30, -3e38]])
        items.append(VectorItem(f"{number:05}", Vector(vector), {"n": number}))
    async with (
        Stores(SQLITE, "native") as stores,
        Stores(MEMORY, "native") as measure,
    ):
        loaded = [await stores.open(), await measure.open()]
        for one in loaded:
            await one.upsert("repo", items)
        yield loaded[0], loaded[1]


FILTERS = {
    "none": None,
    "few": VectorQueryFilter(all_of=(FieldCondition("n", "lt", 100),)),
    "most": VectorQueryFilter(none_of=(FieldCondition("n", "lt", 100),)),
    "a score": VectorQueryFilter(min_score=0.9999999),
    "a score that none has": VectorQueryFilter(min_score=1.5),
    "both": VectorQueryFilter(any_of=(FieldCondition("n", "gt", 2000),), min_score=0.5),
}


@pytest.mark.parametrize("filter_", FILTERS.values(), ids=FILTERS)
@pytest.mark.parametrize("top_k", [1, 10, 700, 4500])
async def test_it_finds_what_a_search_through_all_finds(
    filter_: VectorQueryFilter | None,
    top_k: int,
    both: tuple[LoadedVectorMemoryBackend, LoadedVectorMemoryBackend],
) -> None:
    for query in ([1, 0, 0], [1, 0.5, 0.5], [0, 0, 0], [1e-30, 0, 1e-30], [3e38, 3e38, 0]):
        found, wanted = [await one.query("repo", query, top_k, filter=filter_) for one in both]
        assert [(one.id, one.score) for one in found] == [(one.id, one.score) for one in wanted]


async def test_it_says_which_config_it_lacks() -> None:
    with pytest.raises(PluginCallError, match="folder must be a path"):
        await load_plugin(load_project(SQLITE.folder), {})
