"""Handles of tool executors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from orchestrator_plugin_sdk import (
    PluginContext,
    PluginType,
    ToolPolicy,
    ToolRunRequest,
    ToolRunResult,
)
from orchestrator_plugin_sdk.contract import (
    EXECUTE,
    IS_ALLOWED,
)

from ._base import LoadedPlugin


class LoadedToolExecutor(LoadedPlugin):
    """Runs the tools an agent asks for."""

    plugin_type = PluginType.TOOL_EXECUTOR

    async def execute(
        self,
        request: ToolRunRequest | Mapping[str, Any],
        policy: ToolPolicy | Mapping[str, Any],
        context: PluginContext | None = None,
    ) -> ToolRunResult:
        """Runs one command under a policy. A tool that fails is a result with an exit code."""
        return cast("ToolRunResult", await self._call(EXECUTE, [request, policy], context))

    async def is_allowed(
        self,
        command: str,
        policy: ToolPolicy | Mapping[str, Any],
        context: PluginContext | None = None,
    ) -> bool:
        """Whether `execute` would run this command under this policy, without running it."""
        return cast("bool", await self._call(IS_ALLOWED, [command, policy], context))
