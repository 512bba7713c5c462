"""A target with every fault there is, to see that the engine finds each: not one to fuzz."""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path
from typing import ClassVar, Final

from ..target import BrokenPromiseError, Outcome, Target

FAULTS: Final = {
    ord("w"): None,
    ord("r"): "BrokenPromiseError in faults.py:run",
    ord("s"): "SIGSEGV while run",
    ord("x"): "exit code 7 while run",
    ord("h"): "hang while run",
    ord("m"): "memory while run",
}
"""What the first byte of an input asks for, and how the finding is called."""


class Faults(Target):
    """Inputs that go well, raise, crash, exit, hang and take memory."""

    name: ClassVar[str] = "faults"
    seconds: ClassVar[float] = 2.0
    most_mib: ClassVar[int] = 300
    batch: ClassVar[int] = 40
    stages: ClassVar[tuple[str, ...]] = ("begun", "done")

    def __init__(self, scratch: Path) -> None:
        super().__init__(scratch)
        self._held: list[bytes] = []

    def make(self, chance: random.Random) -> bytes:
        """Mostly what goes well, with something after it that does not matter."""
        fault = ord("w") if chance.random() < 0.85 else chance.choice([*FAULTS])
        return bytes([fault]) + chance.randbytes(6)

    def run(self, data: bytes) -> Outcome:
        """Does what the first byte asks for."""
        match chr(data[0]) if data else "w":
            case "r":
                raise BrokenPromiseError("as it was told")
            case "s":
                os.kill(os.getpid(), signal.SIGSEGV)
            case "x":
                os._exit(7)
            case "h":
                time.sleep(1000)
            case "m":
                self._held.append(b"\1" * (400 << 20))
                time.sleep(1000)
        return Outcome("done", "well")
