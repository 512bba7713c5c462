"""Mutated components, from reading to calling: a typed error or a working plugin, nothing else."""

from __future__ import annotations

import random
from pathlib import Path
from typing import ClassVar, Final

from orchestrator_plugin_host import Limits

from ..loading import LIMITS, STAGES, Stages
from ..mutate import binary, sections, text
from ..seeds import Seed, seeds
from ..target import BrokenPromiseError, Outcome, Target

OUT_OF_TIME: Final = "DeadlineExceededError"
"""How an input ended that depends on how fast the machine is just then."""

_CONTROL_EVERY: Final = 100
"""After so many inputs a guest that is well must still work."""


class Components(Target):
    """Mutants of valid guests: of their text, of their sections, of their bytes."""

    name: ClassVar[str] = "components"
    seconds: ClassVar[float] = 30.0
    stages: ClassVar[tuple[str, ...]] = STAGES
    limits: ClassVar[Limits] = LIMITS

    def __init__(self, scratch: Path) -> None:
        super().__init__(scratch)
        self._stages = Stages(self.limits)
        self._runs = 0

    def make(self, chance: random.Random) -> bytes:
        """A mutant of one seed, crossed with another now and then."""
        one, other = chance.choice(seeds()), chance.choice(seeds())
        way = chance.random()
        if way < 0.55:
            return self._from_text(chance, one, other)
        if way < 0.85:
            return sections.mutated(chance, one.data, other.data)
        return binary.mutated(chance, one.data, other.data)

    def _from_text(self, chance: random.Random, one: Seed, other: Seed) -> bytes:
        core = text.mutated(chance, one.text, other.text)
        made = core + (one if chance.random() < 0.97 else other).manifest_section
        if chance.random() < 0.03:
            return sections.mutated(chance, made, other.data)
        return made

    def run(self, data: bytes) -> Outcome:
        """Takes it as far as it goes; now and then sees that a good guest still works."""
        outcome = self._stages.run(data)
        self._runs += 1
        if self._runs % _CONTROL_EVERY == 0:
            control = self._stages.run(seeds()[self._runs // _CONTROL_EVERY % 4].data)
            # On a machine that is busy enough even a good guest runs out of its little time.
            if control != Outcome("call", "works") and control.ended != OUT_OF_TIME:
                raise BrokenPromiseError(f"a good guest does not work any more: {control}")
        return outcome

    def close(self) -> None:
        """Frees the engine."""
        self._stages.close()
