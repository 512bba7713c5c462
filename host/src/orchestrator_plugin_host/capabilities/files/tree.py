"""A folder of the host's, reached by descriptors alone.

The root is opened once. From there every name is looked up in a descriptor of its folder and never
through a link, so that whoever changes the tree meanwhile can't lead anybody out of it: a path is
never resolved a second time.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat as modes
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from orchestrator_plugin_sdk.capabilities.files import FileInfo
from orchestrator_plugin_sdk.errors import ErrorKind, PluginCallError

from ..owned.private import FOLDER_FLAGS
from .paths import PluginPath, fault_of, refused

MAX_READ: Final = 1024 * 1024
"""Bytes that one read returns at most."""
MAX_LISTED: Final = 16_384
"""Entries of a folder that can be listed."""
MAX_OFFSET: Final = 2**62
"""No file is that long."""

# A FIFO would be waited for, a terminal become the process's.
_FILE_FLAGS: Final = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC

_KINDS: Final = {
    errno.ENOENT: ErrorKind.NOT_FOUND,
    errno.EACCES: ErrorKind.PERMISSION_DENIED,
    errno.EPERM: ErrorKind.PERMISSION_DENIED,
    errno.EROFS: ErrorKind.PERMISSION_DENIED,
    errno.ELOOP: ErrorKind.PERMISSION_DENIED,
    errno.EEXIST: ErrorKind.INVALID_REQUEST,
    errno.EINVAL: ErrorKind.INVALID_REQUEST,
    errno.EISDIR: ErrorKind.INVALID_REQUEST,
    errno.ENAMETOOLONG: ErrorKind.INVALID_REQUEST,
    errno.ENOTDIR: ErrorKind.INVALID_REQUEST,
    errno.ENOTEMPTY: ErrorKind.INVALID_REQUEST,
}


GoOn = Callable[[], None]
"""Raises if nobody waits for the work any more: asked between its pieces."""


def on_and_on() -> None:
    """`GoOn` of whoever waits in any case."""


@contextmanager
def explained(path: PluginPath) -> Iterator[None]:
    """Around what the system does for a plugin: what goes wrong is told in the plugin's words.
    Paths of the host's are not in them."""
    try:
        yield
    except OSError as error:
        kind = _KINDS.get(error.errno or 0, ErrorKind.UNAVAILABLE)
        words = f"{path}: {error.strerror or 'the system gives no reason'}"
        raise PluginCallError(kind, words, retryable=False) from None


def look(folder: int, name: str) -> os.stat_result | None:
    """What is at a name, without following it; none if there is nothing."""
    try:
        return os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None


def is_plain(info: os.stat_result) -> bool:
    """Whether it is a file or a folder, and not a link, a device, a FIFO or a socket."""
    return modes.S_ISREG(info.st_mode) or modes.S_ISDIR(info.st_mode)


def open_file(folder: int, name: str, path: PluginPath, access: int) -> int:
    """The descriptor of a regular file. Raises `PluginCallError` or `OSError`."""
    info = os.stat(name, dir_fd=folder, follow_symlinks=False)
    check_file(info, path)  # first: a device may do something by being opened
    found = os.open(name, access | _FILE_FLAGS, dir_fd=folder)
    try:
        check_file(os.fstat(found), path)
    except BaseException:
        os.close(found)
        raise
    return found


def check_file(info: os.stat_result, path: PluginPath) -> None:
    """Raises `PluginCallError` unless it is a regular file."""
    if modes.S_ISDIR(info.st_mode):
        raise refused(path.text, "it is a folder")
    if not modes.S_ISREG(info.st_mode):
        raise not_plain(path)


def not_plain(path: PluginPath) -> PluginCallError:
    """The error of what is neither a file nor a folder."""
    return PluginCallError(
        ErrorKind.PERMISSION_DENIED,
        f"{path} is neither a file nor a folder: links, devices, FIFOs and sockets are not for "
        "plugins",
    )


def information(name: str, info: os.stat_result) -> FileInfo:
    """What a plugin is told of a file or folder."""
    if modes.S_ISDIR(info.st_mode):
        return FileInfo(name, "folder")
    return FileInfo(name, "file", info.st_size)


