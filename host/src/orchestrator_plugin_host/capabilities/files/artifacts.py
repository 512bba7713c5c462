"""The artifacts folder of one call: made when it is first used, and its caller's afterwards."""

from __future__ import annotations

import os
import secrets
import shutil
import threading
from contextlib import suppress
from pathlib import Path

from orchestrator_plugin_sdk.errors import ErrorKind, PluginCallError

from .private import private_folder
from .removals import Removals
from .writing import WritableTree


class Artifacts:
    """The folder. Thread-safe."""

    __slots__ = (
        "_closed", "_directory", "_lock", "_making", "_name", "_plugin", "_removals", "_tree",
    )  # fmt: skip

    def __init__(self, directory: Path, plugin: str, removals: Removals) -> None:
        """`directory` is that of all plugins."""
        self._plugin = plugin
        self._directory = directory
        self._removals = removals
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
            if self._removals.behind:
                raise PluginCallError(
                    ErrorKind.UNAVAILABLE,
                    "the host is still removing what earlier calls have left in artifacts",
                )
            try:
                root = private_folder(self._directory, self._plugin, self._name)
                tree = WritableTree(root)
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
                self._remove(tree)
                self._check_open()
            return tree

    def _check_open(self) -> None:
        if self._closed:
            raise PluginCallError(
                ErrorKind.PERMISSION_DENIED, "the call that these artifacts were of has ended"
            )

    def on_host(self, *names: str) -> Path:
        """Where something in it is on the host."""
        return self._directory.absolute().joinpath(self._plugin, self._name, *names)

    def close(self, *, keep: bool) -> None:
        """Nothing is written from now on. It is removed, soon, if it is empty or nobody is to
        `keep` it."""
        with self._lock:
            self._closed = True
            tree, self._tree = self._tree, None
        if tree is None:
            return
        if keep and tree.files:
            tree.close()
        else:
            self._removals.add(lambda: self._remove(tree), max(tree.files, 1))

    def _remove(self, tree: WritableTree) -> None:
        tree.close()
        tree.settle()
        with suppress(OSError):  # whoever cleans up the directory of all finds it
            parent = private_folder(self._directory, self._plugin)
            try:
                shutil.rmtree(self._name, dir_fd=parent)
            finally:
                os.close(parent)
