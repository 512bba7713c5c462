"""Python's own files, on the host's: `open()`, descriptors, and the functions of `os`."""

from __future__ import annotations

import _io
import builtins
import errno
import io
import os
import sys
from typing import Any, Final
from weakref import WeakValueDictionary

from wit_world.imports import files as host_files

from ..errors import ErrorKind, PluginCallError
from . import _file_functions as functions
from ._file_functions import fail, information, is_there, on_host, raised
from ._payloads import asked, bytes_of, to_payload

_PIECE: Final = 1024 * 1024
_BUFFER: Final = 64 * 1024
_FIRST: Final = 3
_descriptors: WeakValueDictionary[int, RawFile] = WeakValueDictionary()
_held: Final[dict[int, RawFile]] = {}
"""Files that a number alone knows."""


class RawFile(io.RawIOBase):
    """A file of the host's, without a buffer. It is where its path is: a file that is removed or
    renamed while it is open is not found any more."""

    def __init__(self, path: Any, *, reading: bool, writing: bool, appending: bool = False) -> None:
        self.name = path
        self._path = on_host(path, to_change=writing)
        self._reading = reading
        self._writing = writing
        self._appending = appending
        self._position = 0
        self._number = next(n for n in range(_FIRST, sys.maxsize) if n not in _descriptors)
        _descriptors[self._number] = self
        if appending:
            self._position = self.size()

    @property
    def mode(self) -> str:
        """As of `io.FileIO`."""
        if self._appending:
            return "ab+" if self._reading else "ab"
        return ("rb+" if self._writing else "rb") if self._reading else "wb"

    def size(self) -> int:
        """Its size in bytes."""
        return information(f"/{self._path}").size

    def readable(self) -> bool:
        """As of `io.IOBase`, as are all the others."""
        return self._reading

    def writable(self) -> bool:
        """As of `io.IOBase`."""
        return self._writing

    def seekable(self) -> bool:
        """As of `io.IOBase`."""
        return True

    def fileno(self) -> int:
        """As of `io.IOBase`."""
        self._check_open()
        return self._number

    def isatty(self) -> bool:
        """As of `io.IOBase`."""
        return False

    def close(self) -> None:
        """As of `io.IOBase`."""
        if not self.closed:
            _descriptors.pop(self._number, None)
            _held.pop(self._number, None)
        super().close()

    def tell(self) -> int:
        """As of `io.IOBase`."""
        self._check_open()
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """As of `io.IOBase`."""
        self._check_open()
        starts = {os.SEEK_SET: 0, os.SEEK_CUR: self._position}
        start = self.size() if whence == os.SEEK_END else starts[whence]
        if start + offset < 0:
            fail(errno.EINVAL, self.name)
        self._position = start + offset
        return self._position

    def readinto(self, buffer: Any) -> int:
        """As of `io.RawIOBase`."""
        self._check_open()
        if not self._reading:
            raise io.UnsupportedOperation("not readable")
        view = memoryview(buffer).cast("B")
        with raised(self.name):
            length = min(len(view), _PIECE)
            data = bytes_of(asked(host_files.read, self._path, self._position, length))
        view[: len(data)] = data
        self._position += len(data)
        return len(data)

    def write(self, data: Any) -> int:
        """As of `io.RawIOBase`. Raises `OSError` (`ENOSPC`) when the folder may hold no more."""
        self._check_open()
        if not self._writing:
            raise io.UnsupportedOperation("not writable")
        piece = bytes(memoryview(data).cast("B")[:_PIECE])
        size = self.size() if self._appending or self._position else 0
        if self._appending:
            self._position = size
        with raised(self.name):
            try:
                if self._position > size:
                    asked(host_files.resize, self._path, self._position)
                asked(host_files.write, self._path, self._position, to_payload(piece))
            except PluginCallError as error:
                # It could be opened to be written: there is no room for more.
                if error.kind is ErrorKind.PERMISSION_DENIED:
                    fail(errno.ENOSPC, self.name, error.message)
                raise
        self._position += len(piece)
        return len(piece)

    def truncate(self, size: int | None = None) -> int:
        """As of `io.IOBase`."""
        self._check_open()
        wanted = self._position if size is None else size
        with raised(self.name):
            asked(host_files.resize, self._path, wanted)
        return wanted

    def sync(self) -> None:
        """Returns when it is on the disk."""
        with raised(self.name):
            asked(host_files.sync, self._path)

    def _check_open(self) -> None:
        if self.closed:
            raise ValueError("I/O operation on closed file")


def _make(path: Any, *, only_new: bool, empty: bool) -> None:
    """Makes a file, if it is not there."""
    there = is_there(path)
    if there is not None and only_new:
        fail(errno.EEXIST, path)
    if there is not None and there.kind == "folder":
        fail(errno.EISDIR, path)
    wanted = on_host(path, to_change=True)
    with raised(path):
        asked(host_files.write, wanted, 0, to_payload(b""))
        if there is not None and empty:
            asked(host_files.resize, wanted, 0)


def _raw(path: Any, mode: str) -> RawFile:
    kind, both = mode[0], "+" in mode
    if kind == "r":
        if information(path).kind == "folder":
            fail(errno.EISDIR, path)
    else:
        _make(path, only_new=kind == "x", empty=kind == "w")
    return RawFile(
        path, reading=both or kind == "r", writing=both or kind != "r", appending=kind == "a"
    )


