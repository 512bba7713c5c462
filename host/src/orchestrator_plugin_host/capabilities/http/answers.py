"""What the functions of the contract's interface `http` answer to a guest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from orchestrator_plugin_sdk.capabilities.http import HttpRequest
from orchestrator_plugin_sdk.codec import pack, to_document

from ...documents import unpack_pieces, validate
from ...payloads import received, sent
from ...pieces import in_turns

if TYPE_CHECKING:
    from ...calls import Call
    from ...payload_text import Payload
    from ..capability import Answer
    from .call import OpenHttp


async def _send(call: Call, http: OpenHttp, payload: Payload) -> Payload:
    limits = call.limits
    http.announce(len(payload[1]) // 2)  # at least
    document = await received(payload, limits.document_out_bytes)
    plain = await in_turns(
        unpack_pieces(document, limits.document_out_bytes, limits.document_values)
    )
    request = validate(HttpRequest, plain, "the request", from_plugin=True)
    head = await http.send(request)
    return await sent(pack(to_document(head)), call.reach.payload_encodings)


async def _read(call: Call, http: OpenHttp, response: int, most: int) -> Payload | None:
    piece = await http.read(response, most)
    return None if piece is None else await sent(piece, call.reach.payload_encodings)


async def _close(call: Call, http: OpenHttp, response: int) -> None:
    await http.close(response)


ANSWERS: Final[Mapping[str, Answer]] = {"send": _send, "read": _read, "close": _close}
"""By the names of the functions."""
