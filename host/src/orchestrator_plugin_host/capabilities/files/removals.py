"""Removing what calls have left, later: nobody waits for it.

Artifacts of a call that failed, or of a plugin that is unloaded, may be a hundred thousand files.
One thread removes them, one folder after another. Closing the host waits for a moment; what is left
then goes on being removed, and only the end of the interpreter waits for that.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Final

_IDLE_SECONDS: Final = 5.0
_MOMENT_SECONDS: Final = 1.0
"""How long closing waits: long enough for all but a great many files."""
_LAST_SECONDS: Final = 60.0
"""How long the end of the interpreter waits for the last removals."""
MAX_WAITING: Final = 200_000
"""Files that may wait to be removed before no call gets a folder for more."""


class Removals:
    """Those of one host. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._queue: SimpleQueue[tuple[Callable[[], None], int] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._files = 0

    @property
    def behind(self) -> bool:
        """Whether so much waits to be removed that nothing should be made that adds to it."""
        return self._files > MAX_WAITING

    def add(self, remove: Callable[[], None], files: int) -> None:
        """Calls `remove`, which removes so many files and raises nothing, soon."""
        with self._lock:
            self._files += files
            self._queue.put((remove, files))
            if self._thread is None:
                # A host that nobody closes must not keep the interpreter from ending.
                self._thread = threading.Thread(
                    target=self._serve, name="orchestrator-plugin-removals", daemon=True
                )
                self._thread.start()

    def close(self) -> None:
        """Waits until everything is removed, but only for a moment. What is left then is removed
        before the interpreter ends, unless that takes more than a minute."""
        with self._lock:
            thread = self._thread
            if thread is None:
                return
            self._queue.put(None)
        thread.join(_MOMENT_SECONDS)
        if thread.is_alive():
            threading.Thread(
                target=thread.join,
                args=(_LAST_SECONDS,),
                name="orchestrator-plugin-last-removals",
                daemon=False,  # whatever thread closes the host
            ).start()

    def _serve(self) -> None:
        while True:
            try:
                found = self._queue.get(timeout=_IDLE_SECONDS)
            except Empty:
                found = None
            if found is not None:
                remove, files = found
                remove()
                del remove, found
                with self._lock:
                    self._files -= files
                continue
            with self._lock:
                if self._queue.empty():
                    self._thread = None
                    return
