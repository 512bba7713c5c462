"""`orchestrator-plugin hostile`."""

from __future__ import annotations

from pathlib import Path

import pytest
from orchestrator_plugin_host.cli import hostile as module
from orchestrator_plugin_host.hostile.cases import CaseError, read_case

from .conftest import Command

SPIN = ("--tier", "in-process", "--family", "cpu", "--case", "spin-in-a-call")
SPIN += ("--max-gap-ms", "10000")
NEIGHBOUR = ("--tier", "in-process", "--family", "host-work", "--case", "asks-for-the-time")
TOML = """
about = "Spins, and is expected to answer"
limits = { deadline_ms = 100 }

[[steps]]
do = "generate"
"""
WAT = ";;@ generate\n(loop $for_ever (br $for_ever)) (unreachable)\n"


def test_a_table_and_a_summary(command: Command) -> None:
    done = command("hostile", *SPIN, "--max-overshoot-ms", "10000")
    assert done.code == 0, done.out
    assert "spin-in-a-call" in done.out
    assert "Spins for ever in generate" in done.out
    assert "DeadlineExceededError" in done.out
    assert "in-process: 1 of 1 cases as they should be, 0 hosts died, 0 hung" in done.out
    assert "1 deadlines overshot by" in done.out
    assert "event loops held for" in done.out
    assert "cpu/spin-in-a-call" in done.out


def test_json(command: Command) -> None:
    done = command("hostile", *SPIN, "--max-overshoot-ms", "10000", "--json")
    assert done.code == 0, done.out
    assert done.document["ok"] is True
    assert done.document["tiers"] == {"in-process": {"cases": 1, "passed": 1, "died": 0, "hung": 0}}
    measured = done.document["overshoot_ms"]
    assert measured["p50"] == measured["p99"] == measured["max"]
    assert measured["count"] == 1
    assert done.document["gap_ms"]["worst"] == {"case": "cpu/spin-in-a-call", "tier": "in-process"}
    assert done.document["neighbour_ms"] == {"p50": None, "p99": None, "max": None, "count": 0}
    (case,) = done.document["cases"]
    assert done.document["gap_ms"]["max"] == case["report"]["heartbeat"]["held_ms"]
    assert (case["family"], case["case"], case["passed"]) == ("cpu", "spin-in-a-call", True)
    assert [step["do"] for step in case["report"]["steps"]] == ["load", "generate"]
    assert done.err == ""


def test_deadlines_that_are_not_kept(command: Command) -> None:
    done = command("hostile", *SPIN, "--max-overshoot-ms", "-1000", "--json")
    assert done.code == 1
    assert done.document["ok"] is False
    assert done.document["tiers"]["in-process"]["passed"] == 1


def test_event_loops_that_are_held(command: Command) -> None:
    done = command("hostile", *SPIN, "--max-gap-ms", "-1", "--json")
    assert done.code == 1
    assert done.document["ok"] is False
    assert done.document["tiers"]["in-process"]["passed"] == 1


def test_how_long_a_neighbour_waited(command: Command) -> None:
    done = command("hostile", *NEIGHBOUR, "--max-gap-ms", "10000")
    assert "other plugins waited for" in done.out
    done = command("hostile", *NEIGHBOUR, "--max-gap-ms", "10000", "--json")
    (case,) = done.document["cases"]
    assert case["report"]["neighbour_calls"] > 0
    assert done.document["neighbour_ms"]["max"] == case["report"]["neighbour_ms"]


def test_a_case_that_fails(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "family" / "case"
    folder.mkdir(parents=True)
    (folder / "case.toml").write_text(TOML)
    (folder / "guest.wat").write_text(WAT)
    monkeypatch.setattr(module, "read_corpus", lambda: (read_case(folder),))
    done = command("hostile", "--tier", "in-process")
    assert done.code == 1
    assert "expected an" in done.out
    assert "in-process: 0 of 1 cases as they should be" in done.out
    done = command("hostile", "--tier", "in-process", "--json")
    assert done.code == 1
    (failure,) = done.document["cases"][0]["failures"]
    assert failure.startswith("generate: expected an answer, got DeadlineExceededError")


def test_a_corpus_that_can_not_be_read(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreadable() -> None:
        raise CaseError("family/case: colour: Extra inputs are not permitted")

    monkeypatch.setattr(module, "read_corpus", unreadable)
    done = command("hostile", "--json")
    assert done.code == 2
    assert "colour" in done.error["message"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--family", "flowers"), "there is no family 'flowers': there are after-the-end, "),
        (("--case", "daisy"), "there is no case 'daisy'"),
        (("--family", "cpu", "--case", "daisy"), "there is no case 'daisy' in 'cpu'"),
    ],
)
def test_what_there_is_not(command: Command, arguments: tuple[str, ...], says: str) -> None:
    done = command("hostile", "--json", *arguments)
    assert done.code == 2
    assert done.error["message"].startswith(says)
