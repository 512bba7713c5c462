"""Components built from plugin folders, once for as many runs as their sources stay the same."""

from __future__ import annotations

import os
import time
from pathlib import Path

import orchestrator_plugin_host.build
import orchestrator_plugin_sdk
from orchestrator_plugin_host.build import build
from orchestrator_plugin_host.wit import wit_directory
from orchestrator_plugin_sdk import read_project

REPOSITORY = Path(__file__).parents[2]
EXAMPLES = REPOSITORY / "guest-examples"
BUILD = REPOSITORY / "build"
NATIVE_ONLY = frozenset({"sqlite-vectors"})
"""Examples that no component can be made of."""


def built(folder: Path) -> Path:
    """The component of a plugin's folder, built if anything that goes into it is newer.

    Several processes may ask at once: each builds its own file and renames it.
    """
    target = BUILD / "components" / f"{read_project(folder).manifest.name}.wasm"
    if target.exists() and target.stat().st_mtime > _changed_at(folder):
        return target
    mine = target.with_name(f"{target.stem}.{os.getpid()}.wasm")
    began = time.time()
    try:
        build(folder, mine)
        # A source that is changed during the build is newer than what was built.
        os.utime(mine, (began, began))
        mine.replace(target)
    finally:
        mine.unlink(missing_ok=True)
    return target


def _changed_at(folder: Path) -> float:
    """When the youngest of a component's sources was changed."""
    sdk = Path(str(orchestrator_plugin_sdk.__file__)).parent
    host = Path(orchestrator_plugin_host.build.__file__).parent
    sources = [
        *folder.glob("*.toml"),
        *(path for kind in ("py", "zig", "c") for path in folder.rglob(f"*.{kind}")),
        *sdk.rglob("*.py"),
        *wit_directory().glob("*.wit"),
        host / "build.py",
        host / "toolchain.py",
        *(host / "componentize").glob("*.py"),
    ]
    return max(path.stat().st_mtime for path in sources)
