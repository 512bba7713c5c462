"""Tool executors: requests, policies, results, and `ToolExecutorPlugin`."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

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
    """What an operator lets tools do. Patterns are of the shell's kind (`git *`, `text.*`).

    Nothing is allowed unless `enabled` and matched by `allowed_commands`; `denied_commands` wins.
    """

    enabled: bool = False
    allowed_commands: tuple[str, ...] = ("*",)
    denied_commands: tuple[str, ...] = ()
    allow_network: bool = False
    max_output_bytes: int = 1_000_000
    timeout_ms: int | None = None

    def allows(self, command: str) -> bool:
        """Whether a command may run under this policy."""
        return (
            self.enabled
            and any(fnmatchcase(command, pattern) for pattern in self.allowed_commands)
            and not any(fnmatchcase(command, pattern) for pattern in self.denied_commands)
        )


class ToolExecutorPlugin(Plugin):
    """A plugin that runs the tools an agent asks for."""

    @abstractmethod
    async def execute(
        self, request: ToolRunRequest, policy: ToolPolicy, ctx: PluginContext
    ) -> ToolRunResult:
        """Runs one command. A tool that fails is a result with an exit code; raise
        `PluginCallError` when it could not be run at all."""

    @abstractmethod
    def is_allowed(self, command: str, policy: ToolPolicy) -> bool:
        """Whether `execute` would run this command, without running it."""
