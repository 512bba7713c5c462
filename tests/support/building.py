"""Components built from plugin folders, once for as many runs as their sources stay the same."""

from __future__ import annotations

import faulthandler
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import orchestrator_plugin_host.build
import orchestrator_plugin_sdk
from anyio import create_task_group
from filelock import FileLock
from orchestrator_plugin_host import HostSettings, PluginHost
from orchestrator_plugin_host.build import build
from orchestrator_plugin_host.wit import wit_directory
from orchestrator_plugin_sdk import read_project

REPOSITORY = Path(__file__).parents[2]
EXAMPLES = REPOSITORY / "guest-examples"
PROBES = REPOSITORY / "tests" / "conformance" / "plugins"
BUILD = REPOSITORY / "build"
CACHE = BUILD / "test-cache"
NATIVE_ONLY = frozenset({"sqlite-vectors"})
"""Examples that no component can be made of."""


@cache
def built(folder: Path) -> Path:
    """The component of a plugin's folder, built if anything that goes into it is newer.

    Of several processes that ask at once, one builds and the others wait. A source that changes
    during a run counts in the next one.
    """
    target = _target(folder)
    if _is_current(target, folder):
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    # This is not part of the test's time.
    faulthandler.cancel_dump_traceback_later()
    with FileLock(target.with_suffix(".lock")):
        if not _is_current(target, folder):
            began = time.time()
            build(folder, target)
            # A source that is changed during the build is newer than what was built.
            os.utime(target, (began, began))
    return target


def plugin_folders() -> list[Path]:
    """The folders of all plugins that tests need as components."""
    found = [path.parent for top in (EXAMPLES, PROBES) for path in top.glob("*/plugin.toml")]
    return sorted(folder for folder in found if folder.name not in NATIVE_ONLY)


async def prepare(say: Callable[[str], object]) -> None:
    """Builds all components, and compiles them into the cache of the tests, on all cores. `say` is
    told if that takes a while."""
    folders = plugin_folders()
    stale = [folder for folder in folders if not _is_current(_target(folder), folder)]
    if stale:
        say(f"building {len(stale)} components: up to half a minute each …")
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        components = list(pool.map(built, folders))
    async with (
        PluginHost(HostSettings(cache_directory=CACHE)) as host,
        create_task_group() as group,
    ):
        for component in components:
            # Whether a plugin starts with an empty config is not the point: it is compiled by then.
            group.start_soon(host.safe_load, component)


def _target(folder: Path) -> Path:
    return BUILD / "components" / f"{read_project(folder).manifest.name}.wasm"


def _is_current(target: Path, folder: Path) -> bool:
    return target.exists() and target.stat().st_mtime > _changed_at(folder)


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
