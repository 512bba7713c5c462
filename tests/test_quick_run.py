"""That a quick run of the tests leaves out repetitions only: see `conftest.py`."""

from __future__ import annotations

import re
import subprocess
import sys

from support.building import REPOSITORY

SUITES = "tests/conformance"
PLACES = ("asyncio", "trio", "native", "in-process", "process")


def collected(*options: str) -> list[str]:
    """The ids of the suites' tests."""
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", SUITES, *options]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    return [line for line in done.stdout.splitlines() if "::" in line]


def places(one: str) -> tuple[str, ...]:
    """Where a test runs, by its id."""
    words = re.findall(r"in-process|[a-z]+", one.partition("[")[2])
    return tuple(place for place in PLACES if place in words)


def test_a_quick_run_has_every_test_of_the_suites_in_every_place() -> None:
    quick, slow = collected(), collected("--slow")
    assert {(one.partition("[")[0], places(one)) for one in quick} == {
        (one.partition("[")[0], places(one)) for one in slow
    }
    assert {*quick} < {*slow}
    assert all({"trio", "process"} & {*places(one)} for one in {*slow} - {*quick})
