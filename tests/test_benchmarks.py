"""The benchmark suite: its rows, a short run of a few, and the page that is made of results."""

from __future__ import annotations

import ast
import importlib.util
import json
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from suite.measure import Run, figure_name, result_of
from suite.model import Figure, Row, Side
from suite.report import page_text, plots, write_page
from suite.rows import ROWS, rows_named
from suite.shown import duration, ratio

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "performance.md"
CONTENDERS = ROOT / "benchmarks" / "suite" / "contenders"
HAS_EXTISM = importlib.util.find_spec("extism") is not None
BY_NAME = {row.name: row for row in ROWS}


def nothing(done: int, of: int) -> None:
    """Progress that nobody is told of."""


def measured(row: Row, cache: Path) -> dict[str, Any]:
    """A short run of a row."""
    return Run(cache, quick=True).row(row, {}, nothing)


def in_place(where: str) -> Side:
    """A call of the trivial guest."""
    return Side("calls:generate", where, {"where": where})


# Rows.


def test_rows_and_their_figures_have_names_of_their_own() -> None:
    assert len(BY_NAME) == len(ROWS)
    for row in ROWS:
        assert len({figure_name(figure) for figure in row.figures}) == len(row.figures), row.name


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_contenders_take_what_rows_tell_them(row: Row) -> None:
    """Without importing them: the peers' packages are not part of the tests' environment."""
    for side in (row.ours, row.peer):
        if side is None:
            continue
        module, _, name = side.factory.partition(":")
        tree = ast.parse((CONTENDERS / f"{module}.py").read_text())
        [made] = [
            node
            for node in tree.body
            if isinstance(node, ast.AsyncFunctionDef) and node.name == name
        ]
        takes = {argument.arg for argument in made.args.kwonlyargs}
        assert side.options.keys() <= takes
        assert {*row.quick} & takes == {*row.quick} or side is not row.ours
        required = [
            argument.arg
            for argument, default in zip(made.args.kwonlyargs, made.args.kw_defaults, strict=True)
            if default is None
        ]
        assert side.options.keys() >= {*required}


def test_every_row_of_a_name() -> None:
    assert [row.name for row in rows_named(["generate-nat", "import"])] == [
        *("generate-native", "import", "import-names"),
    ]
    assert rows_named([]) == ROWS
    with pytest.raises(ValueError, match="there is no row 'guess': there are echo-"):
        rows_named(["guess"])


def test_a_figure_that_compares_needs_a_peer() -> None:
    with pytest.raises(ValueError, match="compares 'seconds' with no peer"):
        Row("a", "b", "c", in_place("native"), None, (Figure("seconds"),))


ROUNDS = [({"seconds": 2.0}, {"seconds": 4.0}), ({"seconds": 3.0}, {"seconds": 2.0})]


@pytest.mark.parametrize(
    ("figure", "values", "value"),
    [
        (Figure("seconds"), [0.5, 1.5], 1.0),
        (Figure("seconds", worst=True), [0.5, 1.5], 1.5),
        (Figure("seconds", worst=True, at_least=True), [0.5, 1.5], 0.5),
        (Figure("seconds", compare="alone"), [2.0, 3.0], 2.5),
        (Figure("seconds", compare="host_share"), [-1.0, 1 / 3], -1 / 3),
        (Figure("seconds", compare="throughput", factor=4), [8.0, 8 / 3], 16 / 3),
        (Figure("seconds", compare="to_baseline"), [0.25, 0.75], 0.5),
        (Figure("seconds", compare="per_gib"), [2**29, 2**30 / 3], (2**29 + 2**30 / 3) / 2),
    ],
)
def test_what_a_figure_makes_of_its_rounds(
    figure: Figure, values: list[float], value: float
) -> None:
    result = result_of(figure, ROUNDS, {"seconds": {"value": 2.0}})
    assert result["rounds"] == pytest.approx(values)
    assert result["value"] == pytest.approx(value)
    assert (result["ours"], result["peer"]) == (2.5, 3.0)


def test_without_a_baseline_there_is_no_value() -> None:
    assert result_of(Figure("seconds", compare="to_baseline"), ROUNDS, None)["value"] is None


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(9.4e-6, "9.4 µs"), (1.23e-4, "123 µs"), (0.0012, "1.2 ms"), (2.5, "2.5 s"), (75, "75 s")],
)
def test_durations(seconds: float, shown: str) -> None:
    assert duration(seconds) == shown


def test_ratios() -> None:
    assert [ratio(one) for one in (0.346, 1.94, 27.4)] == ["0.35", "1.9", "27"]


# A short run.


@pytest.mark.parametrize(
    ("ours", "peer", "bound"), [("in-process", "native", 20), ("process", "in-process", 40)]
)
def test_what_tiers_cost(ours: str, peer: str, bound: float, cache_directory: Path) -> None:
    figure = Figure("seconds", target=bound)
    row = Row("tiers", "calls", "a call", in_place(ours), in_place(peer), (figure,))
    [result] = measured(row, cache_directory)["figures"].values()
    assert figure.met_by(result["value"]), result


@pytest.mark.skipif(not HAS_EXTISM, reason="`python3 dev.py bench-packages` installs Extism")
@pytest.mark.parametrize(
    ("name", "bound"),
    [
        ("echo-text-16", 5),
        ("echo-text-1000000", 5),
        ("generate-in-process", 5),
        ("generate-in-process-default", 10),
        ("generate-process", 20),
        ("generate-native", 5),
    ],
)
def test_what_calls_cost_beside_extism(name: str, bound: float, cache_directory: Path) -> None:
    results = measured(BY_NAME[name], cache_directory)
    [result] = results["figures"].values()
    assert 0 < result["value"] < bound, results


