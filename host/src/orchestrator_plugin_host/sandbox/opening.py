"""The sandbox of one host, made once something needs it: loading wasmtime takes its time."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import TYPE_CHECKING

from ..errors import PluginClosedError

if TYPE_CHECKING:
    from .inprocess import Sandbox


class SharedSandbox:
    """A sandbox, made and checked when it is first asked for. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._starting = threading.Lock()
        self.made: Sandbox | None = None
        self._thread: threading.Thread | None = None
        self._closed = False

    def prepare(self) -> None:
        """Begins to make it in a thread of its own, so that whoever gets it has done something else
        meanwhile."""
        with self._starting:
            if self._thread is None:
                name = "orchestrator-plugin-sandbox"
                self._thread = threading.Thread(target=self._prepare, name=name, daemon=True)
                self._thread.start()

    def _prepare(self) -> None:
        with suppress(Exception):  # whoever gets it is told
            self.get()
            from . import templates  # noqa: F401  # which is what it is for

    def get(self) -> Sandbox:
        """The sandbox, which exchanges values with wasmtime as it should. Blocks while it is made.

        Raises `RuntimeError` for a wasmtime that it can't work with, `SignalsTakenError`, or
        `PluginClosedError`.
        """
        with self._lock:
            if self._closed:  # what is made now, nobody would free
                raise PluginClosedError("the host was closed while the plugin was being loaded")
            if self.made is None:
                from .inprocess import Sandbox
                from .selfcheck import check_round_trip

                sandbox = Sandbox()
                try:
                    check_round_trip(sandbox)
                except BaseException:
                    sandbox.close()
                    raise
                self.made = sandbox
            return self.made

    def close(self) -> None:
        """Closes it, if it was made. No other is made. Blocks while it is being made."""
        with self._lock:
            self._closed = True
            made, self.made = self.made, None
        if self._thread is not None:
            self._thread.join()
        if made is not None:
            made.close()
