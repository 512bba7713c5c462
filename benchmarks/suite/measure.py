"""Runs rows: the two sides of each in processes of their own, asked in turn, round by round.

Ratios are of the two values of one round, so what else a machine does comes to both of them; the
median over the rounds is what counts. A row that fails is not measured, and says why; the others
go on.
"""

from __future__ import annotations

import json
import os
import select
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from support.building import REPOSITORY

from .model import Figure, Row, Side

READY_SECONDS: Final = 900.0
"""What a side may take to get ready: it may have to build and compile a plugin."""
ROUND_SECONDS: Final = 300.0
"""What a round may take before the row counts as hanging."""
_QUICK_ROUNDS: Final = 3
_QUICK_SECONDS: Final = 0.03

Values = Mapping[str, float]
Progress = Callable[[int, int], None]
"""Is told how many rounds of how many are over."""


class NotMeasuredError(Exception):
    """A row that could not be measured, and why."""


class _Contender:
    """One side of a row at work: a process."""

    def __init__(self, side: Side, options: Mapping[str, Any], cache: Path) -> None:
        self._title = side.title
        self._exits = ExitStack()
        folder = self._exits.enter_context(tempfile.TemporaryDirectory(prefix="bench-"))
        self._errors = self._exits.enter_context((Path(folder) / "stderr").open("w+"))
        path = [REPOSITORY / "benchmarks", REPOSITORY / "tests", os.environ.get("PYTHONPATH", "")]
        # Bytecode is kept, as that of installed packages is: the peers' is there in any case.
        variables = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "suite.child", side.factory, json.dumps(options), cache, folder],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            start_new_session=True,
            env={**variables, "PYTHONPATH": os.pathsep.join(map(str, path))},
        )
        self._received = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            assert self._process.stdin is not None
            self._process.stdin.close()
            if error is None:
                self._process.wait(60)
        except (OSError, subprocess.TimeoutExpired):
            pass  # it is ended below
        finally:
            with suppress(ProcessLookupError):  # with whatever it has started
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            assert self._process.stdout is not None
            self._process.stdout.close()
            self._exits.close()

    def ready(self) -> None:
        """Waits until it can be asked. Raises `NotMeasuredError`."""
        self._answer(READY_SECONDS)

    def round(self, seconds: float) -> Values:
        """A round's figures. Raises `NotMeasuredError`."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(f"{seconds}\n".encode())
            self._process.stdin.flush()
        except OSError:
            raise NotMeasuredError(self._ended()) from None
        figures: Values = self._answer(ROUND_SECONDS)["figures"]
        return figures

    def _answer(self, seconds: float) -> dict[str, Any]:
        stdout = self._process.stdout
        assert stdout is not None
        until = time.monotonic() + seconds
        while b"\n" not in self._received:
            if not select.select([stdout], [], [], max(until - time.monotonic(), 0))[0]:
                raise NotMeasuredError(f"{self._title}: no answer within {seconds:.0f} s")
            piece = os.read(stdout.fileno(), 65_536)
            if not piece:
                raise NotMeasuredError(self._ended())
            self._received += piece
        line, _, self._received = self._received.partition(b"\n")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise NotMeasuredError(f"{self._title}: {answer['error']}")
        return answer

    def _ended(self) -> str:
        code = self._process.wait()
        self._errors.seek(0)
        said = self._errors.read().strip().splitlines()
        how = f"was ended by signal {-code}" if code < 0 else f"ended with code {code}"
        return f"{self._title}: its process {how}" + (f": {said[-1]}" if said else "")


@dataclass(frozen=True)
class Run:
    """How rows are run: with a cache of compiled components; briefly, if it is `quick`."""

    cache: Path
    quick: bool = False
    rounds: int | None = None

    def row(self, row: Row, baseline: Mapping[str, Any], progress: Progress) -> dict[str, Any]:
        """A row's results, as JSON has them: `figures`, or why it was `not_measured`."""
        started = time.monotonic()
        try:
            rounds = self._rounds(row, progress)
        except NotMeasuredError as error:
            return {"not_measured": str(error)}
        figures = {}
        for figure in row.figures:
            figures[figure_name(figure)] = result_of(figure, rounds, baseline.get(row.name))
        return {"figures": figures, "took_seconds": round(time.monotonic() - started, 1)}

    def _rounds(self, row: Row, progress: Progress) -> list[tuple[Values, Values]]:
        count = self.rounds or (min(row.rounds, _QUICK_ROUNDS) if self.quick else row.rounds)
        seconds = min(row.seconds, _QUICK_SECONDS) if self.quick else row.seconds
        sides = [side for side in (row.ours, row.peer) if side is not None]
        found: list[tuple[Values, Values]] = []
        while len(found) < count:
            with ExitStack() as stack:
                contenders = [
                    stack.enter_context(_Contender(side, self._options(row, side), self.cache))
                    for side in sides
                ]
                for one in contenders:
                    one.ready()
                warm_up = not row.fresh
                while len(found) < count:
                    values = [one.round(seconds) for one in contenders]
                    if warm_up:
                        warm_up = False
                        continue
                    ours, peer = values[0], values[-1] if row.peer else {}
                    if ours.get("check") != peer.get("check"):
                        raise NotMeasuredError("the two sides answered differently")
                    found.append((ours, peer))
                    progress(len(found), count)
                    if row.fresh:
                        break
        return found

    def _options(self, row: Row, side: Side) -> dict[str, Any]:
        options = dict(side.options)
        if self.quick:
            options |= {name: one for name, one in row.quick.items() if name in options}
        return options


def figure_name(figure: Figure) -> str:
    """What a figure is called in the results: two of a row may be made of one value."""
    worst = "_worst" if figure.worst else ""
    return f"{figure.key}_{figure.compare}{worst}"


def result_of(
    figure: Figure, rounds: Sequence[tuple[Values, Values]], baseline: Mapping[str, Any] | None
) -> dict[str, Any]:
    """What a figure comes to: `value`, that of each of the `rounds`, and the medians of `ours` and
    the `peer`; `value` is `None` where there is no baseline."""
    ours = [one[figure.key] for one, _ in rounds]
    peers = [one[figure.key] for _, one in rounds if figure.key in one]
    document: dict[str, Any] = {
        "ours": statistics.median(ours),
        "peer": statistics.median(peers) if peers else None,
    }
    if figure.compare == "to_baseline" and baseline is None:
        return {"value": None, "rounds": [], **document}
    values = [
        _compared(figure, one, other, baseline)
        for one, other in zip(ours, peers or ours, strict=True)
    ]
    if figure.worst:
        value = min(values) if figure.at_least else max(values)
    else:
        value = statistics.median(values)
    return {"value": value, "rounds": values, **document}


def _compared(
    figure: Figure, ours: float, peer: float, baseline: Mapping[str, Any] | None
) -> float:
    match figure.compare:
        case "to_peer":
            return ours / peer
        case "alone":
            return ours
        case "per_gib":
            return (1 << 30) / ours
        case "host_share":
            return 1 - peer / ours
        case "throughput":
            return figure.factor * peer / ours
        case "to_baseline":
            assert baseline is not None
            return float(ours / peer / baseline[figure.key]["value"])
