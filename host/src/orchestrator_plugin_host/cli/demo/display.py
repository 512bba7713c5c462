"""What the demo shows while it works: a row a plugin, with the seconds that each step takes."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

import anyio
from orchestrator_plugin_sdk.visible import visible
from rich.console import Group, RenderableType
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from ..output import Output

_READING_SECONDS: Final = 0.03
"""Between tokens: the examples' provider is faster than eyes are."""


@dataclass
class _Row:
    """How far a plugin is: `doing` it since `since`, or `done`."""

    doing: str = ""
    since: float = 0.0
    done: str = ""


class Display:
    """The rows, at the bottom of a terminal while results go by above; without one, lines on
    stderr."""

    def __init__(self, out: Output, names: Sequence[str]) -> None:
        self._out = out
        self._rows = {name: _Row() for name in names}
        self._spoken: dict[str, str] = {}
        self._spinner = Spinner("dots", style="cyan")
        self._live: Live | None = None
        console = out.people if out.people.is_terminal else out.notes
        if console.is_terminal:
            self._live = Live(self, console=console, transient=True, refresh_per_second=12)

    def __enter__(self) -> Self:
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live:
            self._live.stop()

    @contextmanager
    def step(self, name: str, doing: str) -> Iterator[None]:
        """Says what is being done with a plugin, for as long as the context is open."""
        row = self._rows[name]
        row.doing, row.since = doing, time.perf_counter()
        if not self._live:
            self._out.note(f"{name}: {doing} …")
        yield
        row.doing = ""
        self._spoken.clear()

    def ready(self, name: str, how: str) -> None:
        """Says that a plugin is ready, and how it came to be."""
        self._rows[name].done = how
        if not self._live:
            self._out.note(f"{name}: ready, {how}")

    async def speak(self, who: str, token: str) -> None:
        """Shows a token of a plugin's answer, now. Without a terminal, does nothing."""
        if self._live:
            self._spoken[who] = self._spoken.get(who, "") + token
            self._live.refresh()
            await anyio.sleep(_READING_SECONDS)

    def show(self, result: RenderableType) -> None:
        """Shows a result to people."""
        if not self._out.as_json:
            self._out.people.print(result)

    def __rich__(self) -> RenderableType:
        table = Table.grid(padding=(0, 2))
        now = time.perf_counter()
        for name, row in self._rows.items():
            if row.doing:
                state = Text(f"{row.doing}  {now - row.since:.1f} s", style="cyan")
                table.add_row(self._spinner, name, state)
            elif row.done:
                table.add_row(Text("✓", style="green"), name, Text(row.done, style="dim"))
            else:
                table.add_row(Text("·", style="dim"), Text(name, style="dim"), "")
        spoken = [
            Text.assemble((f"{who:<9} ❯ ", "dim"), (visible(text, lines=True), "cyan"))
            for who, text in self._spoken.items()
        ]
        return Group("", table, "", *spoken)
