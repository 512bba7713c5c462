"""The artifacts of a loaded plugin: a folder for each call, made when it is first used, which the
call's caller finds afterwards, until the plugin is unloaded.
"""

from __future__ import annotations

import os
import secrets
import shutil
import threading
from pathlib import Path

from orchestrator_plugin_sdk.errors import ErrorKind, PluginCallError

from ..owned.private import FOLDER_FLAGS, private_folder
from .quota import Total
from .removals import Removals
from .writing import WritableTree


class PluginArtifacts:
    """Those of all calls. Thread-safe."""

    def __init__(
        self, directory: Path, plugin: str, total: Total, removals: Removals, *, keep: bool
    ) -> None:
        """`directory` is that of all plugins, `total` what all calls may have together. With
        `keep`, what is in it outlives the plugin, and its caller removes it."""
        self.total = total
        self.removals = removals
        self._directory = directory
        self._plugin = plugin
        self._keep = keep
        self._lock = threading.Lock()
        self._left: dict[str, WritableTree] = {}
        self._closed = False

    @property
    def closed(self) -> bool:
        """Whether the plugin was unloaded: there are no more."""
        return self._closed

    def of_call(self) -> Artifacts:
        """Those of a new call."""
        return Artifacts(self)

    def opened(self, name: str) -> WritableTree:
        """A new folder. Raises `OSError`."""
        if self._keep and self.total.is_half_used:
            self._forget_removed()
        return WritableTree(private_folder(self._directory, self._plugin, name), self.total)

    def on_host(self, *names: str) -> Path:
        """Where something is on the host."""
        return self._directory.absolute().joinpath(self._plugin, *names)

    def leave(self, name: str, tree: WritableTree) -> None:
        """The call of a folder has ended, and its caller may look into it from now on."""
        tree.close()
        with self._lock:
            if not self._closed:
                self._left[name] = tree
                return
        if not self._keep:
            self.remove(name, tree)

    def remove(self, name: str, tree: WritableTree) -> None:
        """Nobody looks into a folder any more. Waits for no disk."""
        self.removals.add(lambda: self._remove(name, tree), max(tree.files, 1))

    def close(self) -> None:
        """The plugin was unloaded. Waits for no disk."""
        with self._lock:
            self._closed = True
            left, self._left = self._left, {}
        if left and not self._keep:

            def remove_all() -> None:
                for name, tree in left.items():
                    self._remove(name, tree)

            self.removals.add(remove_all, sum(max(tree.files, 1) for tree in left.values()))

    def _remove(self, name: str, tree: WritableTree) -> None:
        tree.close()
        tree.settle()
        try:
            parent = os.open(self._directory / self._plugin, FOLDER_FLAGS)
            try:
                shutil.rmtree(name, dir_fd=parent)
            finally:
                os.close(parent)
        except FileNotFoundError:  # somebody else has removed it
            pass
        except OSError:  # what is still there still counts
            return
        self._forget(tree)

    def _forget(self, tree: WritableTree) -> None:
        used = tree.used
        self.total.give_back(bytes=used.bytes, files=used.files)

    def _forget_removed(self) -> None:
        """Counts no longer what callers have removed."""
        with self._lock:
            gone = [name for name in self._left if not self.on_host(name).exists()]
            trees = [self._left.pop(name) for name in gone]
        for tree in trees:
            self._forget(tree)


class Artifacts:
    """The folder of one call. Thread-safe."""

    __slots__ = ("_all", "_closed", "_lock", "_making", "_name", "_tree")

    def __init__(self, all_of_plugin: PluginArtifacts) -> None:
        self._all = all_of_plugin
        self._name = secrets.token_hex(16)  # nobody guesses where it will be
        # Two locks: nobody who closes waits for a disk that a folder is being made on.
        self._making = threading.Lock()
        self._lock = threading.Lock()
        self._tree: WritableTree | None = None
        self._closed = False

    def tree(self) -> WritableTree:
        """What is in it. Raises `PluginCallError`."""
        with self._making:
            self._check_open()
            if self._tree is not None:
                return self._tree
            if self._all.removals.behind:
                raise PluginCallError(
                    ErrorKind.UNAVAILABLE,
                    "the host is still removing what earlier calls have left in artifacts",
                )
            try:
                tree = self._all.opened(self._name)
            except OSError as error:
                raise PluginCallError(
                    ErrorKind.UNAVAILABLE,
                    f"the host can't make a folder for artifacts: {error.strerror}",
                    retryable=False,
                ) from None
            with self._lock:
                closed = self._closed
                if not closed:
                    self._tree = tree
            if closed:  # meanwhile
                self._all.remove(self._name, tree)
                self._check_open()
            return tree

    def _check_open(self) -> None:
        if self._closed or self._all.closed:
            raise PluginCallError(
                ErrorKind.PERMISSION_DENIED, "the call that these artifacts were of has ended"
            )

    def on_host(self, *names: str) -> Path:
        """Where something in it is on the host."""
        return self._all.on_host(self._name, *names)

    def close(self, *, keep: bool) -> None:
        """Nothing is written from now on. It is removed, soon, if it is empty or nobody is to
        `keep` it."""
        with self._lock:
            self._closed = True
            tree, self._tree = self._tree, None
        if tree is None:
            return
        if keep and tree.files:
            self._all.leave(self._name, tree)
        else:
            self._all.remove(self._name, tree)
