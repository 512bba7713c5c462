"""What it costs to run a program that somebody else wrote, sandboxed, beside a process of Python.

    python benchmarks/interpreter.py [--json] [--runs N]

One table: `print(1 + 1)`, by the example `code-interpreter` in each tier, each time in an instance
of its own, and by `subprocess.run([sys.executable, "-c", …])`, which is no sandbox. All in one
run, in turn, so that what else the machine does comes to each of them. Before each there is a
pause, in which the sandbox makes the instance of the next call; "again" is a call right after
another, which waits for that.

Machines differ: the ratio to the process is what to go by. With `-I -S` a process starts with less
of Python than a program finds in the sandbox.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

import anyio

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from calls import show
from orchestrator_plugin_host import HostSettings, LoadedToolExecutor, PluginHost
from orchestrator_plugin_sdk import ToolPolicy, ToolRunRequest
from support.building import REPOSITORY, built

PROGRAM: Final = "print(1 + 1)"
PAUSE_SECONDS: Final = 0.5
EXAMPLE: Final = REPOSITORY / "guest-examples" / "code-interpreter"


async def sandboxed(plugin: LoadedToolExecutor) -> None:
    """One execute."""
    request = ToolRunRequest("python", stdin=PROGRAM)
    result = await plugin.execute(request, ToolPolicy(enabled=True))
    assert result.stdout == "2\n", result


async def process(*options: str) -> None:
    """One process, which the event loop waits for, as it has nothing else to do."""
    done = subprocess.run(  # noqa: ASYNC221  # nothing else to do
        [sys.executable, *options, "-c", PROGRAM], capture_output=True, check=True
    )
    assert done.stdout == b"2\n", done


async def rows(runs: int, cache: Path) -> list[dict[str, Any]]:
    """The table, in milliseconds."""
    async with PluginHost(HostSettings(cache_directory=cache)) as host:
        thread, worker = [
            await host.load(built(EXAMPLE), expect=LoadedToolExecutor, tier=tier)
            for tier in ("in-process", "process")
        ]
        ways: dict[str, Callable[[], Awaitable[None]]] = {
            "sandbox, in-process tier": lambda: sandboxed(thread),
            "sandbox, in-process tier, again": lambda: sandboxed(thread),
            "sandbox, process tier": lambda: sandboxed(worker),
            "sandbox, process tier, again": lambda: sandboxed(worker),
            "python -c": process,
            "python -I -S -c": lambda: process("-I", "-S"),
        }
        times: dict[str, list[float]] = {name: [] for name in ways}
        for turn in range(runs + 2):
            for name, way in ways.items():
                if not name.endswith("again"):
                    await anyio.sleep(PAUSE_SECONDS)
                started = time.perf_counter()
                await way()
                if turn >= 2:
                    times[name].append((time.perf_counter() - started) * 1000)
    plain = statistics.median(times["python -c"])
    return [
        {
            "way": name,
            "median_ms": statistics.median(found),
            "most_ms": max(found),
            "to_python": statistics.median(found) / plain,
        }
        for name, found in times.items()
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--json", action="store_true", help="the table as JSON")
    parser.add_argument("--runs", type=int, default=20, help="runs of each way")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as cache:
        table = anyio.run(rows, arguments.runs, Path(cache))
    if arguments.json:
        print(json.dumps(table))
    else:
        show("A program, from the call to its result", table)


if __name__ == "__main__":
    main()
