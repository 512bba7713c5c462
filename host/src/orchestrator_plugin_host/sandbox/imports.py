"""The host's side of what guests import: how each function of the contract is answered.

Always outside of the guest, on the event loop, in the task that awaits the call, so that whatever
ends the call ends what is done for it. What neither waits nor calls a caller's code (`ANYWHERE`)
may also be answered in the thread that a guest computes in.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

import anyio
from orchestrator_plugin_sdk.errors import DocumentError, PluginCallError

from ..calls import Call
from ..errors import LimitExceededError, PluginOutputError
from ..limits import Limits
from ..payload_text import DocumentSizeError, Payload
from ..payloads import payload_bytes
from ..wit import ResultType, Type, host_imports
from .linking import BadArgumentError, import_function
from .steps import Asked
from .values import Err, Ok, ValueTooLargeError

_MAX_RANDOM_BYTES: Final = 65_536

Answer = Callable[..., Any]


def room_for(document_bytes: int) -> int:
    """Bytes that a string may have whose document has at most `document_bytes`: in `latin1` a byte
    takes up to two. Never less than a message of an error takes."""
    return document_bytes * 2 + 65_536


def import_rooms(limits: Limits) -> Mapping[str, int]:
    """Bytes that a string or list may have that a guest passes to an import, by interface."""
    documents, log = room_for(limits.document_out_bytes), room_for(limits.log_bytes)
    return {name: log if name == "log" else documents for name in host_imports()}


# Answered at once.


def _emit(call: Call, payload: Payload) -> None:
    form, data = payload
    call.check_log_bytes(len(data) // 2 if form == "latin1" else len(data) * 3 // 4)
    try:
        document = payload_bytes(payload, call.limits.log_bytes)
    except DocumentError as error:
        if isinstance(error, DocumentSizeError):
            call.check_log_bytes(error.size)
        raise PluginOutputError(
            f"plugin {call.plugin!r} logged what is not a log event: {error}"
        ) from None
    call.log(document)


def _is_aborted(call: Call) -> bool:
    return call.interrupted


def _wall_now(call: Call) -> int:
    return time.time_ns()


def _monotonic_now(call: Call) -> int:
    return time.monotonic_ns()


def _get_bytes(call: Call, length: int) -> bytes:
    if length > _MAX_RANDOM_BYTES:
        raise PluginOutputError(
            f"plugin {call.plugin!r} asked random.get-bytes for {length:,} bytes, "
            f"it returns at most {_MAX_RANDOM_BYTES:,} a call"
        )
    return os.urandom(length)


ANYWHERE: Final[Mapping[tuple[str, str], Answer]] = {
    ("abort", "is-aborted"): _is_aborted,
    ("clock", "wall-now"): _wall_now,
    ("clock", "monotonic-now"): _monotonic_now,
    ("random", "get-bytes"): _get_bytes,
}
"""What is answered at once, in any thread."""

_AT_ONCE: Final[Mapping[tuple[str, str], Answer]] = {**ANYWHERE, ("log", "emit"): _emit}


# Awaited.


async def _sleep(call: Call, duration_ms: int) -> None:
    # More than any deadline is as good as for ever, and fits a float.
    with call.hosting():
        await anyio.sleep(min(duration_ms, 1 << 40) / 1000)


_AWAITED: Final[Mapping[tuple[str, str], Answer]] = {("clock", "sleep"): _sleep}
"""What is awaited here. All else is of a capability: `call.reach` answers it."""


def answer_at_once(call: Call, asked: Asked) -> tuple[bool, Any]:
    """Whether an import is answered without waiting, and with what. Raises what ends the call."""
    function = _AT_ONCE.get((asked.interface, asked.function))
    if function is None:
        return False, None
    if asked.function != "is-aborted":  # a guest that asks whether it must end is told
        call.check_running()
    return True, function(call, *asked.arguments)


async def answer(call: Call, asked: Asked) -> Any:
    """The answer to an import that takes a while. Raises what ends the call.

    What a function of the contract may refuse, the guest handles: that does not end the call.
    """
    call.check_running()
    function = _AWAITED.get((asked.interface, asked.function))
    if function is not None:
        return await function(call, *asked.arguments)
    may_refuse = isinstance(_result(asked), ResultType)
    try:
        value = await call.reach.answer(asked.interface, asked.function, asked.arguments)
    except (PluginCallError, DocumentError) as error:
        return _refusal(error) if may_refuse else None
    return Ok(value) if may_refuse else value


def _result(asked: Asked) -> Type | None:
    function = import_function(asked.interface, asked.function)
    return None if function is None else function.result


def _refusal(error: PluginCallError | DocumentError) -> Err:
    """A refusal as an import answers it, with the contract's `error`."""
    if isinstance(error, DocumentError):
        error = PluginCallError("invalid-request", str(error))
    return Err(
        {
            "kind": error.kind.value,
            "message": error.message,
            "retryable": error.retryable,
            "retry-after-ms": error.retry_after_ms,
        }
    )


def argument_error(call: Call, error: BadArgumentError) -> Exception:
    """What ends the call of a guest that passed an import what is not of the contract."""
    why = error.why
    if isinstance(why, ValueTooLargeError):
        check = call.check_log_bytes if error.interface == "log" else call.check_document_out
        try:
            check(why.size)
        except LimitExceededError as limit:
            return limit
    return PluginOutputError(
        f"plugin {call.plugin!r} passed an import a value that is not of the contract: {why}"
    )
