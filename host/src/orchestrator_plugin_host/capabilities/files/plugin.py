"""The files of a loaded plugin, and of one call of it: which roots there are, and why not."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from orchestrator_plugin_sdk.capabilities.files import FileInfo, FilesRequirement
from orchestrator_plugin_sdk.errors import ErrorKind, PluginCallError

from ...errors import FilesError
from ..workers import Workers
from .artifacts import Artifacts, PluginArtifacts
from .data import DataFolders
from .denials import denial
from .grant import FilesGrant
from .paths import PluginPath, Root, refused
from .quota import Quota, Total
from .removals import Removals
from .tree import GoOn, Tree, on_and_on
from .writing import WritableTree

_MOST_TOLD: Final = 100
"""Denials of a call that are told: a plugin that goes on asking does not fill the audit."""

_THREADS: Final = 4
"""Threads that one plugin's files are used on at once."""

Denied = Callable[[str, str], None]
"""Takes the path and the reason of what is denied."""


class PluginFiles:
    """The files of one loaded plugin."""

    def __init__(
        self,
        plugin: str,
        owner: str,
        asked: FilesRequirement,
        granted: FilesGrant,
        data_folders: DataFolders,
        artifacts_directory: Path,
        removals: Removals,
        note: Callable[[str], None] | None = None,
        *,
        keep_artifacts: bool = False,
    ) -> None:
        """`owner` is whose the plugin's data folder is recorded to be (`owner_of`). `data_folders`
        and `removals` are those of the host; `artifacts_directory` is that of all plugins, and
        `keep_artifacts` says that what is in it outlives this plugin; `note` is told of each root
        that is used.

        Opens the plugin's data folder and those of the operator's. Raises `FilesError`.
        """
        self.plugin = plugin
        self.note = note or (lambda root: None)
        self.asked = asked
        self.granted = granted
        self.workers = Workers("orchestrator-plugin-files", _THREADS)
        self.data: WritableTree | None = None
        self.folders: dict[str, Tree] = {}
        self.artifacts: PluginArtifacts | None = None
        most = granted.all_artifacts()
        with ExitStack() as opened:
            if asked.artifacts and most is not None:
                total = Total(Quota(plugin, "artifacts_total", most))
                self.artifacts = PluginArtifacts(
                    artifacts_directory, plugin, total, removals, keep=keep_artifacts
                )
                opened.callback(self.artifacts.close)
            for name in asked.folders:
                if name in granted.folders:
                    self.folders[name] = _opened(plugin, name, granted.folders[name])
                    opened.callback(self.folders[name].close)
            if asked.data and granted.data is not None:
                self.data = data_folders.taken(plugin, owner)
                opened.callback(data_folders.back, plugin)
            self._opened = opened.pop_all()

    def open(self, denied: Denied | None = None) -> OpenFiles:
        """The files of one call. `denied` is told the path and the reason of what it is denied."""
        return OpenFiles(self, denied)

    def close(self) -> None:
        """Gives up what the plugin held."""
        self.workers.close()
        self._opened.close()

    def quota(self, root: Root) -> Quota:
        """What a root that is granted may hold."""
        most = self.granted.data if root == "data" else self.granted.artifacts
        assert most is not None
        return Quota(self.plugin, root, most)


def _opened(plugin: str, name: str, folder: Path) -> Tree:
    try:
        # What the operator names may be a link: it is the operator's.
        return Tree(os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))
    except OSError as error:
        raise FilesError(
            f"plugin {plugin!r}: the folder {name!r} that the policy grants, {folder}, can't be "
            f"opened: {error.strerror}"
        ) from None


