"""Facts of a run: the machine, the versions, the commit."""

from __future__ import annotations

import os
import platform
import subprocess
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from support.building import REPOSITORY

_PACKAGES = ("wasmtime", "extism", "extism-sys", "componentize-py", "pydantic", "anyio", "msgpack")


def facts() -> dict[str, Any]:
    """What ran on what."""
    return {
        "commit": _git("rev-parse", "--short=12", "HEAD"),
        "changed": bool(_git("status", "--porcelain", "--untracked-files=no")),
        "machine": {
            "processor": _processor(),
            "cores": len(os.sched_getaffinity(0))
            if hasattr(os, "sched_getaffinity")
            else os.cpu_count(),
            "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
            "system": f"{platform.system()} {platform.release()}",
            "architecture": platform.machine(),
        },
        "versions": {
            "python": f"{platform.python_implementation()} {platform.python_version()}",
            **{name: _version(name) for name in _PACKAGES},
        },
    }


class OtherWork:
    """How much of the machine others had since this was made: Linux counts what its cores did, and
    what this process and those that it has waited for did of it."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._before = self._seconds()

    def share(self) -> float | None:
        """The share of all cores; `None` where the system does not say."""
        now = self._seconds()
        if self._before is None or now is None:
            return None
        cores = (os.cpu_count() or 1) * (time.monotonic() - self._began)
        return round(max(now - self._before, 0.0) / cores, 3)

    def _seconds(self) -> float | None:
        try:
            first = Path("/proc/stat").read_text().split("\n", 1)[0].split()
        except OSError:
            return None
        user, nice, system, _, _, irq, softirq, steal = map(int, first[1:9])
        busy = (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")
        own = os.times()
        return busy - (own.user + own.system + own.children_user + own.children_system)


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", *arguments], cwd=REPOSITORY, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):  # not a clone
        return None
    return done.stdout.strip()


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    except OSError:
        pass
    return platform.processor() or "unknown"
