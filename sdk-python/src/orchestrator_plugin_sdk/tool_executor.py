"""Tool executors: requests, policies, results, and `ToolExecutorPlugin`."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .command_patterns import (
    MAX_COMMAND_CHARACTERS,
    MAX_PATTERN_CHARACTERS,
    MAX_PATTERNS,
    first_match,
)
from .plugin import Plugin

if TYPE_CHECKING:
    from .context import PluginContext


@dataclass(frozen=True, slots=True)
class ToolRunRequest:
    """A tool to run: its name or program, arguments, and what to feed it. `input_files` are files
    that it finds, by their names."""

    command: str
    args: tuple[str, ...] = ()
    stdin: str = ""
    cwd: str | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    timeout_ms: int | None = None
    input_files: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Artifact:
    """A file that a tool made. A plugin names it by its path (`artifacts/plot.svg`); its caller
    gets the path on the host, and the size in bytes, both of which the host has checked."""

    path: str
    size: int = 0


@dataclass(frozen=True, slots=True)
class ToolRunResult:
    """What a tool did.

    Output is inline (`stdout`, `stderr`), or in files: a plugin names them by their paths
    (`artifacts/stdout.txt`), its caller gets their paths on the host. `truncated` says that some
    output was cut off.
    """

    exit_code: int
    duration_ms: int
    stdout: str = ""
    stderr: str = ""
    stdout_path: str | None = None
    stderr_path: str | None = None
    truncated: bool = False
    artifacts: tuple[Artifact, ...] = ()


@dataclass(frozen=True, slots=True)
class ToolPolicy:
    """What an operator lets tools do. Patterns are like those of a shell (`git *`, `text.*`).

    Nothing is allowed unless `enabled` and matched by `allowed_commands`; `denied_commands` wins.
    `max_output_bytes` holds for stdout and for stderr, each, in bytes of UTF-8 or of a file;
    `timeout_ms`, in milliseconds, for a run. The host enforces all of it.
    """

    enabled: bool = False
    allowed_commands: tuple[str, ...] = ("*",)
    denied_commands: tuple[str, ...] = ()
    allow_network: bool = False
    max_output_bytes: int = 1_000_000
    timeout_ms: int | None = None

    def allows(self, command: str) -> bool:
        """Whether a command may run under this policy."""
        return self.denial(command) is None

    def denial(self, command: str) -> str | None:
        """Why a command may not run, and what to change if it is to; `None` if it may."""
        work = self.deciding(command)
        try:
            while True:
                next(work)
        except StopIteration as done:
            why: str | None = done.value
            return why

    def deciding(self, command: str) -> Generator[None, None, str | None]:
        """`denial` as work in pieces: a generator that yields every few milliseconds at least, for
        callers with an event loop to run, and returns what `denial` does."""
        fault = self._fault(command)
        if fault is not None:
            return fault
        denied = yield from first_match(self.denied_commands, command)
        if denied is not None:
            return (
                f"denied_commands[{denied}] of the tool policy matches it: remove that pattern if "
                "the command may run"
            )
        allowed = yield from first_match(self.allowed_commands, command)
        if allowed is None:
            return (
                "no pattern in allowed_commands of the tool policy matches it: add one that does "
                "if the command may run"
            )
        return None

    def _fault(self, command: str) -> str | None:
        """Why this policy allows nothing, or no such command whatever its patterns are."""
        if not self.enabled:
            return "enabled is false in the tool policy: set it to true to allow commands"
        if len(command) > MAX_COMMAND_CHARACTERS:
            return (
                f"a command must have at most {MAX_COMMAND_CHARACTERS:,} characters, and it has "
                f"{len(command):,}: pass the rest in args or stdin"
            )
        for name in ("allowed_commands", "denied_commands"):
            patterns: tuple[str, ...] = getattr(self, name)
            if len(patterns) > MAX_PATTERNS:
                return (
                    f"{name} of the tool policy must have at most {MAX_PATTERNS:,} patterns, and "
                    f"it has {len(patterns):,}: remove some"
                )
            for position, pattern in enumerate(patterns):
                if len(pattern) > MAX_PATTERN_CHARACTERS:
                    return (
                        f"{name}[{position}] of the tool policy must have at most "
                        f"{MAX_PATTERN_CHARACTERS:,} characters, and it has {len(pattern):,}: "
                        "shorten it"
                    )
        return None


class ToolExecutorPlugin(Plugin):
    """A plugin that runs the tools an agent asks for.

    The host keeps the tool policy: it calls neither method for a command that the policy does not
    allow, so that a plugin only has to know its own tools. What it returns is held to the policy,
    too: output of more than `max_output_bytes` is an error, so cut it and say `truncated`.
    """

    @abstractmethod
    async def execute(
        self, request: ToolRunRequest, policy: ToolPolicy, ctx: PluginContext
    ) -> ToolRunResult:
        """Runs one command. A tool that fails is a result with an exit code; raise
        `PluginCallError` when it could not be run at all."""

    @abstractmethod
    def is_allowed(self, command: str, policy: ToolPolicy) -> bool:
        """Whether `execute` would run this command, without running it: whether there is such a
        tool. It may be stricter than the policy, which the host has asked before."""
