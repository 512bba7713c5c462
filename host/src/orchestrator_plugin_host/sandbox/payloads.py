"""Bytes as the `payload` of the contract, and back. Used for calls and for imports alike.

In Python a payload is its form and its bytes as they cross the boundary: of the two text forms,
the text's UTF-8.
"""

from __future__ import annotations

import binascii
from collections.abc import Collection
from typing import Any

from orchestrator_plugin_sdk import DocumentError, PayloadEncoding, PluginCallError, unpack
from orchestrator_plugin_sdk.payload import choose_encoding

from ..documents import validate
from .values import Err

Payload = tuple[str, bytes]


def payload_size(payload: Payload) -> int:
    """How many bytes a payload holds at least, without reading it."""
    form, data = payload
    if form == "bytes":
        return len(data)
    if form == "base64":
        return len(data) * 3 // 4 - data[-2:].count(b"=")
    return len(data) // 2 if not data.isascii() else len(data)


def payload_bytes(payload: Payload) -> bytes:
    """The bytes of a payload, whichever form it came in. Raises `DocumentError`."""
    form, data = payload
    if form == "bytes" or (form == "latin1" and data.isascii()):
        return data
    try:
        if form == "latin1":
            return data.decode("utf-8").encode("latin-1")
        return binascii.a2b_base64(data, strict_mode=True)
    except ValueError as error:  # of either kind
        raise DocumentError(f"the payload is not valid {form}: {error}") from None


def payload_of(data: bytes, readable: Collection[PayloadEncoding]) -> Payload:
    """Bytes in the cheapest form that a plugin reads."""
    form = choose_encoding(data, readable)
    if form == "base64":
        return form, binascii.b2a_base64(data, newline=False)
    if form == "latin1" and not data.isascii():
        return form, data.decode("latin-1").encode("utf-8")
    return form, data


def read_payload(payload: Payload, wanted: Any, what: str) -> Any:
    """The document of a payload, validated as of a type. Raises `DocumentError`."""
    return validate(wanted, unpack(payload_bytes(payload)), what, from_plugin=True)


def refusal(error: PluginCallError | DocumentError) -> Err:
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
