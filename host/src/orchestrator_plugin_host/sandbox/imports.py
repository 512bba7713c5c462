"""The host's side of `log`, `abort`, `clock` and `random`: what a guest's call of them does."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from typing import Any

from orchestrator_plugin_sdk import DocumentError, LogEvent, unpack
from orchestrator_plugin_sdk.payload import from_text

from ..calls import Call
from ..documents import validate
from ..errors import LogLimitError, PluginOutputError
from .values import ValueMismatchError, ValueTooLargeError

_MAX_RANDOM_BYTES = 65_536


def room_for(document_bytes: int) -> int:
    """Bytes that a string may have whose document has at most `document_bytes`: in `latin1` a byte
    takes up to two. Never less than a message of an error takes."""
    return document_bytes * 2 + 65_536


def payload_bytes(payload: tuple[str, Any]) -> bytes:
    """The document of a payload, whichever form it came in. Raises `DocumentError`."""
    form, value = payload
    if form == "bytes":
        return bytes(value)
    return from_text("latin1" if form == "latin1" else "base64", value)


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
}


def import_error(call: Call, error: BaseException) -> BaseException:
    """What ends the call when an import raised `error`, or could not read what it was passed."""
    if isinstance(error, ValueTooLargeError):
        try:
            call.check_log_bytes(error.size)
        except LogLimitError as limit:
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
