"""What the engine fuzzes: something that makes inputs from chance, and runs one."""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar


class BrokenPromiseError(Exception):
    """An input showed that something is not as it must be. The message says what."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an input ended, as it may: the stage that it reached, and what ended it."""

    stage: str
    ended: str


class Target(ABC):
    """One thing under test. Made once for each child process, then run with many inputs.

    `run` returns how the input ended. Whatever it raises is a finding; so is a process that ends,
    takes longer than `seconds` for one input, or has more than `most_mib` MiB resident.
    """

    name: ClassVar[str]
    seconds: ClassVar[float] = 10.0
    most_mib: ClassVar[int] = 1024
    batch: ClassVar[int] = 10_000
    stages: ClassVar[tuple[str, ...]]
    """Every stage, the deepest last."""

    def __init__(self, scratch: Path) -> None:
        """`scratch` is an empty folder that is removed after the batch."""
        self.scratch = scratch

    @abstractmethod
    def make(self, chance: random.Random) -> bytes:
        """An input. The same chance gives the same one."""

    @abstractmethod
    def run(self, data: bytes) -> Outcome:
        """Runs an input. Must depend on nothing but the input."""

    def close(self) -> None:  # noqa: B027  # most have nothing to free
        """Frees what the target holds."""


def chance_of(target: str, seed: int, index: int) -> random.Random:
    """The chance that makes the input of a number, on every machine and in every run."""
    return random.Random(f"{target} {seed} {index}")
