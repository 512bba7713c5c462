"""Files of plugins: those that the operator lets them have."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import anyio
from orchestrator_plugin_sdk import ErrorKind, FilesRequirement, PluginCallError
from orchestrator_plugin_sdk.files import FileInfo

from ..policy import FilesGrant
from ..reach import CallFiles


class PluginFiles:
    """The files of one loaded plugin."""

    def __init__(
        self,
        plugin: str,
        asked: FilesRequirement,
        granted: FilesGrant,
        data_directory: Path,
        artifacts_directory: Path,
    ) -> None:
        """`data_directory` and `artifacts_directory` are those of all plugins."""

    def open(self) -> OpenFiles:
        """The files of one call."""
        return OpenFiles()

    def close(self) -> None:
        """Gives up what the plugin held."""


class OpenFiles:
    """The files of one call. Thread-safe."""

    def _none(self, *arguments: object) -> NoReturn:
        raise PluginCallError(ErrorKind.PERMISSION_DENIED, "there are no files here")

    read = write = resize = sync = stat = list_folder = make_folder = remove = rename = _none
    host_path = _none

    def close(self) -> None:
        """Ends what the call has open."""


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
