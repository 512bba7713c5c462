"""What a folder may hold, and what it holds."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Final

from orchestrator_plugin_sdk.errors import ErrorKind, PluginCallError

from ..remedies import add_to_policy, table
from .grant import FolderQuota


@dataclass(slots=True)
class Usage:
    """What a folder holds: `bytes`, the sizes of all files, holes included; `files`, how many files
    and folders there are in it."""

    bytes: int = 0
    files: int = 0


_WHERE: Final = {
    "data": "data/",
    "artifacts": "artifacts/",
    "artifacts_total": "the artifacts of all its calls together",
}
_REMEDIES: Final = {
    "data": "Remove something",
    "artifacts": "Remove something",
    "artifacts_total": "They end when the plugin is unloaded: load it anew",
}


@dataclass(frozen=True, slots=True)
class Quota:
    """What a plugin's folder may hold, or what several may together. `key` is the policy's word:
    `data`, `artifacts` or `artifacts_total`."""

    plugin: str
    key: str
    most: FolderQuota

    def check(self, used: Usage, *, bytes: int = 0, files: int = 0) -> None:
        """Raises `PluginCallError` of the kind `permission-denied` if this much more is too
        much."""
        for unit, more, now, most in (
            ("bytes", bytes, used.bytes, self.most.bytes),
            ("files", files, used.files, self.most.files),
        ):
            if more > 0 and now + more > most:
                what = "bytes" if unit == "bytes" else "files and folders"
                raise PluginCallError(
                    ErrorKind.PERMISSION_DENIED,
                    f"plugin {self.plugin!r} may have {most:,} {what} in {_WHERE[self.key]}, has "
                    f"{now:,}, and wanted {more:,} more; nothing was written. "
                    f"{_REMEDIES[self.key]}, or raise it: "
                    + add_to_policy(table(self.plugin, "files"), f"{self.key} = {{ {unit} = … }}"),
                )


class Total:
    """What several folders hold together, and may. Thread-safe."""

    def __init__(self, quota: Quota) -> None:
        self._quota = quota
        self._used = Usage()
        self._lock = threading.Lock()

    @property
    def used(self) -> Usage:
        """What they hold, or are about to."""
        with self._lock:
            return replace(self._used)

    @property
    def is_half_used(self) -> bool:
        """Whether more than half of it is used."""
        used, most = self.used, self._quota.most
        return 2 * used.bytes > most.bytes or 2 * used.files > most.files

    def take(self, *, bytes: int, files: int) -> None:
        """Counts what is about to be added. Raises as `Quota.check` does, and counts nothing
        then."""
        with self._lock:
            self._quota.check(self._used, bytes=bytes, files=files)
            self._used.bytes += bytes
            self._used.files += files

    def give_back(self, *, bytes: int, files: int) -> None:
        """Counts what is not there any more, or was not added."""
        with self._lock:
            self._used.bytes -= bytes
            self._used.files -= files


class Account:
    """What one folder holds, counted as it changes: for whoever has the lock of the folder."""

    def __init__(self, used: Usage, total: Total | None = None) -> None:
        """`used` is what it holds now. What is added is counted in the `total`, too."""
        self.used = used
        self._total = total

    @contextmanager
    def more(self, quota: Quota, *, bytes: int = 0, files: int = 0) -> Iterator[None]:
        """Around what makes it hold this much more, or fewer bytes: checked before, counted
        afterwards. Raises as `Quota.check` does."""
        quota.check(self.used, bytes=bytes, files=files)
        added = max(bytes, 0)
        if self._total is not None:
            self._total.take(bytes=added, files=files)
        try:
            yield
        except BaseException:
            if self._total is not None:
                self._total.give_back(bytes=added, files=files)
            raise
        self.used.bytes += added
        self.used.files += files
        self.less(bytes=max(-bytes, 0))

    def less(self, *, bytes: int = 0, files: int = 0) -> None:
        """Counts what is not there any more."""
        self.used.bytes -= bytes
        self.used.files -= files
        if self._total is not None:
            self._total.give_back(bytes=bytes, files=files)
