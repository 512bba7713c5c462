"""Mutated components of real plugins: large, with an interpreter inside. Slow: seconds an input."""

from __future__ import annotations

import random
from pathlib import Path
from typing import ClassVar, Final

from orchestrator_plugin_host import Limits
from support.building import BUILD

from ..loading import STAGES, Stages
from ..mutate import binary, sections
from ..target import Outcome, Target

_LIMITS: Final = Limits(fuel=20_000_000_000, deadline_ms=5_000)
"""Enough for an interpreter to start."""


class Built(Target):
    """Mutants of the components that the tests have built into `build/components`."""

    name: ClassVar[str] = "built"
    seconds: ClassVar[float] = 600.0
    most_mib: ClassVar[int] = 4096
    batch: ClassVar[int] = 20
    stages: ClassVar[tuple[str, ...]] = STAGES

    def __init__(self, scratch: Path) -> None:
        super().__init__(scratch)
        self._stages = Stages(_LIMITS)
        self._seeds = [path.read_bytes() for path in sorted(BUILD.glob("components/*.wasm"))]
        if not self._seeds:
            raise FileNotFoundError(f"no components in {BUILD}: run the tests first")

    def make(self, chance: random.Random) -> bytes:
        """A mutant of one, mostly of the code in it."""
        one, other = chance.choice(self._seeds), chance.choice(self._seeds)
        mutate = sections.mutated if chance.random() < 0.85 else binary.mutated
        return mutate(chance, one, other)

    def run(self, data: bytes) -> Outcome:
        """Takes it as far as it goes."""
        return self._stages.run(data)

    def close(self) -> None:
        """Frees the engine."""
        self._stages.close()