class Tree:
    """A folder to be read. Thread-safe.

    Everything raises `PluginCallError`: `not-found`, `permission-denied` for links and the like,
    `invalid-request` for a use that makes no sense, `unavailable` for what the system can't do.
    """

    def __init__(self, root: int) -> None:
        """Takes the descriptor of the root over."""
        self._root: int | None = root
        self._root_lock = threading.Lock()

    def close(self) -> None:
        """Closes the root, for whoever comes from now on."""
        with self._root_lock:
            root, self._root = self._root, None
        if root is not None:
            # A lock is the open file's: a process that is just being started, which has the
            # descriptor until it is another program, would keep it for a moment.
            fcntl.flock(root, fcntl.LOCK_UN)
            os.close(root)

    def opened_root(self) -> int:
        """Another descriptor of the root, the caller's to close: who is inside when the tree is
        closed must not find another file under its number."""
        with self._root_lock:
            if self._root is None:
                raise PluginCallError(
                    ErrorKind.PERMISSION_DENIED, "the call that these files were for has ended"
                )
            return os.dup(self._root)

    @contextmanager
    def folder(self, path: PluginPath, names: Sequence[str]) -> Iterator[int]:
        """The descriptor of a folder below the root, for as long as the context is open."""
        found = self.opened_root()
        try:
            for name in names:
                found = self._step(found, name, path)
            yield found
        finally:
            os.close(found)

    def _step(self, folder: int, name: str, path: PluginPath) -> int:
        try:
            below = os.open(name, FOLDER_FLAGS, dir_fd=folder)
        except NotADirectoryError:  # Linux says this of a link, too
            info = look(folder, name)
            if info is not None and not is_plain(info):
                raise not_plain(path) from None
            raise
        os.close(folder)
        return below

    def read(self, path: PluginPath, offset: int, length: int) -> bytes:
        """At most `length` bytes from `offset`, and at most `MAX_READ`."""
        check_number(path, "offset", offset)
        check_number(path, "length", length)
        with explained(path), self.parent(path) as (folder, name):
            file = open_file(folder, name, path, os.O_RDONLY)
            try:
                return _read(file, offset, min(length, MAX_READ))
            finally:
                os.close(file)

    def stat(self, path: PluginPath) -> FileInfo:
        """What is at a path."""
        with explained(path):
            if not path.names:
                os.close(self.opened_root())
                return FileInfo(path.text.rpartition("/")[2], "folder")
            with self.parent(path) as (folder, name):
                info = os.stat(name, dir_fd=folder, follow_symlinks=False)
                if not is_plain(info):
                    raise not_plain(path)
                return information(name, info)

    def list_folder(self, path: PluginPath, go_on: GoOn = on_and_on) -> list[FileInfo]:
        """What is in a folder, by name. Links, devices and the like are not, nor is what has a
        name that no path can have."""
        found: list[FileInfo] = []
        with (
            explained(path),
            self.folder(path, path.names) as folder,
            os.scandir(folder) as entries,
        ):
            for i, entry in enumerate(entries):
                if i >= MAX_LISTED:
                    raise refused(path.text, f"it has more than {MAX_LISTED:,} entries")
                go_on()
                info = look(folder, entry.name)
                if info is not None and is_plain(info) and fault_of(entry.name) is None:
                    found.append(information(entry.name, info))
        return sorted(found, key=lambda one: one.name)

    @contextmanager
    def parent(self, path: PluginPath) -> Iterator[tuple[int, str]]:
        """The folder that a path's last name is in, and that name."""
        if not path.names:
            raise refused(path.text, "it is a root, which is neither a file nor to be changed")
        with self.folder(path, path.names[:-1]) as folder:
            yield folder, path.names[-1]


def check_number(path: PluginPath, what: str, value: int) -> None:
    """Raises `PluginCallError` for an offset or a length that is none."""
    if not isinstance(value, int) or not 0 <= value <= 2**64:
        raise refused(path.text, f"{what} {str(value)[:40]} is none")


def _read(file: int, offset: int, length: int) -> bytes:
    length = min(length, os.fstat(file).st_size - offset)
    pieces = []
    while length > 0:
        piece = os.pread(file, length, offset)
        if not piece:  # it has become shorter meanwhile
            break
        pieces.append(piece)
        offset += len(piece)
        length -= len(piece)
    return b"".join(pieces)
