"""The example plugins: where they are, and their components."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ...build import build
from ...errors import PluginNotFoundError
from ...handles import LoadedPlugin
from ...host import PluginHost
from ...sandbox.cache import ComponentCache
from ..output import milliseconds
from ..sources import component_of, is_fresh
from .display import Display

EXAMPLES: Final = ("markov-provider", "ngram-embedder", "memory-vectors", "text-tools")
"""Those that are compared: one of each kind, the embedder before the store of its vectors."""
MISBEHAVING: Final = "misbehaving-tools"
"""The one that does what the others don't."""
HARVESTING: Final = "harvesting-provider"
"""The one that looks for credentials."""


@dataclass(frozen=True, slots=True)
class Example:
    """A source folder and its component. `build_ms` is none if that was built before."""

    name: str
    directory: Path
    component: Path
    build_ms: float | None


def find_examples(given: Path | None) -> Path:
    """The folder of the examples: the one given, `guest-examples` in the working directory or
    above it, or that of the source tree. Raises `PluginNotFoundError`."""
    here = Path.cwd()
    above = (here, *here.parents, *Path(__file__).parents)
    candidates = [given] if given else [folder / "guest-examples" for folder in above]
    for folder in candidates:
        if all(
            (folder / name / "plugin.toml").is_file()
            for name in (*EXAMPLES, MISBEHAVING, HARVESTING)
        ):
            return folder
    if given:
        wanted = ", ".join((*EXAMPLES, MISBEHAVING, HARVESTING))
        raise PluginNotFoundError(f"{given} does not hold the example plugins: {wanted}")
    raise PluginNotFoundError(
        "the example plugins are not here: run this in the project's source tree, or say where "
        "its folder guest-examples is with --examples DIR"
    )


def make(directory: Path, display: Display) -> Example:
    """Builds an example, unless its component is newer than all that it is made of.

    Raises `PluginValidationError` or `PluginBuildError`.
    """
    name = directory.name
    component = component_of(directory)
    if is_fresh(directory, component):
        return Example(name, directory, component, None)
    started = time.perf_counter()
    with display.step(name, "building"):
        build(directory, component)
    return Example(name, directory, component, milliseconds(started))


async def load(host: PluginHost, example: Example) -> tuple[LoadedPlugin, bool]:
    """Loads the component; tells also whether it had to be compiled, which takes seconds.

    Raises what `PluginHost.load` raises.
    """
    cache = ComponentCache(host.settings.cache_directory)
    before = {entry.path for entry in cache.entries()}
    plugin = await host.load(example.component)
    return plugin, any(entry.path not in before for entry in cache.entries())


def how(example: Example, load_ms: float, *, compiled: bool) -> str:
    """How a component came to be, in words."""
    built = "built before" if example.build_ms is None else f"built in {_seconds(example.build_ms)}"
    loaded = f"compiled in {_seconds(load_ms)}" if compiled else f"loaded in {_seconds(load_ms)}"
    return f"{built}, {loaded}"


def _seconds(ms: float) -> str:
    return f"{ms / 1000:.1f} s"
