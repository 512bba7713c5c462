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
    """A tool to run: its name or program, arguments, and what to feed it."""

    command: str
    args: tuple[str, ...] = ()
    stdin: str = ""
    cwd: str | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    timeout_ms: int | None = None


@dataclass(frozen=True, slots=True)
class ToolRunResult:
    """What a tool did.

    Output is inline (`stdout`, `stderr`), or on the host at `stdout_path` and `stderr_path`.
    `truncated` says that some of it was cut off.
    """

    exit_code: int
    duration_ms: int
    stdout: str = ""
    stderr: str = ""
    stdout_path: str | None = None
    stderr_path: str | None = None
    truncated: bool = False


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
