"""Bytes as the `payload` of the contract, and back. Used for calls and for imports alike."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from orchestrator_plugin_sdk import DocumentError, PayloadEncoding, PluginCallError, unpack
from orchestrator_plugin_sdk.payload import choose_encoding, from_text, to_text

from ..documents import validate
from .values import Err, Ok


def payload_bytes(payload: tuple[str, Any]) -> bytes:
    """The bytes of a payload, whichever form it came in. Raises `DocumentError`."""
    form, value = payload
    if form == "bytes":
        return bytes(value)
    return from_text("latin1" if form == "latin1" else "base64", value)


def payload_of(data: bytes, readable: Collection[PayloadEncoding]) -> tuple[str, Any]:
    """Bytes in the cheapest form that a plugin reads."""
    form = choose_encoding(data, readable)
    return form, data if form == "bytes" else to_text(form, data)


def read_payload(payload: tuple[str, Any], wanted: Any, what: str) -> Any:
    """The document of a payload, validated as of a type. Raises `DocumentError`."""
    return validate(wanted, unpack(payload_bytes(payload)), what, from_plugin=True)


def said_no(error: Exception) -> Err:
    """A refusal as an import answers it, with the contract's `error`."""
    if isinstance(error, DocumentError):
        error = PluginCallError("invalid-request", str(error))
    assert isinstance(error, PluginCallError)
    return Err(
        {
            "kind": error.kind.value,
            "message": error.message,
            "retryable": error.retryable,
            "retry-after-ms": error.retry_after_ms,
        }
    )


def answered(function: Callable[[], Any]) -> Ok | Err:
    """What a function gives, as an import answers it: what it refuses is the guest's to handle,
    anything else that it raises ends the call."""
    try:
        return Ok(function())
    except (PluginCallError, DocumentError) as error:
        return said_no(error)
