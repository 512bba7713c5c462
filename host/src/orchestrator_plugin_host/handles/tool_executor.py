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
from .tool_policy import NO_NETWORK, check_output, check_size, denial, require_allowed

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

        The host keeps the policy. A command that it does not allow raises `PluginCallError` of the
        kind `permission-denied`, and the plugin does not hear of it; output beyond
        `max_output_bytes` raises `PluginOutputError`; without `allow_network`, the HTTP requests of
        this call are refused.

        Paths in the result are absolute, on the host: files that the plugin has made in this
        call's artifacts folder. They are there until the plugin is unloaded, or longer if
        `HostSettings.artifacts_directory` is set. The `timeout_ms` of the request and that of the
        policy lower the call's deadline.
        """
        self._enter()
        try:
            arguments = self._arguments("execute", [request, policy])
            self._check_policy(arguments[1])
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

    def _check_policy(self, policy: ToolPolicy) -> None:
        if policy.max_output_bytes < 0:
            raise PluginInputError(
                f"execute of plugin {self.name!r}: max_output_bytes: expected 0 or more, "
                f"got {policy.max_output_bytes}"
            )

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
        request, policy = arguments
        await require_allowed(request.command, policy, call)
        result: ToolRunResult = await self._asked("execute", arguments, call)
        await check_output(result, policy, call)
        if result.artifacts or (result.stdout_path, result.stderr_path) != (None, None):
            with call.scope():
                result = await _on_host(result, policy, call)
        return result

    async def is_allowed(
        self,
        command: str,
        policy: ToolPolicy | Mapping[str, Any],
        context: PluginContext | None = None,
    ) -> bool:
        """Whether `execute` would run this command under this policy, without running it.

        The plugin is asked if the policy allows the command, and may refuse it all the same.
        """
        self._enter()
        try:
            arguments = self._arguments("is_allowed", [command, policy])
            call = self._begun("is_allowed", context)
            async with Ending(call):
                if await denial(arguments[0], arguments[1], call) is not None:
                    return False
                return cast("bool", await self._asked("is_allowed", arguments, call))
        finally:
            self._leave()

    async def _asked(self, method: str, arguments: list[Any], call: Call) -> Any:
        """What the plugin answers, without a network if the policy, the last argument, says so."""
        if not arguments[-1].allow_network:
            call.network_denial = NO_NETWORK
        return await self._backend.call(self._operations[method], arguments, call)


async def _on_host(result: ToolRunResult, policy: ToolPolicy, call: Call) -> ToolRunResult:
    """The result with paths of the host in the place of the plugin's. Raises `PluginOutputError`
    for a path that is not a file of this call, and for output that is larger than the policy
    allows."""

    from orchestrator_plugin_sdk.tool_executor import Artifact

    async def checked(what: str, paths: Sequence[str]) -> Sequence[tuple[Path, int]]:
        if not paths:
            return []
        try:
            found: Sequence[tuple[Path, int]] = await call.reach.of("files").host_paths(paths)
            return found
        except PluginCallError as error:
            raise PluginOutputError(
                f"plugin {call.plugin!r} returned {what} from execute that is not a file of this "
                f"call: {error.message}"
            ) from None

    async def output(name: str, path: str | None) -> str | None:
        if path is None:
            return None
        [(found, size)] = await checked(f"a {name}", [path])
        check_size(name, size, policy, call)
        return str(found)

    artifacts = await checked("an artifact", [one.path for one in result.artifacts])
    return replace(
        result,
        stdout_path=await output("stdout_path", result.stdout_path),
        stderr_path=await output("stderr_path", result.stderr_path),
        artifacts=tuple(Artifact(str(path), size) for path, size in artifacts),
    )
