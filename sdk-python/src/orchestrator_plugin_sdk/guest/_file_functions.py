"""Python's functions of files and folders, on the host's files.

The three roots are the folders `/data`, `/artifacts` and `/folders`, and the working folder is
`/artifacts` at first. There are no links, modes, owners or times. What the host says no with is
raised as Python does: `FileNotFoundError`, `PermissionError`, `FileExistsError` and the like.
"""

from __future__ import annotations

import errno
import os
import posixpath
import stat as modes
from collections.abc import Iterator, Sequence
from typing import Any, Final, NoReturn

from wit_world.imports import files as host_files

from ..capabilities.files import FileInfo
from ..errors import ErrorKind, PluginCallError
from ._payloads import asked, document_of

ROOTS: Final = ("data", "artifacts", "folders")
_NO_TIME: Final = 315_532_800
"""1980: the first moment that every archive can hold."""
_working = "/artifacts"


def fail(number: int, path: Any, why: str = "") -> NoReturn:
    """Raises the `OSError` of a number."""
    raise OSError(number, why or os.strerror(number), path)


def absolute(path: Any) -> str:
    """A path from the top, without `.` and `..`."""
    text = os.fsdecode(path)
    if "\0" in text:
        raise ValueError("embedded null byte")
    if not text:
        fail(errno.ENOENT, path)
    return "/" + posixpath.normpath(posixpath.join(_working, text)).lstrip("/")


def on_host(path: Any, *, to_change: bool = False) -> str:
    """A path as the host's import has it. Raises `OSError` for one that is in no root."""
    names = absolute(path)[1:]
    if names.partition("/")[0] not in ROOTS:
        if to_change:
            fail(errno.EACCES, path, "a plugin writes in /data and /artifacts alone")
        fail(errno.ENOENT, path)
    return names


class raised:  # noqa: N801  # reads as a function where it is used
    """Around what the host is asked: what it says no with becomes an `OSError`. Not a generator,
    which would be in a cycle with its exception: see `asked`."""

    def __init__(self, path: Any) -> None:
        self._path = path

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if not isinstance(error, PluginCallError):
            return
        number = {
            ErrorKind.NOT_FOUND: errno.ENOENT,
            ErrorKind.PERMISSION_DENIED: errno.EACCES,
            ErrorKind.INVALID_REQUEST: errno.EINVAL,
        }.get(error.kind, errno.EIO)
        why = os.strerror(number) if error.kind is ErrorKind.NOT_FOUND else error.message
        raise OSError(number, why, self._path) from None


def information(path: Any) -> FileInfo:
    """What is at a path. Raises `OSError`."""
    if absolute(path) == "/":
        return FileInfo("", "folder")
    wanted = on_host(path)
    with raised(path):
        try:
            info: FileInfo = document_of(asked(host_files.stat, wanted), FileInfo)
        except PluginCallError as error:
            parent = posixpath.dirname(f"/{wanted}")
            if error.kind is ErrorKind.INVALID_REQUEST and information(parent).kind == "file":
                fail(errno.ENOTDIR, path)
            raise
    return info


def is_there(path: Any) -> FileInfo | None:
    """What is at a path, if anything is."""
    try:
        return information(path)
    except FileNotFoundError:
        return None


def entries(path: Any) -> Sequence[FileInfo]:
    """What is in a folder. Raises `OSError`."""
    if absolute(path) == "/":
        return [FileInfo(name, "folder") for name in ROOTS if _is_granted(name)]
    if information(path).kind != "folder":
        fail(errno.ENOTDIR, path)
    with raised(path):
        found: Sequence[FileInfo] = document_of(
            asked(host_files.list_folder, on_host(path)), tuple[FileInfo, ...]
        )
    return found


def _is_granted(root: str) -> bool:
    try:
        return root != "folders" or bool(entries("/folders"))
    except OSError:
        return False


def _stat_result(path: str, info: FileInfo) -> os.stat_result:
    mode = modes.S_IFREG | 0o600 if info.kind == "file" else modes.S_IFDIR | 0o700
    number = hash(path) & 0x7FFFFFFF  # a path has one file, and a file one path
    times = (_NO_TIME, _NO_TIME, _NO_TIME)
    return os.stat_result((mode, number, 1, 1, 0, 0, info.size, *times))


