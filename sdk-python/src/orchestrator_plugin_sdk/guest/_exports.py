"""A plugin class as the export classes that componentize-py looks for.

One instance of a component holds one plugin. Its methods may be plain or `async`: a coroutine is
run to its end inside the call that made it, and the only thing it can wait for is the host
(`ctx.sleep`).
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from importlib import import_module
from typing import Any, Final, TypeVar, cast

from componentize_py_types import Err
from wit_world.imports import abort as host_abort
from wit_world.imports import clock as host_clock
from wit_world.imports import log as host_log
from wit_world.imports import types as wit

from .. import public  # noqa: F401  # what a plugin may name later is there when it is built
from ..answers import outgoing
from ..capabilities.registry import REACHED_BY_ACCESS
from ..context import AbortSignal, CallContext, PluginContext
from ..contract import KINDS, STREAM, Operation
from ..errors import DocumentError, ErrorKind, PluginCallError
from ..log import LogEvent, LogLevel, PluginLogger, log_document
from ..naming import PluginType
from ..plugin import Plugin
from ..schema import from_document
from . import _environment
from ._payloads import map_of, to_payload
from ._warming import warm

with suppress(ImportError):  # only worlds that export a resource have it
    # componentize-py imports it at the end of the build, when files are the host's already.
    import wit_world.exports  # noqa: F401

T = TypeVar("T")

_REACHED: Final = {
    name: made(import_module(f"...capabilities.{name}.guest", __name__).ACCESS)
    for name, made in REACHED_BY_ACCESS.items()
}
"""What each context has: there is one host."""


class _HostLogger(PluginLogger):
    def __init__(self) -> None:
        self.muted = False

    def emit(self, event: LogEvent) -> None:
        document = log_document(event)
        if not self.muted:
            host_log.emit(to_payload(document))


class _HostAbortSignal(AbortSignal):
    @property
    def aborted(self) -> bool:
        return bool(host_abort.is_aborted())

    @property
    def reason(self) -> str | None:
        return "aborted by the caller" if self.aborted else None


class _HostServices:
    async def sleep(self, seconds: float) -> None:
        _environment.sleep(seconds)

    def wall_time(self) -> float:
        return float(host_clock.wall_now()) / 1e9

    def monotonic(self) -> float:
        return float(host_clock.monotonic_now()) / 1e9

    def random_bytes(self, length: int) -> bytes:
        return _environment.random_bytes(length)


def _to_err(error: BaseException) -> Err[Any]:
    if isinstance(error, DocumentError):
        said = PluginCallError(ErrorKind.INVALID_REQUEST, str(error))
    else:
        said = PluginCallError.from_exception(error)
    kind = getattr(wit.ErrorKind, said.kind.name)
    return Err(wit.Error(kind, said.message, said.retryable, said.retry_after_ms))


def _finish(value: Any) -> Any:
    """The result of a coroutine, or the value itself."""
    if not inspect.isawaitable(value):
        return value
    steps = value.__await__()
    try:
        next(steps)
    except StopIteration as done:
        return done.value
    raise RuntimeError(
        "a sandboxed plugin has no event loop: await only your own coroutines and ctx.sleep()"
    )


class _Guest:
    """The plugin of this instance and the surroundings of its calls."""

    def __init__(self, create_plugin: Callable[[], Plugin]) -> None:
        self._create_plugin = create_plugin
        self._plugin: Plugin | None = None
        self._logger = _HostLogger()
        self._streams: list[EventStream] = []

    def _emit_output(self, level: str, line: str) -> None:
        self._logger.emit(LogEvent(line, type="output", level=cast("LogLevel", level)))

    def call(self, operation: Operation, payload: Any) -> Any:
        """Runs one operation; gives what the plugin's method gave."""
        self._close_streams()
        if self._plugin is None:
            if operation.method != "init":
                raise PluginCallError(ErrorKind.INTERNAL, "init has not been called")
            _environment.begin()
            self._plugin = self._create_plugin()
        document = {} if payload is None else map_of(payload)
        arguments: list[Any] = [
            from_document(wanted, document.get(name), name)
            for name, wanted in operation.arguments.items()
        ]
        if operation.with_context:
            arguments.insert(operation.context_position, self._context(document.get("context", {})))
        return _finish(getattr(self._plugin, operation.method)(*arguments))

    def opened(self, stream: EventStream) -> EventStream:
        """Takes note of a stream that begins."""
        self._streams.append(stream)
        return stream

    def _close_streams(self) -> None:
        """Closes the streams of earlier calls, which the host has dropped: it lends an instance to
        one call at a time. componentize-py 0.25 tells a resource nothing when it is dropped
        (`resource_dtor` in its runtime), so the next call is the first chance. What is logged
        meanwhile is not of that call, and is lost."""
        self._logger.muted = True
        try:
            while self._streams:
                self._streams.pop().close()
        finally:
            self._logger.muted = False

    def _context(self, document: Mapping[str, Any]) -> PluginContext:
        context = from_document(CallContext, document, "context")
        return PluginContext(
            run_id=context.run_id,
            logger=self._logger,
            abort_signal=_HostAbortSignal(),
            deadline_ms=context.deadline_ms,
            services=_HostServices(),
            secrets=context.secrets,
            **_REACHED,
        )


class EventStream:
    """An `async` generator (or any iterable) as the contract's `event-stream` resource."""

    def __init__(self, events: Any) -> None:
        self._asynchronous = hasattr(events, "__aiter__")
        self._events = events.__aiter__() if self._asynchronous else iter(events)

    def next(self) -> Any:
        """The next event's payload, or none at the end."""
        try:
            event = _finish(self._events.__anext__()) if self._asynchronous else next(self._events)
        except (StopAsyncIteration, StopIteration):
            return None
        except BaseException as error:
            raise _to_err(error) from None
        try:
            return to_payload(outgoing(STREAM, event))
        except BaseException as error:
            raise _to_err(error) from None

    def close(self) -> None:
        """Runs the generator's `finally` blocks, if it has not ended. Nobody waits for it any
        more, so nobody is told what they raise."""
        close = getattr(self._events, "aclose", None) or getattr(self._events, "close", None)
        self._events = None
        if close is not None:
            with suppress(BaseException):
                _finish(close())


def _export(guest: _Guest, operation: Operation) -> Callable[..., Any]:
    def exported(self: Any, call: Any = None) -> Any:
        try:
            value = guest.call(operation, call)
            if operation.form == "stream":
                return guest.opened(EventStream(value))
            answer = outgoing(operation, value)
            return to_payload(answer) if operation.form == "document" else answer
        except BaseException as error:
            raise _to_err(error) from None

    return exported


def export_plugin(kind: PluginType | str, create_plugin: Callable[[], Plugin]) -> Iterable[Any]:
    """The export classes for a plugin of this kind: `(Lifecycle, <the kind's interface>)`."""
    guest = _Guest(create_plugin)
    _environment.prepare()
    operations = KINDS[PluginType(kind)].operations
    warm(operations)
    _environment.install(guest._emit_output)
    by_interface: dict[str, dict[str, Any]] = {}
    for operation in operations:
        methods = by_interface.setdefault(operation.interface, {})
        methods[operation.function.replace("-", "_")] = _export(guest, operation)
    return [
        type("".join(map(str.title, interface.split("-"))), (), methods)
        for interface, methods in by_interface.items()
    ]
