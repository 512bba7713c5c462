"""What rows came to for an earlier runtime, kept as data: ratios to the same peers, so that it
holds on other machines, too.

It was recorded with this suite, on the earlier host:

    git worktree add ../before COMMIT
    PYTHONPATH=../before/host/src:../before/sdk-python/src \\
        python benchmarks/bench.py --only health --only event --only compile --baseline COMMIT
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from .measure import figure_name
from .rows import ROWS

_FACTS: Final = ("measured_on", "machine", "versions", "others_share")
FILE: Final = Path(__file__).parents[1] / "baseline.json"


def read_baseline() -> Mapping[str, Any]:
    """The baseline: of which commit, on which machine, and its `rows`."""
    document: Mapping[str, Any] = json.loads(FILE.read_text())
    return document


def write_baseline(document: Mapping[str, Any], commit: str) -> None:
    """Keeps the ratios of a run's rows that are compared with a baseline. Raises `ValueError` if
    one of them was not measured."""
    kept = {}
    for row in ROWS:
        keys = {figure.key for figure in row.figures if figure.compare == "to_baseline"}
        if not keys:
            continue
        figures = document["rows"].get(row.name, {}).get("figures")
        if figures is None:
            raise ValueError(f"row {row.name!r} was not measured: a baseline has all such rows")
        kept[row.name] = {
            figure.key: {
                name: figures[figure_name(figure)][name] for name in ("value", "ours", "peer")
            }
            for figure in row.figures
            if figure.key in keys and figure.compare == "to_peer"
        }
    facts = {name: document[name] for name in _FACTS}
    whole = {"commit": commit, **facts, "rows": kept}
    FILE.write_text(json.dumps(whole, indent=1) + "\n")
