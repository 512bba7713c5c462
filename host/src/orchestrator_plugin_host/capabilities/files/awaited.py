"""Files for native plugins, which await them."""

from __future__ import annotations

from collections.abc import Sequence

import anyio
from orchestrator_plugin_sdk.files import FileInfo

from ...reach import CallFiles


class AwaitedFiles:
    """The files of one call as `FileAccess` of the SDK, for native plugins: on other threads, so
    that a slow disk does not keep the event loop."""

    def __init__(self, files: CallFiles) -> None:
        self._files = files

    async def read(self, path: str, offset: int, length: int) -> bytes:
        """As `FileAccess` says, as do all the others."""
        return await anyio.to_thread.run_sync(self._files.read, path, offset, length)

    async def write(self, path: str, offset: int, data: bytes) -> None:
        """As `FileAccess` says."""
        await anyio.to_thread.run_sync(self._files.write, path, offset, data)

    async def resize(self, path: str, size: int) -> None:
        """As `FileAccess` says."""
        await anyio.to_thread.run_sync(self._files.resize, path, size)

    async def sync(self, path: str) -> None:
        """As `FileAccess` says."""
        await anyio.to_thread.run_sync(self._files.sync, path)

    async def stat(self, path: str) -> FileInfo:
        """As `FileAccess` says."""
        return await anyio.to_thread.run_sync(self._files.stat, path)

    async def list_folder(self, path: str) -> Sequence[FileInfo]:
        """As `FileAccess` says."""
        return await anyio.to_thread.run_sync(self._files.list_folder, path)

    async def make_folder(self, path: str) -> None:
        """As `FileAccess` says."""
        await anyio.to_thread.run_sync(self._files.make_folder, path)

    async def remove(self, path: str) -> None:
        """As `FileAccess` says."""
        await anyio.to_thread.run_sync(self._files.remove, path)

    async def rename(self, source: str, target: str) -> None:
        """As `FileAccess` says."""
        await anyio.to_thread.run_sync(self._files.rename, source, target)
