"""What a child tells of the case that it ran."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from .heartbeat import Gaps


class StepReport(BaseModel):
    """What became of a step. `problems` is empty if it is what was expected."""

    model_config = ConfigDict(extra="forbid")

    do: str
    expected: str
    outcome: str
    milliseconds: float
    overshoot_ms: float | None = None
    """Of what a deadline ended: the milliseconds from the deadline to the error."""
    problems: list[str] = Field(default_factory=list)


class Report(BaseModel):
    """What became of a case, seen from within."""

    model_config = ConfigDict(extra="forbid")

    steps: list[StepReport] = Field(default_factory=list)
    peak_mb: float = 0
    """Megabytes that the process grew by at most."""
    left_mb: float = 0
    """Megabytes that it was larger by when the case's plugins were shut down."""
    worker_peak_mb: float = 0
    """Megabytes of the largest process that the host started."""
    farewell_ms: float = 0
    """Milliseconds that it took to shut the case's plugins down."""
    closing_ms: float = 0
    """Milliseconds that it took to close the host."""
    starting_ms: float = 0
    """How long the event loop was held at once when the host was started, and loaded its first
    plugin, which was a good one."""
    heartbeat: Gaps = Field(default_factory=Gaps)
    """How long the event loop was held afterwards, from before the case's plugins were loaded until
    the host was closed."""
    neighbour_ms: float | None = None
    """Milliseconds from when the neighbour, if there is one, was to be called until it had answered
    at most. As in `Gaps.held_ms`, without the time that is waited for a core."""
    threads_ms: float | None = None
    """The same until a thread of everyone's has been had, beside a neighbour."""
    neighbour_calls: int = 0
    """How often the neighbour was called."""
    problems: list[str] = Field(default_factory=list)
    """What went wrong besides the steps."""
