"""Whose data each plugin's is: a component's, by its digest, or a native plugin's, which has none.

A file for each plugin in a folder beside the data, whose name no plugin can have: nothing
that a plugin can reach leads there.
"""

from __future__ import annotations

import os
import re
import shlex
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from ...errors import FilesError
from .private import check_private, private_folder

RECORDS: Final = ".owners"
"""The folder of the records. A plugin's name has no dot."""
NATIVE: Final = "native"
"""The owner that all native plugins of a name are: nothing says which code one is."""

_OWNER: Final = re.compile(f"{NATIVE}|sha256:[0-9a-f]{{64}}")
_MAX_BYTES: Final = 200
_FLAGS: Final = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def owner_of(digest: str | None) -> str:
    """How a plugin is recorded: `digest` is that of its component, None for a native one."""
    return NATIVE if digest is None else f"sha256:{digest}"


def recorded(directory: Path, plugin: str) -> str | None:
    """The owner of a plugin's folder in the `directory` of all; None if there is no record. What
    somebody else wrote into a record is returned as it is. Raises `FilesError`."""
    with _records(directory, plugin) as records:
        try:
            file = os.open(plugin, os.O_RDONLY | _FLAGS, dir_fd=records)
        except FileNotFoundError:
            return None
        try:
            return os.read(file, _MAX_BYTES).decode("utf-8", "replace").strip()
        finally:
            os.close(file)


def record(directory: Path, plugin: str, owner: str, *, replace: bool = False) -> None:
    """Writes who the owner of a plugin's data is, on the disk when it returns. To be called with
    the folder locked. Raises `FilesError`, also if there is a record of another by now, unless that
    is to be replaced."""
    with _records(directory, plugin) as records:
        new = f"{plugin}.{os.getpid()}.{threading.get_ident()}"
        with suppress(FileNotFoundError):
            os.unlink(new, dir_fd=records)
        file = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _FLAGS, 0o600, dir_fd=records)
        try:
            os.write(file, f"{owner}\n".encode())
            os.fsync(file)
        finally:
            os.close(file)
        if replace:
            os.rename(new, plugin, src_dir_fd=records, dst_dir_fd=records)
        else:
            try:
                os.link(new, plugin, src_dir_fd=records, dst_dir_fd=records)
            except FileExistsError:  # of another kind of data, in another host, meanwhile
                check_owner(directory, plugin, recorded(directory, plugin) or "", owner)
            finally:
                os.unlink(new, dir_fd=records)
        os.fsync(records)


def check_owner(directory: Path, plugin: str, found: str, owner: str) -> None:
    """Raises `FilesError` unless the owner that was `found` for a plugin's folder is `owner`."""
    if found == owner:
        return
    if _OWNER.fullmatch(found):
        what = (
            f"its data in {directory} belongs to {in_words(found)}, and this is "
            f"{in_words(owner)}: another plugin of that name, or another version of it"
        )
    else:
        what = (
            f"the record of whose its data is, {directory / RECORDS / plugin}, holds "
            f"neither a digest nor {NATIVE!r}"
        )
    option = "--native" if owner == NATIVE else f"--digest {owner}"
    raise FilesError(
        f"plugin {plugin!r}: {what}. If this one may have that data, run\n"
        f"  orchestrator-plugin data take-over {plugin} {option} "
        f"--data {shlex.quote(str(directory.absolute()))}"
    )


def in_words(owner: str) -> str:
    """An owner as messages name it."""
    return "a native plugin" if owner == NATIVE else f"the component {owner}"


@contextmanager
def _records(directory: Path, plugin: str) -> Iterator[int]:
    """The folder of the records, for as long as the context is open. Raises `FilesError`, also for
    what goes wrong within it."""
    folder = directory / RECORDS
    what = f"plugin {plugin!r}: the folder {folder}, which records whose its data is,"
    try:
        records = private_folder(directory, RECORDS)
        try:
            check_private(records, what)
            yield records
        finally:
            os.close(records)
    except OSError as error:
        raise FilesError(f"{what} can't be used: {error.strerror}") from None
