"""Keys and values for plugins: `ctx.kv`. They are the plugin's own, and are there again the next
time. The host keeps them, within the quota that the operator grants.

::

    await ctx.kv.set("cursor", "2026-01-31")
    cursor = await ctx.kv.get("cursor")
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn, Protocol

from ...errors import ErrorKind, PluginCallError


class KvAccess(Protocol):
    """Keys and values, as the side of the boundary that the plugin runs on provides them.

    Raises `PluginCallError`: `permission-denied` for what is not granted or beyond the quota,
    `invalid-request` for a key of no or of more than 512 bytes of UTF-8.
    """

    async def get(self, key: str) -> bytes | None:
        """The value of a key; None if there is none."""

    async def set(self, key: str, value: bytes) -> None:
        """Gives a key a value of at most 1 MiB."""

    async def delete(self, key: str) -> bool:
        """Takes a key away. Whether it was there."""

    async def list_keys(self, prefix: str, after: str) -> Sequence[str]:
        """At most 1,000 keys that begin with `prefix` and come after `after`, in the order of their
        code points."""


class NoKv:
    """A `KvAccess` of a plugin that has no keys."""

    async def _none(self, *arguments: object) -> NoReturn:
        raise PluginCallError(
            ErrorKind.PERMISSION_DENIED, "there are no keys here: nobody has granted any"
        )

    get = set = delete = list_keys = _none


@dataclass(frozen=True, slots=True)
class Kv:
    """A plugin's own keys and values, shared by all its instances and calls, and still there after
    the host has ended. Each function does its work whole, or raises and does none of it.

    Raises `PluginCallError`: `permission-denied` for what is not granted or beyond the quota,
    `invalid-request` for a key of no or of more than 512 bytes of UTF-8.
    """

    access: KvAccess = NoKv()  # noqa: RUF009  # it has no state

    async def get(self, key: str) -> bytes | None:
        """The value of a key; None if there is none."""
        return await self.access.get(key)

    async def set(self, key: str, value: bytes | str) -> None:
        """Gives a key a value of at most 1 MiB; a text is stored as UTF-8."""
        await self.access.set(key, value.encode() if isinstance(value, str) else value)

    async def delete(self, key: str) -> bool:
        """Takes a key away. Whether it was there."""
        return await self.access.delete(key)

    async def keys(self, prefix: str = "", *, after: str = "") -> Sequence[str]:
        """At most 1,000 keys that begin with `prefix`, in the order of their code points. For more,
        ask again with the last one as `after`."""
        return await self.access.list_keys(prefix, after)
