"""Mutants in both tiers: a guest must end alike on a thread and in a process of its own."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Final

from orchestrator_plugin_host import Limits

from ..loading import LIMITS, STAGES, Stages
from ..target import BrokenPromiseError, Outcome
from .components import OUT_OF_TIME, Components

_LIMITS: Final = LIMITS.model_copy(update={"deadline_ms": 3_000})
"""Time enough to start a worker on a busy machine."""


class Tiers(Components):
    """Mutants as of `components`, run twice."""

    name: ClassVar[str] = "tiers"
    seconds: ClassVar[float] = 60.0
    limits: ClassVar[Limits] = _LIMITS

    def __init__(self, scratch: Path) -> None:
        super().__init__(scratch)
        self._processes = Stages(self.limits, "process")

    def run(self, data: bytes) -> Outcome:
        """Runs it in both, and compares how it ended."""
        on_thread = super().run(data)
        if STAGES.index(on_thread.stage) < STAGES.index("instantiate"):
            return on_thread
        in_process = self._processes.run(data)
        if on_thread != in_process and OUT_OF_TIME not in (on_thread.ended, in_process.ended):
            raise BrokenPromiseError(f"on a thread {on_thread}, in a process {in_process}")
        return on_thread

    def close(self) -> None:
        """Frees the engines."""
        self._processes.close()
        super().close()
