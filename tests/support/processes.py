"""What the kernel says of processes: for tests of what is left over, and of what ends."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

HANG_SECONDS = 60.0
"""How long anything may take in a test before it counts as hanging: far longer than it needs."""


def children(parent: int) -> set[int]:
    """The processes that `parent` started and that have not been waited for."""
    found = set()
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            fields = _status(int(entry))
            if fields is not None and int(fields[1]) == parent:
                found.add(int(entry))
    return found


def state(process: int) -> str | None:
    """The letter of a process's state (`Z` is a zombie), none if it is gone."""
    fields = _status(process)
    return None if fields is None else fields[0]


def _status(process: int) -> list[str] | None:
    try:
        text = Path(f"/proc/{process}/stat").read_text()
    except OSError:  # it ended meanwhile
        return None
    return text.rpartition(")")[2].split()


def alive(process: int) -> bool:
    """Whether a process runs, or could. A zombie does not."""
    return state(process) not in (None, "Z")


def end(process: int, ending: signal.Signals) -> None:
    """Sends a process a signal, as a fault of its own would: SIGSEGV until it has ended, since
    wasmtime's handler passes the first on to whoever had it before, and expects the fault again.
    """
    with suppress(ProcessLookupError):
        os.kill(process, ending)
        while ending is signal.SIGSEGV and alive(process):
            time.sleep(0.005)
            os.kill(process, ending)


def resident_bytes(process: int) -> int:
    """Bytes of memory that a process holds; none if it is gone."""
    try:
        pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    except OSError:
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def status(process: int, name: str) -> int:
    """A number that the kernel says of a process; of memory, in kilobytes."""
    found = re.search(rf"^{name}:\s+(\d+)", Path(f"/proc/{process}/status").read_text(), re.M)
    assert found is not None, name
    return int(found[1])


def kernel_bytes(process: int) -> int:
    """Bytes of the tables that the kernel finds a process's pages by."""
    return status(process, "VmPTE") * 1024


def descriptors(process: int) -> int:
    """How many descriptors a process has open."""
    return len(os.listdir(f"/proc/{process}/fd"))


def wait_until(condition: Callable[[], object], what: str, seconds: float = HANG_SECONDS) -> None:
    """Waits for something that must come true. Fails the test if it never does."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, f"never came: {what}"
        time.sleep(0.005)


def environment() -> dict[str, str]:
    """The environment of a Python that finds what this one finds."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


def start(code: str, *arguments: object) -> subprocess.Popen[str]:
    """Python code in a process of its own, with pipes to it and from it."""
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
    )


def run(
    code: str, *arguments: object, seconds: float = HANG_SECONDS
) -> subprocess.CompletedProcess[str]:
    """Runs Python code in a process of its own, to its end. Fails the test if there is none."""
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        capture_output=True,
        text=True,
        env=environment(),
        timeout=seconds,
    )
