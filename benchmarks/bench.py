"""Measures every row of the benchmarks beside its peer, and writes the page about it.

    python3 dev.py bench                        everything, and docs/performance.md
    python3 dev.py bench --quick                a few short rounds of everything
    python3 dev.py bench --only generate        the rows whose names begin so
    python3 dev.py bench --render results.json  the page, from the results of a run

A machine that does something else meanwhile makes the figures worse, and the page says so.
"""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from suite.baseline import read_baseline, write_baseline
from suite.machine import OtherWork, facts
from suite.measure import Run
from suite.report import write_page
from suite.rows import ROWS, rows_named
from suite.tables import results_table

ROOT: Final = Path(__file__).parents[1]
RESULTS: Final = ROOT / "build" / "bench"
PAGE: Final = ROOT / "docs" / "performance.md"


def main(
    only: Annotated[
        list[str] | None,
        typer.Option(metavar="ROW", help="Only rows whose names begin so. Repeatable."),
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="A few short rounds of each row.")] = False,
    rounds: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Rounds of each row.")
    ] = None,
    results: Annotated[
        Path, typer.Option("--json", metavar="FILE", help="Where the results go, as JSON.")
    ] = RESULTS / "results.json",
    render: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Measure nothing: write the page from these results."),
    ] = None,
    page: Annotated[Path, typer.Option(metavar="FILE", help="Where the page goes.")] = PAGE,
    baseline: Annotated[
        str | None,
        typer.Option(metavar="COMMIT", help="Keep the results as the baseline: see its module."),
    ] = None,
    list_rows: Annotated[bool, typer.Option("--list", help="Name the rows, and end.")] = False,
) -> None:
    """Measure what calls cost, each beside a peer in the same run.

    A whole run writes the page as well; one that is `--quick`, or has `--only` some rows, does not.
    """
    console = Console(stderr=True)
    if list_rows:
        for row in ROWS:
            print(row.name)
        return
    if render is not None:
        write_page(json.loads(render.read_text()), page)
        console.print(f"wrote {page}")
        return
    try:
        wanted = rows_named(only or [])
    except ValueError as error:
        console.print(f"[red]{error}")
        raise typer.Exit(2) from None
    document = _measured(wanted, Run(RESULTS / "cache", quick, rounds), console)
    results.parent.mkdir(parents=True, exist_ok=True)
    results.write_text(json.dumps(document, indent=1) + "\n")
    shown = Console(width=None if sys.stdout.isatty() else 140)
    shown.print(results_table(wanted, document))
    console.print(f"results: {results}")
    if baseline is not None:
        write_baseline(document, baseline)
        return
    if only or quick or rounds:
        console.print(f"not a whole run: {page} stays as it is; --render writes it from this one")
        return
    write_page(document, page)
    console.print(f"page: {page}")


def _measured(wanted: Any, run: Run, console: Console) -> dict[str, Any]:
    baseline, others = read_baseline(), OtherWork()
    document: dict[str, Any] = {
        "measured_on": datetime.now(UTC).date().isoformat(),
        "quick": run.quick,
        **facts(),
        "baseline": {name: baseline[name] for name in ("commit", "measured_on", "machine")},
        "rows": {},
    }
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn())
    with Progress(
        *columns,
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
        disable=not console.is_terminal,
    ) as progress:
        all_rows = progress.add_task("rows", total=len(wanted))
        for row in wanted:
            task = progress.add_task(f"{row.group}: {row.title}".replace("[", "\\["), total=None)
            if not console.is_terminal:
                console.print(f"{row.name} …", markup=False)

            def tell(done: int, of: int, task: TaskID = task) -> None:
                progress.update(task, completed=done, total=of)

            document["rows"][row.name] = run.row(row, baseline["rows"], tell)
            progress.remove_task(task)
            progress.advance(all_rows)
    document["others_share"] = others.share()
    return document


if __name__ == "__main__":
    typer.run(main)
