"""Many guests at once: streams, guests that wait, guests that compute."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final

import anyio
import httpx
from orchestrator_plugin_host import (
    HostSettings,
    HttpGrant,
    LoadedProvider,
    PluginHost,
    Policy,
    PoolSettings,
)
from orchestrator_plugin_host.settings import Tier

from ..guests import ROOMY, example
from ..timing import Heartbeat, Place, Round, held_bytes
from .calls import loaded

_QUESTION: Final[Mapping[str, Any]] = {"messages": [{"role": "user", "content": "Hello!"}]}


@contextmanager
def token_server(tokens: int, gap_ms: int) -> Iterator[str]:
    """The origin of a server, in a process of its own, that streams so many tokens to each who
    asks, one every `gap_ms`."""
    command = [sys.executable, "-m", "suite.token_server", str(tokens), str(gap_ms)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            yield f"http://127.0.0.1:{int(server.stdout.readline())}"
        finally:
            server.terminate()


@asynccontextmanager
async def _openai(
    place: Place, origin: str, where: Tier, streams: int
) -> AsyncIterator[LoadedProvider]:
    policy = Policy(http=(HttpGrant(url=origin, methods=("POST",)),))
    config = {"base_url": f"{origin}/v1", "model": "any-model"}
    limits = ROOMY.model_copy(update={"concurrent_calls": streams})
    async with PluginHost(HostSettings(cache_directory=place.cache)) as host:
        yield await host.load(
            example("openai-provider"),
            config,
            expect=LoadedProvider,
            tier=where,
            policy=policy,
            pool=PoolSettings(instances=streams, idle=streams),
            limits=limits,
        )


@asynccontextmanager
async def streams(
    place: Place, *, where: Tier, count: int, tokens: int, gap_ms: int
) -> AsyncIterator[Round]:
    """`count` streams at once through the example for OpenAI's API. The instances of the first
    round stay for the next."""
    with token_server(tokens, gap_ms) as origin:
        async with _openai(place, origin, where, count) as provider:

            async def one() -> None:
                texts = [event async for event in provider.stream(_QUESTION)]
                assert sum(event.type == "text_delta" for event in texts) == tokens, texts

            before = held_bytes()

            async def round_(_: float) -> Mapping[str, float]:
                figures = await _at_once(count, one, tokens * gap_ms / 1000)
                return {**figures, "bytes": (held_bytes() - before) / count}

            yield round_


@asynccontextmanager
async def plain_streams(
    place: Place, *, count: int, tokens: int, gap_ms: int
) -> AsyncIterator[Round]:
    """The same streams read by httpx, with nothing done to their events."""
    limits = httpx.Limits(max_connections=count)
    with token_server(tokens, gap_ms) as origin:
        async with httpx.AsyncClient(limits=limits, timeout=60) as client:

            async def one() -> None:
                url = f"{origin}/v1/chat/completions"
                async with client.stream("POST", url, json={**_QUESTION, "stream": True}) as got:
                    lines = [line async for line in got.aiter_lines() if line]
                assert lines[-1] == "data: [DONE]", lines

            async def round_(_: float) -> Mapping[str, float]:
                return await _at_once(count, one, tokens * gap_ms / 1000)

            yield round_


@asynccontextmanager
async def event(place: Place, *, where: Tier, tokens: int = 400) -> AsyncIterator[Round]:
    """One event of a stream whose server sends all of them at once."""
    with token_server(tokens, 0) as origin:
        async with _openai(place, origin, where, 1) as provider:

            async def round_(_: float) -> Mapping[str, float]:
                started, events = time.perf_counter(), 0
                async for _event in provider.stream(_QUESTION):
                    events += 1
                assert events > tokens
                return {"seconds": (time.perf_counter() - started) / events}

            yield round_


@asynccontextmanager
async def waiting(place: Place, *, where: Tier, count: int) -> AsyncIterator[Round]:
    """`count` guests at once that each sleep for a second, in instances that are there."""
    limits = ROOMY.model_copy(update={"concurrent_calls": count})
    pool = PoolSettings(instances=count, idle=count)
    async with loaded(place, "waits", where, limits=limits, pool=pool) as plugin:

        async def one() -> None:
            assert (await plugin.generate(_QUESTION)).text == "hi"

        async def round_(_: float) -> Mapping[str, float]:
            return await _at_once(count, one, 1.0)

        yield round_


@asynccontextmanager
async def computing(place: Place, *, where: Tier, count: int) -> AsyncIterator[Round]:
    """`count` guests at once that compute, on two cores, or one of them alone."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:2])
    pool = PoolSettings(instances=count, idle=count)
    async with loaded(place, "counts", where, pool=pool) as plugin:

        async def one() -> None:
            assert (await plugin.generate(_QUESTION)).text == "hi"

        async def round_(_: float) -> Mapping[str, float]:
            return await _at_once(count, one, 1.0)

        yield round_


async def _at_once(count: int, one: Any, ideal: float) -> dict[str, float]:
    """Runs `one` so many times at once, beside a heartbeat: seconds and how they compare with the
    ideal, of all and of the one that took longest."""
    took: list[float] = []

    async def each() -> None:
        began = time.perf_counter()
        await one()
        took.append(time.perf_counter() - began)

    started = time.perf_counter()
    async with Heartbeat() as heartbeat:
        async with anyio.create_task_group() as group:
            for _ in range(count):
                group.start_soon(each)
        wall = time.perf_counter() - started
    assert len(took) == count
    return {
        "seconds": wall,
        "to_ideal": wall / ideal,
        "slowest_to_ideal": max(took) / ideal,
        **heartbeat.figures(),
    }
