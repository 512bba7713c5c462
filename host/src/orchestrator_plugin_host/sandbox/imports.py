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
from orchestrator_plugin_sdk.codec import pack, to_document
from orchestrator_plugin_sdk.errors import DocumentError, PluginCallError
from orchestrator_plugin_sdk.http import HttpRequest

from ..calls import Call
from ..documents import unpack_pieces, validate
from ..errors import LimitExceededError, PluginOutputError
from ..limits import Limits
from ..payload_text import DocumentSizeError, Payload
from ..pieces import in_turns
from .linking import INTERFACES, BadArgumentError
from .payloads import payload_bytes, received, refusal, sent
from .steps import Asked
from .values import Ok, ValueTooLargeError

_MAX_RANDOM_BYTES: Final = 65_536

Answer = Callable[..., Any]


def room_for(document_bytes: int) -> int:
    """Bytes that a string may have whose document has at most `document_bytes`: in `latin1` a byte
    takes up to two. Never less than a message of an error takes."""
    return document_bytes * 2 + 65_536


def import_rooms(limits: Limits) -> Mapping[str, int]:
    """Bytes that a string or list may have that a guest passes to an import, by interface."""
    documents, log = room_for(limits.document_out_bytes), room_for(limits.log_bytes)
    return {name: log if name == "log" else documents for name in INTERFACES}


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


async def _http_send(call: Call, payload: Payload) -> Payload:
    limits = call.limits
    call.reach.http.announce(len(payload[1]) // 2)  # at least
    document = await received(payload, limits.document_out_bytes)
    plain = await in_turns(
        unpack_pieces(document, limits.document_out_bytes, limits.document_values)
    )
    request = validate(HttpRequest, plain, "the request", from_plugin=True)
    return await _document(call, await call.reach.http.send(request))


async def _http_read(call: Call, response: int, most: int) -> Payload | None:
    piece = await call.reach.http.read(response, most)
    return None if piece is None else await sent(piece, call.reach.payload_encodings)


async def _http_close(call: Call, response: int) -> None:
    await call.reach.http.close(response)


async def _files_read(call: Call, path: str, offset: int, length: int) -> Payload:
    data = await call.reach.files.read(path, offset, length)
    return await sent(data, call.reach.payload_encodings)


async def _files_write(call: Call, path: str, offset: int, data: Payload) -> None:
    await call.reach.files.write(path, offset, await received(data, call.limits.document_out_bytes))


async def _files_stat(call: Call, path: str) -> Payload:
    return await _document(call, await call.reach.files.stat(path))


async def _files_list_folder(call: Call, path: str) -> Payload:
    document = await call.reach.files.list_document(path)
    return await sent(document, call.reach.payload_encodings)


async def _document(call: Call, value: Any) -> Payload:
    return await sent(pack(to_document(value)), call.reach.payload_encodings)


def _files(function: str) -> Answer:
    """A function of `CallFiles` that takes what the guest passes, and returns nothing."""

    async def answer(call: Call, *values: Any) -> None:
        await getattr(call.reach.files, function)(*values)

    return answer


_WITHOUT_ERRORS: Final[Mapping[tuple[str, str], Answer]] = {
    ("clock", "sleep"): _sleep,
    ("http", "close"): _http_close,
}
_WITH_ERRORS: Final[Mapping[tuple[str, str], Answer]] = {
    ("http", "send"): _http_send,
    ("http", "read"): _http_read,
    ("files", "read"): _files_read,
    ("files", "write"): _files_write,
    ("files", "stat"): _files_stat,
    ("files", "list-folder"): _files_list_folder,
    ("files", "resize"): _files("resize"),
    ("files", "sync"): _files("sync"),
    ("files", "make-folder"): _files("make_folder"),
    ("files", "remove"): _files("remove"),
    ("files", "rename"): _files("rename"),
}
"""What may be refused: the guest handles that, and it does not end the call."""


def answer_at_once(call: Call, asked: Asked) -> tuple[bool, Any]:
    """Whether an import is answered without waiting, and with what. Raises what ends the call."""
    function = _AT_ONCE.get((asked.interface, asked.function))
    if function is None:
        return False, None
    if asked.function != "is-aborted":  # a guest that asks whether it must end is told
        call.check_running()
    return True, function(call, *asked.arguments)


async def answer(call: Call, asked: Asked) -> Any:
    """The answer to an import that takes a while. Raises what ends the call."""
    call.check_running()
    key = (asked.interface, asked.function)
    function = _WITHOUT_ERRORS.get(key)
    if function is not None:
        return await function(call, *asked.arguments)
    try:
        return Ok(await _WITH_ERRORS[key](call, *asked.arguments))
    except (PluginCallError, DocumentError) as error:
        return refusal(error)


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
