"""Folders that this user alone may write to."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

from ...errors import FilesError

FOLDER_FLAGS: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
"""Opens a folder, and no link to one."""


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


def check_private(folder: int, what: str) -> None:
    """Raises `FilesError` if others may write to a folder. `what` begins the message."""
    info = os.fstat(folder)
    if info.st_uid != os.geteuid() or info.st_mode & 0o022:
        raise FilesError(
            f"{what} is not this user's alone to write "
            f"(owner {info.st_uid}, mode {info.st_mode & 0o777:03o}): chown it to "
            f"{os.geteuid()}, and chmod 700"
        )
