"""Python's own files, on the host's: `open()`, descriptors, and the functions of `os`."""

from __future__ import annotations

import _io
import builtins
import errno
import io
import os
import sys
from typing import Any, Final

from wit_world.imports import files as host_files

from . import _file_functions as functions
from ._file_functions import fail, information, is_there, on_host, raised
from ._payloads import asked, to_payload
from ._raw_files import RawFile, descriptor, hold

_BUFFER: Final = 64 * 1024


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
    return hold(raw)


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
