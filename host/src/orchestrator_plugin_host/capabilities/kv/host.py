"""What the plugins of one host share of keys and values: a store for each name, open once."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import anyio
from orchestrator_plugin_sdk.capabilities.kv import KvRequirement

from ...calls import Call
from ..capability import HostParts, PluginParts
from ..owned.owners import check_owner, owner_of
from ..workers import Workers
from .call import OpenKv
from .grant import KvGrant
from .store import KvStore, open_store

_THREADS: Final = 2
"""Threads that one plugin's store is used on at once."""


@dataclass(slots=True)
class _Shared:
    store: KvStore
    owner: str
    users: int = 0


class KvOfHost:
    """As `OfHost` says."""

    def __init__(self, parts: HostParts) -> None:
        self._directory: Path = parts.data_directory
        self._lock = threading.Lock()
        self._open: dict[str, _Shared] = {}

    def of_plugin(self, parts: PluginParts) -> KvOfPlugin:
        """As `OfHost` says. Raises `FilesError`."""
        asked, granted = parts.asked, parts.granted
        if parts.observations is not None:
            asked, granted = asked or KvRequirement(), granted or KvGrant()
        store = None
        if asked is not None and granted is not None:
            store = self._taken(parts.plugin, owner_of(parts.digest))
        return KvOfPlugin(self, parts, asked, granted, store)

    def close(self) -> None:
        """As `OfHost` says."""

    def _taken(self, plugin: str, owner: str) -> KvStore:
        with self._lock:
            shared = self._open.get(plugin)
            if shared is None:
                store = open_store(self._directory, plugin, owner)
                shared = self._open[plugin] = _Shared(store, owner)
            check_owner(self._directory, plugin, shared.owner, owner)
            shared.users += 1
            return shared.store

    def back(self, plugin: str) -> None:
        """Whoever had the store of this plugin needs it no more."""
        with self._lock:
            shared = self._open[plugin]
            shared.users -= 1
            if not shared.users:
                self._open.pop(plugin).store.close()


class KvOfPlugin:
    """As `OfPlugin` says. `store` is None if it is not asked for and granted."""

    def __init__(
        self,
        host: KvOfHost,
        parts: PluginParts,
        asked: KvRequirement | None,
        granted: KvGrant | None,
        store: KvStore | None,
    ) -> None:
        self.plugin = parts.plugin
        self.asked = asked
        self.granted = granted
        self.store = store
        self.audit = parts.audit
        self.observations = parts.observations
        self.workers = Workers("orchestrator-plugin-kv", _THREADS)
        self._host = host

    def open(self, call: Call) -> OpenKv:
        """As `OfPlugin` says."""
        return OpenKv(self, call)

    async def close(self) -> None:
        """As `OfPlugin` says."""
        if self.store is not None:
            with anyio.CancelScope(shield=True):  # it may wait for a write
                await self.workers.run(lambda go_on: self._host.back(self.plugin))
        self.workers.close()
