"""What every handle has: the calling of a plugin, and its end."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Sequence
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar, cast
from weakref import WeakSet

import anyio
from orchestrator_plugin_sdk.errors import ErrorKind, PluginCallError

from ..calls import Call
from ..errors import (
    ConcurrencyLimitError,
    PluginClosedError,
    PluginError,
)
from ..limits import UNITS, Limits

if TYPE_CHECKING:
    from orchestrator_plugin_sdk.context import PluginContext
    from orchestrator_plugin_sdk.manifest import PluginManifest
    from orchestrator_plugin_sdk.naming import PluginType
    from orchestrator_plugin_sdk.plugin import HealthCheckResult
    from orchestrator_plugin_sdk.version import SdkVersionRange

    from ..admission import AdmittedPlugin
    from ..backends.base import Backend, Isolation
    from ..reaching.plugin import PluginReach
    from ..settings import Tier

T = TypeVar("T")


def listed(values: Any) -> Any:
    """What an iterable gives, for validation to look at. A text is no list of texts."""
    if isinstance(values, (str, bytes)) or not isinstance(values, Iterable):
        return values
    return tuple(values)


class Ending:
    """Around all that is done for a call: what it has open ends with it."""

    __slots__ = ("_call",)

    def __init__(self, call: Call) -> None:
        self._call = call

    async def __aenter__(self) -> None:
        return None

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        call = self._call
        await call.end(error)
        if (
            isinstance(error, PluginCallError)
            and error.kind is ErrorKind.ABORTED
            and call.context.abort_signal.aborted
        ):
            # The plugin looked at the signal, and stopped before it was made to.
            raise call.aborted() from error


class PluginStream(AsyncIterator[T]):
    """The events of a plugin, as they come.

    A sandboxed plugin's instance is held until the stream ends: iterate to the end, or close it
    (`async with contextlib.aclosing(stream)`). A stream that ends because its plugin was shut down
    raises `PluginClosedError`, so that it does not look complete.
    """

    def __init__(self, plugin: str, events: AsyncGenerator[T, None]) -> None:
        self._plugin = plugin
        self._events = events
        self._was_cut = False

    async def __anext__(self) -> T:
        try:
            return await self._events.__anext__()
        except StopAsyncIteration:
            if self._was_cut:
                raise PluginClosedError(f"plugin {self._plugin!r} has been shut down") from None
            raise

    async def aclose(self) -> None:
        """Ends the stream and gives its instance back."""
        await self._events.aclose()

    async def _cut(self) -> None:
        await self._events.aclose()
        self._was_cut = True


class LoadedPlugin:
    """What every loaded plugin has. An async context manager that shuts the plugin down.

    Every call takes an optional `context`; without one it runs in the context given to `load`.
    Every call may raise `PluginCallError` (the plugin said no), `LimitExceededError`,
    `PluginTrapError`, `PluginOutputError`, `PluginInputError`, `PluginAbortedError` or
    `PluginClosedError`.
    """

    plugin_type: ClassVar[PluginType]

    def __init__(
        self,
        admitted: AdmittedPlugin,
        backend: Backend,
        context: PluginContext,
        reach: PluginReach,
    ) -> None:
        self._admitted = admitted
        self._backend = backend
        self._context = context
        self._reach = reach
        self._operations = {one.method: one for one in admitted.kind.operations}
        self._active = 0
        self._closed = False
        self._moved = anyio.Event()
        self._shut_down = anyio.Event()
        self._streams: WeakSet[PluginStream[Any]] = WeakSet()

    @property
    def manifest(self) -> PluginManifest:
        """The plugin's manifest, as it was checked."""
        return self._admitted.manifest

    @property
    def name(self) -> str:
        """The plugin's name."""
        return self.manifest.name

    @property
    def sdk_version(self) -> SdkVersionRange:
        """The SDK versions the plugin works with."""
        return self.manifest.sdk_version

    @property
    def isolation(self) -> Isolation:
        """`sandbox`, or `native`: in this process with all its rights."""
        return self._backend.isolation

    @property
    def tier(self) -> Tier | None:
        """Where a sandboxed plugin runs: `in-process` or `process`; none of a native one."""
        return self._backend.tier

    @property
    def limits(self) -> Limits:
        """The limits that hold for the plugin: the operator's, lowered by the manifest's."""
        return self._admitted.limits

    @property
    def closed(self) -> bool:
        """Whether the plugin has been shut down."""
        return self._closed

    async def health_check(self, context: PluginContext | None = None) -> HealthCheckResult:
        """Whether the plugin can work."""
        return cast("HealthCheckResult", await self._call("health_check", [], context))

    async def shutdown(self) -> None:
        """Shuts the plugin down. Calls under way are waited for, open streams are closed, new
        calls are refused."""
        with anyio.CancelScope(shield=True):
            if self._closed:
                await self._shut_down.wait()
                return
            self._closed = True
            try:
                while self._active:
                    await self._close_streams()
                    if self._active:
                        self._moved = anyio.Event()
                        await self._moved.wait()
                from orchestrator_plugin_sdk.context import AbortSignal

                # Not even a caller who has aborted everything keeps it from shutting down.
                context = self._context.with_(abort_signal=AbortSignal())
                call = self._begun("shutdown", context)
                async with Ending(call):
                    await self._backend.close(call)
            finally:
                self._shut_down.set()
                await self._reach.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.shutdown()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name} {self.manifest.version} ({self.isolation})>"

    async def start(self, init_deadline_ms: int) -> None:
        """Makes the plugin ready, in this many milliseconds. Called once, by the host. If it
        fails, nothing is left over."""
        try:
            limits = self.limits.model_copy(update={"deadline_ms": init_deadline_ms})
            call = self._begun("init", self._context, limits)
            async with Ending(call):
                await self._backend.start(call)
            await self._learn()
        except BaseException:
            with suppress(PluginError):
                await self.shutdown()
            raise

    async def _learn(self) -> None:
        """Asks what the handle answers by itself later."""

    async def _close_streams(self) -> None:
        """Closes the streams whose callers are not waiting for an event."""
        for stream in list(self._streams):
            with suppress(RuntimeError):  # it is just being iterated
                await stream._cut()

    def _begun(
        self, operation: str, context: PluginContext | None, limits: Limits | None = None
    ) -> Call:
        """A new call, whose clock runs. It must be ended."""
        return Call(
            self.name,
            limits or self.limits,
            context or self._context,
            operation=operation,
            reach=self._reach,
        )

    def _enter(self) -> None:
        """Counts a call. `_leave` must follow."""
        if self._closed:
            raise PluginClosedError(f"plugin {self.name!r} has been shut down")
        if self._active >= self.limits.concurrent_calls:
            raise ConcurrencyLimitError(
                self.name,
                "concurrent_calls",
                self.limits.concurrent_calls,
                UNITS["concurrent_calls"],
                "has too many calls under way",
            )
        self._active += 1

    def _leave(self) -> None:
        self._active -= 1
        if self._closed:
            self._moved.set()

    def _arguments(self, method: str, values: Sequence[Any]) -> list[Any]:
        return self._backend.codecs[method].validate_arguments(values)

    async def _call(self, method: str, values: Sequence[Any], context: PluginContext | None) -> Any:
        self._enter()
        try:
            arguments = self._arguments(method, values)
            call = self._begun(method, context)
            async with Ending(call):
                return await self._backend.call(self._operations[method], arguments, call)
        finally:
            self._leave()
