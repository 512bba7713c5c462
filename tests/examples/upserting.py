"""A process that changes a store without end, and says what has been acknowledged, until it is
killed. Run by `test_flat_vectors`: `python upserting.py FOLDER CACHE TIER START`."""

from __future__ import annotations

import sys
from pathlib import Path

import anyio

sys.path.insert(0, str(Path(__file__).parents[1]))

from orchestrator_plugin_sdk import Vector, VectorItem
from support.backends import BACKENDS, Stores

LARGE = "x" * 300_000
"""The text of an item that is replaced each time, so that the log is written anew often."""


def item(number: int) -> VectorItem:
    """The item of a number."""
    return VectorItem(f"{number}", Vector([number, 1, -number]), {"n": number}, f"text {number}")


async def upsert(folder: Path, cache: Path, tier: str, start: int) -> None:
    """Puts items in pairs, and removes each fifth again."""
    (backend,) = [one for one in BACKENDS if one.name == "flat-vectors"]
    async with Stores(backend, tier, cache, folder) as stores:
        store = await stores.open()
        print("ready", flush=True)
        for number in range(start, start + 100_000, 2):
            pair = [item(number), item(number + 1)]
            large = VectorItem("large", Vector([number, 2, 3]), {"n": number}, LARGE)
            await store.upsert("repo", [*pair, large])
            print(f"+{number} +{number + 1}", flush=True)
            if number % 5 == 0:
                print(f"?{number}", flush=True)  # about to be removed: it may be there or not
                await store.delete_by_ids("repo", [str(number)])
                print(f"-{number}", flush=True)


if __name__ == "__main__":
    anyio.run(upsert, Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], int(sys.argv[4]))
