"""From what a command line names to a plugin: a component, a source folder, or an entry point."""

from __future__ import annotations

from pathlib import Path

import orchestrator_plugin_sdk
from orchestrator_plugin_sdk.project import load_project, read_manifest

from ..discovery import PluginSource
from ..errors import PluginNotFoundError
from ..wit import wit_directory
from .output import UsageError


def component_of(directory: Path) -> Path:
    """Where the component of a source folder is, once it is built.

    Raises `PluginValidationError` for a faulty `plugin.toml`.
    """
    return directory / "build" / f"{read_manifest(directory).name}.wasm"


def is_fresh(directory: Path, component: Path) -> bool:
    """Whether a component is there, and newer than its sources, the SDK's and the contract."""
    try:
        built_at = component.stat().st_mtime
    except OSError:
        return False
    sources = [directory / "plugin.toml", *wit_directory().glob("*.wit")]
    for folder in (directory, Path(str(orchestrator_plugin_sdk.__file__)).parent):
        for kind in ("py", "zig", "c"):
            sources.extend(folder.rglob(f"*.{kind}"))
    return all(source.stat().st_mtime <= built_at for source in sources)


def to_load(source: str, *, native: bool) -> PluginSource:
    """What a host can load. A source folder is its component, or with `native` its own code; all
    else is the host's to find.

    Raises `PluginNotFoundError`, `PluginValidationError` or `UsageError`.
    """
    path = Path(source)
    if path.is_dir():
        if native:
            return load_project(path)
        component = component_of(path)
        if not component.is_file():
            raise PluginNotFoundError(
                f"{path} is not built yet, there is no {component}: build it with "
                f"`orchestrator-plugin build {path}`, or run its source with --native"
            )
        return component
    if native and (path.is_file() or path.suffix == ".wasm"):
        raise UsageError(
            f"--native runs Python in this process, {source} is a component: leave --native out, "
            "or name its source folder"
        )
    return source