def open(  # noqa: A001
    file: Any,
    mode: str = "r",
    buffering: int = -1,
    encoding: str | None = None,
    errors: str | None = None,
    newline: str | None = None,
    closefd: bool = True,
    opener: Any = None,
) -> Any:
    """As the built-in `open()`. Text is UTF-8 unless `encoding` says otherwise."""
    kinds = [one for one in mode if one in "rwax"]
    if len(kinds) != 1 or len(set(mode)) != len(mode) or set(mode) - set("rwaxbt+"):
        raise ValueError(f"invalid mode: {mode!r}")
    binary = "b" in mode
    if binary and "t" in mode:
        raise ValueError("can't have text and binary mode at once")
    if binary and (encoding, errors, newline) != (None, None, None):
        raise ValueError("binary mode doesn't take an encoding, errors or newline argument")
    if not binary and buffering == 0:
        raise ValueError("can't have unbuffered text I/O")
    if opener is not None:
        file = opener(file, 0)
    raw = descriptor(file) if isinstance(file, int) else _raw(file, f"{kinds[0]}{mode}")
    if buffering == 0:
        return raw
    size = _BUFFER if buffering < 2 else buffering
    buffered: Any
    if raw.readable() and raw.writable():
        buffered = io.BufferedRandom(raw, size)
    elif raw.writable():
        buffered = io.BufferedWriter(raw, size)
    else:
        buffered = io.BufferedReader(raw, size)
    if binary:
        return buffered
    text: Any = io.TextIOWrapper(
        buffered, encoding or "utf-8", errors, newline, line_buffering=buffering == 1
    )
    text.mode = mode
    return text


# Descriptors, as far as `tempfile` and the like need them.


def descriptor(number: int) -> RawFile:
    """The file of a descriptor. Raises `OSError`."""
    found = _descriptors.get(number)
    if found is None:
        fail(errno.EBADF, None)
    return found


def _open(path: Any, flags: int, mode: int = 0o777, *, dir_fd: None = None) -> int:
    access = flags & (os.O_RDONLY | os.O_WRONLY | os.O_RDWR)
    writing = access in (os.O_WRONLY, os.O_RDWR)
    if flags & os.O_CREAT:
        _make(path, only_new=bool(flags & os.O_EXCL), empty=bool(flags & os.O_TRUNC))
    elif information(path).kind == "folder":
        fail(errno.EISDIR, path)
    elif flags & os.O_TRUNC:
        functions.truncate(path, 0)
    raw = RawFile(
        path,
        reading=access != os.O_WRONLY,
        writing=writing,
        appending=bool(flags & os.O_APPEND),
    )
    _held[raw.fileno()] = raw
    return raw.fileno()


def _read(number: int, length: int) -> bytes:
    buffer = bytearray(length)
    return bytes(buffer[: descriptor(number).readinto(buffer)])


def _stat(path: Any, *, dir_fd: None = None, follow_symlinks: bool = True) -> os.stat_result:
    return functions.stat(descriptor(path).name if isinstance(path, int) else path)


_OS: Final = {
    "access": functions.access,
    "chdir": functions.chdir,
    "chmod": functions.change_nothing,
    "close": lambda number: descriptor(number).close(),
    "fdatasync": lambda number: descriptor(number).sync(),
    "fdopen": lambda number, *arguments, **how: open(number, *arguments, **how),
    "fstat": lambda number: functions.stat(descriptor(number).name),
    "fsync": lambda number: descriptor(getattr(number, "fileno", lambda: number)()).sync(),
    "ftruncate": lambda number, length: descriptor(number).truncate(length),
    "getcwd": functions.getcwd,
    "getcwdb": lambda: os.fsencode(functions.getcwd()),
    "listdir": functions.listdir,
    "lseek": lambda number, offset, whence: descriptor(number).seek(offset, whence),
    "lstat": _stat,
    "mkdir": functions.mkdir,
    "open": _open,
    "read": _read,
    "readlink": functions.readlink,
    "remove": functions.remove,
    "rename": functions.replace,
    "replace": functions.replace,
    "rmdir": functions.rmdir,
    "scandir": functions.scandir,
    "stat": _stat,
    "truncate": functions.truncate,
    "unlink": functions.remove,
    "utime": functions.change_nothing,
    "write": lambda number, data: descriptor(number).write(data),
}


def install() -> None:
    """Puts Python's files on the host's."""
    builtins.open = io.open = _io.open = open
    unlink = os.unlink
    for name, function in _OS.items():
        setattr(os, name, function)
    # What takes the descriptor of a folder does without.
    for supported in (os.supports_dir_fd, os.supports_fd, os.supports_follow_symlinks):
        supported.clear()
    shutil = sys.modules.get("shutil")
    if shutil is not None:
        shutil._use_fd_functions = False  # type: ignore[attr-defined]
    tempfile: Any = sys.modules.get("tempfile")
    if tempfile is not None:  # it has taken one as a default
        cleanup = tempfile._TemporaryFileCloser.cleanup
        cleanup.__defaults__ = tuple(
            os.unlink if one is unlink else one for one in cleanup.__defaults__
        )
