"""The host's side of what guests import: what a call of `log`, `abort`, `clock` and `random` does,
and where `http` and `files` are."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from typing import Any

from orchestrator_plugin_sdk import DocumentError, LogEvent, unpack

from ..calls import Call
from ..documents import validate
from ..errors import LimitExceededError, PluginOutputError
from ..limits import Limits
from .file_imports import FILES_HANDLERS
from .http_imports import HTTP_HANDLERS
from .payloads import payload_bytes
from .values import ValueMismatchError, ValueTooLargeError

_MAX_RANDOM_BYTES = 65_536


def room_for(document_bytes: int) -> int:
    """Bytes that a string may have whose document has at most `document_bytes`: in `latin1` a byte
    takes up to two. Never less than a message of an error takes."""
    return document_bytes * 2 + 65_536


def import_room(limits: Limits, interface: str) -> int:
    """Bytes that a string or list may have that a guest passes to an import."""
    return room_for(limits.log_bytes if interface == "log" else limits.document_out_bytes)


def _emit(call: Call, payload: tuple[str, Any]) -> None:
    call.check_log_bytes(len(payload[1]) * 3 // 4)
    try:
        event = validate(LogEvent, unpack(payload_bytes(payload)), "the event")
    except DocumentError as error:
        raise PluginOutputError(
            f"plugin {call.plugin!r} logged what is no log event: {error}"
        ) from None
    call.context.logger.emit(event)


def _is_aborted(call: Call) -> bool:
    return call.interrupted


def _wall_now(call: Call) -> int:
    return time.time_ns()


def _monotonic_now(call: Call) -> int:
    return time.monotonic_ns()


def _sleep(call: Call, duration_ms: int) -> None:
    # More than any deadline is as good as for ever, and fits a float.
    call.wait(min(duration_ms, 1 << 40) / 1000)


def _get_bytes(call: Call, length: int) -> bytes:
    if length > _MAX_RANDOM_BYTES:
        raise PluginOutputError(
            f"plugin {call.plugin!r} asked random.get-bytes for {length:,} bytes, "
            f"it gives at most {_MAX_RANDOM_BYTES:,} a call"
        )
    return os.urandom(length)


_HANDLERS: Mapping[tuple[str, str], Callable[..., Any]] = {
    ("log", "emit"): _emit,
    ("abort", "is-aborted"): _is_aborted,
    ("clock", "wall-now"): _wall_now,
    ("clock", "monotonic-now"): _monotonic_now,
    ("clock", "sleep"): _sleep,
    ("random", "get-bytes"): _get_bytes,
    **HTTP_HANDLERS,
    **FILES_HANDLERS,
}


def import_error(call: Call, interface: str, error: BaseException) -> BaseException:
    """What ends the call when an import raised `error`, or could not read what it was passed."""
    if isinstance(error, ValueTooLargeError):
        check = call.check_log_bytes if interface == "log" else call.check_document_out
        try:
            check(error.size)
        except LimitExceededError as limit:
            return limit
    if isinstance(error, (ValueTooLargeError, ValueMismatchError, UnicodeDecodeError)):
        return PluginOutputError(
            f"plugin {call.plugin!r} passed an import a value that is not of the contract: {error}"
        )
    return error


def answer_import(call: Call, interface: str, function: str, values: list[Any]) -> Any:
    """What an import of a guest gives, in the middle of `call`.

    Raises why the call must end, if it must; a guest that asks whether it must is told.
    """
    if function != "is-aborted":
        call.check_running()
    return _HANDLERS[interface, function](call, *values)
