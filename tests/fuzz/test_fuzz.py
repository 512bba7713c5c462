"""A short run of each target, always the same; and that the engine would see what goes wrong."""

from __future__ import annotations

import random
import sys
from collections import Counter
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from orchestrator_plugin_host import read_component
from orchestrator_plugin_sdk import pack, to_document
from sdk.strategies import PLAIN, nearly, values_of

from fuzz.engine import Finding, Tally, run, run_files
from fuzz.keep import keep, smaller
from fuzz.loading import LIMITS, Stages
from fuzz.mutate import binary, sections, text
from fuzz.seeds import seeds
from fuzz.target import Outcome, Target, chance_of
from fuzz.targets import TARGETS, target_class
from fuzz.targets.documents import TYPES, Documents
from fuzz.targets.faults import FAULTS, Faults

SEED = 20
INPUTS = {
    "components": (50, 500),
    "compiled": (8, 20),
    "documents": (200, 2_000),
    "tiers": (12, 40),
    "values": (200, 2_000),
    "payloads": (400, 4_000),
    "manifests": (80, 800),
    "messages": (300, 3_000),
}
"""How many each target gets in a quick run of the tests, and in a slow one."""


def ran(target: type[Target], seed: int, inputs: int) -> Tally:
    """The tally of a whole run."""
    return [*run(target, seed, 0, inputs)][-1]


# --- the targets ---------------------------------------------------------------------------------


def test_every_target_is_run_here() -> None:
    assert {*INPUTS, "built", "faults"} == {*TARGETS}  # "built" takes seconds an input


@pytest.mark.parametrize("name", INPUTS)
def test_a_short_run_finds_nothing(name: str, pytestconfig: pytest.Config) -> None:
    target = target_class(name)
    inputs = INPUTS[name][pytestconfig.getoption("slow")]
    tally = ran(target, SEED, inputs)
    assert not tally.findings, "\n".join(f"{one.number}: {one.detail}" for one in tally.findings)
    assert tally.inputs == inputs
    # A run that never comes far says little, and one that always does isn't of enemies.
    stages = tally.stages()
    assert stages.keys() <= {*target.stages}
    assert stages[target.stages[0]] > 0
    assert stages[target.stages[-1]] > 0


@pytest.mark.slow
def test_mutants_of_components_end_in_every_stage() -> None:
    target = target_class("components")
    stages = ran(target, SEED + 1, 300).stages()
    assert stages["type check"] > 0
    assert stages["init"] > 0
    assert stages["call"] > 100


@pytest.mark.parametrize("seed", seeds(), ids=lambda seed: seed.name)
def test_what_mutants_are_made_of_is_well(seed: Any, stages: Stages) -> None:
    assert stages.run(seed.data).stage == "call"


@pytest.fixture(scope="module")
def stages() -> Any:
    one = Stages(LIMITS.model_copy(update={"deadline_ms": 20_000}))  # machines may be busy
    yield one
    one.close()


@given(st.data(), st.sampled_from(range(len(TYPES))))
def test_readers_and_validators_agree(data: st.DataObject, at: int) -> None:
    wanted = TYPES[at]
    document = data.draw(values_of(wanted).map(to_document) | nearly(wanted) | PLAIN)
    outcome = Documents(Path()).run(bytes([at]) + pack(document))
    assert outcome.stage in ("schema", "value")


# --- the mutations -------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", seeds(), ids=lambda seed: seed.name)
def test_taking_apart_and_putting_together(seed: Any) -> None:
    whole = sections.take_apart(seed.data)
    assert whole.encode() == seed.data
    assert sum(1 for _ in whole.everything()) >= 3


@given(st.integers(0, 2**32 - 1), st.integers(1, 5))
def test_numbers(value: int, size: int) -> None:
    encoded = sections.leb(value, size)
    assert sections.number(encoded, 0) == (value, len(encoded))
    assert len(encoded) >= size


@pytest.mark.parametrize("mutated", [binary.mutated, sections.mutated])
def test_mutants_differ_and_are_the_same_again(mutated: Any) -> None:
    data, other = seeds()[0].data, seeds()[1].data
    made = [mutated(random.Random(number), data, other) for number in range(100)]
    assert len({*made}) > 80
    assert made == [mutated(random.Random(number), data, other) for number in range(100)]


def test_mutants_of_text_are_components() -> None:
    one, other = seeds()[0], seeds()[1]
    made = {text.mutated(random.Random(number), one.text, other.text) for number in range(50)}
    assert len(made) > 30
    for data in made:
        read_component(data)


# --- the engine ----------------------------------------------------------------------------------

linux = pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")


@linux
@pytest.mark.slow
def test_each_fault_is_found_and_nothing_else_and_the_rest_goes_on() -> None:
    inputs, all_of_them = 50, {*filter(None, FAULTS.values())}
    for seed in count():
        made = (Faults(Path()).make(chance_of("faults", seed, n))[0] for n in range(inputs))
        wanted = {number: FAULTS[first] for number, first in enumerate(made) if FAULTS[first]}
        if {*wanted.values()} == all_of_them:
            break
    tally = ran(Faults, seed, inputs)
    assert {one.number: one.signature for one in tally.findings} == wanted
    assert tally.inputs == inputs
    assert tally.outcomes == Counter({("done", "well"): inputs - len(wanted)})


def test_files_are_run_after_one_that_ends_the_process(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("w1", "s", "w2", "r")]
    for path in paths:
        path.write_bytes(path.name.encode())
    ended = run_files(Faults, paths)
    found = [one.signature if isinstance(one, Finding) else one for one in ended]
    assert found == ["done: well", FAULTS[ord("s")], "done: well", FAULTS[ord("r")]]


def test_a_finding_is_kept_and_made_small(tmp_path: Path) -> None:
    target = Faults(Path())
    number = next(n for n in range(999) if target.make(chance_of("faults", 1, n))[:1] == b"r")
    finding = Finding(number, str(FAULTS[ord("r")]), "how it ended")
    [path] = keep(Faults, 1, [finding, finding], tmp_path / "found", minimise=True)
    assert path.read_bytes() == target.make(chance_of("faults", 1, number))
    assert path.with_suffix(".small").read_bytes() == b"r"
    said = path.with_suffix(".txt").read_text()
    assert "2 input(s)" in said
    assert "run alone: the same" in said
    assert said.endswith("how it ended")


@given(st.binary(max_size=40), st.binary(max_size=40))
def test_making_small(before: bytes, after: bytes) -> None:
    def still(candidates: list[bytes]) -> int | None:
        fit = (n for n, one in enumerate(candidates) if b"!" in one)
        return next(fit, None)

    assert smaller(before + b"!" + after, still, attempts=10_000) == b"!"


def test_the_same_number_makes_the_same_input() -> None:
    target = target_class("components")
    one, other = (target_class("components")(Path()) for _ in range(2))
    try:
        for number in range(20):
            made = one.make(chance_of(target.name, SEED, number))
            assert made == other.make(chance_of(target.name, SEED, number))
            assert isinstance(one.run(made), Outcome)
    finally:
        one.close()
        other.close()
