"""Runs inputs in child processes, watches each, and keeps what went wrong.

An input that ends its process, hangs, or makes it grow is found by the last line that the child
wrote; the inputs after it go on in a new process.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from .target import Target

TESTS: Final = Path(__file__).resolve().parents[1]
_STARTING_SECONDS: Final = 60.0
"""How long a child may take to start: it imports everything, and self-checks wasmtime."""


@dataclass(frozen=True, slots=True)
class Finding:
    """An input that ended as none may. `signature` is the same for findings of one kind."""

    number: int
    signature: str
    detail: str


@dataclass
class Tally:
    """What became of the inputs so far."""

    inputs: int = 0
    seconds: float = 0.0
    outcomes: Counter[tuple[str, str]] = field(default_factory=Counter)
    findings: list[Finding] = field(default_factory=list)
    peak_mib: int = 0
    slowest_ms: int = 0

    def stages(self) -> Counter[str]:
        """How many inputs each stage was the last of."""
        found: Counter[str] = Counter()
        for (stage, _), count in self.outcomes.items():
            found[stage] += count
        return found


class Child:
    """One child process. Iterating gives its lines, and a finding for whatever ended it early."""

    def __init__(self, target: type[Target], arguments: Sequence[object]) -> None:
        self._target = target
        self.number: int | None = None
        self.doing = "starting"
        self.peak_mib = 0
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  # closed with the child
        paths = [str(TESTS), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
        self._process = subprocess.Popen(
            [sys.executable, "-X", "faulthandler", "-m", "fuzz.child", *map(str, arguments)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            # One core: a small component takes longer to spread over several than to compile.
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join(filter(None, paths)),
                "RAYON_NUM_THREADS": "1",
            },
        )

    def __iter__(self) -> Iterator[list[str] | Finding]:
        assert self._process.stdout is not None
        pipe = self._process.stdout.fileno()
        started, rest = time.monotonic(), b""
        with selectors.DefaultSelector() as selector:
            selector.register(pipe, selectors.EVENT_READ)
            while True:
                bound = _STARTING_SECONDS if self.number is None else self._target.seconds
                if not selector.select(0.1) and time.monotonic() - started > bound:
                    yield self._ended_by("hang", f"more than {bound} s")
                    return
                if self._too_large():
                    yield self._ended_by("memory", f"{self.peak_mib} MiB resident")
                    return
                if not selector.select(0):
                    continue
                got = os.read(pipe, 1 << 16)
                if not got:
                    break
                started = time.monotonic()
                *lines, rest = (rest + got).split(b"\n")
                for line in lines:
                    words = line.decode("utf-8", "replace").split(" ", 2)
                    self.doing, self.number = words[0], int(words[1])
                    yield words
        code = self._process.wait()
        if code:
            name = signal.Signals(-code).name if code < 0 else f"exit code {code}"
            yield self._ended_by(name, "the process ended")

    def _too_large(self) -> bool:
        try:
            pages = int(Path(f"/proc/{self._process.pid}/statm").read_text().split()[1])
        except (OSError, IndexError, ValueError):
            return False
        mib = pages * os.sysconf("SC_PAGE_SIZE") >> 20
        self.peak_mib = max(self.peak_mib, mib)
        return mib > self._target.most_mib

    def _ended_by(self, how: str, what: str) -> Finding:
        self.stop()
        self._errors.seek(0)
        said = self._errors.read().decode("utf-8", "replace")[-6000:]
        number = -1 if self.number is None else self.number
        return Finding(number, f"{how} while {self.doing}", f"{what}\n{said}")

    def stop(self) -> None:
        """Ends the process, if it runs, and waits for it."""
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        """Ends it and frees what belongs to it."""
        self.stop()
        self._errors.close()
        assert self._process.stdout is not None
        self._process.stdout.close()


def run(target: type[Target], seed: int, first: int, last: int) -> Iterator[Tally]:
    """Runs the inputs of these numbers. Gives the tally again and again, and once at the end."""
    tally, at, before = Tally(), first, time.monotonic()
    while at < last:
        child = Child(target, ["run", target.name, seed, at, min(at + target.batch, last)])
        at = min(at + target.batch, last)
        try:
            for said in child:
                if isinstance(said, Finding):
                    tally.findings.append(said)
                    tally.inputs += 1
                    # What the child never came to is for the next one. A child that could not
                    # even start is a fault of the fuzzer's, and would be one for ever.
                    at = last if said.number < 0 else said.number + 1
                elif said[0] in ("end", "bad"):
                    _count(tally, said)
                    tally.seconds = time.monotonic() - before
                    yield tally
        finally:
            tally.peak_mib = max(tally.peak_mib, child.peak_mib)
            child.close()
    tally.seconds = time.monotonic() - before
    yield tally


def _count(tally: Tally, said: list[str]) -> None:
    tally.inputs += 1
    if said[0] == "end":
        took, _, how = said[2].partition(" ")
        stage, _, ended = how.partition("\t")
        tally.slowest_ms = max(tally.slowest_ms, int(took))
        tally.outcomes[stage, ended] += 1
    else:
        found = json.loads(said[2])
        tally.findings.append(Finding(int(said[1]), found["signature"], found["detail"]))


def run_files(target: type[Target], paths: Sequence[Path]) -> list[Finding | str]:
    """Runs inputs from files, in one child for as long as it lives; how each of them ended."""
    ended: list[Finding | str] = []
    while len(ended) < len(paths):
        child = Child(target, ["files", target.name, *paths[len(ended) :]])
        before = len(ended)
        try:
            for said in child:
                if isinstance(said, Finding):
                    ended.append(said)
                elif said[0] == "end":
                    ended.append(said[2].partition(" ")[2].replace("\t", ": "))
                elif said[0] == "bad":
                    found = json.loads(said[2])
                    ended.append(Finding(len(ended), found["signature"], found["detail"]))
        finally:
            child.close()
        assert len(ended) > before, "a child ran nothing and said nothing"
    return ended


def write_input(target: type[Target], seed: int, number: int, path: Path) -> bool:
    """Makes an input again and writes it; whether that went well."""
    child = Child(target, ["make", target.name, seed, number, path])
    try:
        return not list(child) and path.is_file()
    finally:
        child.close()
