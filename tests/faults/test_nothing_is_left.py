"""Loading and closing, many times: memory, descriptors, threads and processes stay as they were."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from orchestrator_plugin_host.settings import Tier
from support.building import REPOSITORY
from support.guests import Guest
from support.processes import HANG_SECONDS, environment, run

pytestmark = pytest.mark.slow

MANY = """
import gc, json, os, sys, tempfile, threading
from pathlib import Path
import anyio
from orchestrator_plugin_host import HostSettings, PluginHost
from support.processes import children, descriptors, resident_bytes, wait_until

folder, tier, what, count = Path(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])
files = sorted(folder.glob("*.wasm"))
settings = HostSettings(cache_directory=folder / "cache", tier=tier)
shared = lambda: {*os.listdir("/dev/shm"), *os.listdir(tempfile.gettempdir())}

def held():
    gc.collect()
    wait_until(lambda: not children(os.getpid()), "the workers' end")
    return {
        "memory": resident_bytes(os.getpid()),
        "descriptors": descriptors(os.getpid()),
        "threads": threading.active_count(),
    }

async def use(host, number):
    async with await host.load(files[number % len(files)]) as plugin:
        assert (await plugin.health_check()).healthy

async def loads():
    async with PluginHost(settings) as host:
        for number in range(max(count // 4, 10)):  # more than are kept in memory
            await use(host, number)
        early.update(held())
        for number in range(count):
            await use(host, number)
        late.update(held())

async def hosts():
    for number in range(count + count // 2):
        async with PluginHost(settings) as host:
            await use(host, number)
        if number == count // 2:  # the first hundred still fill the allocator's arenas
            early.update(held())
    late.update(held())

early, late, before = {}, {}, shared()
anyio.run({"loads": loads, "hosts": hosts}[what])
print(json.dumps([early, late, sorted(shared() - before)]))
"""


@pytest.mark.parametrize(
    ("tier", "what", "count"),
    [("in-process", "loads", 300), ("in-process", "hosts", 200), ("process", "loads", 12)],
)
def test_loading_and_closing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tier: Tier, what: str, count: int
) -> None:
    for number in range(12):  # more than the host keeps in memory
        (tmp_path / f"{number}.wasm").write_bytes(Guest(data=bytes([number])).build())
    # Of its own, for others come and go in the system's while tests run beside this one.
    (tmp_path / "temporary").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    done = run(MANY, tmp_path, tier, what, count)
    assert (done.returncode, done.stderr) == (0, "")
    early, late, shared = json.loads(done.stdout)
    assert late["memory"] < early["memory"] + 10_000_000
    # A thread or two more of the event loop's own may be idle; hundreds of loads would show.
    assert late["descriptors"] <= early["descriptors"] + 4
    assert late["threads"] <= early["threads"] + 4
    assert shared == []


@pytest.mark.parametrize(("tier", "calls"), [("in-process", 2000), ("process", 80)])
def test_a_short_soak(tier: Tier, calls: int) -> None:
    soak = [sys.executable, "benchmarks/soak.py", f"--calls={calls}", f"--tier={tier}", "--seed=1"]
    done = subprocess.run(
        [*soak, "--json"],
        capture_output=True,
        text=True,
        env=environment(),
        cwd=REPOSITORY,
        timeout=HANG_SECONDS,
    )
    assert done.returncode == 0, done.stdout
