"""What a search costs in the vector stores among the examples that keep what they have.

    python benchmarks/vectors.py [--json] [--items N] [--dims N] [--runs N]

One table, made in one run: the median of each step in milliseconds, for `flat-vectors` in both
tiers and `sqlite-vectors` natively, and how that compares with `flat-vectors` on a thread.
Machines differ: it is the ratios that tell something.
"""

from __future__ import annotations

import argparse
import array
import json
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

import anyio

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from calls import show
from orchestrator_plugin_host import Limits, LoadedVectorMemoryBackend
from orchestrator_plugin_sdk import FieldCondition, Vector, VectorItem, VectorQueryFilter
from support.backends import LASTING, Stores

BATCH: Final = 1000
FIRST: Final = "flat-vectors-in-process"
"""What the others are compared with."""
TITLES: Final = {
    "flat-vectors-in-process": "in-process",
    "flat-vectors-process": "process",
    "sqlite-vectors-native": "sqlite",
}
A_THIRD: Final = VectorQueryFilter(all_of=(FieldCondition("lang", "eq", "pl"),))
FEW: Final = VectorQueryFilter(all_of=(FieldCondition("number", "lt", 100),))
POOL: Final = 1_000_003


class Vectors:
    """Vectors of chance, the same ones each time, without the time that chance takes."""

    def __init__(self, dims: int) -> None:
        chance = random.Random(1)
        self.dims = dims
        self.numbers = array.array("f", [chance.gauss(0, 1) for _ in range(POOL)])

    def __getitem__(self, number: int) -> Vector:
        start = number * 7919 % (POOL - self.dims)
        return Vector(self.numbers[start : start + self.dims])

    def item(self, number: int) -> VectorItem:
        """An item with some metadata."""
        metadata = {"number": number, "lang": "en" if number % 3 else "pl"}
        return VectorItem(f"item-{number:08}", self[number], metadata)


async def median_ms(call: Callable[[], Awaitable[Any]], runs: int) -> float:
    """The median of some calls, after one that does not count."""
    await call()
    times = []
    for _ in range(runs):
        started = time.perf_counter()
        await call()
        times.append(time.perf_counter() - started)
    return statistics.median(times) * 1000


async def steps(
    stores: Stores, vectors: Vectors, items: int, runs: int
) -> tuple[dict[str, float], list[list[str]]]:
    """What each step took, and the ids that were found."""
    took: dict[str, float] = {}
    found: list[list[str]] = []
    limits = Limits(memory_bytes=4 * items * vectors.dims + 128 * 1024 * 1024)
    store = await stores.open(limits=limits)
    batches = []
    for start in range(0, items, BATCH):
        batch = [vectors.item(number) for number in range(start, min(start + BATCH, items))]
        started = time.perf_counter()
        await store.upsert("repo", batch)
        batches.append(time.perf_counter() - started)
    took[f"upsert of {BATCH:,}"] = statistics.median(batches) * 1000
    query = vectors[items + 17]
    for name, top_k, filter_ in (
        ("query for 1", 1, None),
        ("query for 10", 10, None),
        ("10 of a third", 10, A_THIRD),
        ("10 of a hundred", 10, FEW),
    ):

        async def ask(top_k: int = top_k, filter_: VectorQueryFilter | None = filter_) -> Any:
            return await store.query("repo", query, top_k, filter=filter_)

        found.append([one.id for one in await ask()])
        took[name] = await median_ms(ask, runs)
    await store.shutdown()
    started = time.perf_counter()
    again: LoadedVectorMemoryBackend = await stores.open(limits=limits)
    took["load again"] = (time.perf_counter() - started) * 1000
    assert (await again.info()).item_count == items
    return took, found


async def table(items: int, dims: int, runs: int) -> list[dict[str, Any]]:
    """A row for each step."""
    vectors = Vectors(dims)
    took: dict[str, dict[str, float]] = {}
    answers = []
    with tempfile.TemporaryDirectory() as scratch:
        for name, (backend, place) in LASTING.items():
            folder = Path(scratch) / name
            quota = 8 * items * (dims + 100)
            async with Stores(backend, place, folder / "cache", folder, quota) as stores:
                took[name], found = await steps(stores, vectors, items, runs)
                answers.append(found)
    assert all(one == answers[0] for one in answers)  # all of them are exact
    rows = []
    for step, first in took[FIRST].items():
        row: dict[str, Any] = {"step": step}
        for name, found_here in took.items():
            row[f"{TITLES[name]}_ms"] = found_here[step]
        for name, found_here in took.items():
            if name != FIRST:
                row[f"{TITLES[name]}_to_thread"] = found_here[step] / first
        rows.append(row)
    return rows


def main() -> None:
    """Measures and prints."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--json", action="store_true", help="print one JSON document")
    arguments.add_argument("--items", type=int, default=100_000)
    arguments.add_argument("--dims", type=int, default=384)
    arguments.add_argument("--runs", type=int, default=15, help="calls of each kind")
    given = arguments.parse_args()
    rows = anyio.run(table, given.items, given.dims, given.runs)
    if given.json:
        print(json.dumps(rows, indent=2))
        return
    show(f"{given.items:,} vectors of {given.dims} numbers", rows)


if __name__ == "__main__":
    main()
