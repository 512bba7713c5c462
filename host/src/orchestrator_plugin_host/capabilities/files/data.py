"""The data folders of plugins, one for each name: opened once in a host, by one host at a time, and
by the plugin that wrote it, until the operator lets another take it over.
"""

from __future__ import annotations

from pathlib import Path

from ...errors import FilesError
from ...notices import warn
from ..owned.folders import open_owned
from ..owned.owners import in_words, record
from ..owned.shared import OpenedOnce
from .writing import UncountableError, WritableTree


class DataFolders(OpenedOnce[WritableTree]):
    """The data folders that the plugins of one host have open. Thread-safe."""

    def __init__(self, directory: Path) -> None:
        """`directory` is where they are. Nothing is made before a plugin needs its own."""
        super().__init__(directory, _opened)


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
