"""Files in a sandboxed plugin: the host's imports. Only within a component."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from wit_world.imports import files as host_files

from ...guest._payloads import asked, bytes_of, document_of, to_payload
from .access import FileAccess, FileInfo


class _HostFiles:
    async def read(self, path: str, offset: int, length: int) -> bytes:
        return bytes_of(asked(host_files.read, path, offset, length))

    async def write(self, path: str, offset: int, data: bytes) -> None:
        asked(host_files.write, path, offset, to_payload(data))

    async def resize(self, path: str, size: int) -> None:
        asked(host_files.resize, path, size)

    async def sync(self, path: str) -> None:
        asked(host_files.sync, path)

    async def stat(self, path: str) -> FileInfo:
        info: FileInfo = document_of(asked(host_files.stat, path), FileInfo)
        return info

    async def list_folder(self, path: str) -> Sequence[FileInfo]:
        listed: Sequence[FileInfo] = document_of(
            asked(host_files.list_folder, path), tuple[FileInfo, ...]
        )
        return listed

    async def make_folder(self, path: str) -> None:
        asked(host_files.make_folder, path)

    async def remove(self, path: str) -> None:
        asked(host_files.remove, path)

    async def rename(self, source: str, target: str) -> None:
        asked(host_files.rename, source, target)


ACCESS: Final[FileAccess] = _HostFiles()
"""As `FileAccess` says."""
