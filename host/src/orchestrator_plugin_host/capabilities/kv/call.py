"""The keys and values of one call."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final, TypeVar

from orchestrator_plugin_sdk.errors import ErrorKind, PluginCallError

from ...calls import Call
from ..remedies import lacking
from .grant import KvGrant
from .store import KvStore
from .tables import asking, granting

if TYPE_CHECKING:
    from .host import KvOfPlugin

T = TypeVar("T")

_MOST_KEY: Final = 512
_MOST_VALUE: Final = 1024 * 1024
_MOST_TOLD: Final = 100
"""Denials of a call that are told: a plugin that goes on asking does not fill the audit."""


class OpenKv:
    """As `KvAccess` of the SDK says: on threads of the plugin's own, so that a slow disk keeps
    neither the event loop nor another plugin."""

    __slots__ = ("_call", "_ended", "_plugin", "_told", "_totals")

    def __init__(self, plugin: KvOfPlugin, call: Call) -> None:
        self._plugin = plugin
        self._call = call
        self._ended = False
        self._told = 0
        self._totals = {"kv_read_bytes": 0, "kv_written_bytes": 0}

    @property
    def totals(self) -> Mapping[str, int]:
        """As `OfCall` says."""
        return self._totals

    def end_at_once(self, *, failed: bool) -> bool:
        """As `OfCall` says."""
        self._ended = True
        return True

    async def end(self, *, failed: bool) -> None:
        """As `OfCall` says."""
        self._ended = True

    async def get(self, key: str) -> bytes | None:
        """As `KvAccess` says."""
        name = _checked(key)
        value = await self._do(lambda store, grant: store.get(name))
        self._totals["kv_read_bytes"] += len(value or b"")
        return value

    async def set(self, key: str, value: bytes) -> None:
        """As `KvAccess` says."""
        name = _checked(key)
        if len(value) > _MOST_VALUE:
            raise PluginCallError(
                ErrorKind.INVALID_REQUEST,
                f"the value of a key has {len(value):,} bytes, it may have {_MOST_VALUE:,}",
            )
        await self._do(lambda store, grant: store.set(name, value, grant))
        self._totals["kv_written_bytes"] += len(name) + len(value)

    async def delete(self, key: str) -> bool:
        """As `KvAccess` says."""
        name = _checked(key)
        return await self._do(lambda store, grant: store.delete(name))

    async def list_keys(self, prefix: str, after: str) -> Sequence[str]:
        """As `KvAccess` says."""
        start, last = _checked(prefix, least=0), _checked(after, least=0)
        return await self._do(lambda store, grant: store.keys(start, last))

    async def _do(self, work: Callable[[KvStore, KvGrant], T]) -> T:
        plugin = self._plugin
        if self._ended:  # a guest that could not be stopped may still ask
            raise PluginCallError(ErrorKind.PERMISSION_DENIED, "the call has ended")
        store, granted = plugin.store, plugin.granted
        if store is None or granted is None:
            raise self._denied()
        if plugin.observations is not None:
            plugin.observations.note_used("kv", "keys")
        with self._call.hosting():
            try:
                return await plugin.workers.run(lambda go_on: work(store, granted))
            except PluginCallError as error:
                if error.kind is ErrorKind.PERMISSION_DENIED:
                    self._tell(error.message)
                raise

    def _denied(self) -> PluginCallError:
        plugin = self._plugin
        message = f"plugin {plugin.plugin!r} may not keep keys and values: " + lacking(
            asked=None if plugin.asked is not None else asking(),
            granted=None if plugin.granted is not None else granting(plugin.plugin, KvGrant()),
        )
        self._tell(message)
        return PluginCallError(ErrorKind.PERMISSION_DENIED, message)

    def _tell(self, reason: str) -> None:
        self._told += 1
        if self._told == _MOST_TOLD + 1:
            reason = f"denied more than {_MOST_TOLD} times; the rest is not written"
        if self._told <= _MOST_TOLD + 1:
            self._plugin.audit.reached(self._call, "kv", {}, denied=reason)


def _checked(key: str, *, least: int = 1) -> bytes:
    """The bytes of a key. Raises `PluginCallError`."""
    # A character has a byte at least: a long text is not encoded only to be refused.
    size = len(key)
    if size <= _MOST_KEY:
        try:
            encoded = key.encode()
        except UnicodeEncodeError:
            raise PluginCallError(
                ErrorKind.INVALID_REQUEST, "a key must be Unicode: it has half a surrogate pair"
            ) from None
        size = len(encoded)
        if least <= size <= _MOST_KEY:
            return encoded
    raise PluginCallError(
        ErrorKind.INVALID_REQUEST, f"a key has 1 to {_MOST_KEY} bytes of UTF-8, got {size:,}"
    )
