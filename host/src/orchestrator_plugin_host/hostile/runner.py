"""Has each case played in a process of its own, and judges what is left of it."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Final, Self

from pydantic import ValidationError

from ..settings import Tier
from .cases import Case
from .forking import Forking
from .report import Report
from .server import serving

HUNG_SECONDS: Final = 60.0
"""How long a case may take before its process is taken for stuck."""

SECRET: Final = "the-hosts-own-secret-5f2c9d"  # noqa: S105  # planted to be looked for
_WORKER_MB: Final = 250
"""What a worker process is large by itself: an interpreter, the host's modules, an engine."""
_MAX_STDERR: Final = 20_000
_ATTEMPTS: Final = 3
"""How often a case is played whose times alone are not as they should be: a busy machine delays
something once, an attack that works does so each time."""


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a case on a tier. It passed if there are no `failures`."""

    case: Case
    tier: Tier
    seconds: float
    failures: tuple[str, ...] = ()
    late: tuple[str, ...] = ()
    """Those of them that are about times."""
    died: str | None = None
    """How the host's process ended, if it was not by itself: `SIGSEGV`, `exit code 3`."""
    hung: bool = False
    report: Report = field(default_factory=Report)
    stderr: str = ""

    @property
    def passed(self) -> bool:
        """Whether all was as it should be."""
        return not self.failures

    @property
    def overshoots_ms(self) -> list[float]:
        """Milliseconds past the deadline, of each step that a deadline ended."""
        return [step.overshoot_ms for step in self.report.steps if step.overshoot_ms is not None]

    @property
    def outcome(self) -> str:
        """How the case ended, in a few words: its last step's outcome, or its first failure."""
        if self.failures:
            return self.failures[0]
        return self.report.steps[-1].outcome if self.report.steps else ""

    def document(self) -> dict[str, Any]:
        """This as JSON."""
        return {
            "family": self.case.family,
            "case": self.case.name,
            "about": self.case.about,
            "tier": self.tier,
            "passed": self.passed,
            "failures": list(self.failures),
            "died": self.died,
            "hung": self.hung,
            "milliseconds": round(self.seconds * 1000, 1),
            "report": self.report.model_dump(),
        }


class Runner:
    """Runs cases one after another, each in a process of its own. A context manager."""

    def __init__(self, cache: Path, hung_seconds: float = HUNG_SECONDS) -> None:
        """`cache` is the directory of the compiled components. A case that takes `hung_seconds` is
        ended: it hangs."""
        self._cache = cache
        self._hung_seconds = hung_seconds
        self._environment = _environment()
        self._children = Forking(self._environment)

    def run(self, case: Case, tier: Tier) -> Result:
        """What becomes of a case on a tier. One that is late, and nothing else, is played again."""
        for _ in range(_ATTEMPTS):
            result = self._run(case, tier)
            if not result.late or result.late != result.failures:
                break
        return result

    def _run(self, case: Case, tier: Tier) -> Result:
        started = time.perf_counter()
        with (
            tempfile.TemporaryDirectory(prefix="hostile-", ignore_cleanup_errors=True) as made,
            serving(case.server, self._environment)
            if case.server
            else nullcontext(case.port) as port,
        ):
            folder = Path(made)
            (folder / "stdin").write_text(f"{SECRET}\n", "utf-8")
            asked = {
                "case": case.folder,
                "port": port,
                "tier": tier,
                "cache": self._cache,
                "folder": folder,
            }
            code = self._children.run(asked, self._hung_seconds)
            out = (folder / "stdout").read_bytes() if (folder / "stdout").exists() else b""
            err = (folder / "stderr").read_bytes() if (folder / "stderr").exists() else b""
            try:
                report = Report.model_validate_json((folder / "report.json").read_text("utf-8"))
            except (OSError, ValidationError):
                report = None
        failures: list[str] = []
        late: tuple[str, ...] = ()
        died = _death(code)
        if code is None:
            failures.append(f"hung: the host was not done after {self._hung_seconds:g} s")
        elif died is not None:
            failures.append(f"host died: {died}")
        elif report is None:
            failures.append("the host ended without a report")
        if report is not None:
            late = tuple(_late(case, report))
            failures += [*_failures(case, tier, report), *late]
        if out:
            failures.append(f"something reached the host's stdout: {out[:100]!r}")
        return Result(
            case,
            tier,
            time.perf_counter() - started,
            tuple(failures),
            late,
            died,
            code is None,
            report or Report(),
            err[-_MAX_STDERR:].decode("utf-8", "replace"),
        )

    def close(self) -> None:
        """Ends what starts the processes."""
        self._children.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def run_cases(wanted: Iterable[tuple[Case, Tier]], cache: Path, jobs: int = 1) -> Iterator[Result]:
    """Runs cases, this many at once, and yields each result as it comes, in their order."""
    with ExitStack() as opened:
        idle: SimpleQueue[Runner] = SimpleQueue()
        for _ in range(jobs):
            idle.put(opened.enter_context(Runner(cache)))
        pool = opened.enter_context(ThreadPoolExecutor(jobs))

        def run(case: Case, tier: Tier) -> Result:
            runner = idle.get()
            try:
                return runner.run(case, tier)
            finally:
                idle.put(runner)

        runs = [pool.submit(run, case, tier) for case, tier in wanted]
        try:
            for one in runs:
                yield one.result()
        finally:
            pool.shutdown(cancel_futures=True)


