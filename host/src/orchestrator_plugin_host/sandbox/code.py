"""Compiled code, kept for worker processes to map."""

from __future__ import annotations

import os
from dataclasses import dataclass, field

from ..wit import World
from .worker.spawn import Worker


@dataclass
class StoredCode:
    """A component's compiled code, for workers to map. The file is gone once this is."""

    world: World
    wasi: frozenset[str]
    memories: int
    code: bytes | bytearray = field(repr=False)
    _descriptor: int | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        if not hasattr(os, "memfd_create"):
            return
        try:
            # Sealed: what was authenticated is what runs.
            descriptor = os.memfd_create("plugin-code", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        except OSError:  # no descriptor is left, or the system forbids it: workers are sent it
            return
        try:
            with open(descriptor, "wb", closefd=False) as file:
                file.write(self.code)
            _seal(descriptor)
        except OSError:
            os.close(descriptor)
            return
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor = descriptor
        self.code = b""

    def worker(self) -> Worker:
        """A new worker, that has the code's file. Raises `WorkerGoneError`."""
        return Worker(self._descriptor)

    @property
    def mapped(self) -> bool:
        """Whether workers have the code as a file, or must be sent it."""
        return self._descriptor is not None

    def __del__(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def _seal(descriptor: int) -> None:
    import fcntl

    everything = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE
    fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, everything)
