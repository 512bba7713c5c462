"""Zig's compiler, which compiles Zig and C to core modules. It comes as a package of PyPI."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

from orchestrator_plugin_sdk.project import PluginProject

from .errors import PluginBuildError

_COMMAND: Final = (
    "build-exe",
    # No system to call, hence no WASI. SIMD is what the engine has besides the least.
    "-target",
    "wasm32-freestanding",
    "-mcpu=generic+bulk_memory+multivalue+mutable_globals+nontrapping_fptoint+sign_ext+simd128",
    # A fault of the plugin's own is a trap, not a wrong answer.
    "-OReleaseSafe",
    "-fstrip",
    # There is no main; what the source exports is what the module exports.
    "-fno-entry",
    "-rdynamic",
    "--color",
    "off",
)


def compile_core(project: PluginProject, scratch: Path) -> bytes:
    """The core module of a plugin in Zig or C. `scratch` is a folder to work in.

    Raises `PluginBuildError` with what the compiler says.
    """
    source = project.directory / project.build.entry
    if not source.is_file():
        raise PluginBuildError(f"there is no {source}, which build.entry names")
    target = scratch / "core.wasm"
    command = [
        _zig(),
        *_COMMAND,
        "--cache-dir",
        str(scratch / "cache"),
        f"-femit-bin={target}",
        str(source.resolve()),
    ]
    done = subprocess.run(  # noqa: S603  # our own command, no shell
        command, cwd=scratch, capture_output=True, text=True, check=False
    )
    if done.returncode != 0 or not target.is_file():
        said = "\n".join((done.stdout + done.stderr).strip().splitlines()[:60])
        raise PluginBuildError(
            f"plugin {project.manifest.name!r} could not be built; zig says:\n{said}"
        )
    return target.read_bytes()


def _zig() -> str:
    spec = importlib.util.find_spec("ziglang")
    if spec is not None and spec.origin is not None:
        beside = Path(spec.origin).parent / "zig"
        if os.access(beside, os.X_OK):
            return str(beside)
    found = shutil.which("zig")
    if found is None:
        raise PluginBuildError(
            "Zig's compiler is needed to build plugins in Zig and C: "
            f"{sys.executable} -m pip install 'orchestrator-plugin-host[zig]'"
        )
    return found
