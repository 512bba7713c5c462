"""The store of a plugin: SQLite, in a folder that no plugin can reach. Keys are bytes of UTF-8."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from orchestrator_plugin_sdk.errors import ErrorKind, PluginCallError

from ...errors import FilesError
from ..owned.folders import open_owned
from ..owned.owners import record
from ..remedies import add_to_policy
from .grant import KvGrant
from .tables import granting

_USED: Final = "SELECT COUNT(*), COALESCE(SUM(LENGTH(key) + LENGTH(value)), 0) FROM entries"
_PAGE: Final = "SELECT key FROM entries WHERE key >= ? AND key < ? AND key > ? ORDER BY key LIMIT ?"

KIND: Final = ".kv"
"""The folder in the data directory that the stores are in."""
_MOST_KEYS: Final = 1_000
"""Keys of one listing."""

_OPENING: Final = (
    "PRAGMA auto_vacuum = FULL",  # what is deleted takes no place on the disk
    # A commit is in the system's hands: it is there if this process ends, whatever way.
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = NORMAL",
    "PRAGMA journal_size_limit = 1048576",
    "CREATE TABLE IF NOT EXISTS entries (key BLOB PRIMARY KEY, value BLOB NOT NULL)",
)


def open_store(directory: Path, plugin: str, owner: str) -> KvStore:
    """The store of a plugin, in the data `directory`. Raises `FilesError`, also if another `owner`
    has written the plugin's data, or another host uses it."""
    folder, is_new = open_owned(directory, plugin, owner, KIND)
    try:
        store = KvStore(plugin, folder, directory / KIND / plugin / "store.sqlite3")
    except sqlite3.Error as error:
        os.close(folder)
        raise FilesError(
            f"plugin {plugin!r}: its keys and values in {directory / KIND / plugin} can't be "
            f"read: {error}. Remove that folder to begin with none"
        ) from None
    try:
        if is_new:
            record(directory, plugin, owner)  # before anything can be written into it
    except BaseException:
        store.close()
        raise
    return store


class KvStore:
    """Thread-safe. What it raises of SQLite's is a `PluginCallError`: `unavailable`."""

    def __init__(self, plugin: str, folder: int, file: Path) -> None:
        """`folder` is the descriptor of the file's folder, kept until it is closed. Raises
        `sqlite3.Error`."""
        self._plugin = plugin
        self._folder = folder
        self._lock = threading.Lock()
        self._database = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
        try:
            for statement in _OPENING:
                self._database.execute(statement)
            (found,) = self._database.execute(_USED)
        except BaseException:
            self._database.close()
            raise
        self._keys, self._bytes = found

    def close(self) -> None:
        """Lets another host have it."""
        with self._lock:
            self._database.close()
            os.close(self._folder)

    def get(self, key: bytes) -> bytes | None:
        """The value of a key."""
        with self._using():
            found = self._database.execute("SELECT value FROM entries WHERE key = ?", (key,))
            row = found.fetchone()
        return None if row is None else row[0]

    def set(self, key: bytes, value: bytes, quota: KvGrant) -> None:
        """Gives a key a value, if that is within the quota. Raises `PluginCallError`."""
        with self._using():
            before = self._size(key)
            keys = self._keys + (before is None)
            size = self._bytes + len(key) + len(value) - (before or 0)
            for unit, now, more, most in (
                ("keys", self._keys, keys, quota.keys),
                ("bytes", self._bytes, size, quota.bytes),
            ):
                if more > most and more > now:  # what makes it less is always allowed
                    raise self._beyond(unit, now, more, quota)
            self._database.execute("INSERT OR REPLACE INTO entries VALUES (?, ?)", (key, value))
            self._keys, self._bytes = keys, size

    def delete(self, key: bytes) -> bool:
        """Takes a key away. Whether it was there."""
        with self._using():
            before = self._size(key)
            if before is None:
                return False
            self._database.execute("DELETE FROM entries WHERE key = ?", (key,))
            self._keys, self._bytes = self._keys - 1, self._bytes - before
            return True

    def keys(self, prefix: bytes, after: bytes) -> Sequence[str]:
        """Keys that begin with `prefix`, after `after`, in the order of their bytes."""
        # No byte of UTF-8 is 255.
        with self._using():
            rows = self._database.execute(
                _PAGE, (prefix, prefix + b"\xff", after, _MOST_KEYS)
            ).fetchall()
        return [row[0].decode() for row in rows]

    def _size(self, key: bytes) -> int | None:
        """Bytes of a key that is there, and its value."""
        row = self._database.execute(
            "SELECT LENGTH(key) + LENGTH(value) FROM entries WHERE key = ?", (key,)
        ).fetchone()
        return None if row is None else int(row[0])

    @contextmanager
    def _using(self) -> Iterator[None]:
        with self._lock:
            try:
                yield
            except sqlite3.Error as error:
                raise PluginCallError(
                    ErrorKind.UNAVAILABLE,
                    f"the host can't use the keys and values of plugin {self._plugin!r}: {error}; "
                    "nothing was changed",
                ) from None

    def _beyond(self, unit: str, now: int, then: int, quota: KvGrant) -> PluginCallError:
        most: int = getattr(quota, unit)
        wanted = quota.model_copy(update={unit: then})
        return PluginCallError(
            ErrorKind.PERMISSION_DENIED,
            f"plugin {self._plugin!r} may keep {most:,} {unit}, keeps {now:,}, and wanted "
            f"{then - now:,} more; nothing was changed. Delete some, or raise the quota: "
            + add_to_policy(granting(self._plugin, wanted)),
        )
