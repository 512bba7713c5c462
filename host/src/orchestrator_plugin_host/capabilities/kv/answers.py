"""What the functions of the contract's interface `kv` answer to a guest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from orchestrator_plugin_sdk.codec import pack

from ...payloads import received, sent

if TYPE_CHECKING:
    from ...calls import Call
    from ...payload_text import Payload
    from ..capability import Answer
    from .call import OpenKv


async def _get(call: Call, kv: OpenKv, key: str) -> Payload | None:
    value = await kv.get(key)
    return None if value is None else await sent(value, call.reach.payload_encodings)


async def _set(call: Call, kv: OpenKv, key: str, value: Payload) -> None:
    await kv.set(key, await received(value, call.limits.document_out_bytes))


async def _delete(call: Call, kv: OpenKv, key: str) -> bool:
    return await kv.delete(key)


async def _list_keys(call: Call, kv: OpenKv, prefix: str, after: str) -> Payload:
    return await sent(pack(await kv.list_keys(prefix, after)), call.reach.payload_encodings)


ANSWERS: Final[Mapping[str, Answer]] = {
    "get": _get,
    "set": _set,
    "delete": _delete,
    "list-keys": _list_keys,
}
"""By the names of the functions."""
