"""Files for plugins: `ctx.files`. By paths of three roots, which the host keeps apart and bounds.

`data/…` is the plugin's own, and is there again the next time; `artifacts/…` belongs to the call,
and goes to its caller; `folders/NAME/…` is a folder of the operator's, to be read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, Protocol

from ...errors import ErrorKind, PluginCallError

_PIECE: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class FileInfo:
    """What is at a path: its last name, a file or a folder, and its size in bytes (of a folder
    0)."""

    name: str
    kind: Literal["file", "folder"]
    size: int = 0


class FileAccess(Protocol):
    """Files, as the side of the boundary that the plugin runs on provides them.

    Everything raises `PluginCallError`: `permission-denied` for what is not granted, `not-found`,
    `invalid-request` for a path or a use that makes no sense.
    """

    async def read(self, path: str, offset: int, length: int) -> bytes:
        """At most `length` bytes from `offset`; fewer at the end of the file."""

    async def write(self, path: str, offset: int, data: bytes) -> None:
        """Writes at `offset`, which is not beyond the file's end. Makes the file."""

    async def resize(self, path: str, size: int) -> None:
        """Makes a file shorter, or longer by zeros."""

    async def sync(self, path: str) -> None:
        """Returns when a file is on its disk."""

    async def stat(self, path: str) -> FileInfo:
        """What is at a path."""

    async def list_folder(self, path: str) -> Sequence[FileInfo]:
        """What is in a folder, by name."""

    async def make_folder(self, path: str) -> None:
        """Makes a folder, in one that is there."""

    async def remove(self, path: str) -> None:
        """Removes a file, or an empty folder."""

    async def rename(self, source: str, target: str) -> None:
        """Moves within a root; replaces a file at once."""


class NoFiles:
    """`FileAccess` of a plugin that no host has loaded: there are none."""

    async def read(self, path: str, offset: int, length: int) -> bytes:
        """Raises `PluginCallError`, as all the others."""
        raise self._none()

    async def write(self, path: str, offset: int, data: bytes) -> None:
        """As `read`."""
        raise self._none()

    async def resize(self, path: str, size: int) -> None:
        """As `read`."""
        raise self._none()

    async def sync(self, path: str) -> None:
        """As `read`."""
        raise self._none()

    async def stat(self, path: str) -> FileInfo:
        """As `read`."""
        raise self._none()

    async def list_folder(self, path: str) -> Sequence[FileInfo]:
        """As `read`."""
        raise self._none()

    async def make_folder(self, path: str) -> None:
        """As `read`."""
        raise self._none()

    async def remove(self, path: str) -> None:
        """As `read`."""
        raise self._none()

    async def rename(self, source: str, target: str) -> None:
        """As `read`."""
        raise self._none()

    def _none(self) -> PluginCallError:
        return PluginCallError(
            ErrorKind.PERMISSION_DENIED,
            "there are no files without a host: load the plugin with a PluginHost",
        )


@dataclass(frozen=True, slots=True)
class Files:
    """The files that the operator lets the plugin have. Raises as `FileAccess` says."""

    access: FileAccess = NoFiles()  # noqa: RUF009  # it has no state

    async def read(self, path: str, offset: int = 0, length: int | None = None) -> bytes:
        """Bytes of a file: `length` of them from `offset`, or all the rest."""
        pieces = []
        while length is None or length > 0:
            wanted = _PIECE if length is None else min(length, _PIECE)
            piece = await self.access.read(path, offset, wanted)
            pieces.append(piece)
            offset += len(piece)
            if length is not None:
                length -= len(piece)
            if len(piece) < wanted:
                break
        return b"".join(pieces)

    async def write(self, path: str, data: bytes, offset: int | None = None) -> None:
        """Writes into a file at `offset`; without one, the file is `data` and nothing else
        afterwards, or, if this fails, possibly a part of it: write another and `rename` it to
        replace a file at once."""
        if offset is None:
            await self.access.write(path, 0, b"")
            await self.access.resize(path, 0)
            offset = 0
        for start in range(0, len(data), _PIECE):
            await self.access.write(path, offset + start, data[start : start + _PIECE])

    async def resize(self, path: str, size: int) -> None:
        """Makes a file shorter, or longer by zeros."""
        await self.access.resize(path, size)

    async def sync(self, path: str) -> None:
        """Returns when a file is on its disk."""
        await self.access.sync(path)

    async def stat(self, path: str) -> FileInfo:
        """What is at a path. Raises `PluginCallError` of the kind `not-found`."""
        return await self.access.stat(path)

    async def exists(self, path: str) -> bool:
        """Whether there is anything at a path."""
        try:
            await self.access.stat(path)
        except PluginCallError as error:
            if error.kind is ErrorKind.NOT_FOUND:
                return False
            raise
        return True

    async def list_folder(self, path: str) -> Sequence[FileInfo]:
        """What is in a folder, by name."""
        return await self.access.list_folder(path)

    async def make_folder(self, path: str) -> None:
        """Makes a folder, in one that is there."""
        await self.access.make_folder(path)

    async def remove(self, path: str) -> None:
        """Removes a file, or an empty folder."""
        await self.access.remove(path)

    async def rename(self, source: str, target: str) -> None:
        """Moves within a root. A file that is there is replaced, at once."""
        await self.access.rename(source, target)
