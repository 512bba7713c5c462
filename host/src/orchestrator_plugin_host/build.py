"""From a plugin's source folder to a component with its manifest in it."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

import msgpack
import orchestrator_plugin_sdk
from orchestrator_plugin_sdk.contract import KINDS
from orchestrator_plugin_sdk.manifest import PluginManifest
from orchestrator_plugin_sdk.project import PluginProject, read_manifest, read_project

from .admission import check_names, world_of
from .binary import MAGIC, MODULE
from .component_file import read_component, with_manifest
from .componentize import componentize
from .errors import PluginBuildError
from .policy import Policy
from .toolchain import compile_core
from .wit import wit_directory

_MOST: Final = Policy(wasi="core+filesystem")
"""What any operator may grant: whether this one does is for admission to say."""

Progress = Callable[[str], None]
"""Told what the build is doing, in a few words."""

_MAIN: Final = "orchestrator_plugin_main"
_MAIN_SOURCE: Final = """\
import sys

# The C implementation asks the operating system what time it is, and there is none;
# the Python one asks `time`, which asks the host. Before anything imports datetime.
sys.modules["_datetime"] = None

from orchestrator_plugin_sdk.guest import export_plugin
from {module} import {attribute}

Lifecycle, {interface} = export_plugin({kind!r}, {attribute})
"""


def build(
    directory: Path | str, output: Path | str | None = None, progress: Progress | None = None
) -> Path:
    """Builds a plugin's folder: a Python one with componentize-py, which takes about ten seconds,
    a Zig or C one with Zig's compiler.

    The component goes to `output`, or to `build/<name>.wasm` in the folder. It is whole or it is
    not there. Raises `PluginValidationError` for a faulty `plugin.toml`, `PluginBuildError` for
    the rest.
    """
    report = progress or (lambda message: None)
    report("reading plugin.toml")
    project = read_project(directory)
    target = (
        Path(output) if output else project.directory / "build" / f"{project.manifest.name}.wasm"
    )
    with tempfile.TemporaryDirectory(prefix="orchestrator-plugin-build-") as scratch:
        made = _compiled if project.build.compiled else _of_python
        component, manifest = made(project, Path(scratch), report)
        report("adding the manifest")
        _write(target, component, manifest)
    return target


def _compiled(
    project: PluginProject, scratch: Path, report: Progress
) -> tuple[bytes, PluginManifest]:
    report("compiling to WebAssembly")
    core = compile_core(project, scratch)
    report("making a component of it")
    return componentize(core, world_of(KINDS[project.manifest.type])), project.manifest


def _of_python(
    project: PluginProject, scratch: Path, report: Progress
) -> tuple[bytes, PluginManifest]:
    stage = scratch / "stage"
    _stage_python(project, stage)
    report("compiling to WebAssembly")
    component = scratch / "component.wasm"
    _componentize(project, stage, component)
    # The guest adapter reads every form.
    manifest = replace(project.manifest, payload_encodings=("bytes", "latin1", "base64"))
    return component.read_bytes(), manifest


def embed_manifest(
    directory: Path | str, component: Path | str, output: Path | str | None = None
) -> Path:
    """Puts the manifest of a folder's `plugin.toml` into a component that another toolchain made.
    Of a core module, makes a component first.

    Raises `PluginValidationError` for a faulty manifest, or for a component of another world,
    `PluginBuildError` for a core module of another.
    """
    manifest = read_manifest(directory)
    target = Path(output or Path(directory) / "build" / f"{manifest.name}.wasm")
    try:
        data = Path(component).read_bytes()
    except OSError as error:
        raise PluginBuildError(f"{component} can't be read: {error.strerror}") from None
    if data[:8] == MAGIC + MODULE:
        data = componentize(data, world_of(KINDS[manifest.type]))
    _write(target, data, manifest)
    return target


def _write(target: Path, data: bytes, manifest: PluginManifest) -> None:
    made = with_manifest(data, manifest)
    check_names(read_component(made), manifest, world_of(KINDS[manifest.type]), _MOST)
    temporary = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(made)
        temporary.replace(target)
    except OSError as error:
        raise PluginBuildError(f"{target} can't be written: {error.strerror}") from None
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def _stage_python(project: PluginProject, stage: Path) -> None:
    """What goes into the component: the SDK, msgpack in pure Python, the plugin's modules."""
    only_python = shutil.ignore_patterns("*.so", "*.pyd", "*.pyx", "__pycache__", "tests")
    for package in (orchestrator_plugin_sdk, msgpack):
        source = Path(str(package.__file__)).parent
        shutil.copytree(source, stage / source.name, ignore=only_python)
    for path in project.directory.glob("*.py"):
        shutil.copy2(path, stage)
    for path in project.directory.iterdir():
        if (path / "__init__.py").is_file():
            shutil.copytree(path, stage / path.name, ignore=only_python)
    kind = KINDS[project.manifest.type]
    interface = kind.operations[-1].interface
    (stage / f"{_MAIN}.py").write_text(
        _MAIN_SOURCE.format(
            module=project.build.module,
            attribute=project.build.attribute,
            interface=interface.title().replace("-", ""),
            kind=kind.type.value,
        )
    )


def _componentize(project: PluginProject, stage: Path, output: Path) -> None:
    command = [
        _componentize_py(),
        "--wit-path",
        str(wit_directory()),
        "--world",
        KINDS[project.manifest.type].world,
        "componentize",
        "--stub-wasi",
        "--python-path",
        str(stage),
        "--output",
        str(output),
        _MAIN,
    ]
    # It would add the packages of an active virtual environment to the component, and bury what is
    # wrong with a plugin under the stack of its own code.
    unwanted = ("VIRTUAL_ENV", "PYTHONPATH", "RUST_BACKTRACE", "RUST_LIB_BACKTRACE")
    environment = {key: value for key, value in os.environ.items() if key not in unwanted}
    done = subprocess.run(  # noqa: S603  # our own command, no shell
        command, cwd=stage, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode != 0 or not output.is_file():
        said = "\n".join((done.stdout + done.stderr).strip().splitlines()[-30:])
        raise PluginBuildError(
            f"plugin {project.manifest.name!r} could not be built; componentize-py says:\n{said}"
        )


def _componentize_py() -> str:
    beside = Path(sysconfig.get_path("scripts")) / "componentize-py"
    for candidate in (str(beside), shutil.which("componentize-py")):
        if candidate and os.access(candidate, os.X_OK):
            return candidate
    raise PluginBuildError(
        "componentize-py is needed to build Python plugins: "
        f"{sys.executable} -m pip install 'orchestrator-plugin-host[build]'"
    )
