"""Files of a call for whoever awaits them: on threads of the plugin's own, so that a slow disk
keeps neither the event loop nor another plugin, and a cancelled call does not wait for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from orchestrator_plugin_sdk.capabilities.files import FileInfo
from orchestrator_plugin_sdk.codec import pack

from .plugin import OpenFiles
from .tree import GoOn


class AwaitedFiles:
    """The files of one call as `FileAccess` of the SDK."""

    __slots__ = ("_files", "_run")

    def __init__(self, files: OpenFiles) -> None:
        self._files = files
        self._run = files.workers.run

    @property
    def totals(self) -> Mapping[str, int]:
        """As `OfCall` says."""
        return self._files.totals

    def end_at_once(self, *, failed: bool) -> bool:
        """As `OfCall` says. What a call that failed has left, nobody knows of."""
        self._files.close(keep=not failed)
        return True

    async def end(self, *, failed: bool) -> None:
        """As `OfCall` says."""
        self.end_at_once(failed=failed)

    async def read(self, path: str, offset: int, length: int) -> bytes:
        """As `FileAccess` says, as do all the others. At most 1 MiB."""
        return await self._run(lambda go_on: self._files.read(path, offset, length))

    async def write(self, path: str, offset: int, data: bytes) -> None:
        """As `FileAccess` says."""
        await self._run(lambda go_on: self._files.write(path, offset, data))

    async def resize(self, path: str, size: int) -> None:
        """As `FileAccess` says."""
        await self._run(lambda go_on: self._files.resize(path, size))

    async def sync(self, path: str) -> None:
        """As `FileAccess` says."""
        await self._run(partial(self._files.sync, path))

    async def stat(self, path: str) -> FileInfo:
        """As `FileAccess` says."""
        return await self._run(lambda go_on: self._files.stat(path))

    async def list_folder(self, path: str) -> Sequence[FileInfo]:
        """As `FileAccess` says. At most 16,384 entries."""
        return await self._run(partial(self._files.list_folder, path))

    async def list_document(self, path: str) -> bytes:
        """`list_folder` as the document that a guest gets: made on the thread, too, since it may
        have thousands of entries."""
        return await self._run(lambda go_on: _document(self._files.list_folder(path, go_on)))

    async def host_paths(self, paths: Sequence[str]) -> Sequence[tuple[Path, int]]:
        """Where artifacts are on the host, and their sizes in bytes. Raises `PluginCallError`."""
        return await self._run(partial(self._host_paths, paths))

    def _host_paths(self, paths: Sequence[str], go_on: GoOn) -> Sequence[tuple[Path, int]]:
        found = []
        for path in paths:
            go_on()
            found.append(self._files.host_path(path))
        return found

    async def make_folder(self, path: str) -> None:
        """As `FileAccess` says."""
        await self._run(lambda go_on: self._files.make_folder(path))

    async def remove(self, path: str) -> None:
        """As `FileAccess` says."""
        await self._run(lambda go_on: self._files.remove(path))

    async def rename(self, source: str, target: str) -> None:
        """As `FileAccess` says."""
        await self._run(partial(self._files.rename, source, target))


def _document(found: Sequence[FileInfo]) -> bytes:
    return pack([{"name": one.name, "kind": one.kind, "size": one.size} for one in found])
