"""Native plugins: Python objects in this process, trusted, not sandboxed.

The deadline and cancellation reach them where they await; fuel and memory are not bounded.
Documents are copied and validated on both ways as if they crossed the boundary, so that a plugin
behaves the same here and in the sandbox.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import Any

import anyio
from orchestrator_plugin_sdk import (
    DocumentError,
    NativeServices,
    Plugin,
    PluginCallError,
    PluginError,
    PluginExport,
    Vectors,
    create_plugin,
    pack,
    to_document,
    unpack,
)
from orchestrator_plugin_sdk.contract import INIT, SHUTDOWN, Operation

from ..admission import AdmittedPlugin
from ..calls import Call
from ..documents import validate
from ..errors import PluginInitError, PluginOutputError
from .base import Backend, Isolation


class _AnyioServices(NativeServices):
    """Time and randomness of the process, on whichever event loop runs."""

    async def sleep(self, seconds: float) -> None:
        await anyio.sleep(seconds)


class NativeBackend(Backend):
    """A native plugin."""

    isolation: Isolation = "native"

    def __init__(self, admitted: AdmittedPlugin, config: Mapping[str, Any]) -> None:
        assert isinstance(admitted.source, PluginExport)
        self._admitted = admitted
        self._config = config
        self._plugin: Plugin | None = None
        self._started = False

    async def start(self, call: Call) -> None:
        """Makes the plugin and runs its `init`."""
        assert isinstance(self._admitted.source, PluginExport)
        self._plugin = create_plugin(self._admitted.source, self._admitted.manifest)
        try:
            await self.call(INIT, [dict(self._config)], call)
        except PluginCallError as error:
            message = f"plugin {call.plugin!r} failed to initialise: {error}"
            raise PluginInitError(message) from error
        self._started = True

    async def call(self, operation: Operation, arguments: Sequence[Any], call: Call) -> Any:
        """Awaits the plugin's method."""
        with _plugin_faults(call):
            value = self._begin(operation, arguments, call)
            if inspect.isawaitable(value):
                value = await value
        return self._result(operation, value, call)

    @asynccontextmanager
    async def stream(
        self, operation: Operation, arguments: Sequence[Any], call: Call
    ) -> AsyncIterator[AsyncIterator[Any]]:
        """Iterates over what the plugin's method gives."""
        async with call.scope():
            with _plugin_faults(call):
                events = self._begin(operation, arguments, call)
        try:
            async with aclosing(self._events(operation, events, call)) as steps:
                yield steps
        finally:
            close = getattr(events, "aclose", None)
            if close is not None:
                with anyio.CancelScope(shield=True):
                    await close()

    async def _events(
        self, operation: Operation, events: Any, call: Call
    ) -> AsyncGenerator[Any, None]:
        asynchronous = hasattr(events, "__aiter__")
        steps = events.__aiter__() if asynchronous else iter(events)
        while True:
            async with call.scope():
                with _plugin_faults(call):
                    try:
                        event = await steps.__anext__() if asynchronous else next(steps)
                    except (StopAsyncIteration, StopIteration):
                        return
            yield self._result(operation, event, call)

    async def close(self, call: Call) -> None:
        """Runs the plugin's `shutdown`, if its `init` succeeded."""
        if self._started:
            await self.call(SHUTDOWN, [], call)

    def _begin(self, operation: Operation, arguments: Sequence[Any], call: Call) -> Any:
        passed = list(arguments)
        if operation.with_context:
            context = call.context.with_(
                deadline_ms=call.deadline_ms_left(), services=_AnyioServices()
            )
            passed.insert(operation.context_position, context)
        return getattr(self._plugin, operation.method)(*passed)

    def _result(self, operation: Operation, value: Any, call: Call) -> Any:
        if operation.form == "nothing":
            return None
        what = f"what plugin {call.plugin!r} answered to {operation.method}"
        try:
            if operation.result is Vectors and not isinstance(value, Vectors):
                value = Vectors(value)
            if operation.form == "scalar":
                return validate(operation.result, value, what)
            packed = pack(to_document(value))
            call.check_document_out(len(packed))
            return validate(operation.result, unpack(packed), what)
        except (DocumentError, ValueError) as error:
            raise PluginOutputError(str(error)) from None


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
        if isinstance(error, Exception) and not isinstance(error, PluginError):
            if isinstance(error, (StopIteration, StopAsyncIteration)):
                return
            raise PluginCallError.from_exception(error) from error
