"""What plugins keep on the disk, opened once in a host, however many times a plugin is loaded."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from .owners import check_owner


class _Closable(Protocol):
    def close(self) -> None: ...


T = TypeVar("T", bound=_Closable)


@dataclass(slots=True)
class _Shared(Generic[T]):
    opened: T
    owner: str
    users: int = 0


class OpenedOnce(Generic[T]):
    """What the plugins of one host have open of a kind, by their names. Thread-safe."""

    def __init__(self, directory: Path, open_it: Callable[[Path, str, str], T]) -> None:
        """`directory` is that of all data; `open_it` takes it, the plugin and its owner. Nothing is
        made before a plugin needs its own."""
        self._directory = directory
        self._open_it = open_it
        self._lock = threading.Lock()
        self._open: dict[str, _Shared[T]] = {}

    def taken(self, plugin: str, owner: str) -> T:
        """What a plugin has: the same that other loads of it in this host have. To be given `back`.
        `owner` is what `owner_of` returns. Raises `FilesError`, also if another owner has written
        it."""
        with self._lock:
            shared = self._open.get(plugin)
            if shared is None:
                shared = _Shared(self._open_it(self._directory, plugin, owner), owner)
                self._open[plugin] = shared
            check_owner(self._directory, plugin, shared.owner, owner)
            shared.users += 1
            return shared.opened

    def back(self, plugin: str) -> None:
        """Whoever has taken it needs it no more. Other hosts may have it after the last."""
        with self._lock:
            shared = self._open[plugin]
            shared.users -= 1
            if not shared.users:
                self._open.pop(plugin).opened.close()
