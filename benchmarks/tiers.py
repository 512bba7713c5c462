"""What the two tiers cost, and how far a caller waits past a deadline.

    python benchmarks/tiers.py [--json] [--runs N]

Two tables, each made in one run:

1. For each tier: a call of a small and of a large document, a first instance and one that replaces
   a crashed one.
2. For each tier and way to be late: milliseconds past the deadline when the caller has its error.

Machines differ: the first table gives the ratio of the process tier to the in-process tier.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import anyio

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from calls import median_us_async, show
from orchestrator_plugin_host import (
    DeadlineExceededError,
    HostSettings,
    Limits,
    LoadedProvider,
    PluginHost,
    PluginTrapError,
    Policy,
    PoolSettings,
)
from orchestrator_plugin_host.settings import Tier
from orchestrator_plugin_sdk import pack
from support.guests import DATA, Guest
from support.wasi import wasi_guest

DEADLINE_MS: Final = 300
TIERS: Final[tuple[Tier, ...]] = ("in-process", "process")
LONG: Final = pack({"text": "x" * 1_000_000}).decode("latin-1").encode()
"""An answer in the form `latin1`."""
GUESTS: Final = {
    "small": Guest(),
    "large": Guest(
        memory="64",
        functions={
            "generate": f"(call $ok_payload (i32.const 1) (i32.const {DATA}) "
            f"(i32.const {len(LONG)}))"
        },
        data=LONG,
        realloc="(global.set $top (i32.const 2000000))",
    ),
    "crash": Guest(functions={"generate": "(unreachable)"}),
}
LATE: Final = {
    "spins": Guest(functions={"generate": "(loop $l (br $l)) (unreachable)"}),
    "sleeps": Guest(functions={"generate": "(call $sleep (i64.const 9999999)) (unreachable)"}),
    "blocks in WASI": wasi_guest(
        functions={
            "generate": "(call $block (call $subscribe (i64.const 1000000000))) (unreachable)"
        }
    ),
}


async def loaded(host: PluginHost, guest: Guest, folder: Path, **options: Any) -> LoadedProvider:
    """A guest, loaded."""
    path = folder / "guest.wasm"
    path.write_bytes(guest.build())
    return await host.load(path, expect=LoadedProvider, **options)


async def tier_rows(folder: Path) -> list[dict[str, Any]]:
    """Table 1, in microseconds."""
    request: dict[str, Any] = {"messages": []}
    found: dict[str, dict[str, float]] = {tier: {} for tier in TIERS}
    async with PluginHost(HostSettings(cache_directory=folder)) as host:
        for tier in TIERS:
            row = found[tier]
            for name in ("small", "large"):
                plugin = await loaded(host, GUESTS[name], folder, tier=tier)
                row[f"call, {name} answer"] = await median_us_async(
                    lambda plugin=plugin: plugin.generate(request)
                )
                await plugin.shutdown()
            started = time.perf_counter()
            plugin = await loaded(host, GUESTS["small"], folder, tier=tier)
            row["load from the cache, first instance"] = (time.perf_counter() - started) * 1e6
            await plugin.shutdown()
            crashing = await loaded(host, GUESTS["crash"], folder, tier=tier)
            row["call after a crash"] = await after_a_crash(crashing)
    return [
        {"step": step, "thread_us": one, "process_us": found["process"][step],
         "process_to_thread": found["process"][step] / one}
        for step, one in found["in-process"].items()
    ]  # fmt: skip


async def after_a_crash(plugin: LoadedProvider) -> float:
    """Microseconds of a call that needs a new instance, half a second after the one before."""
    times = []
    for _ in range(7):
        with suppress(PluginTrapError):
            await plugin.generate({"messages": []})
        await anyio.sleep(0.5)
        started = time.perf_counter()
        await plugin.health_check()
        times.append(time.perf_counter() - started)
    return statistics.median(times) * 1e6


async def overshoot_ms(run: Callable[[], Awaitable[Any]], runs: int) -> list[float]:
    """Milliseconds past the deadline, sorted."""
    found = []
    for _ in range(runs):
        started = time.perf_counter()
        with suppress(DeadlineExceededError):
            await run()
        found.append((time.perf_counter() - started) * 1000 - DEADLINE_MS)
        await anyio.sleep(0.8)  # what blocks comes back, a worker gets ready
    return sorted(found)


async def late_rows(folder: Path, runs: int) -> list[dict[str, Any]]:
    """Table 2, in milliseconds."""
    rows = []
    settings = HostSettings(cache_directory=folder, policy=Policy(wasi="core"))
    async with PluginHost(settings) as host:
        for tier in TIERS:
            for name, guest in LATE.items():
                plugin = await loaded(
                    host,
                    guest,
                    folder,
                    tier=tier,
                    limits=Limits(deadline_ms=DEADLINE_MS),
                    pool=PoolSettings(instances=4),
                )
                found = await overshoot_ms(lambda plugin=plugin: plugin.generate({"messages": []}),
                                           runs)  # fmt: skip
                rows.append(
                    {
                        "tier": tier,
                        "guest": name,
                        "runs": runs,
                        "p50_ms": statistics.median(found),
                        "p99_ms": found[min(int(runs * 0.99), runs - 1)],
                        "max_ms": found[-1],
                    }
                )
                await plugin.shutdown()
    return rows


def main() -> None:
    """Measures and prints."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--json", action="store_true", help="print one JSON document")
    arguments.add_argument("--runs", type=int, default=20, help="late calls of each kind")
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        tables = {
            "tiers": anyio.run(tier_rows, Path(scratch)),
            "late": anyio.run(late_rows, Path(scratch), given.runs),
        }
    if given.json:
        print(json.dumps(tables, indent=2))
        return
    show("The two tiers", tables["tiers"])
    show(f"Past a deadline of {DEADLINE_MS} ms", tables["late"])


if __name__ == "__main__":
    main()