def test_what_an_import_costs(cache_directory: Path) -> None:
    [result] = measured(BY_NAME["import"], cache_directory)["figures"].values()
    assert 0 < result["value"] < 2
    [result] = measured(BY_NAME["import-names"], cache_directory)["figures"].values()
    assert 0.5 < result["value"] < 20


def test_guests_that_wait_do_so_at_once(cache_directory: Path) -> None:
    found = measured(BY_NAME["waiting"], cache_directory)["figures"]
    assert 0.99 < found["to_ideal_alone"]["value"] < 10  # one after another it would be 200


def test_a_row_that_fails_says_why(cache_directory: Path) -> None:
    row = replace(BY_NAME["import"], ours=Side("starting:importing", "it", {"code": "import gone"}))
    assert re.fullmatch(
        r"it: CalledProcessError: Command .*returned non-zero exit status 1\.",
        measured(row, cache_directory)["not_measured"],
    )
    row = replace(BY_NAME["import"], ours=Side("starting:gone", "it"))
    assert measured(row, cache_directory) == {
        "not_measured": "it: AttributeError: module 'suite.contenders.starting' has no attribute "
        "'gone'"
    }


def test_the_command_names_its_rows() -> None:
    command = [sys.executable, ROOT / "benchmarks" / "bench.py"]
    listed = subprocess.run([*command, "--list"], capture_output=True, text=True, check=True)
    assert listed.stdout.split() == [row.name for row in ROWS]
    wrong = subprocess.run(
        [*command, "--only", "guess"], capture_output=True, text=True, check=False
    )
    assert wrong.returncode == 2
    assert "there is no row 'guess'" in wrong.stderr


# The page.


def results(**rows: Any) -> dict[str, Any]:
    """The results of a run in which every figure was exactly its target, but for some rows."""
    found = {}
    for row in ROWS:
        figures = {}
        for figure in row.figures:
            value = 1.5 if figure.target is None else figure.target
            figures[figure_name(figure)] = {
                "value": value,
                "rounds": [value] * 5,
                "ours": 0.5,
                "peer": 0.25 if row.peer else None,
            }
        found[row.name] = {"figures": figures}
    return {
        "measured_on": "2026-01-02",
        "quick": False,
        "commit": "0123456789ab",
        "changed": False,
        "machine": {
            "processor": "A Processor",
            "cores": 2,
            "memory_bytes": 2**34,
            "system": "Linux 1",
            "architecture": "x",
        },
        "versions": {"python": "CPython 3", "wasmtime": "50", "extism": None},
        "others_share": 0.01,
        "baseline": {
            "commit": "abcdef",
            "measured_on": "2026-01-01",
            "machine": {"processor": "Another", "cores": 4},
        },
        "rows": found | {name.replace("_", "-"): one for name, one in rows.items()},
    }


def test_the_page_has_every_row_with_its_target() -> None:
    page = page_text(results(), "performance")
    targets = sum(figure.target is not None for row in ROWS for figure in row.figures)
    assert f"{targets} of {targets} targets are reached." in page
    assert page.count(" ✓ |") == targets
    for row in ROWS:
        assert f"| {row.title}" in page
    assert "| `generate`, in-process | 500 ms | 250 ms | Extism, typed, in a thread " in page
    assert "otherwise idle" in page
    assert "at commit abcdef" in page


def test_a_target_that_is_missed_says_why() -> None:
    document = results()
    [figure] = document["rows"]["generate-native"]["figures"].values()
    figure["value"] = 0.7
    page = page_text(document, "performance")
    assert "- `generate`, native: 0.70, the target is ≤ 0.35." in page
    assert page.count(" ✗ |") == 1


def test_what_was_not_measured_says_why() -> None:
    document = results(generate_native={"not_measured": "native: it <ended>,\n| badly"})
    del document["rows"]["import"]
    page = page_text(document, "performance")
    assert "2 not measured" in page
    assert "- `generate`, native was not measured: native: it &lt;ended>, \\| badly" in page
    assert "was not measured: it was not part of the run" in page


def test_a_machine_that_was_not_idle_and_a_quick_run_are_told() -> None:
    document = results() | {"others_share": 0.4, "quick": True}
    page = " ".join(page_text(document, "performance").split())
    assert "**The machine was not idle**: other work had 40 % of its cores" in page
    assert "**This was a quick run" in page


def test_plots_are_images() -> None:
    for name, plot in plots(results()).items():
        root = ET.fromstring(plot)
        assert root.tag == "{http://www.w3.org/2000/svg}svg", name
        bars = list(root.iter("{http://www.w3.org/2000/svg}rect"))
        assert len(bars) > 3
        assert all(float(one.get("width", 0)) > 0 for one in bars)


def test_nothing_in_the_page_is_typed_by_hand(tmp_path: Path) -> None:
    folder = PAGE.with_suffix("")
    write_page(json.loads((folder / "results.json").read_text()), tmp_path / PAGE.name)
    assert (tmp_path / PAGE.name).read_text() == PAGE.read_text()
    for made in (tmp_path / "performance").iterdir():
        assert made.read_text() == (folder / made.name).read_text(), made.name
    assert {one.name for one in folder.iterdir()} == {
        one.name for one in (tmp_path / "performance").iterdir()
    }