class OpenFiles:
    """The files of one call. Thread-safe. What takes long asks `go_on`
    between its pieces."""

    __slots__ = (
        "_artifacts", "_closed", "_denied", "_lock", "_plugin", "_read_bytes", "_told",
        "_written_bytes", "workers",
    )  # fmt: skip

    def __init__(self, plugin: PluginFiles, denied: Denied | None = None) -> None:
        self.workers = plugin.workers
        """The threads that it may be used on without keeping an event loop."""
        self._plugin = plugin
        self._denied = denied
        self._lock = threading.Lock()
        self._told = 0
        self._read_bytes = 0
        self._written_bytes = 0
        self._artifacts: Artifacts | None = None
        self._closed = False

    def read(self, path: str, offset: int, length: int) -> bytes:
        """As `FileAccess` says, as do all the others."""
        with self._audited(path):
            tree, place = self._readable(path)
            data = tree.read(place, offset, length)
            self._read_bytes += len(data)
            return data

    def stat(self, path: str) -> FileInfo:
        """As `FileAccess` says."""
        with self._audited(path):
            if path == "folders":
                self._check_open()
                return FileInfo("folders", "folder")
            tree, place = self._readable(path)
            return tree.stat(place)

    def list_folder(self, path: str, go_on: GoOn = on_and_on) -> Sequence[FileInfo]:
        """As `FileAccess` says."""
        with self._audited(path):
            if path == "folders":
                self._check_open()
                return [FileInfo(name, "folder") for name in sorted(self._plugin.folders)]
            tree, place = self._readable(path)
            return tree.list_folder(place, go_on)

    def write(self, path: str, offset: int, data: bytes) -> None:
        """As `FileAccess` says."""
        with self._audited(path):
            tree, place = self._writable(path)
            tree.write(place, offset, data, self._plugin.quota(place.root))
            self._written_bytes += len(data)

    def resize(self, path: str, size: int) -> None:
        """As `FileAccess` says."""
        with self._audited(path):
            tree, place = self._writable(path)
            tree.resize(place, size, self._plugin.quota(place.root))

    def sync(self, path: str, go_on: GoOn = on_and_on) -> None:
        """As `FileAccess` says."""
        with self._audited(path):
            tree, place = self._writable(path)
            tree.sync(place, go_on)

    def make_folder(self, path: str) -> None:
        """As `FileAccess` says."""
        with self._audited(path):
            tree, place = self._writable(path)
            tree.make_folder(place, self._plugin.quota(place.root))

    def remove(self, path: str) -> None:
        """As `FileAccess` says."""
        with self._audited(path):
            tree, place = self._writable(path)
            tree.remove(place)

    def rename(self, source: str, target: str, go_on: GoOn = on_and_on) -> None:
        """As `FileAccess` says."""
        with self._audited(source):
            tree, place = self._writable(source)
            _, target_place = self._writable(target)
            if target_place.root != place.root:
                raise refused(
                    target, f"{place} is of another root: write it there, and remove it here"
                )
            tree.rename(place, target_place, go_on)

    def host_path(self, path: str) -> tuple[Path, int]:
        """Where an artifact of this call is on the host, and its size in bytes. Raises
        `PluginCallError` for anything else, and for what is not there."""
        place = PluginPath.parse(path)
        if place.root != "artifacts":
            raise refused(path, "it is not among the call's artifacts")
        tree, _ = self._writable(path)
        size = tree.size_of(place)
        return self._own_artifacts().on_host(*place.names), size

    @property
    def totals(self) -> dict[str, int]:
        """What the call has done, for the audit."""
        return {"read_bytes": self._read_bytes, "written_bytes": self._written_bytes}

    def close(self, *, keep: bool = True) -> None:
        """Ends what the call has open: nothing is read or written from now on. What is in its
        artifacts folder stays there, unless nobody is to `keep` it. Waits for no disk."""
        with self._lock:
            self._closed = True
            artifacts = self._artifacts
        if artifacts is not None:
            artifacts.close(keep=keep)

    def _own_artifacts(self) -> Artifacts:
        with self._lock:
            self._check_open()
            if self._artifacts is None:
                assert self._plugin.artifacts is not None
                self._artifacts = self._plugin.artifacts.of_call()
            return self._artifacts

    @contextmanager
    def _audited(self, path: str) -> Iterator[None]:
        try:
            yield
        except PluginCallError as error:
            if error.kind is ErrorKind.PERMISSION_DENIED and self._denied is not None:
                self._tell(path, error.message)
            raise

    def _tell(self, path: str, reason: str) -> None:
        assert self._denied is not None
        with self._lock:
            if self._told > _MOST_TOLD:
                return
            self._told += 1
            if self._told > _MOST_TOLD:
                reason = f"denied more than {_MOST_TOLD} times; the rest is not written"
        self._denied(path, reason)

    def _check_open(self) -> None:
        if self._closed:  # a guest that could not be stopped may still ask
            raise PluginCallError(
                ErrorKind.PERMISSION_DENIED, "the call that these files were for has ended"
            )

    def _readable(self, text: str) -> tuple[Tree, PluginPath]:
        self._check_open()
        path = PluginPath.parse(text)
        if path.root != "folders":
            return self._owned(path), path
        if not path.names:
            raise refused(text, "which folder?")
        tree = self._plugin.folders.get(path.names[0])
        if tree is None:
            raise denial(path, self._plugin.plugin, self._plugin.asked, self._plugin.granted)
        self._plugin.note(f"folders/{path.names[0]}")
        return tree, path.below()

    def _writable(self, text: str) -> tuple[WritableTree, PluginPath]:
        self._check_open()
        path = PluginPath.parse(text)
        if path.root != "folders":
            return self._owned(path), path
        if path.names and path.names[0] not in self._plugin.folders:
            raise denial(path, self._plugin.plugin, self._plugin.asked, self._plugin.granted)
        raise PluginCallError(
            ErrorKind.PERMISSION_DENIED, f"{path} is in a folder of the operator's, to be read"
        )

    def _owned(self, path: PluginPath) -> WritableTree:
        """The tree of `data` or `artifacts`."""
        self._plugin.note(path.root)
        if path.root == "data" and self._plugin.data is not None:
            return self._plugin.data
        if path.root == "artifacts" and self._plugin.artifacts is not None:
            return self._own_artifacts().tree()
        raise denial(path, self._plugin.plugin, self._plugin.asked, self._plugin.granted)
