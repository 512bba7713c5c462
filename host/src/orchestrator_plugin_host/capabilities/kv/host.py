"""What the plugins of one host share of keys and values: a store for each name, open once."""

from __future__ import annotations

from typing import Final

import anyio
from orchestrator_plugin_sdk.capabilities.kv import KvRequirement

from ...calls import Call
from ..capability import HostParts, PluginParts
from ..owned.owners import owner_of
from ..owned.shared import OpenedOnce
from ..workers import Workers
from .call import OpenKv
from .grant import KvGrant
from .store import KvStore, open_store

_THREADS: Final = 2
"""Threads that one plugin's store is used on at once."""


class KvOfHost:
    """As `OfHost` says."""

    def __init__(self, parts: HostParts) -> None:
        self._stores = OpenedOnce(parts.data_directory, open_store)

    def of_plugin(self, parts: PluginParts) -> KvOfPlugin:
        """As `OfHost` says. Raises `FilesError`."""
        asked, granted = parts.asked, parts.granted
        if parts.observations is not None:
            asked, granted = asked or KvRequirement(), granted or KvGrant()
        store = None
        if asked is not None and granted is not None:
            store = self._stores.taken(parts.plugin, owner_of(parts.digest))
        return KvOfPlugin(self._stores, parts, asked, granted, store)

    def close(self) -> None:
        """As `OfHost` says."""


class KvOfPlugin:
    """As `OfPlugin` says. `store` is None if it is not asked for and granted."""

    def __init__(
        self,
        stores: OpenedOnce[KvStore],
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
        self._stores = stores

    def open(self, call: Call) -> OpenKv:
        """As `OfPlugin` says."""
        return OpenKv(self, call)

    async def close(self) -> None:
        """As `OfPlugin` says."""
        if self.store is not None:
            with anyio.CancelScope(shield=True):  # it may wait for a write
                await self.workers.run(lambda go_on: self._stores.back(self.plugin))
        self.workers.close()
