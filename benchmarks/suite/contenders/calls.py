"""Calls of handles, in each place a plugin runs in; loading, crashes, deadlines."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any, Literal

import anyio
from orchestrator_plugin_host import (
    DeadlineExceededError,
    HostSettings,
    Limits,
    LoadedProvider,
    PluginHost,
    PluginTrapError,
    Policy,
    PoolSettings,
)
from orchestrator_plugin_host.settings import Tier
from orchestrator_plugin_sdk import (
    HealthCheckResult,
    ModelResponse,
    PluginContext,
    PluginExport,
    ProviderAdapterPlugin,
    ProviderCapabilities,
    SdkVersionRange,
)
from support.guests import manifest_of

from ..guests import ROOMY, chat_request, component
from ..timing import Place, Round, once, timed_async

_SMALL: Mapping[str, Any] = {"messages": []}


class Hi(ProviderAdapterPlugin):
    """The native plugin that does what the trivial guest does."""

    name = "wat-guest"
    sdk_version = SdkVersionRange(1)

    async def init(self, config: Any, ctx: PluginContext) -> None:
        """Does nothing."""

    async def health_check(self) -> HealthCheckResult:
        """Is well."""
        return HealthCheckResult(True)

    async def shutdown(self) -> None:
        """Does nothing."""

    def capabilities(self) -> ProviderCapabilities:
        """The least."""
        return ProviderCapabilities()

    async def generate(self, req: Any, ctx: PluginContext) -> ModelResponse:
        """Always the same."""
        return ModelResponse("hi")


@asynccontextmanager
async def loaded(
    place: Place,
    guest: str,
    where: Tier | Literal["native"],
    *,
    says_memory: bool = True,
    **options: Any,
) -> AsyncIterator[Any]:
    """One of the guests as a plugin of a host, in a tier, or its native twin."""
    settings = HostSettings(cache_directory=place.cache, policy=Policy(wasi="core"))
    options = {"limits": ROOMY, **options}
    async with PluginHost(settings) as host:
        if where == "native":
            export = PluginExport(manifest_of(), Hi)
            yield await host.load(export, expect=LoadedProvider, **options)
        else:
            path = component(guest, place.folder, says_memory=says_memory)
            yield await host.load(path, expect=LoadedProvider, tier=where, **options)


@asynccontextmanager
async def generate(
    place: Place,
    *,
    where: Tier | Literal["native"],
    guest: str = "trivial",
    says_memory: bool = True,
) -> AsyncIterator[Round]:
    """`await provider.generate(request)`, one after another. With `says_memory`, the guest's
    manifest says how much memory it needs."""
    request = chat_request()
    async with loaded(place, guest, where, says_memory=says_memory) as plugin:
        assert (await plugin.generate(request)).text.startswith(("hi", "xxx"))
        yield timed_async(lambda: plugin.generate(request))


@asynccontextmanager
async def load(place: Place, *, where: Tier) -> AsyncIterator[Round]:
    """Loading a small component from the cache, to its first instance."""
    path = component("trivial", place.folder)
    async with PluginHost(HostSettings(cache_directory=place.cache)) as host:

        async def round_(_: float) -> Mapping[str, float]:
            started = time.perf_counter()
            plugin = await host.load(path, tier=where)
            took = time.perf_counter() - started
            await plugin.shutdown()
            return {"seconds": took}

        yield round_


@asynccontextmanager
async def after_a_crash(place: Place, *, where: Tier) -> AsyncIterator[Round]:
    """A call that needs a new instance, half a second after the one before trapped."""
    async with loaded(place, "crashes", where) as plugin:

        async def round_(_: float) -> Mapping[str, float]:
            with suppress(PluginTrapError):
                await plugin.generate(_SMALL)
            await anyio.sleep(0.5)
            return await once(plugin.health_check)(0)

        yield round_


@asynccontextmanager
async def late(
    place: Place, *, where: Tier, guest: str, deadline_ms: int = 300
) -> AsyncIterator[Round]:
    """How long after its deadline the caller of a guest hears of it."""
    limits, pool = Limits(deadline_ms=deadline_ms), PoolSettings(instances=4)
    async with loaded(place, guest, where, limits=limits, pool=pool) as plugin:

        async def round_(_: float) -> Mapping[str, float]:
            started = time.perf_counter()
            with suppress(DeadlineExceededError):
                await plugin.generate(_SMALL)
            over = time.perf_counter() - started - deadline_ms / 1000
            await anyio.sleep(0.5)  # a worker gets ready
            return {"overshoot": over}

        yield round_
