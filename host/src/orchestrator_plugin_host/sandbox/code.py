"""Compiled code, kept where nothing can change it, for whoever runs it to map."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Self


class Code:
    """Compiled code in a sealed file of memory, or, where the system gives none, as bytes.

    What was authenticated is what runs. The file is gone once this is, and once nobody has mapped
    it any more.
    """

    def __init__(self, data: bytes | bytearray = b"", descriptor: int | None = None) -> None:
        """Either `data`, or the `descriptor` of a sealed file, which is this object's then."""
        self._data = data
        self.descriptor = descriptor

    @classmethod
    def gathered(cls, pieces: Iterable[bytes | bytearray | memoryview]) -> Self:
        """Code that comes in pieces, each of which is gone when the next one comes.

        Raises `OSError` if there is no room.
        """
        descriptor = _memory_file()
        if descriptor is None:
            whole = bytearray()
            for piece in pieces:
                whole += piece
            return cls(whole)
        try:
            with open(descriptor, "wb", buffering=0, closefd=False) as file:
                for piece in pieces:
                    left = memoryview(piece)
                    while left:
                        left = left[file.write(left) :]
            _seal(descriptor)
        except BaseException:
            os.close(descriptor)
            raise
        return cls(descriptor=descriptor)

    @classmethod
    def of(cls, data: bytes | bytearray) -> Self:
        """Code that is there already."""
        try:
            return cls.gathered([data])
        except OSError:
            return cls(data)

    @property
    def path(self) -> str | None:
        """The path that this process may map the file by; none if there is no file."""
        return None if self.descriptor is None else f"/proc/self/fd/{self.descriptor}"

    def read(self) -> bytes | bytearray:
        """The code, copied if it is in a file. Raises `OSError`."""
        if self.descriptor is None:
            return self._data
        return os.pread(self.descriptor, os.fstat(self.descriptor).st_size, 0)

    def __del__(self) -> None:
        if self.descriptor is not None:
            os.close(self.descriptor)
            self.descriptor = None


def _memory_file() -> int | None:
    """A file of memory that can be sealed; none if no descriptor is left, or the system forbids
    it."""
    if not hasattr(os, "memfd_create"):
        return None
    try:
        return os.memfd_create("plugin-code", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    except OSError:
        return None


def _seal(descriptor: int) -> None:
    import fcntl

    everything = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE
    fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, everything)
