"""The data folders of plugins, one for each name: opened once in a host, by one host at a time, and
by the plugin that wrote it, until the operator lets another take it over.
"""

from __future__ import annotations

import fcntl
import os
import threading
from dataclasses import dataclass
from pathlib import Path

from ...errors import FilesError
from ...notices import warn
from .owners import RECORDS, check_owner, in_words, record, recorded
from .private import check_private, private_folder
from .tree import Tree
from .writing import UncountableError, WritableTree


@dataclass(slots=True)
class _Shared:
    tree: WritableTree
    owner: str
    users: int = 0


class DataFolders:
    """The data folders that the plugins of one host have open. Thread-safe."""

    def __init__(self, directory: Path) -> None:
        """`directory` is where they are. Nothing is made before a plugin needs its own."""
        self._directory = directory
        self._lock = threading.Lock()
        self._open: dict[str, _Shared] = {}

    def taken(self, plugin: str, owner: str) -> WritableTree:
        """The folder of a plugin: the one that other loads of it in this host have, too. To be
        given `back`. `owner` is what `owner_of` returns. Raises `FilesError`, also if another
        owner has written it."""
        with self._lock:
            shared = self._open.get(plugin)
            if shared is None:
                tree = _opened(self._directory, plugin, owner)
                shared = self._open[plugin] = _Shared(tree, owner)
            check_owner(self._directory, plugin, shared.owner, owner)
            shared.users += 1
            return shared.tree

    def back(self, plugin: str) -> None:
        """Whoever has taken it needs it no more. Other hosts may have it after the last."""
        with self._lock:
            shared = self._open[plugin]
            shared.users -= 1
            if not shared.users:
                self._open.pop(plugin).tree.close()


def data_folders(directory: Path) -> dict[str, str | None]:
    """The data folders in a directory, by plugin, and the recorded owner of each. Raises
    `FilesError`."""
    return {name: recorded(directory, name) for name in _names(directory)}


def take_over(directory: Path, plugin: str, owner: str) -> str | None:
    """Gives the data folder of a plugin to another owner, and returns who had it before. For the
    operator alone: it is the decision that this owner may have that data.

    Raises `FilesError`, also while a host uses the folder.
    """
    names = _names(directory)
    if plugin not in names:
        raise FilesError(
            f"there is no data folder {plugin!r} in {directory} (there: "
            f"{', '.join(names) or 'none'}): name another directory with --data, or with the "
            "environment variable ORCHESTRATOR_PLUGIN_DATA"
        )
    root = Tree(_locked(directory, plugin))
    try:
        before = recorded(directory, plugin)
        record(directory, plugin, owner)
    finally:
        root.close()
    return before


def _names(directory: Path) -> list[str]:
    try:
        with os.scandir(directory) as entries:
            return sorted(
                one.name
                for one in entries
                if one.name != RECORDS and one.is_dir(follow_symlinks=False)
            )
    except FileNotFoundError:
        return []
    except OSError as error:
        raise FilesError(
            f"the data folders in {directory} can't be read: {error.strerror}"
        ) from None


def _opened(directory: Path, plugin: str, owner: str) -> WritableTree:
    root = _locked(directory, plugin)
    try:
        found = recorded(directory, plugin)
        if found is not None:
            check_owner(directory, plugin, found, owner)
    except BaseException:
        Tree(root).close()
        raise
    folder = directory / plugin
    try:
        tree = WritableTree(root)
    except (OSError, UncountableError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise FilesError(
            f"plugin {plugin!r}: its data folder {folder} can't be counted: {why}"
        ) from None
    if found is not None:
        return tree
    try:
        if tree.files:  # written before there were records, or put there by the operator
            warn(
                f"plugin {plugin!r}: there is no record of whose its data folder {folder} is. From "
                f"now on it belongs to {in_words(owner)}"
            )
        record(directory, plugin, owner)  # before anything can be written into it
    except BaseException:
        tree.close()
        raise
    return tree


def _locked(directory: Path, plugin: str) -> int:
    """The descriptor of a plugin's folder, which no other host has. Raises `FilesError`."""
    folder = directory / plugin
    try:
        root = private_folder(directory, plugin)
    except OSError as error:
        raise FilesError(
            f"plugin {plugin!r}: its data folder {folder} can't be used: {error.strerror}"
        ) from None
    try:
        check_private(root, f"plugin {plugin!r}: its data folder {folder}")
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
    return root