class Entry:
    """What `os.scandir` gives."""

    def __init__(self, folder: Any, info: FileInfo) -> None:
        self._info = info
        of_bytes = isinstance(folder, bytes)
        self.name: Any = os.fsencode(info.name) if of_bytes else info.name
        self.path: Any = posixpath.join(os.fspath(folder), self.name)

    def __fspath__(self) -> Any:
        return self.path

    def __repr__(self) -> str:
        return f"<DirEntry {self.name!r}>"

    def is_dir(self, *, follow_symlinks: bool = True) -> bool:
        """Whether it is a folder."""
        return self._info.kind == "folder"

    def is_file(self, *, follow_symlinks: bool = True) -> bool:
        """Whether it is a file."""
        return self._info.kind == "file"

    def is_symlink(self) -> bool:
        """There are no links."""
        return False

    def is_junction(self) -> bool:
        """There are no links."""
        return False

    def inode(self) -> int:
        """A number of its own."""
        return self.stat().st_ino

    def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:
        """As `os.stat`."""
        return _stat_result(absolute(self.path), self._info)


class _Entries(list[Entry]):
    """What `os.scandir` returns: an iterator, and a context."""

    def __init__(self, found: Sequence[Entry]) -> None:
        super().__init__(found)
        self._next = iter(found)

    def __iter__(self) -> Iterator[Entry]:
        return self._next

    def __next__(self) -> Entry:
        return next(self._next)

    def __enter__(self) -> _Entries:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """There is nothing to close."""


def getcwd() -> str:
    """The working folder."""
    return _working


def chdir(path: Any) -> None:
    """Changes the working folder."""
    global _working
    if information(path).kind != "folder":
        fail(errno.ENOTDIR, path)
    _working = absolute(path)


def stat(path: Any, *, dir_fd: None = None, follow_symlinks: bool = True) -> os.stat_result:
    """As `os.stat`."""
    return _stat_result(absolute(path), information(path))


def access(path: Any, mode: int, **how: Any) -> bool:
    """As `os.access`."""
    try:
        information(path)
    except OSError:
        return False
    writable = absolute(path).split("/")[1] in ("data", "artifacts")
    return writable or not mode & os.W_OK


def listdir(path: Any = ".") -> list[Any]:
    """As `os.listdir`."""
    return [entry.name for entry in scandir(path)]


def scandir(path: Any = ".") -> _Entries:
    """As `os.scandir`."""
    return _Entries([Entry(path, info) for info in entries(path)])


def mkdir(path: Any, mode: int = 0o777, *, dir_fd: None = None) -> None:
    """As `os.mkdir`."""
    if is_there(path) is not None:
        fail(errno.EEXIST, path)
    with raised(path):
        asked(host_files.make_folder, on_host(path, to_change=True))


def remove(path: Any, *, dir_fd: None = None) -> None:
    """As `os.remove`."""
    if information(path).kind == "folder":
        fail(errno.EISDIR, path)
    with raised(path):
        asked(host_files.remove, on_host(path, to_change=True))


def rmdir(path: Any, *, dir_fd: None = None) -> None:
    """As `os.rmdir`."""
    if entries(path):
        fail(errno.ENOTEMPTY, path)
    with raised(path):
        asked(host_files.remove, on_host(path, to_change=True))


def replace(source: Any, target: Any, **how: Any) -> None:
    """As `os.replace` and `os.rename`."""
    moved, there = information(source), is_there(target)
    if there is not None and there.kind == "folder":
        fail(errno.EISDIR if moved.kind == "file" else errno.EEXIST, target)
    one, other = on_host(source, to_change=True), on_host(target, to_change=True)
    if one.partition("/")[0] != other.partition("/")[0]:
        fail(errno.EXDEV, source)
    with raised(source):
        asked(host_files.rename, one, other)


def truncate(path: Any, length: int) -> None:
    """As `os.truncate`."""
    information(path)
    with raised(path):
        asked(host_files.resize, on_host(path, to_change=True), length)


def readlink(path: Any, *, dir_fd: None = None) -> NoReturn:
    """As `os.readlink`, of what is no link."""
    information(path)
    fail(errno.EINVAL, path)


def change_nothing(path: Any, *arguments: Any, **how: Any) -> None:
    """As `os.chmod` and `os.utime`: a file has no mode and no times here."""
    information(path)
