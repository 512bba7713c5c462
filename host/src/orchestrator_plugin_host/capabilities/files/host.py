"""What the plugins of one host share of files: data folders, and the removal of artifacts."""

from __future__ import annotations

import threading
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from ...calls import Call
from ..capability import HostParts, PluginParts
from ..owned.owners import owner_of
from .awaited import AwaitedFiles
from .data import DataFolders
from .grant import FolderQuota
from .plugin import PluginFiles
from .removals import Removals


class FilesOfHost:
    """As `OfHost` says."""

    def __init__(self, parts: HostParts) -> None:
        self._artifacts_directory = parts.artifacts_directory
        self._data_folders = DataFolders(parts.data_directory)
        self._removals = Removals()
        self._making = threading.Lock()
        self._scratch: TemporaryDirectory[str] | None = None

    def of_plugin(self, parts: PluginParts) -> FilesOfPlugin:
        """As `OfHost` says."""
        asked, granted, note = parts.asked, parts.granted, None
        if parts.observations is not None:
            asked = replace(asked, data=True, artifacts=True)
            everything = {"data": FolderQuota(), "artifacts": FolderQuota()}
            granted = granted.model_copy(update=everything)
            note = partial(parts.observations.note_used, "files")
        files = PluginFiles(
            parts.plugin,
            owner_of(parts.digest),
            asked,
            granted,
            self._data_folders,
            self._artifacts(),
            self._removals,
            note,
            keep_artifacts=self._artifacts_directory is not None,
        )
        return FilesOfPlugin(files, parts)

    def close(self) -> None:
        """As `OfHost` says."""
        scratch, self._scratch = self._scratch, None
        if scratch is not None:
            self._removals.add(partial(_clean, scratch), 1)
        self._removals.close()

    def _artifacts(self) -> Path:
        if self._artifacts_directory is not None:
            return self._artifacts_directory
        with self._making:
            if self._scratch is None:
                self._scratch = TemporaryDirectory(prefix="orchestrator-plugins-")
            return Path(self._scratch.name)


class FilesOfPlugin:
    """As `OfPlugin` says."""

    def __init__(self, files: PluginFiles, parts: PluginParts) -> None:
        self._files = files
        self._audit = parts.audit

    def open(self, call: Call) -> AwaitedFiles:
        """As `OfPlugin` says."""

        def denied(path: str, reason: str) -> None:
            self._audit.reached(call, "files", {"path": path[:1000]}, denied=reason)

        return AwaitedFiles(self._files.open(denied))

    async def close(self) -> None:
        """As `OfPlugin` says."""
        self._files.close()


def _clean(scratch: TemporaryDirectory[str]) -> None:
    with suppress(OSError):  # the system cleans up its temporary folder
        scratch.cleanup()
