"""The host's side of `http`: what a guest's call of it does."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

from orchestrator_plugin_sdk import pack, to_document
from orchestrator_plugin_sdk.http import HttpRequest

from ..calls import Call
from .payloads import answered, payload_of, read_payload


def _send(call: Call, payload: tuple[str, Any]) -> Any:
    def send() -> Any:
        request = read_payload(payload, HttpRequest, "the request")
        head = call.on_event_loop(partial(call.reach.http.send, request))
        return payload_of(pack(to_document(head)), call.reach.payload_encodings)

    return answered(send)


def _read(call: Call, response: int, most: int) -> Any:
    def read() -> Any:
        piece = call.on_event_loop(partial(call.reach.http.read, response, most))
        return None if piece is None else payload_of(piece, call.reach.payload_encodings)

    return answered(read)


def _close(call: Call, response: int) -> None:
    call.on_event_loop(partial(call.reach.http.close, response))


HTTP_HANDLERS: Final[Mapping[tuple[str, str], Callable[..., Any]]] = {
    ("http", "send"): _send,
    ("http", "read"): _read,
    ("http", "close"): _close,
}
"""By interface and function."""
