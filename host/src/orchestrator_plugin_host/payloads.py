"""Bytes as the `payload` of the contract, and back: what imports are passed, and what they answer.

In Python a payload is its form and the UTF-8 of its text. Large ones are read and made in turns
with the event loop's other tasks.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from orchestrator_plugin_sdk.payload import PayloadEncoding

from .payload_text import Payload, document_of, payload_for
from .pieces import at_once, in_turns
from .text_payload import TextPayload

_LARGE: Final = 512 * 1024


def payload_bytes(payload: Payload, most: int) -> bytes:
    """The bytes of a payload, at most `most`, whichever form it came in, all at once. Raises
    `DocumentError`."""
    return at_once(document_of(*payload, most))


async def received(payload: Payload, most: int) -> bytes:
    """`payload_bytes`, for payloads of any size."""
    work = document_of(*payload, most)
    return at_once(work) if len(payload[1]) <= _LARGE else await in_turns(work)


async def sent(data: bytes, readable: Collection[PayloadEncoding]) -> TextPayload:
    """Bytes as they cross to a plugin that reads these forms."""
    work = payload_for(data, readable)
    return at_once(work) if len(data) <= _LARGE else await in_turns(work)
