"""How long something goes on: for where the time of a call went."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager


class Stopwatch:
    """How long something went on, however many did it at once. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._passed = 0.0
        self._runners = 0
        self._since = 0.0

    @contextmanager
    def running(self) -> Iterator[None]:
        """While it goes on."""
        with self._lock:
            if self._runners == 0:
                self._since = time.monotonic()
            self._runners += 1
        try:
            yield
        finally:
            with self._lock:
                self._runners -= 1
                if self._runners == 0:
                    self._passed += time.monotonic() - self._since

    def seconds(self) -> float:
        """Until now."""
        with self._lock:
            return self._passed + (time.monotonic() - self._since if self._runners else 0.0)
