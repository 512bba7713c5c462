"""`orchestrator-plugin demo`: the example plugins at work, and their host's limits."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from ...settings import HostSettings
from ..output import FAILED, CacheOption, JsonOption, Output, milliseconds
from ..running import run
from . import report
from .attack import Attack, attack
from .comparison import Compared, compare
from .display import Display
from .examples import EXAMPLES, HARVESTING, MISBEHAVING, Example, find_examples, make
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
    """Build the example plugins, compare them native and sandboxed, run into limits, and attack.

    Ends with 0 only if all answers agreed, every limit held, and a plugin that looks for
    credentials found none in the sandbox.
    """
    out = Output(as_json)
    with out.reporting():
        folder = find_examples(examples)
        settings = HostSettings(cache_directory=Path(cache)) if cache else HostSettings()
        started = time.perf_counter()
        with Display(out, (*EXAMPLES, MISBEHAVING, HARVESTING)) as display:
            shown = _run(folder, settings, display)
        took = milliseconds(started)
        if as_json:
            out.document(shown.document(took))
        else:
            out.people.print(report.summary(shown.compared, shown.tried, shown.attack, took))
    if not shown.ok:
        raise typer.Exit(FAILED)


@dataclass(frozen=True, slots=True)
class _Shown:
    """All that the demo came to."""

    compared: list[Compared]
    tried: list[Tried]
    attack: Attack

    @property
    def ok(self) -> bool:
        """Whether all went as it should."""
        agreed = all(one.agree for one in self.compared)
        return agreed and all(one.ok for one in self.tried) and self.attack.ok

    def document(self, took_ms: float) -> dict[str, Any]:
        """This as JSON."""
        return {
            "ok": self.ok,
            "milliseconds": took_ms,
            "plugins": [one.document() for one in self.compared],
            "limits": [one.document() for one in self.tried],
            "attack": self.attack.document(),
        }


def _run(folder: Path, settings: HostSettings, display: Display) -> _Shown:
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
    display.show(report.attack_opening())
    harvesting = make(folder / HARVESTING, display)
    with display.step(HARVESTING, "loading it natively and sandboxed, in processes of their own"):
        attacked = attack(harvesting.directory, harvesting.component, settings.cache_directory)
    display.show(report.attacked(attacked))
    return _Shown(compared, tried, attacked)
