"""Beginning: imports, a process's first answer, a component's first compilation."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from orchestrator_plugin_host import HostSettings, PluginHost

from ..guests import example
from ..timing import Place, Round, once

_FIRST_ANSWER = """
import sys
import anyio
from pathlib import Path
from orchestrator_plugin_host import HostSettings, LoadedEmbedder, PluginHost

async def main(component, cache):
    async with PluginHost(HostSettings(cache_directory=Path(cache))) as host:
        embedder = await host.load(component, expect=LoadedEmbedder)
        print(len(await embedder.embed_texts(["Hello!"])))

anyio.run(main, *sys.argv[1:])
"""

_COMPILE = """
import sys, time
from pathlib import Path
from orchestrator_plugin_host.component_file import without_names
from orchestrator_plugin_host.sandbox.config import SETTINGS
from wasmtime import Config, Engine
from wasmtime.component import Component

config = Config()
for name, value in {**SETTINGS, "epoch_interruption": True}.items():
    setattr(config, name, value)
config.parallel_compilation = True
data = without_names(Path(sys.argv[1]).read_bytes())
started = time.perf_counter()
Component(Engine(config), data).serialize()
print(time.perf_counter() - started)
"""


def _python(code: str, *arguments: Any) -> str:
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, check=True, text=True).stdout


@asynccontextmanager
async def importing(place: Place, *, code: str) -> AsyncIterator[Round]:
    """A process of Python that imports what `code` says, and ends. Its bytecode is there."""

    async def run() -> None:
        _python(code)

    await run()
    yield once(run)


@asynccontextmanager
async def first_answer(place: Place) -> AsyncIterator[Round]:
    """A process that loads a plugin written in Python from the cache, has its first answer, and
    ends. The modules' bytecode is there."""
    component = example("ngram-embedder")

    async def run() -> None:
        assert _python(_FIRST_ANSWER, component, place.cache) == "1\n"

    await run()
    yield once(run)


@asynccontextmanager
async def compiling(place: Place, *, plugin: str) -> AsyncIterator[Round]:
    """Loading a plugin written in Python for the first time, by a host whose cache is empty."""
    component = example(plugin)

    async def round_(_: float) -> Mapping[str, float]:
        with tempfile.TemporaryDirectory(dir=place.folder) as cache:
            async with PluginHost(HostSettings(cache_directory=Path(cache))) as host:
                started = time.perf_counter()
                await host.load(component)
                return {"seconds": time.perf_counter() - started}

    yield round_


@asynccontextmanager
async def compiling_with_epochs(place: Place, *, plugin: str) -> AsyncIterator[Round]:
    """wasmtime alone, compiling the same for an engine that counts epochs besides fuel."""
    component = example(plugin)

    async def round_(_: float) -> Mapping[str, float]:
        return {"seconds": float(_python(_COMPILE, component))}

    yield round_
