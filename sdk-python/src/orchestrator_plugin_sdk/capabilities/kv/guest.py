"""Keys and values in a sandboxed plugin: the host's imports. Only within a component."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from wit_world.imports import kv as host_kv

from ...guest._payloads import asked, bytes_of, document_of, to_payload
from .access import KvAccess


class _HostKv:
    async def get(self, key: str) -> bytes | None:
        value = asked(host_kv.get, key)
        return None if value is None else bytes_of(value)

    async def set(self, key: str, value: bytes) -> None:
        asked(host_kv.set, key, to_payload(value))

    async def delete(self, key: str) -> bool:
        return bool(asked(host_kv.delete, key))

    async def list_keys(self, prefix: str, after: str) -> Sequence[str]:
        listed: Sequence[str] = document_of(
            asked(host_kv.list_keys, prefix, after), tuple[str, ...]
        )
        return listed


ACCESS: Final[KvAccess] = _HostKv()
"""As `KvAccess` says."""
