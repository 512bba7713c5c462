"""The artifacts folder of one call: made when it is first used, and its caller's afterwards."""

from __future__ import annotations

import os
import secrets
import shutil
import threading
from contextlib import suppress
from pathlib import Path

from orchestrator_plugin_sdk import ErrorKind, PluginCallError

from .data import private_folder
from .writing import WritableTree


class Artifacts:
    """The folder. Thread-safe."""

    def __init__(self, directory: Path, plugin: str) -> None:
        """`directory` is that of all plugins."""
        self._plugin = plugin
        self._directory = directory
        self._name = secrets.token_hex(16)  # nobody guesses where it will be
        self._lock = threading.Lock()
        self._tree: WritableTree | None = None
        self._closed = False

    def tree(self) -> WritableTree:
        """What is in it. Raises `PluginCallError`."""
        with self._lock:
            if self._closed:
                raise PluginCallError(
                    ErrorKind.PERMISSION_DENIED, "the call that these artifacts were of has ended"
                )
            if self._tree is None:
                try:
                    root = private_folder(self._directory, self._plugin, self._name)
                    self._tree = WritableTree(root)
                except OSError as error:
                    raise PluginCallError(
                        ErrorKind.UNAVAILABLE,
                        f"the host can't make a folder for artifacts: {error.strerror}",
                        retryable=False,
                    ) from None
            return self._tree

    @property
    def made(self) -> bool:
        """Whether there is a folder."""
        return self._tree is not None

    def on_host(self, *names: str) -> Path:
        """Where something in it is on the host."""
        return self._directory.absolute().joinpath(self._plugin, self._name, *names)

    def close(self, *, keep: bool) -> None:
        """Nothing is written from now on. It is removed if it is empty, or nobody is to `keep`
        it."""
        with self._lock:
            self._closed = True
            tree, self._tree = self._tree, None
        if tree is None:
            return
        empty = not tree.used.files
        tree.close()
        if keep and not empty:
            return
        with suppress(OSError):  # whoever cleans up the directory of all finds it
            parent = private_folder(self._directory, self._plugin)
            try:
                shutil.rmtree(self._name, dir_fd=parent)
            finally:
                os.close(parent)
