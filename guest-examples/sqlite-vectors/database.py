"""The file: a table of items, and sqlite-vec's table of their vectors.

A vector is in sqlite-vec's table if its norm lets single precision work out its angles; the few
others, zero vectors among them, are in the column `odd`.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import apsw
import sqlite_vec
from orchestrator_plugin_sdk import Vector, VectorItem, pack, to_document, unpack

ORDINARY = (2.0**-30, 2.0**50)
"""Norms of the vectors that sqlite-vec gets."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS repositories (number INTEGER PRIMARY KEY, name TEXT UNIQUE NOT NULL);
CREATE TABLE IF NOT EXISTS items (
    number INTEGER PRIMARY KEY,
    repository INTEGER NOT NULL REFERENCES repositories,
    id TEXT NOT NULL,
    metadata BLOB NOT NULL,
    text BLOB,
    norm REAL NOT NULL,
    odd BLOB,
    UNIQUE (repository, id)
);
CREATE INDEX IF NOT EXISTS odd_items ON items (repository) WHERE odd IS NOT NULL;
CREATE TABLE IF NOT EXISTS dims (dims INTEGER NOT NULL);
"""
# As the default, 1024, is, a repository of one item would take space for a thousand.
_VECTORS = """
CREATE VIRTUAL TABLE vectors USING vec0(
    repository INTEGER PARTITION KEY, vector FLOAT[{dims}] DISTANCE_METRIC=cosine, CHUNK_SIZE=128)
"""


class Database:
    """The open file. One user at a time."""

    def __init__(self, path: Path) -> None:
        self._connection = apsw.Connection(str(path))
        self._connection.set_busy_timeout(5_000)
        self._connection.enable_load_extension(True)
        self._connection.load_extension(sqlite_vec.loadable_path())
        self._connection.enable_load_extension(False)
        self._connection.pragma("journal_mode", "wal")
        self._connection.pragma("synchronous", "full")
        with self._connection:
            self._connection.execute(_SCHEMA)
        self.dims: int = self._one("SELECT coalesce(max(dims), 0) FROM dims")

    def close(self) -> None:
        """Closes the file."""
        self._connection.close()

    def run(self, sql: str, *bindings: Any) -> Iterator[tuple[Any, ...]]:
        """The rows of a statement."""
        return iter(self._connection.execute(sql, bindings))

    def _one(self, sql: str, *bindings: Any) -> Any:
        """The only value of a statement; none if it has no row."""
        return self._connection.execute(sql, bindings).get

    def fix_dims(self, dims: int) -> bool:
        """Sets how many numbers vectors have; whether that is so now."""
        if self.dims:
            return self.dims == dims
        with self._connection:
            self._connection.execute("INSERT INTO dims VALUES (?)", (dims,))
            self._connection.execute(_VECTORS.format(dims=dims))
        self.dims = dims
        return True

    def number_of(self, repository: str) -> int | None:
        """The number of a repository; none if there is no such."""
        found: int | None = self._one("SELECT number FROM repositories WHERE name = ?", repository)
        return found

    def put(self, repository: str, dims: int, items: Sequence[VectorItem]) -> None:
        """Adds items of `dims`, or replaces them: all or none."""
        was = self.dims
        try:
            with self._connection:
                self.fix_dims(dims)
                self._connection.execute(
                    "INSERT OR IGNORE INTO repositories (name) VALUES (?)", (repository,)
                )
                number = self.number_of(repository)
                # The last of several by one id is the one that is kept.
                for item in {item.id: item for item in items}.values():
                    self._put(number, item)
        except BaseException:
            self.dims = was
            raise

    def _put(self, repository: int | None, item: VectorItem) -> None:
        self._remove(repository, item.id)
        norm = norm_of(item.vector)
        is_odd = not ORDINARY[0] <= norm <= ORDINARY[1]
        self._connection.execute(
            "INSERT INTO items (repository, id, metadata, text, norm, odd)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            (
                repository,
                item.id,
                pack(to_document(item.metadata)),
                None if item.text is None else item.text.encode(),
                norm,
                item.vector.data if is_odd else None,
            ),
        )
        if not is_odd:
            self._connection.execute(
                "INSERT INTO vectors (rowid, repository, vector) VALUES (?, ?, ?)",
                (self._connection.last_insert_rowid(), repository, item.vector.data),
            )

    def _remove(self, repository: int | None, item_id: str) -> None:
        number = self._one(
            "SELECT number FROM items WHERE repository = ? AND id = ?", repository, item_id
        )
        if number is not None:
            self._connection.execute("DELETE FROM vectors WHERE rowid = ?", (number,))
            self._connection.execute("DELETE FROM items WHERE number = ?", (number,))

    def remove(self, repository: str, ids: Sequence[str]) -> None:
        """Removes items; those that are not there are no error."""
        number = self.number_of(repository)
        if number is not None:
            with self._connection:
                for item_id in ids:
                    self._remove(number, item_id)

    def wipe(self, repository: str) -> None:
        """Removes a repository."""
        number = self.number_of(repository)
        if number is not None:
            with self._connection:
                self._connection.execute(
                    "DELETE FROM vectors WHERE rowid IN"
                    " (SELECT number FROM items WHERE repository = ? AND odd IS NULL)",
                    (number,),
                )
                self._connection.execute("DELETE FROM items WHERE repository = ?", (number,))
                self._connection.execute("DELETE FROM repositories WHERE number = ?", (number,))

    def count(self) -> int:
        """How many items there are."""
        found: int = self._one("SELECT count(*) FROM items")
        return found

    def repositories(self) -> int:
        """How many repositories there are."""
        found: int = self._one("SELECT count(*) FROM repositories")
        return found

    def item(self, number: int) -> tuple[str, dict[str, Any], str | None]:
        """An item's id, metadata and text."""
        ((item_id, metadata, text),) = self.run(
            "SELECT id, metadata, text FROM items WHERE number = ?", number
        )
        return item_id, unpack(metadata), None if text is None else text.decode()


def dot(one: Vector, other: Vector) -> float:
    """The dot product, in double precision."""
    total: float = sum(map(operator.mul, one.view, other.view))
    return total


def norm_of(vector: Vector) -> float:
    """The length of a vector."""
    return math.sqrt(dot(vector, vector))
