"""Documents and bytes as the contract's payloads, and what the host's imports say no with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from componentize_py_types import Err
from wit_world.imports import types as wit

from ..codec import unpack
from ..errors import DocumentError, PluginCallError
from ..payload import PayloadEncoding, choose_encoding, from_text, to_text
from ..schema import from_document

_HOST_READS: Final[tuple[PayloadEncoding, ...]] = ("bytes", "latin1", "base64")


def to_payload(document: bytes) -> Any:
    """Bytes as a payload, in the cheapest form."""
    encoding = choose_encoding(document, _HOST_READS)
    if encoding == "bytes":
        return wit.Payload_Bytes(document)
    text = to_text(encoding, document)
    return wit.Payload_Latin1(text) if encoding == "latin1" else wit.Payload_Base64(text)


def bytes_of(payload: Any) -> bytes:
    """The bytes of a payload."""
    if isinstance(payload, wit.Payload_Bytes):
        return bytes(payload.value)
    if isinstance(payload, wit.Payload_Latin1):
        return from_text("latin1", payload.value)
    return from_text("base64", payload.value)


def map_of(payload: Any) -> dict[str, Any]:
    """The document of a call. Raises `DocumentError`."""
    unpacked = unpack(bytes_of(payload))
    if not isinstance(unpacked, dict):
        raise DocumentError("a call's document is a map")
    return unpacked


def document_of(payload: Any, wanted: Any) -> Any:
    """The document of a payload, as a value of a type. Raises `DocumentError`."""
    return from_document(wanted, unpack(bytes_of(payload)))


def asked(function: Callable[..., Any], *arguments: Any) -> Any:
    """What an import of the host gives. Raises what the host says no with."""
    try:
        return function(*arguments)
    except Err as refused:
        said = refused.value
        # The generated function that raised it has it in a variable, too: a cycle, which would keep
        # the frames above from being freed, and with them a file that nobody closes.
        refused.with_traceback(None)
        raise PluginCallError(
            said.kind.name.lower().replace("_", "-"),
            said.message,
            retryable=said.retryable,
            retry_after_ms=said.retry_after_ms,
        ) from None
