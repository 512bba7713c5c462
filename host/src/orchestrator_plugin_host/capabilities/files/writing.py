"""A folder that a plugin writes, and what it may hold. Whatever would make it hold more is counted
before it is done, under one lock, so that the quota is exact whoever writes at the same time.
"""

from __future__ import annotations

import os
import stat as modes
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Final

from orchestrator_plugin_sdk.errors import ErrorKind, PluginCallError

from ..owned.private import FOLDER_FLAGS
from .paths import MAX_DEPTH, PluginPath, refused
from .quota import Account, Quota, Total, Usage
from .tree import (
    MAX_OFFSET,
    GoOn,
    Tree,
    check_file,
    check_number,
    explained,
    is_plain,
    look,
    not_plain,
    on_and_on,
    open_file,
)

MAX_COUNTED: Final = 1_000_000
"""Entries that are counted when a folder is opened. With more, it can't be used."""


class UncountableError(Exception):
    """A folder holds too much, or is too deep, to be counted."""


@dataclass(slots=True)
class Census:
    """What there is below a folder; `height` is how many names deep."""

    bytes: int = 0
    files: int = 0
    height: int = 0


def count(folder: int, most: int = MAX_COUNTED, go_on: GoOn = on_and_on) -> Census:
    """Counts what is below a folder. Raises `UncountableError` or `OSError`, or what `go_on`
    does."""
    census = Census()
    _count(folder, census, most, 0, go_on)
    return census


def _count(folder: int, census: Census, most: int, depth: int, go_on: GoOn) -> None:
    if depth > 2 * MAX_DEPTH:
        raise UncountableError(f"it is more than {2 * MAX_DEPTH} folders deep")
    with os.scandir(folder) as entries:
        for entry in entries:
            go_on()
            info = look(folder, entry.name)
            if info is None:
                continue
            census.files += 1
            census.height = max(census.height, depth + 1)
            if census.files > most:
                raise UncountableError(f"it has more than {most:,} entries")
            if modes.S_ISREG(info.st_mode):
                census.bytes += info.st_size
            elif modes.S_ISDIR(info.st_mode):
                below = os.open(entry.name, FOLDER_FLAGS, dir_fd=folder)
                try:
                    _count(below, census, most, depth + 1, go_on)
                finally:
                    os.close(below)


