"""The data folders of plugins, one for each name: opened once in a host, by one host at a time, and
by the plugin that wrote it, until the operator lets another take it over.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path

from ...errors import FilesError
from ...notices import warn
from ..owned.folders import open_owned
from ..owned.owners import check_owner, in_words, record
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


def _opened(directory: Path, plugin: str, owner: str) -> WritableTree:
    root, is_new = open_owned(directory, plugin, owner)
    folder = directory / plugin
    try:
        tree = WritableTree(root)
    except (OSError, UncountableError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise FilesError(
            f"plugin {plugin!r}: its data folder {folder} can't be counted: {why}"
        ) from None
    if not is_new:
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
