"""The folders that plugins keep data in, of several kinds. Each is private, is used by one host at
a time, and belongs to the plugin that wrote it until the operator lets another take it over.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import ExitStack
from pathlib import Path

from ...errors import FilesError
from .owners import RECORDS, check_owner, record, recorded
from .private import check_private, private_folder


def open_owned(directory: Path, plugin: str, owner: str, kind: str = "") -> tuple[int, bool]:
    """The descriptor of a plugin's folder, which no other host has as long as it is open, and
    whether nobody is recorded as the owner of the plugin's data: then `record` it.

    `kind` is the folder in `directory` that those of this kind of data are in, which begins with a
    dot. Raises `FilesError`, also if another than `owner` (`owner_of`) has written it.
    """
    root = _locked(directory, plugin, kind)
    try:
        found = recorded(directory, plugin)
        if found is not None:
            check_owner(directory, plugin, found, owner)
    except BaseException:
        os.close(root)
        raise
    return root, found is None


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
    with ExitStack() as locked:
        for kind in _kinds(directory):
            if plugin in _names_in(directory / kind):
                locked.callback(os.close, _locked(directory, plugin, kind))
        before = recorded(directory, plugin)
        record(directory, plugin, owner, replace=True)
        return before


def _names(directory: Path) -> list[str]:
    return sorted({name for kind in _kinds(directory) for name in _names_in(directory / kind)})


def _kinds(directory: Path) -> list[str]:
    """The folders of all kinds of data, from `directory`: a plugin's name has no dot."""
    return ["", *(one for one in _folders(directory) if one.startswith(".") and one != RECORDS)]


def _names_in(directory: Path) -> list[str]:
    return [one for one in _folders(directory) if not one.startswith(".")]


def _folders(directory: Path) -> list[str]:
    try:
        with os.scandir(directory) as entries:
            return sorted(one.name for one in entries if one.is_dir(follow_symlinks=False))
    except FileNotFoundError:
        return []
    except OSError as error:
        raise FilesError(
            f"the data folders in {directory} can't be read: {error.strerror}"
        ) from None


def _locked(directory: Path, plugin: str, kind: str) -> int:
    """The descriptor of a plugin's folder, which no other host has. Raises `FilesError`."""
    folder = directory / kind / plugin
    try:
        root = private_folder(directory, *([kind] if kind else []), plugin)
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
            "or in another one, and two would write over each other's data. Close that one, or "
            "give this one a folder of its own: HostSettings(data_directory=…), or the "
            "environment variable ORCHESTRATOR_PLUGIN_DATA"
        ) from None
    except BaseException:
        os.close(root)
        raise
    return root
