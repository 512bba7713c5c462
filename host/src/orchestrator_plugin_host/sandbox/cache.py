"""Compiled components on disk: authenticated, atomic, private.

What is stored is native code that will run with every right of this process, so it is loaded only
if this cache wrote it. Each file is `HMAC-SHA256 (32 bytes) | code`, the HMAC over the file's own
name and the code, keyed by a random secret that only this user can read. The name is a hash of the
component, the wasmtime version and the engine's settings, so nothing stale is ever found. Bytes
are checked on their way into memory that is sealed then, and loaded from there: what was checked
is what runs.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import secrets
import stat
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from io import FileIO
from pathlib import Path

from ..errors import CacheError
from .code import Code

_KEY_NAME = "secret.key"
_KEY_SIZE = 32
_MAC_SIZE = 32
_PIECE = 1024 * 1024
"""Bytes that are read at once: few, so that they are still in the processor's cache when they are
hashed and copied; not so few that a thread which computes meanwhile is waited for all the time."""
_SUFFIX = ".cwasm"
_TEMPORARY = ".writing-"
_TEMPORARY_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class CacheEntry:
    """One compiled component: its file and size in bytes, and when it was last used (Unix time)."""

    path: Path
    size: int
    used_at: float


class ComponentCache:
    """A folder of compiled components. Safe for many threads and processes at once."""

    def __init__(self, directory: Path, most_bytes: int = 1 << 62) -> None:
        """`most_bytes` is what the stored code may take; the newest stays in any case.

        Raises `CacheError` if the folder can't be made private.
        """
        self.directory = directory
        self._most_bytes = most_bytes
        try:
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._check_private(directory)
            self._key = self._read_or_make_key()
        except OSError as error:
            raise CacheError(
                f"the cache folder {directory} can't be used: {error}; choose another with "
                "HostSettings(cache_directory=…) or the environment variable "
                "ORCHESTRATOR_PLUGIN_CACHE"
            ) from None

    def _check_private(self, path: Path) -> None:
        found = path.lstat()
        if hasattr(os, "getuid") and found.st_uid != os.getuid():
            raise CacheError(
                f"{path} belongs to another user; code from there can't be trusted: choose another "
                "cache folder"
            )
        if stat.S_ISLNK(found.st_mode):
            raise CacheError(f"{path} is a symbolic link: choose the folder it points to instead")
        if found.st_mode & 0o077:
            path.chmod(found.st_mode & 0o700)

    def _read_or_make_key(self) -> bytes:
        path = self.directory / _KEY_NAME
        if path.is_file() and not path.is_symlink() and path.lstat().st_mode & 0o077:
            # Others could have read it, and written what it vouches for.
            path.unlink()
            self.clear()
        if not path.exists():
            # Whole before it has its name, and never over another process's.
            temporary = self._write_temporary(secrets.token_bytes(_KEY_SIZE))
            try:
                os.link(temporary, path)
            except FileExistsError:
                pass
            finally:
                temporary.unlink(missing_ok=True)
        self._check_private(path)
        key = path.read_bytes()
        if len(key) != _KEY_SIZE:
            raise CacheError(f"{path} is damaged: delete the folder {self.directory}")
        return key

    def _write_temporary(self, *pieces: bytes | bytearray) -> Path:
        descriptor, name = tempfile.mkstemp(dir=self.directory, prefix=_TEMPORARY)
        try:
            with os.fdopen(descriptor, "wb") as file:
                for piece in pieces:
                    file.write(piece)
                file.flush()
                os.fsync(file.fileno())
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
        return Path(name)

    def _path(self, digest: str, fingerprint: str) -> Path:
        name = hashlib.sha256(f"{digest} {fingerprint}".encode()).hexdigest()
        return self.directory / f"{name}{_SUFFIX}"

    def _mac(self, path: Path) -> hmac.HMAC:
        """The HMAC of the file with this name, to be updated with the code."""
        return hmac.new(self._key, path.name.encode() + b" ", "sha256")

    def get(self, digest: str, fingerprint: str) -> Code | None:
        """The compiled code of a component, proven to be this cache's own; none if there is none.

        A file that isn't what it should be is deleted.
        """
        path = self._path(digest, fingerprint)
        mac = self._mac(path)
        try:
            with path.open("rb", buffering=0) as file:
                expected = file.read(_MAC_SIZE)
                code = Code.gathered(_hashed(file, mac))
        except OSError:
            return None
        if not hmac.compare_digest(expected, mac.digest()):
            with contextlib.suppress(OSError):  # a disk that can only be read
                path.unlink()
            return None
        with contextlib.suppress(OSError):
            os.utime(path)
        return code

    def put(self, digest: str, fingerprint: str, code: bytes | bytearray) -> None:
        """Stores compiled code, and makes room for it by deleting what was not used for longest.

        A cache that can't be written (a full disk) is no error.
        """
        path = self._path(digest, fingerprint)
        mac = self._mac(path)
        mac.update(code)
        with contextlib.suppress(OSError):
            temporary = self._write_temporary(mac.digest(), code)
            try:
                temporary.replace(path)
            finally:
                temporary.unlink(missing_ok=True)

        self._make_room()

    def _make_room(self) -> None:
        used = 0
        for place, entry in enumerate(self.entries()):
            used += entry.size
            if used > self._most_bytes and place > 0:
                with contextlib.suppress(OSError):
                    entry.path.unlink()
        for left_over in self.directory.glob(f"{_TEMPORARY}*"):
            with contextlib.suppress(OSError):  # of a process that was killed
                if time.time() - left_over.stat().st_mtime > _TEMPORARY_SECONDS:
                    left_over.unlink()

    def entries(self) -> list[CacheEntry]:
        """What is stored, most recently used first."""
        found = []
        for path in self._files(f"*{_SUFFIX}"):
            with contextlib.suppress(OSError):
                status = path.stat()
                found.append(CacheEntry(path, status.st_size, status.st_mtime))
        return sorted(found, key=lambda entry: -entry.used_at)

    def _files(self, pattern: str) -> list[Path]:
        """What is there by that name, but for folders, which this cache does not make."""
        return [
            path for path in self.directory.glob(pattern) if path.is_symlink() or not path.is_dir()
        ]

    def clear(self) -> int:
        """Deletes everything stored; gives the bytes freed. The secret stays."""
        freed = 0
        for entry in self.entries():
            entry.path.unlink(missing_ok=True)
            freed += entry.size
        for left_over in self._files(f"{_TEMPORARY}*"):
            left_over.unlink(missing_ok=True)
        return freed


def _hashed(file: FileIO, mac: hmac.HMAC) -> Iterator[memoryview]:
    """The rest of a file in pieces, each put into `mac` first, and overwritten by the next one."""
    piece = memoryview(bytearray(_PIECE))
    while size := file.readinto(piece):
        mac.update(piece[:size])
        yield piece[:size]
