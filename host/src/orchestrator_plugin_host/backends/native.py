"""Native plugins: Python objects in this process, trusted, not sandboxed.

The deadline and cancellation reach them where they await; fuel and memory are not bounded.
Documents are copied and validated on both ways as if they crossed the boundary, so that a plugin
behaves the same here and in the sandbox.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import (
    AbstractAsyncContextManager,
    AsyncExitStack,
    aclosing,
    asynccontextmanager,
    suppress,
)
from typing import Any

import anyio
from orchestrator_plugin_sdk.answers import outgoing
from orchestrator_plugin_sdk.capabilities.registry import REACHED_BY_ACCESS
from orchestrator_plugin_sdk.context import AbortSignal, NativeServices, PluginContext
from orchestrator_plugin_sdk.contract import INIT, SHUTDOWN, Operation
from orchestrator_plugin_sdk.errors import DocumentError, PluginCallError
from orchestrator_plugin_sdk.native import create_plugin
from orchestrator_plugin_sdk.plugin import Plugin, PluginExport

from ..admission import AdmittedPlugin
from ..calls import Call, CallLogger
from ..errors import PluginInitError, PluginOutputError
from ..operations import codecs_of
from ..reach import Reach
from .base import Backend, Isolation, context_document, own_call


class _AnyioServices(NativeServices):
    """Time and randomness of the process, on whichever event loop runs."""

    def __init__(self, call: Call) -> None:
        self._call = call

    async def sleep(self, seconds: float) -> None:
        with self._call.hosting():
            await anyio.sleep(seconds)


class NativeBackend(Backend):
    """A native plugin."""

    isolation: Isolation = "native"

    def __init__(
        self,
        admitted: AdmittedPlugin,
        config: Mapping[str, Any],
        *,
        context: PluginContext,
        init_deadline_ms: int,
        reach: Reach,
    ) -> None:
        """`context` is that of each `init` after the first, and of its `shutdown`, for a plugin of
        which no object serves a second call; `init_deadline_ms`, the time of an `init`."""
        assert isinstance(admitted.source, PluginExport)
        self._admitted = admitted
        self.codecs = codecs_of(admitted.manifest.name, admitted.kind, admitted.limits)
        self._config = config
        self._context = context.with_(abort_signal=AbortSignal())
        self._init_deadline_ms = init_deadline_ms
        self._reach = reach
        self._fresh = admitted.manifest.fresh_instances
        self._ready: Plugin | None = None

    async def start(self, call: Call) -> None:
        """Makes the plugin and runs its `init`."""
        with call.scope():
            self._ready = await self._made(call)

    async def _made(self, call: Call) -> Plugin:
        assert isinstance(self._admitted.source, PluginExport)
        plugin: Plugin = create_plugin(self._admitted.source, self._admitted.manifest)
        try:
            await self._invoke(plugin, INIT, [dict(self._config)], call)
        except PluginCallError as error:
            message = f"plugin {call.plugin!r} failed to initialise: {error}"
            raise PluginInitError(message) from error
        return plugin

    @asynccontextmanager
    async def _borrowed(self, call: Call) -> AsyncIterator[Plugin]:
        """The plugin, for as long as the context is open; one of its own, if it is to be fresh."""
        plugin = self._ready
        if not self._fresh:
            assert plugin is not None
            yield plugin
            return
        self._ready = None
        if plugin is None:
            async with self._own_call(INIT.method, self._init_deadline_ms) as making:
                with making.scope():
                    plugin = await self._made(making)
        try:
            yield plugin
        finally:
            left = int(call.time_to_end() * 1000)
            # As in the sandbox: the call has its result, whatever the plugin does now.
            with anyio.CancelScope(shield=True), suppress(Exception):
                async with self._own_call(SHUTDOWN.method, left) as ending:
                    with ending.scope():
                        await self._invoke(plugin, SHUTDOWN, [], ending)

    def _own_call(self, operation: str, deadline_ms: int) -> AbstractAsyncContextManager[Call]:
        limits = self._admitted.limits.model_copy(update={"deadline_ms": deadline_ms})
        call = Call(
            self._admitted.manifest.name,
            limits,
            self._context,
            operation=operation,
            reach=self._reach,
        )
        return own_call(call)

    async def call(self, operation: Operation, arguments: Sequence[Any], call: Call) -> Any:
        """Awaits the plugin's method."""
        if not self._fresh:
            assert self._ready is not None
            with call.scope():
                return await self._invoke(self._ready, operation, arguments, call)
        with call.scope():
            async with self._borrowed(call) as plugin:
                return await self._invoke(plugin, operation, arguments, call)

    async def _invoke(
        self, plugin: Plugin, operation: Operation, arguments: Sequence[Any], call: Call
    ) -> Any:
        passed = self._passed(operation, arguments, call)
        with _plugin_faults(call):
            value = getattr(plugin, operation.method)(*passed)
            if inspect.isawaitable(value):
                value = await value
            answer = self._answer(operation, value)
        return self._accepted(operation, value, answer, call)

    @asynccontextmanager
    async def stream(
        self, operation: Operation, arguments: Sequence[Any], call: Call
    ) -> AsyncIterator[AsyncIterator[Any]]:
        """Iterates over what the plugin's method gives."""
        async with AsyncExitStack() as stack:
            with call.scope():
                plugin = await stack.enter_async_context(self._borrowed(call))
            async with self._stream(plugin, operation, arguments, call) as events:
                yield events

    @asynccontextmanager
    async def _stream(
        self, plugin: Plugin, operation: Operation, arguments: Sequence[Any], call: Call
    ) -> AsyncIterator[AsyncIterator[Any]]:
        passed = self._passed(operation, arguments, call)
        with call.scope(), _plugin_faults(call):
            events = getattr(plugin, operation.method)(*passed)
            if inspect.isawaitable(events):
                events = await events
            asynchronous = hasattr(events, "__aiter__")
            steps = events.__aiter__() if asynchronous else iter(events)
        try:
            async with aclosing(self._events(operation, steps, asynchronous, call)) as taken:
                yield taken
        finally:
            close = getattr(steps, "aclose", None) or getattr(steps, "close", None)
            if close is not None:
                # Nobody waits for the stream any more, so nobody is told; as in the sandbox.
                with anyio.move_on_after(call.time_to_end(), shield=True), suppress(Exception):
                    done = close()
                    if inspect.isawaitable(done):
                        await done

    async def _events(
        self, operation: Operation, steps: Any, asynchronous: bool, call: Call
    ) -> AsyncGenerator[Any, None]:
        while True:
            with call.scope(), _plugin_faults(call):
                try:
                    event = await steps.__anext__() if asynchronous else next(steps)
                except (StopAsyncIteration, StopIteration):
                    return
                answer = self._answer(operation, event)
            yield self._accepted(operation, event, answer, call)

    async def close(self, call: Call) -> None:
        """Runs the plugin's `shutdown`, if its `init` succeeded."""
        plugin, self._ready = self._ready, None
        if plugin is not None:
            with call.scope():
                await self._invoke(plugin, SHUTDOWN, [], call)

    def _passed(self, operation: Operation, arguments: Sequence[Any], call: Call) -> list[Any]:
        """What the method gets: copies, as across the boundary, and the context."""
        codec = self.codecs[operation.method]
        document = codec.encode(arguments, context_document(operation, call))
        passed = [] if document is None else codec.copied(document)
        if operation.with_context:
            context = call.context.with_(
                logger=CallLogger(call),
                secrets=call.reach.secrets,
                **{name: made(call.reach.of(name)) for name, made in REACHED_BY_ACCESS.items()},
                deadline_ms=call.deadline_ms_left(),
                services=_AnyioServices(call),
            )
            passed.insert(operation.context_position, context)
        return passed

    def _answer(self, operation: Operation, value: Any) -> Any:
        """What the method returned, as it would cross the boundary."""
        if operation.form in ("nothing", "scalar"):
            return outgoing(operation, value)
        return self.codecs[operation.method].written(value)

    def _accepted(self, operation: Operation, value: Any, answer: Any, call: Call) -> Any:
        if operation.form in ("nothing", "scalar"):
            return answer
        try:
            return self.codecs[operation.method].read(answer)
        except PluginOutputError:
            with _plugin_faults(call):
                outgoing(operation, value)  # raises if it could not have been sent
            raise


def _is_cancellation(error: BaseException | None) -> bool:
    return isinstance(error, anyio.get_cancelled_exc_class())


class _plugin_faults:  # noqa: N801  # reads as a function where it is used
    """Around a plugin's own code: what it raises becomes `PluginCallError`, as in the sandbox."""

    def __init__(self, call: Call) -> None:
        self._call = call

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if self._call.host_error is not None and not _is_cancellation(error):
            raise self._call.host_error from None
        if isinstance(error, DocumentError):
            raise PluginCallError("invalid-request", str(error)) from error
        if isinstance(error, (Exception, SystemExit)) and not isinstance(error, PluginCallError):
            raise PluginCallError.from_exception(error) from error