def _environment() -> dict[str, str]:
    """Ours, with a secret in it, and where our modules are, however they came to be known."""
    path = os.pathsep.join(entry for entry in sys.path if entry)
    return {**os.environ, "PYTHONPATH": path, "ORCHESTRATOR_HOSTILE_SECRET": SECRET}


def _death(code: int | None) -> str | None:
    if not code:
        return None
    if code > 0:
        return f"exit code {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"


def _failures(case: Case, tier: Tier, report: Report) -> Iterator[str]:
    for step in report.steps:
        for problem in step.problems:
            yield f"{step.do}: {problem}"
    yield from report.problems
    bounds, peak_mb = case.bounds, case.peak_mb(tier)
    if report.peak_mb > peak_mb:
        yield f"the host grew by {report.peak_mb:.0f} MB, it may by {peak_mb}"
    if report.left_mb > bounds.left_mb:
        yield f"{report.left_mb:.0f} MB were left over, it may be {bounds.left_mb}"
    allowed = case.peak_mb("in-process") + _WORKER_MB
    if tier == "process" and report.worker_peak_mb > allowed:
        yield f"a worker grew to {report.worker_peak_mb:.0f} MB, it may to {allowed}"


def _late(case: Case, report: Report) -> Iterator[str]:
    bounds, gaps = case.bounds, report.heartbeat
    if gaps.held_ms > bounds.gap_ms:
        yield (
            f"the event loop was held for {gaps.held_ms:.0f} ms during {gaps.during}, "
            f"it may be for {bounds.gap_ms}"
        )
    if report.neighbour_ms is not None and report.neighbour_ms > bounds.neighbour_ms:
        yield (
            f"the neighbour had to wait for {report.neighbour_ms:.0f} ms, "
            f"it may have to for {bounds.neighbour_ms}"
        )
    if report.threads_ms is not None and report.threads_ms > bounds.neighbour_ms:
        yield (
            f"the application had to wait for a thread for {report.threads_ms:.0f} ms, "
            f"it may have to for {bounds.neighbour_ms}"
        )
    for step in report.steps:
        late = step.overshoot_ms
        if late is not None and bounds.overshoot_ms is not None and late > bounds.overshoot_ms:
            yield (
                f"{step.do}: ended {late:.0f} ms after its deadline, it may {bounds.overshoot_ms}"
            )
