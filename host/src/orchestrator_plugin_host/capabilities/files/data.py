"""The data folders of plugins, one for each name: opened once in a host, by one host at a time."""

from __future__ import annotations

import fcntl
import os
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ...errors import FilesError
from .tree import FOLDER_FLAGS
from .writing import UncountableError, WritableTree


@dataclass(slots=True)
class _Shared:
    tree: WritableTree
    users: int = 0


class DataFolders:
    """The data folders that the plugins of one host have open. Thread-safe."""

    def __init__(self, directory: Path) -> None:
        """`directory` is where they are. Nothing is made before a plugin needs its own."""
        self._directory = directory
        self._lock = threading.Lock()
        self._open: dict[str, _Shared] = {}

    def taken(self, plugin: str) -> WritableTree:
        """The folder of a plugin: the one that other loads of it in this host have, too. To be
        given `back`. Raises `FilesError`."""
        with self._lock:
            shared = self._open.get(plugin)
            if shared is None:
                shared = self._open[plugin] = _Shared(_opened(self._directory, plugin))
            shared.users += 1
            return shared.tree

    def back(self, plugin: str) -> None:
        """Whoever has taken it needs it no more. Other hosts may have it after the last."""
        with self._lock:
            shared = self._open[plugin]
            shared.users -= 1
            if not shared.users:
                self._open.pop(plugin).tree.close()


def _opened(directory: Path, plugin: str) -> WritableTree:
    folder = directory / plugin
    try:
        root = private_folder(directory, plugin)
    except OSError as error:
        raise FilesError(
            f"plugin {plugin!r}: its data folder {folder} can't be used: {error.strerror}"
        ) from None
    try:
        _check_private(root, plugin, folder)
        # Of the open file, so that it ends with this process, however that ends.
        fcntl.flock(root, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(root)
        raise FilesError(
            f"plugin {plugin!r}: its data folder {folder} is used by another host, in this process "
            "or in another one, and two would write over each other's files. Close that one, or "
            "give this one a folder of its own: HostSettings(data_directory=…), or the "
            "environment variable ORCHESTRATOR_PLUGIN_DATA"
        ) from None
    except BaseException:
        os.close(root)
        raise
    try:
        return WritableTree(root)
    except (OSError, UncountableError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise FilesError(
            f"plugin {plugin!r}: its data folder {folder} can't be counted: {why}"
        ) from None


def private_folder(directory: Path, *names: str) -> int:
    """The descriptor of a folder that only this user has, made if it is not there, and the folders
    on the way to it. No name below `directory` is followed if it is a link. Raises `OSError`."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    for name in names:
        try:
            with suppress(FileExistsError):
                os.mkdir(name, 0o700, dir_fd=found)
            below = os.open(name, FOLDER_FLAGS, dir_fd=found)
        finally:
            os.close(found)
        found = below
    return found


def _check_private(root: int, plugin: str, folder: Path) -> None:
    info = os.fstat(root)
    if info.st_uid != os.geteuid() or info.st_mode & 0o022:
        raise FilesError(
            f"plugin {plugin!r}: its data folder {folder} is not this user's alone to write "
            f"(owner {info.st_uid}, mode {info.st_mode & 0o777:03o}): chown it to "
            f"{os.geteuid()}, and chmod 700"
        )
