"""What the harness measures of memory, while threads and processes come and go."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from orchestrator_plugin_host.hostile.memory import workers_peak_mb

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


@contextmanager
def coming_and_going() -> Iterator[None]:
    """Threads that end all the time, while the context is open."""
    over = threading.Event()

    def begin() -> None:
        while not over.is_set():
            one = threading.Thread(target=int)
            one.start()
            one.join()

    several = [threading.Thread(target=begin) for _ in range(2)]
    for one in several:
        one.start()
    try:
        yield
    finally:
        over.set()
        for one in several:
            one.join()


def test_threads_that_end_meanwhile_are_no_fault() -> None:
    with coming_and_going():
        assert all(workers_peak_mb() >= 0 for _ in range(10_000))
