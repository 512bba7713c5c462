"""The engine that all components of a host share, and the clock that interrupts them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from wasmtime import Engine

from . import _capi
from .config import make_engine
from .signals import SignalGuard

TICK_SECONDS: Final = 0.01
"""How often a running guest is asked whether it should go on."""


class SandboxEngine:
    """A wasmtime engine with the settings that untrusted guests need, and its clock."""

    def __init__(self) -> None:
        self.engine = make_engine()
        self._ticker = _Ticker(self.engine)
        self._signals = SignalGuard()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Around whatever runs guest code: lets epochs pass meanwhile.

        Raises `SignalsTakenError`.
        """
        self._signals.check()
        self._ticker.enter()
        try:
            yield
        finally:
            self._ticker.leave()

    def close(self) -> None:
        """Stops the clock."""
        self._ticker.stop()


class _Ticker:
    """A thread that moves the engine's epoch on while any guest runs, and sleeps otherwise."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._changed = threading.Condition()
        self._running = 0
        self._stopped = False
        self._thread: threading.Thread | None = None

    def enter(self) -> None:
        with self._changed:
            self._running += 1
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._run, name="orchestrator-plugin-epochs", daemon=True
                )
                self._thread.start()
            elif self._running == 1:
                self._changed.notify()

    def leave(self) -> None:
        with self._changed:
            self._running -= 1

    def stop(self) -> None:
        with self._changed:
            self._stopped = True
            self._changed.notify()
            thread = self._thread
        if thread is not None:
            thread.join()

    def _run(self) -> None:
        while True:
            with self._changed:
                if self._running == 0:
                    self._changed.wait_for(lambda: self._running > 0 or self._stopped)
                else:
                    self._changed.wait_for(lambda: self._stopped, timeout=TICK_SECONDS)
                if self._stopped:
                    return
            _capi.increment_epoch(self._engine)
