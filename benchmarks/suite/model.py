"""What a row of the benchmarks is: two sides, and figures that compare them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Compare = Literal["to_peer", "alone", "per_gib", "host_share", "throughput", "to_baseline"]
"""What a figure makes of a round's two values:

- `to_peer`: ours divided by the peer's.
- `alone`: ours.
- `per_gib`: how many of ours, in bytes, make a GiB.
- `host_share`: the share of ours that the peer does without.
- `throughput`: how many times the peer's work ours does in the peer's time; ours is `factor` times
  the work.
- `to_baseline`: `to_peer`, divided by what that was for the runtime in `baseline.json`.
"""

Unit = Literal["", "s", "MB", "%"]
"""What a value is in: seconds and bytes are shown as is fit for their size."""


@dataclass(frozen=True)
class Side:
    """One side of a row: the factory of its contender (`module:function`), what it is told, and
    what the page calls it."""

    factory: str
    title: str
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Figure:
    """A value that a contender returns (`key`), and the number that is made of it.

    `target` is what the number may be at most, or with `at_least`, at least. With `worst`, the
    worst round counts rather than the median. `why` is for the page, where the target is missed:
    the floor that was measured, and why it is there.
    """

    key: str
    title: str = ""
    compare: Compare = "to_peer"
    target: float | None = None
    at_least: bool = False
    worst: bool = False
    unit: Unit = ""
    factor: float = 1.0
    why: str | None = None

    def met_by(self, value: float) -> bool | None:
        """Whether a value reaches the target; `None` without one."""
        if self.target is None:
            return None
        return value >= self.target if self.at_least else value <= self.target


@dataclass(frozen=True)
class Row:
    """Something that is measured.

    Each round asks ours, then the peer, for about `seconds` each; there is one round more, at
    first, that does not count. With `fresh`, each round has new processes, and all count. `how`
    says what the title leaves open; `quick` are options of either side that make a short run
    short.
    """

    name: str
    group: str
    title: str
    ours: Side
    peer: Side | None
    figures: tuple[Figure, ...]
    how: str = ""
    rounds: int = 21
    seconds: float = 0.1
    fresh: bool = False
    quick: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for figure in self.figures:
            needs_peer = figure.compare not in ("alone", "per_gib")
            if needs_peer and self.peer is None:
                raise ValueError(f"row {self.name!r} compares {figure.key!r} with no peer")
