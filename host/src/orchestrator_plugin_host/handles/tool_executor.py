"""Handles of tool executors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from orchestrator_plugin_sdk.errors import PluginCallError
from orchestrator_plugin_sdk.naming import PluginType

from ..errors import DeadlineExceededError, PluginInputError, PluginOutputError
from ..limits import UNITS
from ._base import Ending, LoadedPlugin

if TYPE_CHECKING:
    from orchestrator_plugin_sdk.context import PluginContext
    from orchestrator_plugin_sdk.tool_executor import (
        ToolPolicy,
        ToolRunRequest,
        ToolRunResult,
    )

    from ..calls import Call


class LoadedToolExecutor(LoadedPlugin):
    """Runs the tools an agent asks for."""

    plugin_type = PluginType.TOOL_EXECUTOR

    async def execute(
        self,
        request: ToolRunRequest | Mapping[str, Any],
        policy: ToolPolicy | Mapping[str, Any],
        context: PluginContext | None = None,
    ) -> ToolRunResult:
        """Runs one command under a policy. A tool that fails is a result with an exit code.

        Paths in the result are absolute, on the host: files that the plugin has made in this
        call's artifacts folder. They are there until the plugin is unloaded, or longer if
        `HostSettings.artifacts_directory` is set. The `timeout_ms` of the request and that of the
        policy lower the call's deadline.
        """
        self._enter()
        try:
            arguments = self._arguments("execute", [request, policy])
            timeout = self._timeout(*arguments)
            try:
                return await self._run(arguments, context, timeout)
            except DeadlineExceededError as error:
                if timeout is None:
                    raise
                raise DeadlineExceededError(
                    self.name,
                    "timeout_ms",
                    timeout,
                    UNITS["deadline_ms"],
                    f"took too long ({error.times})",
                    error.times,
                    remedy="raise timeout_ms in the request, and in the tool policy if it is set "
                    "there",
                ) from error
        finally:
            self._leave()

    def _timeout(self, request: ToolRunRequest, policy: ToolPolicy) -> int | None:
        """The shorter timeout, in milliseconds, if it is shorter than the deadline. Raises
        `PluginInputError`."""
        timeouts = [one for one in (request.timeout_ms, policy.timeout_ms) if one is not None]
        for timeout in timeouts:
            if timeout < 1:
                raise PluginInputError(
                    f"execute of plugin {self.name!r}: timeout_ms: expected 1 or more, "
                    f"got {timeout}"
                )
        shortest = min(timeouts, default=self.limits.deadline_ms)
        return shortest if shortest < self.limits.deadline_ms else None

    async def _run(
        self, arguments: list[Any], context: PluginContext | None, timeout: int | None
    ) -> ToolRunResult:
        limits = self.limits
        if timeout is not None:
            limits = limits.model_copy(update={"deadline_ms": timeout})
        call = self._begun("execute", context, limits)
        async with Ending(call):
            return await self._executed(arguments, call)

    async def _executed(self, arguments: list[Any], call: Call) -> ToolRunResult:
        operation = self._operations["execute"]
        result: ToolRunResult = await self._backend.call(operation, arguments, call)
        if result.artifacts or (result.stdout_path, result.stderr_path) != (None, None):
            with call.scope():
                result = await _on_host(result, call)
        return result

    async def is_allowed(
        self,
        command: str,
        policy: ToolPolicy | Mapping[str, Any],
        context: PluginContext | None = None,
    ) -> bool:
        """Whether `execute` would run this command under this policy, without running it."""
        return cast("bool", await self._call("is_allowed", [command, policy], context))


async def _on_host(result: ToolRunResult, call: Call) -> ToolRunResult:
    """The result with the paths of the host's in the place of the plugin's. Raises
    `PluginOutputError` for one that is no file of this call's."""

    from orchestrator_plugin_sdk.tool_executor import Artifact

    async def checked(what: str, paths: Sequence[str]) -> Sequence[tuple[Path, int]]:
        if not paths:
            return []
        try:
            return await call.reach.files.host_paths(paths)
        except PluginCallError as error:
            raise PluginOutputError(
                f"plugin {call.plugin!r} returned {what} from execute that is not a file of this "
                f"call: {error.message}"
            ) from None

    async def output(what: str, path: str | None) -> str | None:
        found = await checked(what, [] if path is None else [path])
        return str(found[0][0]) if found else None

    artifacts = await checked("an artifact", [one.path for one in result.artifacts])
    return replace(
        result,
        stdout_path=await output("a stdout_path", result.stdout_path),
        stderr_path=await output("a stderr_path", result.stderr_path),
        artifacts=tuple(Artifact(str(path), size) for path, size in artifacts),
    )
