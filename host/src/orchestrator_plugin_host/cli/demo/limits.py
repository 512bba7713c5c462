"""Limits being hit by real guests, and what comes after."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from orchestrator_plugin_sdk.errors import PluginError
from orchestrator_plugin_sdk.tool_executor import ToolPolicy, ToolRunRequest

from ...errors import (
    DeadlineExceededError,
    DocumentTooLargeError,
    FuelExhaustedError,
    LogLimitError,
    MemoryLimitError,
    PluginTrapError,
)
from ...handles import LoadedToolExecutor
from ...host import PluginHost
from ...limits import MIB, Limits
from ...settings import HostSettings
from ..output import error_document, milliseconds
from .display import Display
from .examples import MISBEHAVING, Example, how, load

_POLICY: Final = ToolPolicy(enabled=True)
_COUNT: Final = (ToolRunRequest("text.count", stdin="still here\n"), "1 2 11\n")
_PING: Final = (ToolRunRequest("ping"), "pong\n")


@dataclass(frozen=True, slots=True)
class Trial:
    """A bad call, what it should end with, and a good call that should be answered after it."""

    about: str
    story: str
    plugin: str
    limits: Limits
    bad: ToolRunRequest
    expected: type[PluginError]
    good: tuple[ToolRunRequest, str]


@dataclass(frozen=True, slots=True)
class Tried:
    """What became of a trial. `after` is the answer of the good call, or its error."""

    trial: Trial
    error: PluginError | None
    milliseconds: float
    after: str
    after_milliseconds: float

    @property
    def hit(self) -> bool:
        """Whether the bad call ended with the expected error."""
        return type(self.error) is self.trial.expected

    @property
    def survived(self) -> bool:
        """Whether the good call was answered as it should be."""
        return self.after == self.trial.good[1]

    @property
    def ok(self) -> bool:
        """Whether all went as it should."""
        return self.hit and self.survived

    def document(self) -> dict[str, Any]:
        """This as JSON."""
        return {
            "about": self.trial.about,
            "plugin": self.trial.plugin,
            "story": self.trial.story,
            "expected": self.trial.expected.__name__,
            "error": None if self.error is None else error_document(self.error),
            "milliseconds": self.milliseconds,
            "hit": self.hit,
            "survived": self.survived,
            "after": {
                "call": self.trial.good[0].command,
                "answer": self.after,
                "milliseconds": self.after_milliseconds,
            },
        }


TRIALS: Final = (
    Trial(
        "fuel",
        "text.grep gets the pattern (a+)+$ and a line that it would backtrack over for hours",
        "text-tools",
        Limits(fuel=1_000_000_000),
        ToolRunRequest("text.grep", ("(a+)+$",), stdin=f"{'a' * 40}b\n"),
        FuelExhaustedError,
        _COUNT,
    ),
    Trial(
        "deadline",
        "spin works for ever and never looks up",
        MISBEHAVING,
        Limits(deadline_ms=500),
        ToolRunRequest("spin"),
        DeadlineExceededError,
        _PING,
    ),
    Trial(
        "memory",
        "grow takes memory until there is none",
        MISBEHAVING,
        Limits(memory_bytes=64 * MIB),
        ToolRunRequest("grow"),
        MemoryLimitError,
        _PING,
    ),
    Trial(
        "document size",
        "text.replace makes a megabyte of a kilobyte",
        "text-tools",
        Limits(document_out_bytes=64 * 1024),
        ToolRunRequest("text.replace", ("", "x" * 1000), stdin="a" * 1000),
        DocumentTooLargeError,
        _COUNT,
    ),
    Trial(
        "log events",
        "flood logs for ever",
        MISBEHAVING,
        Limits(log_events=100),
        ToolRunRequest("flood"),
        LogLimitError,
        _PING,
    ),
    Trial(
        "no limit but a crash",
        "crash aborts, which would end a process",
        MISBEHAVING,
        Limits(),
        ToolRunRequest("crash"),
        PluginTrapError,
        _PING,
    ),
)


async def try_limits(
    examples: Mapping[str, Example],
    trials: Sequence[Trial],
    settings: HostSettings,
    display: Display,
    show: Callable[[Tried], None],
) -> None:
    """Makes every trial, in one host: each is told as soon as it is over.

    Raises what `PluginHost.load` raises.
    """
    async with PluginHost(settings) as host:
        started = time.perf_counter()
        with display.step(MISBEHAVING, "compiling"):
            _, compiled = await load(host, examples[MISBEHAVING])
        took = milliseconds(started)
        display.ready(MISBEHAVING, how(examples[MISBEHAVING], took, compiled=compiled))
        for trial in trials:
            plugin = await host.load(
                examples[trial.plugin].component, expect=LoadedToolExecutor, limits=trial.limits
            )
            show(await _try(trial, plugin))


async def _try(trial: Trial, plugin: LoadedToolExecutor) -> Tried:
    error: PluginError | None = None
    started = time.perf_counter()
    try:
        await plugin.execute(trial.bad, _POLICY)
    except PluginError as raised:
        error = raised
    took = milliseconds(started)
    started = time.perf_counter()
    try:
        after = (await plugin.execute(trial.good[0], _POLICY)).stdout
    except PluginError as raised:
        after = f"{type(raised).__name__}: {raised}"
    return Tried(trial, error, took, after, milliseconds(started))
