"""The vector memory backends among the examples, each a row of data: one suite is for all."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from orchestrator_plugin_host import (
    HostSettings,
    LoadedVectorMemoryBackend,
    PluginHost,
    Policy,
)
from orchestrator_plugin_host.policy import FilesGrant, FolderQuota
from orchestrator_plugin_sdk import load_project

from .building import EXAMPLES, built


@dataclass(frozen=True)
class VectorBackend:
    """An example: the places it runs in, whether what it keeps outlives it, and what it has to be
    configured with, given a folder of its own."""

    name: str
    places: tuple[str, ...]
    lasts: bool = True
    config: Callable[[Path], Mapping[str, Any]] = lambda folder: {}

    @property
    def folder(self) -> Path:
        """Its source."""
        return EXAMPLES / self.name


BACKENDS = (
    VectorBackend("memory-vectors", ("native", "in-process", "process"), lasts=False),
    VectorBackend("flat-vectors", ("in-process", "process")),
    VectorBackend("sqlite-vectors", ("native",), config=lambda folder: {"folder": str(folder)}),
)
ROWS = {f"{one.name}-{place}": (one, place) for one in BACKENDS for place in one.places}
"""Every backend in every place."""
LASTING = {name: row for name, row in ROWS.items() if row[0].lasts}
"""Those whose items are there the next time."""


class Stores:
    """Loads one backend in one place, by the names that a test gives to its stores. The same name
    is the same folder."""

    def __init__(
        self,
        backend: VectorBackend,
        place: str,
        cache_directory: Path | None = None,
        folder: Path | None = None,
        quota: int = 64 * 1024 * 1024,
    ) -> None:
        self.backend = backend
        self.place = place
        self.quota = quota
        self._cache_directory = cache_directory
        self._given = folder
        self._hosts: dict[str, PluginHost] = {}
        self._exits = AsyncExitStack()

    async def __aenter__(self) -> Self:
        await self._exits.__aenter__()
        folder = self._given or self._exits.enter_context(tempfile.TemporaryDirectory())
        self.folder = Path(folder)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._exits.__aexit__(kind, error, trace)

    def data(self, store: str = "store") -> Path:
        """Where a store's files are."""
        if self.place == "native":
            return self.folder / store
        return self.folder / store / self.backend.name

    async def open(
        self, config: Mapping[str, Any] | None = None, *, store: str = "store", **options: Any
    ) -> LoadedVectorMemoryBackend:
        """Loads the backend; `options` go to `PluginHost.load`."""
        host = self._hosts.get(store)
        if host is None:
            data = FilesGrant(data=FolderQuota(bytes=self.quota))
            settings: dict[str, Any] = {
                "data_directory": self.folder / store,
                "policy": Policy(files=data),
            }
            if self._cache_directory is not None:
                settings["cache_directory"] = self._cache_directory
            host = PluginHost(HostSettings(**settings))
            self._hosts[store] = await self._exits.enter_async_context(host)
        source: Any
        if self.place == "native":
            source = load_project(self.backend.folder)
        else:
            source = built(self.backend.folder)
            options["tier"] = self.place
        all_config = {**self.backend.config(self.folder / store), **(config or {})}
        return await host.load(source, all_config, expect=LoadedVectorMemoryBackend, **options)
