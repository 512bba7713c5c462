"""`orchestrator-plugin demo`: the example plugins at work, and their host's limits."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any

import typer

from ...settings import HostSettings
from ..output import FAILED, CacheOption, JsonOption, Output, milliseconds
from ..running import run
from . import report
from .comparison import Compared, compare
from .display import Display
from .examples import EXAMPLES, MISBEHAVING, Example, find_examples, make
from .limits import TRIALS, Tried, try_limits

__all__ = ["demo"]


def demo(
    examples: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="The folder of the example plugins."),
    ] = None,
    cache: CacheOption = None,
    as_json: JsonOption = False,
) -> None:
    """Build the example plugins, compare them native and sandboxed, and run into limits.

    Ends with 0 only if all answers agreed and every limit held.
    """
    out = Output(as_json)
    with out.reporting():
        folder = find_examples(examples)
        settings = HostSettings(cache_directory=Path(cache)) if cache else HostSettings()
        started = time.perf_counter()
        with Display(out, (*EXAMPLES, MISBEHAVING)) as display:
            compared, tried = _run(folder, settings, display)
        agreed = all(one.agree for one in compared)
        survived = all(one.ok for one in tried)
        took = milliseconds(started)
        if as_json:
            out.document(_document(compared, tried, agreed and survived, took))
        else:
            out.people.print(report.summary(compared, tried, took))
    if not (agreed and survived):
        raise typer.Exit(FAILED)


def _run(
    folder: Path, settings: HostSettings, display: Display
) -> tuple[list[Compared], list[Tried]]:
    """One plugin after the other: each is shown as soon as it is ready.

    Builds run on the main thread, outside of any event loop, where Ctrl-C ends them at once.
    """
    display.show(report.opening())
    compared: list[Compared] = []
    made: dict[str, Example] = {}
    for name in EXAMPLES:
        made[name] = make(folder / name, display)
        one = run(compare, made[name], settings, display, [*compared])
        compared.append(one)
        display.show(report.comparison(one))
    made[MISBEHAVING] = make(folder / MISBEHAVING, display)
    tried: list[Tried] = []

    def show(one: Tried) -> None:
        if not tried:
            display.show(report.trials_opening())
        tried.append(one)
        display.show(report.trial(one))

    run(try_limits, made, TRIALS, settings, display, show)
    return compared, tried


def _document(
    compared: list[Compared], tried: list[Tried], ok: bool, took_ms: float
) -> dict[str, Any]:
    return {
        "ok": ok,
        "milliseconds": took_ms,
        "plugins": [one.document() for one in compared],
        "limits": [one.document() for one in tried],
    }
