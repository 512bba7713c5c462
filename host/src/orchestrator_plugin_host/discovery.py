"""From what a caller names to what can be admitted. Nothing of a component runs here; of a native
plugin, its module is imported, as an entry point is."""

from __future__ import annotations

from collections.abc import Callable
from os import PathLike
from pathlib import Path
from typing import Any, Final

import anyio.to_thread
from orchestrator_plugin_sdk.errors import PluginValidationError
from orchestrator_plugin_sdk.plugin import PluginExport

from .errors import PluginNotFoundError

ENTRY_POINT_GROUP: Final = "orchestrator.plugins"
"""The group of entry points that installed native plugins are found in."""

PluginSource = str | PathLike[str] | PluginExport[Any]
"""A `.wasm` file's path, the name of an installed entry point, or a native plugin's export."""


async def resolve(
    source: PluginSource, max_bytes: int, opened: Callable[[], None] = lambda: None
) -> bytes | PluginExport[Any]:
    """A component's bytes, or a native plugin's export.

    `opened` is called, from a thread, once it is a file that can be read: before it is.
    A file of more than `max_bytes` is read no further than a byte beyond, for admission to refuse.
    Raises `PluginNotFoundError` or `PluginValidationError`.
    """
    if isinstance(source, PluginExport):
        return source
    if not isinstance(source, (str, PathLike)):
        raise PluginValidationError(
            f"a plugin is loaded from a .wasm path, an entry point's name or a PluginExport, "
            f"not from a {type(source).__name__}"
        )
    return await anyio.to_thread.run_sync(_find, source, max_bytes, opened)


def _find(
    source: str | PathLike[str], max_bytes: int, opened: Callable[[], None]
) -> bytes | PluginExport[Any]:
    path = Path(source)
    if isinstance(source, PathLike) or path.suffix == ".wasm" or _exists(path):
        return _read(path, max_bytes, opened)
    return _entry_point(source)


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # no name that a file could have
        return False


def _read(path: Path, max_bytes: int, opened: Callable[[], None]) -> bytes:
    if _exists(path) and path.is_dir():
        raise PluginNotFoundError(
            f"{path} is a folder: build it with `orchestrator-plugin build {path}` and load the "
            ".wasm file, or load its source natively with load_project()"
        )
    try:
        with path.open("rb") as file:
            opened()
            return file.read(max_bytes + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise PluginNotFoundError(f"{str(path)!r} can't be read: {reason}") from None


def _entry_point(name: str) -> PluginExport[Any]:
    from importlib.metadata import entry_points  # takes long to load

    installed = entry_points(group=ENTRY_POINT_GROUP)
    if name not in installed.names:
        known = ", ".join(sorted(installed.names)) or "none"
        raise PluginNotFoundError(
            f"there is no file {name!r} and no entry point of that name in the group "
            f"{ENTRY_POINT_GROUP!r} (installed: {known})"
        )
    try:
        export = installed[name].load()
    except Exception as error:
        raise PluginValidationError(
            f"the entry point {name!r} could not be imported: {type(error).__name__}: {error}"
        ) from error
    if not isinstance(export, PluginExport):
        raise PluginValidationError(
            f"the entry point {name!r} is a {type(export).__name__}, it must be a PluginExport"
        )
    return export
