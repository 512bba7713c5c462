"""`orchestrator-plugin hostile`: guests that mean harm, and what became of the host."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import typer
from orchestrator_plugin_sdk.visible import visible
from rich import box
from rich.console import RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from ..hostile.cases import TIERS, Case, CaseError, read_corpus
from ..hostile.runner import Result, run_cases
from ..settings import Tier
from .output import FAILED, JsonOption, Output, UsageError

__all__ = ["hostile"]

_QUANTILES: Final = {"p50": 0.5, "p99": 0.99, "max": 1.0}


def hostile(
    tier: Annotated[
        Literal["in-process", "process", "both"],
        typer.Option(help="Where the guests run: on threads of the host, or in its workers."),
    ] = "both",
    family: Annotated[
        str | None, typer.Option(metavar="FAMILY", help="Only the cases of this family.")
    ] = None,
    case: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only the case of this name.")
    ] = None,
    max_overshoot_ms: Annotated[
        float,
        typer.Option(metavar="MS", help="What the 99th percentile of overshoots may be."),
    ] = 50,
    max_gap_ms: Annotated[
        float,
        typer.Option(
            metavar="MS", help="How long 99 of 100 cases may hold the event loop at once."
        ),
    ] = 20,
    jobs: Annotated[
        int,
        typer.Option(min=1, metavar="N", help="Cases at once. More than one makes times worse."),
    ] = 1,
    as_json: JsonOption = False,
) -> None:
    """Run guests that mean harm, each in a host of its own, and see whether the host survives.

    Ends with 0 only if every guest was stopped as it should be, no host died, hung or grew, no
    event loop was held for long, and deadlines were kept.
    """
    out = Output(as_json)
    with out.reporting():
        wanted = _wanted(family, case)
        tiers: Sequence[Tier] = TIERS if tier == "both" else (tier,)
        results = _run(out, [(one, where) for one in wanted for where in tiers], jobs)
        summary = _summary(results, tiers, max_overshoot_ms, max_gap_ms)
        if as_json:
            out.document(summary | {"cases": [one.document() for one in results]})
        else:
            out.people.print(_told(summary, results))
    if not summary["ok"]:
        raise typer.Exit(FAILED)


def _wanted(family: str | None, name: str | None) -> list[Case]:
    try:
        corpus = read_corpus()
    except CaseError as error:
        raise UsageError(f"the corpus can't be read: {error}") from None
    families = sorted({one.family for one in corpus})
    if family is not None and family not in families:
        raise UsageError(f"there is no family {family!r}: there are {', '.join(families)}")
    found = [one for one in corpus if family in (None, one.family) and name in (None, one.name)]
    if not found:
        raise UsageError(f"there is no case {name!r}" + (f" in {family!r}" if family else ""))
    return found


def _run(out: Output, wanted: Sequence[tuple[Case, Tier]], jobs: int) -> list[Result]:
    """Runs cases; a family's table is shown as soon as its last case is over.

    Each run compiles anew: what a cache holds is no news, and not to be trusted here.
    """
    results: list[Result] = []
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn())
    with (
        tempfile.TemporaryDirectory(prefix="hostile-cache-") as cache,
        Progress(
            *columns,
            TimeElapsedColumn(),
            console=out.notes,
            transient=True,
            disable=not out.notes.is_terminal,
        ) as progress,
    ):
        task = progress.add_task("", total=len(wanted))
        shown = 0
        for result in run_cases(wanted, Path(cache), jobs):
            results.append(result)
            progress.update(task, advance=1, description=result.case.family)
            at_end = len(results) == len(wanted)
            if at_end or wanted[len(results)][0].family != result.case.family:
                if not out.as_json:
                    (progress.console if out.people is out.notes else out.people).print(
                        _table(results[shown:])
                    )
                shown = len(results)
    return results


def _table(results: Sequence[Result]) -> RenderableType:
    table = Table(
        title=results[0].case.family,
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        header_style="dim",
        expand=True,
    )
    table.add_column("", width=1)
    table.add_column("what it tries", ratio=1, overflow="fold")
    table.add_column("tier", no_wrap=True, style="dim")
    table.add_column("outcome", ratio=1, overflow="fold")
    table.add_column("ms", justify="right", no_wrap=True, style="dim")
    table.add_column("held", justify="right", no_wrap=True, style="dim")
    before: Case | None = None
    for one in results:
        table.add_row(
            _mark(one.passed),
            ""
            if one.case is before
            else Text.assemble((one.case.name, "cyan"), "\n", one.case.about),
            one.tier,
            Text(_outcome(one), style="" if one.passed else "red"),
            f"{sum(step.milliseconds for step in one.report.steps):.0f}",
            f"{one.report.heartbeat.held_ms:.0f}",
        )
        before = one.case
    return table


def _outcome(result: Result) -> str:
    if result.failures:
        return visible("; ".join(result.failures))
    return visible(result.report.steps[-1].expected) if result.report.steps else ""


def _summary(
    results: Sequence[Result], tiers: Sequence[Tier], max_overshoot_ms: float, max_gap_ms: float
) -> dict[str, Any]:
    overshoots = [ms for one in results for ms in one.overshoots_ms]
    gaps = [one.report.heartbeat.held_ms for one in results]
    neighbours = [one.report.neighbour_ms for one in results if one.report.neighbour_ms is not None]
    worst = max(results, key=lambda one: one.report.heartbeat.held_ms)
    told = {
        "overshoot_ms": _measured(overshoots) | {"allowed": max_overshoot_ms},
        "gap_ms": _measured(gaps)
        | {"allowed": max_gap_ms, "worst": {"case": worst.case.id, "tier": worst.tier}},
        "neighbour_ms": _measured(neighbours),
    }
    kept = all(
        one["p99"] is None or one["p99"] <= one["allowed"]
        for one in (told["overshoot_ms"], told["gap_ms"])
    )
    return {
        "ok": all(one.passed for one in results) and kept,
        "tiers": {
            tier: {
                "cases": sum(one.tier == tier for one in results),
                "passed": sum(one.tier == tier and one.passed for one in results),
                "died": sum(one.tier == tier and one.died is not None for one in results),
                "hung": sum(one.tier == tier and one.hung for one in results),
            }
            for tier in tiers
        },
        **told,
    }


def _measured(times: Sequence[float]) -> dict[str, Any]:
    ordered = sorted(times)
    measured: dict[str, Any] = {
        name: ordered[math.ceil(share * len(ordered)) - 1] if ordered else None
        for name, share in _QUANTILES.items()
    }
    return measured | {"count": len(ordered)}


def _told(summary: dict[str, Any], results: Sequence[Result]) -> RenderableType:
    """All of it in a few lines."""
    text = Text("\n")
    for tier, counts in summary["tiers"].items():
        text.append_text(_mark(counts["passed"] == counts["cases"]))
        text.append(
            f"  {tier}: {counts['passed']} of {counts['cases']} cases as they should be, "
            f"{counts['died']} hosts died, {counts['hung']} hung\n"
        )
    over, gap, neighbour = (summary[f"{name}_ms"] for name in ("overshoot", "gap", "neighbour"))
    if over["count"]:
        text.append_text(_mark(over["p99"] <= over["allowed"]))
        text.append(
            f"  {over['count']} deadlines overshot by {_quantiles(over)}; "
            f"{over['allowed']:g} ms are allowed\n"
        )
    text.append_text(_mark(gap["p99"] <= gap["allowed"]))
    text.append(
        f"  event loops held for {_quantiles(gap)}, in {gap['worst']['case']} "
        f"({gap['worst']['tier']}); {gap['allowed']:g} ms are allowed\n"
    )
    if neighbour["count"]:
        text.append(f"   other plugins waited for {_quantiles(neighbour)}\n")
    for one in results:
        if not one.passed and one.stderr:
            text.append(f"\n{one.case.id} ({one.tier}) wrote:\n", style="bold")
            text.append(visible(one.stderr[-1000:], lines=True), style="dim")
    return text


def _quantiles(times: dict[str, Any]) -> str:
    return (
        f"{times['p50']:.1f} ms (p50), {times['p99']:.1f} ms (p99), {times['max']:.1f} ms at most"
    )


def _mark(good: bool) -> Text:
    return Text("✓", style="green") if good else Text("✗", style="bold red")
