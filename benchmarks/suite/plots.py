"""Bars as SVG: on a logarithmic axis, since ratios are read so."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import Final

from .shown import Line, ratio

_WIDTH: Final = 900
_LABELS: Final = 400
"""Where the bars begin."""
_NUMBERS: Final = 60
_STEP: Final = 22
_TOP: Final = 44
_GOOD, _BAD, _PLAIN = "#2f7d4f", "#b3452c", "#4a6fa5"


def targets_plot(lines: Sequence[Line]) -> str:
    """Each figure with a target, by how many times it is what it may be at most."""
    found = []
    for line in lines:
        if line.value is None or line.figure.target is None or line.value <= 0:
            continue
        target = line.figure.target
        share = target / line.value if line.figure.at_least else line.value / target
        found.append((line.title, share, _GOOD if line.met else _BAD))
    return _bars("How many times the target (left of the line: reached)", found)


def bars(title: str, lines: Sequence[Line]) -> str:
    """Each figure as a bar; the line is at 1, where ours and the peer are equal."""
    colours = {True: _GOOD, False: _BAD, None: _PLAIN}
    found = [(line.title, line.value, colours[line.met]) for line in lines if line.value]
    return _bars(title, found)


def _bars(title: str, found: Sequence[tuple[str, float, str]]) -> str:
    values = [value for _, value, _ in found]
    low = min([*values, 0.5])
    high = max([*values, 2.0])
    first, last = math.floor(math.log10(low) * 2) / 2, math.ceil(math.log10(high) * 2) / 2
    width = _WIDTH - _LABELS - _NUMBERS

    def x(value: float) -> float:
        return _LABELS + (math.log10(value) - first) / (last - first) * width

    height = _TOP + _STEP * len(found) + 16
    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" '
            f'width="{_WIDTH}" height="{height}" font-family="sans-serif" font-size="12">'
        ),
        f"<title>{escape(title)}</title>",
        f'<rect width="{_WIDTH}" height="{height}" fill="#ffffff"/>',
        f'<text x="8" y="18" font-size="14" font-weight="bold">{escape(title)}</text>',
    ]
    ticks = [
        scale * step
        for scale in (10.0**power for power in range(math.floor(first), math.ceil(last) + 1))
        for step in (1, 3)
        if first <= math.log10(scale * step) <= last
    ]
    for tick in ticks:
        parts.append(
            f'<line x1="{x(tick):.1f}" y1="{_TOP - 6}" x2="{x(tick):.1f}" y2="{height - 12}" '
            'stroke="#e4e4e4"/>'
            f'<text x="{x(tick):.1f}" y="{_TOP - 10}" text-anchor="middle" fill="#777777">'
            f"{tick:g}</text>"
        )
    for place, (label, value, colour) in enumerate(found):
        y = _TOP + _STEP * place
        parts.append(
            f'<text x="{_LABELS - 8}" y="{y + 14}" text-anchor="end">{escape(_short(label))}</text>'
            f'<rect x="{_LABELS}" y="{y + 3}" width="{max(x(value) - _LABELS, 1):.1f}" '
            f'height="{_STEP - 8}" fill="{colour}"/>'
            f'<text x="{x(value) + 5:.1f}" y="{y + 14}" fill="#333333">{ratio(value)}</text>'
        )
    parts.append(
        f'<line x1="{x(1):.1f}" y1="{_TOP - 6}" x2="{x(1):.1f}" y2="{height - 12}" '
        'stroke="#222222" stroke-dasharray="4 3"/>'
    )
    return "\n".join([*parts, "</svg>"]) + "\n"


def _short(label: str) -> str:
    label = label.replace("`", "")
    return label if len(label) <= 62 else f"{label[:61]}…"
