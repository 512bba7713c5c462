"""Plugins that are written in Python: their calls, their events, their instances."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from typing import Any, Final

import anyio
from orchestrator_plugin_host import (
    HostSettings,
    LoadedEmbedder,
    LoadedPlugin,
    LoadedProvider,
    LoadedToolExecutor,
    PluginHost,
    PoolSettings,
)
from orchestrator_plugin_host.settings import Tier
from orchestrator_plugin_sdk import (
    Message,
    ModelRequest,
    ToolPolicy,
    ToolRunRequest,
)
from support.processes import children

from ..guests import ROOMY, TEXTS, example
from ..timing import Place, Round, held_bytes, once, timed_async

PROGRAM: Final = "print(1 + 1)"


@asynccontextmanager
async def health_check(place: Place, *, where: Tier) -> AsyncIterator[Round]:
    """`await embedder.health_check()`, one after another."""
    async with PluginHost(HostSettings(cache_directory=place.cache)) as host:
        plugin = await host.load(example("ngram-embedder"), tier=where, limits=ROOMY)
        assert (await plugin.health_check()).healthy
        yield timed_async(plugin.health_check)


@asynccontextmanager
async def embed(place: Place, *, where: Tier) -> AsyncIterator[Round]:
    """Ten short texts through the example embedder, by its handle."""
    async with PluginHost(HostSettings(cache_directory=place.cache)) as host:
        plugin = await host.load(
            example("ngram-embedder"), expect=LoadedEmbedder, tier=where, limits=ROOMY
        )
        assert len(await plugin.embed_texts(TEXTS)) == len(TEXTS)
        yield timed_async(lambda: plugin.embed_texts(TEXTS))


@asynccontextmanager
async def interpreter(place: Place, *, where: Tier, again: bool = False) -> AsyncIterator[Round]:
    """One program in the example interpreter, in an instance of its own: after a pause in which
    the host makes that instance, or with `again` right after another program."""
    request = ToolRunRequest("python", stdin=PROGRAM)
    allowed = ToolPolicy(enabled=True)
    async with PluginHost(HostSettings(cache_directory=place.cache)) as host:
        plugin = await host.load(example("code-interpreter"), expect=LoadedToolExecutor, tier=where)

        async def run() -> None:
            result = await plugin.execute(request, allowed)
            assert result.stdout == "2\n", result

        async def round_(_: float) -> Mapping[str, float]:
            await anyio.sleep(0.5)
            if again:
                await run()
            return await once(run)(0)

        yield round_


@asynccontextmanager
async def python_process(place: Place) -> AsyncIterator[Round]:
    """The same program by `python -c`: a process, and no sandbox."""

    async def run() -> None:
        command = [sys.executable, "-c", PROGRAM]
        done = subprocess.run(command, capture_output=True, check=True)  # noqa: ASYNC221
        assert done.stdout == b"2\n", done

    yield once(run)


@asynccontextmanager
async def loaded_plugins(
    place: Place, *, where: Tier, first: int = 4, count: int = 24
) -> AsyncIterator[Round]:
    """What each of `count` more plugins of the same component holds, after the `first`: loaded,
    with one instance that has answered a call."""
    async with PluginHost(HostSettings(cache_directory=place.cache)) as host:

        async def more(plugins: int) -> None:
            for _ in range(plugins):
                plugin: LoadedPlugin = await host.load(example("ngram-embedder"), tier=where)
                await plugin.health_check()

        async def round_(_: float) -> Mapping[str, float]:
            await more(first)
            before = _held(where)
            await more(count)
            return {"bytes": (_held(where) - before) / count}

        yield round_


@asynccontextmanager
async def open_streams(
    place: Place, *, where: Tier, first: int = 4, count: int = 40
) -> AsyncIterator[Round]:
    """What each of `count` more instances of one plugin holds, all in the middle of a stream."""
    request = ModelRequest((Message("user", "Hello!"),), seed=7, max_tokens=20)
    pool = PoolSettings(instances=first + count)
    async with PluginHost(HostSettings(cache_directory=place.cache)) as host:
        plugin = await host.load(
            example("markov-provider"),
            expect=LoadedProvider,
            tier=where,
            pool=pool,
            limits=ROOMY.model_copy(update={"concurrent_calls": first + count}),
        )

        async def round_(_: float) -> Mapping[str, float]:
            async with AsyncExitStack() as stack:

                async def more(streams: int) -> None:
                    for _ in range(streams):
                        stream: Any = aclosing(plugin.stream(request))
                        await anext(await stack.enter_async_context(stream))

                await more(first)
                before = _held(where)
                await more(count)
                return {"bytes": (_held(where) - before) / count}

        yield round_


def _held(where: Tier) -> int:
    time.sleep(0.2)  # what is freed in a thread is freed by then
    if where == "process":
        return sum(held_bytes(str(child)) for child in children(os.getpid()))
    return held_bytes()
