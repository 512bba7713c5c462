"""How much memory this process, and those that it started, have taken."""

from __future__ import annotations

import ctypes
import gc
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final

_PROC: Final = Path("/proc")


def resident_mb() -> float:
    """Megabytes that this process has now, after what is garbage was given back."""
    gc.collect()
    if sys.platform == "linux":
        # Otherwise what the allocator keeps for later looks like a leak.
        ctypes.CDLL(None).malloc_trim(0)
    return _status("self", "VmRSS")


def forget_peak() -> None:
    """Makes now the beginning of what `peak_mb` tells."""
    if sys.platform == "linux":
        (_PROC / "self" / "clear_refs").write_text("5")


def peak_mb() -> float:
    """Megabytes that this process had at most."""
    return _status("self", "VmHWM")


def workers_peak_mb() -> float:
    """Megabytes that the largest process had which this one started, whether it lives or not."""
    import resource  # not on Windows

    ended = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    if sys.platform == "darwin":
        ended /= 1024
    return max([ended, *(_status(pid, "VmHWM") for pid in _children())])


def _children() -> list[str]:
    found: list[str] = []
    for task in _PROC.glob("self/task/*/children"):
        with suppress(OSError):  # a thread that has just ended
            found += task.read_text().split()
    return found


def _status(pid: str, name: str) -> float:
    try:
        lines = (_PROC / pid / "status").read_text().splitlines()
    except OSError:  # it has just ended, or this is no Linux
        return 0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith(name)), 0)
