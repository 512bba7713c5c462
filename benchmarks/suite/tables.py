"""The results of a run as a table in the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from .model import Row
from .shown import lines_of


def results_table(rows: Sequence[Row], document: Mapping[str, Any]) -> Table:
    """A line for each figure."""
    table = Table(box=box.SIMPLE_HEAD, header_style="dim", pad_edge=False)
    table.add_column("", width=1)
    table.add_column("what", overflow="fold")
    for name in ("ours", "peer", "reached", "middle half", "target"):
        table.add_column(name, justify="right", no_wrap=True)
    group = None
    for row in rows:
        if row.group != group:
            group = row.group
            table.add_section()
            table.add_row("", Text(group, style="bold"))
        for line in lines_of(row, document["rows"]):
            if line.failure is not None:
                said = Text(f"{line.title}\nnot measured: {line.failure}", style="yellow")
                table.add_row("–", said, "", "", "", "", line.target)
                continue
            mark = {True: "[green]✓", False: "[red]✗", None: ""}[line.met]
            table.add_row(
                mark,
                Text(line.title),
                line.ours,
                line.peer,
                line.reached,
                line.spread,
                line.target,
            )
    return table
