"""Starts a child for each case, and judges what is left of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from ..settings import Tier
from .cases import Case
from .report import Report

HUNG_SECONDS: Final = 60.0
"""How long a case may take before its child is taken for stuck."""

SECRET: Final = "the-hosts-own-secret-5f2c9d"  # noqa: S105  # planted to be looked for
_WORKER_MB: Final = 250
"""What a worker process is large by itself: an interpreter, the host's modules, an engine."""
_MAX_STDERR: Final = 2_000


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a case on a tier. It passed if there are no `failures`."""

    case: Case
    tier: Tier
    seconds: float
    failures: tuple[str, ...] = ()
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


def run_case(case: Case, tier: Tier, cache: Path, hung_seconds: float = HUNG_SECONDS) -> Result:
    """Runs a case in a child of its own, and kills the child if it hangs."""
    started = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="hostile-", ignore_cleanup_errors=True) as made:
        folder = Path(made)
        code, out, err = _run_child(case, tier, cache, folder, hung_seconds)
        try:
            report = Report.model_validate_json((folder / "report.json").read_text("utf-8"))
        except (OSError, ValidationError):
            report = None
    failures: list[str] = []
    died = _death(code)
    if code is None:
        failures.append(f"hung: the host was not done after {hung_seconds:g} s")
    elif died is not None:
        failures.append(f"host died: {died}")
    elif report is None:
        failures.append("the host ended without a report")
    if report is not None:
        failures += _failures(case, tier, report)
    if out:
        failures.append(f"something reached the host's stdout: {out[:100]!r}")
    return Result(
        case,
        tier,
        time.perf_counter() - started,
        tuple(failures),
        died,
        code is None,
        report or Report(),
        err[-_MAX_STDERR:].decode("utf-8", "replace"),
    )


def run_cases(wanted: Iterable[tuple[Case, Tier]], cache: Path, jobs: int = 1) -> Iterator[Result]:
    """Runs cases, this many at once, and gives each result as it comes, in their order."""
    with ThreadPoolExecutor(jobs) as pool:
        runs = [pool.submit(run_case, case, tier, cache) for case, tier in wanted]
        try:
            for run in runs:
                yield run.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _run_child(
    case: Case, tier: Tier, cache: Path, folder: Path, hung_seconds: float
) -> tuple[int | None, bytes, bytes]:
    """The child's exit code (none if it hung), and what it wrote.

    What it writes goes to files: a pipe that a process of its own keeps open would be waited for.
    """
    arguments = [str(case.folder), "--tier", tier, "--cache", str(cache), "--folder", str(folder)]
    with (
        (folder / "stdin").open("w+b") as stdin,
        (folder / "stdout").open("w+b") as stdout,
        (folder / "stderr").open("w+b") as stderr,
    ):
        stdin.write(f"{SECRET}\n".encode())
        stdin.seek(0)
        child = subprocess.Popen(  # noqa: S603  # this interpreter, and a module of this package
            [sys.executable, "-X", "faulthandler", "-m", f"{__package__}.child", *arguments],
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            env=_environment(),
            start_new_session=True,
        )
        code: int | None
        try:
            code = child.wait(hung_seconds)
        except subprocess.TimeoutExpired:
            code = None
        finally:
            _end(child)
        stdout.seek(0)
        stderr.seek(0)
        return code, stdout.read(), stderr.read()


def _environment() -> dict[str, str]:
    """Ours, with a secret in it, and where our modules are, however they came to be known."""
    path = os.pathsep.join(entry for entry in sys.path if entry)
    return {**os.environ, "PYTHONPATH": path, "ORCHESTRATOR_HOSTILE_SECRET": SECRET}


def _end(child: subprocess.Popen[bytes]) -> None:
    """Ends the child, and what it started that did not end with it."""
    if child.poll() is None:
        child.kill()
        child.wait()
    if hasattr(os, "killpg"):
        try:
            os.killpg(child.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            return  # nothing is left of it


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
    if report.peak_mb > case.peak_mb:
        yield f"the host grew by {report.peak_mb:.0f} MB, it may by {case.peak_mb}"
    if report.left_mb > case.bounds.left_mb:
        yield f"{report.left_mb:.0f} MB were left over, it may be {case.bounds.left_mb}"
    allowed = case.peak_mb + _WORKER_MB
    if tier == "process" and report.worker_peak_mb > allowed:
        yield f"a worker grew to {report.worker_peak_mb:.0f} MB, it may to {allowed}"
