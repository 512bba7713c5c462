"""A plugin's source folder: `plugin.toml` beside Python modules.

`plugin.toml` is the manifest, with one more table that says how to make the plugin::

    name = "my-plugin"
    type = "provider"
    version = "1.0.0"
    sdk_version = { min_version = 1 }

    [build]
    language = "python"
    entry = "my_plugin:create_plugin"

The same folder runs natively (`load_project`) and builds to a component.
"""

from __future__ import annotations

import importlib.util
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from .errors import DocumentError, PluginValidationError
from .manifest import PluginManifest, validate_manifest
from .plugin import Plugin, PluginExport
from .schema import from_document


@dataclass(frozen=True, slots=True)
class BuildSettings:
    """How a plugin is made. Of Python, `entry` is `module:callable`, the module beside
    `plugin.toml`; of Zig and C it is the source file, by its path from there."""

    language: Literal["python", "zig", "c"]
    entry: str

    @property
    def module(self) -> str:
        """The module part of a Python plugin's `entry`."""
        return self.entry.partition(":")[0]

    @property
    def attribute(self) -> str:
        """The callable part of a Python plugin's `entry`."""
        return self.entry.partition(":")[2]

    @property
    def compiled(self) -> bool:
        """Whether there is nothing to run before it is built."""
        return self.language != "python"


@dataclass(frozen=True, slots=True)
class PluginProject:
    """A source folder, read and checked."""

    directory: Path
    manifest: PluginManifest
    build: BuildSettings


def read_manifest(directory: Path | str) -> PluginManifest:
    """Reads the manifest of a folder's `plugin.toml`. Raises `PluginValidationError`."""
    document = _read_toml(Path(directory) / "plugin.toml")
    document.pop("build", None)
    return validate_manifest(document)


def read_project(directory: Path | str) -> PluginProject:
    """Reads `plugin.toml` of a source folder, with its `[build]`.

    Raises `PluginValidationError`.
    """
    directory = Path(directory)
    path = directory / "plugin.toml"
    document = _read_toml(path)
    build = document.pop("build", None)
    manifest = validate_manifest(document)
    if build is None:
        raise PluginValidationError(f"{path} has no [build] table: it says how to make the plugin")
    try:
        settings: BuildSettings = from_document(BuildSettings, build, "build")
    except DocumentError as error:
        raise PluginValidationError(f"{path} is not valid: [build]", error.problems) from None
    if wrong := _wrong_entry(settings):
        raise PluginValidationError(
            f"{path} is not valid: build.entry is {wrong}, got {settings.entry!r}"
        )
    return PluginProject(directory, manifest, settings)


def _wrong_entry(settings: BuildSettings) -> str | None:
    """What `entry` should have been; none if it is."""
    if not settings.compiled:
        valid = settings.module.isidentifier() and settings.attribute.isidentifier()
        return None if valid else "'module:callable'"
    entry = PurePosixPath(settings.entry)
    valid = entry.suffix == f".{settings.language}" and not entry.is_absolute()
    if valid and ".." not in entry.parts:
        return None
    return f"the path of a .{settings.language} file in the plugin's folder"


@contextmanager
def _siblings_importable(directory: Path) -> Iterator[None]:
    """Lets a module import those beside it, which another plugin may have by the same names."""
    before = set(sys.modules)
    sys.path.insert(0, str(directory))
    try:
        yield
    finally:
        sys.path.remove(str(directory))
        for name in set(sys.modules) - before:
            file = getattr(sys.modules[name], "__file__", None)
            if file and Path(file).is_relative_to(directory):
                del sys.modules[name]


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise PluginValidationError(f"there is no plugin.toml in {path.parent}") from None
    except OSError as error:
        raise PluginValidationError(f"{path} could not be read: {error.strerror}") from None
    except ValueError as error:  # of the TOML, the UTF-8, or a number with thousands of digits
        raise PluginValidationError(f"{path} is not valid TOML: {error}") from None
    except RecursionError:
        raise PluginValidationError(f"{path} is not valid TOML: it nests too deep") from None


def load_project(directory: Path | str) -> PluginExport[Plugin]:
    """The export of a source folder, imported into this process: trusted, not sandboxed.

    Raises `PluginValidationError`, also for whatever importing it raises.
    """
    project = read_project(directory)
    if project.build.compiled:
        raise PluginValidationError(
            f"the plugin in {project.directory} is written in {project.build.language.title()}, "
            "which runs as a component alone: build it with "
            f"`orchestrator-plugin build {project.directory}`, and load that"
        )
    path = project.directory / f"{project.build.module}.py"
    name = f"_orchestrator_plugin_{project.manifest.name.replace('-', '_')}_{project.build.module}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None or not path.is_file():
        raise PluginValidationError(f"there is no {path}, which build.entry names")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up while it is being run
    try:
        with _siblings_importable(project.directory):
            spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise PluginValidationError(
            f"{path} could not be imported: {type(error).__name__}: {error}"
        ) from error
    create = getattr(module, project.build.attribute, None)
    if not callable(create):
        raise PluginValidationError(f"{path} has no callable {project.build.attribute!r}")
    return PluginExport(project.manifest, create)
