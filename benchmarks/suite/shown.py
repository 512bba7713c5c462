"""Numbers as people read them: the same in the page and in the terminal."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .measure import figure_name
from .model import Figure, Row, Side


@dataclass(frozen=True)
class Line:
    """A figure of a row with what it came to, as texts. `met` is `None` without a target, or if it
    was not measured: then `failure` says why, and `whole` whether that is so of the whole row."""

    row: Row
    figure: Figure
    title: str
    ours: str = ""
    peer: str = ""
    reached: str = ""
    spread: str = ""
    target: str = ""
    met: bool | None = None
    value: float | None = None
    failure: str | None = None
    whole: bool = False


def lines_of(row: Row, results: Mapping[str, Any]) -> Iterator[Line]:
    """The figures of a row. `results` are those of a run, by the names of rows."""
    found = results.get(row.name)
    for figure in row.figures:
        title = f"{row.title}: {figure.title}" if figure.title else row.title
        target = "" if figure.target is None else _target(figure)
        if found is None or "not_measured" in found:
            why = "it was not part of the run" if found is None else found["not_measured"]
            yield Line(row, figure, title, target=target, failure=why, whole=True)
            continue
        result = found["figures"][figure_name(figure)]
        value = result["value"]
        if value is None:
            yield Line(row, figure, title, target=target, failure="there is no baseline of it")
            continue
        alone = figure.compare == "alone"  # the value is what was measured
        yield Line(
            row,
            figure,
            title,
            ours="" if alone else raw(figure, result["ours"]),
            peer="" if result["peer"] is None else raw(figure, result["peer"]),
            reached=number(figure, value),
            spread=_spread(figure, result["rounds"]),
            target=target,
            met=figure.met_by(value),
            value=value,
        )


def side_title(side: Side | None) -> str:
    """What a side is called; nothing if there is none."""
    return "" if side is None else side.title


def number(figure: Figure, value: float) -> str:
    """What a figure came to."""
    match figure.compare:
        case "per_gib":
            return f"{value:,.0f}"
        case "host_share":
            return f"{value * 100:.0f} %"
        case "alone":
            return raw(figure, value)
        case _:
            return ratio(value)


def raw(figure: Figure, value: float) -> str:
    """A value as a contender returned it."""
    if figure.key == "bytes":
        return f"{value / 1e6:.1f} MB"
    if figure.key.endswith("_to_ideal") or figure.key == "to_ideal":
        return ratio(value)
    return duration(value)


def ratio(value: float) -> str:
    """`0.43`, `1.9`, `27`: two digits that count, and no more than two after the point."""
    return f"{value:.2f}" if value < 1 else f"{value:.1f}" if value < 10 else f"{value:,.0f}"


def duration(seconds: float) -> str:
    """`12 µs`, `1.3 ms`, `2.5 s`."""
    for size, unit in ((1e-3, "µs"), (1.0, "ms"), (float("inf"), "s")):
        if abs(seconds) < size:
            value = seconds * {"µs": 1e6, "ms": 1e3, "s": 1}[unit]
            return f"{value:.1f} {unit}" if abs(value) < 10 else f"{value:,.0f} {unit}"
    raise ValueError(f"{seconds} is not a duration")


def _target(figure: Figure) -> str:
    assert figure.target is not None
    bound = "≥" if figure.at_least else "≤"
    exact = f"{figure.target:g}"
    if figure.compare in ("alone", "host_share"):
        return f"{bound} {number(figure, figure.target)}"
    return f"{bound} {exact}"


def _spread(figure: Figure, values: Sequence[float]) -> str:
    """Between which numbers the middle half of the rounds was; of few rounds, all of them."""
    if len(values) < 2:
        return ""
    if len(values) < 5:
        low, high = min(values), max(values)
    else:
        low, _, high = statistics.quantiles(values, n=4, method="inclusive")
    return f"{number(figure, low)} – {number(figure, high)}"
