"""Files of the host's that are open in Python, and their descriptors."""

from __future__ import annotations

import errno
import io
import os
import sys
from typing import Any, Final
from weakref import WeakValueDictionary

from wit_world.imports import files as host_files

from ..errors import ErrorKind, PluginCallError
from ._file_functions import fail, information, on_host, raised
from ._payloads import asked, bytes_of, to_payload

_PIECE: Final = 1024 * 1024
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


def descriptor(number: int) -> RawFile:
    """The file of a descriptor. Raises `OSError`."""
    found = _descriptors.get(number)
    if found is None:
        fail(errno.EBADF, None)
    return found


def hold(file: RawFile) -> int:
    """The descriptor of a file, which stays open until that is closed."""
    _held[file.fileno()] = file
    return file.fileno()
