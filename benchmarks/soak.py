"""Many calls of all kinds, good and bad, and what they leave behind.

    python benchmarks/soak.py [--calls N] [--tier in-process|process|both] [--seed N] [--json]

Plugins of all four kinds answer, trap, run out of fuel, time and memory, log, stream, and are left
in the middle of it, in an order that the seed decides. Files that are no plugins are loaded
between them. The report says what the process held at the start, after the first 10,000 calls and
at the end. It exits with 1 if the end is not where the first 10,000 calls had left it, or if any
call ended otherwise than it had to.

Memory may differ by 10 MB or a tenth, whichever is more: allocators keep and give back memory as
they please, and the stores of guests come and go in pieces of megabytes. A leak of 60 bytes a call
is more than that after 200,000. Descriptors and threads may differ by 8: idle instances are as many
as calls happened to be under way at once, and so are the workers that are kept without one. Nothing
else may be left: no child but those workers, and no zombie.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import anyio

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from orchestrator_plugin_host import HostSettings, PluginHost, PoolSettings
from soak_plugins import GUESTS, MIX, OPERATIONS, generate
from support.processes import children, descriptors, resident_bytes, state

TASKS: Final = 6
"""Callers at once."""
FIRST: Final = 10_000
"""After how many calls the process is expected to hold what it will go on to hold."""
MEMORY_BYTES: Final = 10_000_000
MEMORY_PART: Final = 0.1
COUNT: Final = 8


@dataclass
class Held:
    """What a process holds, workers of idle instances included."""

    calls: int
    memory_bytes: int
    memory_of_children: int
    descriptors: int
    threads: int
    children: int
    zombies: int


def held(calls: int) -> Held:
    """What this process holds now."""
    gc.collect()
    started = children(os.getpid())
    return Held(
        calls=calls,
        memory_bytes=resident_bytes(os.getpid()),
        memory_of_children=sum(map(resident_bytes, started)),
        descriptors=descriptors(os.getpid()),
        threads=threading.active_count(),
        children=len(started),
        zombies=sum(state(one) == "Z" for one in started),
    )


@dataclass
class Report:
    """One tier's run."""

    tier: str
    seed: int
    calls: int
    calls_per_second: float = 0.0
    held: list[Held] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)

    def judge(self) -> None:
        """Notes where the end is not where the first calls had left it."""
        _, early, late = self.held
        tolerance = max(MEMORY_BYTES, int(early.memory_bytes * MEMORY_PART))
        if late.memory_bytes > early.memory_bytes + tolerance:
            self.faults.append(f"memory grew from {early.memory_bytes:,} to {late.memory_bytes:,}")
        for name in ("descriptors", "threads", "children"):
            before, after = getattr(early, name), getattr(late, name)
            # Of an idle worker: the channel and its errors' pipe.
            spare = COUNT * 2 if name == "descriptors" and self.tier == "process" else COUNT
            if after > before + spare:
                self.faults.append(f"{name} grew from {before} to {after}")
        if late.zombies:
            self.faults.append(f"{late.zombies} zombies")


class Soak:
    """One host, its plugins, and the callers."""

    def __init__(self, host: PluginHost, folder: Path, report: Report, say: Callable[..., None]):
        self._host, self._folder, self._report, self._say = host, folder, report, say
        self._random = random.Random(report.seed)
        self._plugins: dict[str, Any] = {}
        self._done = 0
        self._counts: Counter[str] = Counter()

    async def run(self) -> None:
        """Makes all the calls."""
        report = self._report
        report.held.append(held(0))
        for name, (guest, limits) in GUESTS.items():
            path = self._folder / f"{name}.wasm"
            path.write_bytes(guest.build())
            pool = PoolSettings(instances=2, idle=1)
            self._plugins[name] = await self._host.load(path, limits=limits, pool=pool)
        (self._folder / "none.wasm").write_bytes(b"\0asm and nothing more")
        began = time.monotonic()
        for until in (min(FIRST, report.calls // 2), report.calls):
            while self._done < until:
                await self._some(min(until, self._done + 1000))
                rate = self._done / (time.monotonic() - began)
                self._say(f"{report.tier}: {self._done:,} calls, {rate:,.0f} a second")
            report.held.append(held(self._done))
        report.calls_per_second = round(report.calls / (time.monotonic() - began), 1)
        report.counts = dict(sorted(self._counts.items()))
        report.judge()

    async def _some(self, until: int) -> None:
        async with anyio.create_task_group() as group:
            for _ in range(TASKS):
                group.start_soon(self._caller, until)

    async def _caller(self, until: int) -> None:
        names, weights = list(MIX), [weight for weight, _ in MIX.values()]
        while self._done < until:
            self._done += 1
            (name,) = self._random.choices(names, weights)
            ended = "answered"
            try:
                await self._one(name)
            except Exception as error:
                ended = type(error).__name__
            self._counts[f"{name}: {ended}"] += 1
            wanted = MIX[name][1] or "answered"
            if ended != wanted and len(self._report.faults) < 20:
                self._report.faults.append(f"{name} ended with {ended} in place of {wanted}")

    async def _one(self, name: str) -> None:
        if name in ("no component", "load and unload"):
            file = "none" if name == "no component" else "provider"
            async with await self._host.load(self._folder / f"{file}.wasm") as plugin:
                await plugin.health_check()
            return
        plugin = self._plugins["log" if name == "raising logger" else name]
        await OPERATIONS.get(name, generate)(plugin, self._random)


def tables(report: Report) -> None:
    """Prints one tier's report."""
    print(f"\n{report.tier} tier, seed {report.seed}: {report.calls:,} calls, "
          f"{report.calls_per_second:,.0f} a second")  # fmt: skip
    for name in Held.__dataclass_fields__:
        print(f"  {name:<20}", *(f"{getattr(one, name):>14,}" for one in report.held))
    for name, count in report.counts.items():
        print(f"  {count:>9,}  {name}")
    for fault in report.faults:
        print(f"  FAULT: {fault}")


async def soak(report: Report, say: Callable[..., None]) -> None:
    """One tier's calls, in a host of their own."""
    with tempfile.TemporaryDirectory() as folder:
        settings = HostSettings(tier=report.tier, cache_directory=Path(folder) / "cache")
        async with PluginHost(settings) as host:
            await Soak(host, Path(folder), report, say).run()
    for _ in range(100):  # workers that were killed give their memory back first
        if not children(os.getpid()):
            break
        await anyio.sleep(0.1)
    if left := children(os.getpid()):
        report.faults.append(f"{len(left)} children after the host was closed")


def main() -> int:
    """Runs what the command's arguments say; gives the exit code."""
    parser = argparse.ArgumentParser(description="Many calls, and what they leave behind.")
    parser.add_argument("--calls", type=int, default=200_000, help="of each tier")
    parser.add_argument("--tier", choices=("in-process", "process", "both"), default="both")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    given = parser.parse_args()
    tiers = ("in-process", "process") if given.tier == "both" else (given.tier,)
    reports = [Report(tier, given.seed, given.calls) for tier in tiers]

    def say(words: str) -> None:
        if sys.stderr.isatty():
            print(f"\r\033[K{words}", end="", file=sys.stderr, flush=True)
        elif words.split()[1].endswith("0,000"):
            print(words, file=sys.stderr, flush=True)

    for report in reports:
        anyio.run(soak, report, say)
        if not given.json:
            tables(report)
    if given.json:
        print(json.dumps([asdict(report) for report in reports], indent=2))
    return int(any(report.faults for report in reports))


if __name__ == "__main__":
    sys.exit(main())