class WritableTree(Tree):
    """A folder to be read and written. Thread-safe. Raises as `Tree` does, and `permission-denied`
    for what its quota does not leave room for."""

    def __init__(self, root: int, total: Total | None = None) -> None:
        """Takes the descriptor of the root over, and counts what there is. An empty one may be
        counted in a `total`, too. Raises `UncountableError` or `OSError`, the descriptor being
        closed."""
        super().__init__(root)
        self._changing = threading.Lock()
        try:
            census = count(root)
        except BaseException:
            self.close()
            raise
        self._account = Account(Usage(census.bytes, census.files), total)

    @property
    def used(self) -> Usage:
        """What it holds now."""
        with self._changing:
            return replace(self._account.used)

    @property
    def files(self) -> int:
        """How many files and folders it holds now, or in a moment, if it is being changed."""
        return self._account.used.files

    def settle(self) -> None:
        """Returns when nothing is being changed: once it is closed, nothing will be."""
        with self._changing:
            return

    @contextmanager
    def _change(self, path: PluginPath) -> Iterator[tuple[int, str]]:
        with explained(path), self._changing, self.parent(path) as found:
            yield found

    def write(self, path: PluginPath, offset: int, data: bytes, quota: Quota) -> None:
        """Writes at `offset`, which is not beyond the file's end. Makes the file."""
        check_number(path, "offset", offset)
        end = offset + len(data)
        with self._change(path) as (folder, name):
            info = look(folder, name)
            if info is None:
                _check_offset(path, offset, 0)
                with self._account.more(quota, bytes=end, files=1):
                    self._make(folder, name, data)
                return
            with _opened(folder, name, path) as (file, size):
                _check_offset(path, offset, size)
                with self._account.more(quota, bytes=max(end - size, 0)):
                    _fill(file, offset, data, size)

    def _make(self, folder: int, name: str, data: bytes) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        file = os.open(name, flags, 0o600, dir_fd=folder)
        try:
            _fill(file, 0, data, 0)
        except BaseException:
            os.unlink(name, dir_fd=folder)
            raise
        finally:
            os.close(file)

    def resize(self, path: PluginPath, size: int, quota: Quota) -> None:
        """Makes a file shorter, or longer by zeros."""
        check_number(path, "size", size)
        with (
            self._change(path) as (folder, name),
            _opened(folder, name, path) as (file, before),
            self._account.more(quota, bytes=size - before),
        ):
            if size > MAX_OFFSET:
                raise refused(path.text, f"no file has {size:,} bytes")
            os.ftruncate(file, size)

    def sync(self, path: PluginPath, go_on: GoOn = on_and_on) -> None:
        """Returns when a file or folder is on its disk, and that it is there."""
        with explained(path):
            for depth in range(len(path.names)):
                go_on()
                with self.folder(path, path.names[:depth]) as folder:
                    os.fsync(folder)
            if not path.names:
                with self.folder(path, ()) as folder:
                    os.fsync(folder)
                return
            with self.parent(path) as (folder, name):
                info = os.stat(name, dir_fd=folder, follow_symlinks=False)
                if modes.S_ISDIR(info.st_mode):
                    file = os.open(name, FOLDER_FLAGS, dir_fd=folder)
                else:
                    file = open_file(folder, name, path, os.O_RDONLY)
                try:
                    os.fsync(file)
                finally:
                    os.close(file)

    def make_folder(self, path: PluginPath, quota: Quota) -> None:
        """Makes a folder, in one that is there."""
        with self._change(path) as (folder, name):
            if look(folder, name) is not None:
                raise refused(path.text, "it is there already")
            with self._account.more(quota, files=1):
                os.mkdir(name, 0o700, dir_fd=folder)

    def remove(self, path: PluginPath) -> None:
        """Removes a file, or an empty folder."""
        with self._change(path) as (folder, name):
            info = os.stat(name, dir_fd=folder, follow_symlinks=False)
            if modes.S_ISDIR(info.st_mode):
                os.rmdir(name, dir_fd=folder)
                self._account.less(files=1)
                return
            check_file(info, path)
            os.unlink(name, dir_fd=folder)
            self._account.less(bytes=info.st_size, files=1)

    def rename(self, source: PluginPath, target: PluginPath, go_on: GoOn = on_and_on) -> None:
        """Gives a file or folder another path; replaces a file at once."""
        with self._change(source) as (folder, name):
            moved = os.stat(name, dir_fd=folder, follow_symlinks=False)
            if not is_plain(moved):
                raise not_plain(source)
            with explained(target), self.parent(target) as (target_folder, target_name):
                replaced = look(target_folder, target_name)
                if replaced is not None:
                    if (moved.st_dev, moved.st_ino) == (replaced.st_dev, replaced.st_ino):
                        return
                    check_file(replaced, target)
                    if modes.S_ISDIR(moved.st_mode):
                        raise refused(target.text, "a folder does not replace a file")
                if modes.S_ISDIR(moved.st_mode):
                    _check_depth(folder, name, target, go_on)
                os.rename(name, target_name, src_dir_fd=folder, dst_dir_fd=target_folder)
                if replaced is not None:
                    self._account.less(bytes=replaced.st_size, files=1)

    def size_of(self, path: PluginPath) -> int:
        """The size of a file that is in this tree alone, in bytes."""
        with explained(path), self.parent(path) as (folder, name):
            info = os.stat(name, dir_fd=folder, follow_symlinks=False)
            check_file(info, path)
            _check_alone(info, path)
            return info.st_size


@contextmanager
def _opened(folder: int, name: str, path: PluginPath) -> Iterator[tuple[int, int]]:
    """A file to be changed, and its size."""
    file = open_file(folder, name, path, os.O_WRONLY)
    try:
        info = os.fstat(file)
        _check_alone(info, path)
        yield file, info.st_size
    finally:
        os.close(file)


def _check_alone(info: os.stat_result, path: PluginPath) -> None:
    """Raises for a file that has another name somewhere: what is written into it would be written
    there, too."""
    if info.st_nlink != 1:
        raise PluginCallError(
            ErrorKind.PERMISSION_DENIED,
            f"{path} has {info.st_nlink} names: a file with another name elsewhere is not written",
        )


def _check_offset(path: PluginPath, offset: int, size: int) -> None:
    if offset > size:
        raise refused(path.text, f"offset {offset:,} is beyond its end, which is at {size:,}")


def _check_depth(folder: int, name: str, target: PluginPath, go_on: GoOn) -> None:
    """Raises if what is below a folder would lie too deep at its new place."""
    below = os.open(name, FOLDER_FLAGS, dir_fd=folder)
    try:
        census = count(below, go_on=go_on)
    except UncountableError as error:
        raise refused(target.text, str(error)) from None
    finally:
        os.close(below)
    if len(target.names) + census.height > MAX_DEPTH:
        raise refused(target.text, f"what is in it would be deeper than {MAX_DEPTH} names")


_allocate: Callable[[int, int, int], None] | None = getattr(os, "posix_fallocate", None)


def _fill(file: int, offset: int, data: bytes, size: int) -> None:
    """Writes all of it, or leaves the file as it was: a full disk is known before a byte of the
    file is overwritten."""
    try:
        if data and _allocate is not None:
            _allocate(file, offset, len(data))
        rest = memoryview(data)
        while rest:
            written = os.pwrite(file, rest, offset)
            offset += written
            rest = rest[written:]
    except BaseException:
        with suppress(OSError):
            os.ftruncate(file, size)
        raise
