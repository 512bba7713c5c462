"""A tool executor that misbehaves on demand, to show what a host's limits do.

Every command but `ping` would harm the process it runs in, so `init` refuses to go on anywhere
but in a sandbox.
"""

from __future__ import annotations

import itertools
import os
import sys
from collections.abc import Callable, Mapping
from types import MappingProxyType

from orchestrator_plugin_sdk import (
    ErrorKind,
    HealthCheckResult,
    PluginCallError,
    PluginConfig,
    PluginContext,
    SdkVersionRange,
    ToolExecutorPlugin,
    ToolPolicy,
    ToolRunRequest,
    ToolRunResult,
)

CHUNK = 1024 * 1024


class MisbehavingTools(ToolExecutorPlugin):
    """Runs the commands of `COMMANDS`. Only `ping` ever answers."""

    name = "misbehaving-tools"
    sdk_version = SdkVersionRange(1, 1)

    async def init(self, config: PluginConfig, ctx: PluginContext) -> None:
        if sys.platform != "wasi":
            raise PluginCallError(
                ErrorKind.PERMISSION_DENIED, "this plugin would take the process down: sandbox it"
            )

    async def health_check(self) -> HealthCheckResult:
        return HealthCheckResult(True, "well, until told otherwise")

    async def shutdown(self) -> None:
        """Nothing was taken, nothing to give back."""

    def is_allowed(self, command: str, policy: ToolPolicy) -> bool:
        return command in COMMANDS

    async def execute(
        self, request: ToolRunRequest, policy: ToolPolicy, ctx: PluginContext
    ) -> ToolRunResult:
        if request.command not in COMMANDS:
            raise PluginCallError(ErrorKind.NOT_FOUND, f"there is no tool {request.command!r}")
        return ToolRunResult(0, 0, stdout=COMMANDS[request.command](ctx))


def create_plugin() -> MisbehavingTools:
    """The entry that `plugin.toml` names."""
    return MisbehavingTools()


def _ping(ctx: PluginContext) -> str:
    return "pong\n"


def _spin(ctx: PluginContext) -> str:
    """Works for ever, and never looks at the abort signal."""
    for _ in itertools.count():
        pass
    return ""


def _grow(ctx: PluginContext) -> str:
    """Takes memory until there is none: the `MemoryError` goes up to the host."""
    hoard = [bytes(CHUNK)]
    while True:
        hoard.append(bytes(CHUNK))


def _flood(ctx: PluginContext) -> str:
    """Logs for ever."""
    for number in itertools.count(1):
        ctx.logger.info("and another thing", number=number)
    return ""


def _crash(ctx: PluginContext) -> str:
    """Ends the process; in a sandbox there is no process, only a trap."""
    os.abort()


COMMANDS: Mapping[str, Callable[[PluginContext], str]] = MappingProxyType(
    {"ping": _ping, "spin": _spin, "grow": _grow, "flood": _flood, "crash": _crash}
)
