"""Plugins for suites: each loaded natively and as a component in each tier, on each
event loop.

A suite is written once, against a handle; a `conftest.py` takes the fixtures over from here. What
it runs on are the example plugins, and the probes of `tests/conformance/plugins/`, whose methods a
test writes itself:

    async def says_no(self, req, ctx):
        raise PluginCallError("not-found", "no such model")

    provider = await plugins.probe(PluginType.PROVIDER, generate=says_no)

The source of such a function travels in the probe's config and is run over there, so it knows no
more than its arguments, the SDK, and the modules that a probe imports.
"""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from orchestrator_plugin_host import HostSettings, LoadedPlugin, PluginHost
from orchestrator_plugin_host.settings import Tier
from orchestrator_plugin_sdk import PluginContext, PluginExport, PluginType, load_project

from .building import EXAMPLES, PROBES, built


def methods(functions: Mapping[str, Callable[..., Any]]) -> dict[str, Any]:
    """The config that gives a probe these methods."""
    return {
        "methods": {
            method: [
                function.__name__,
                "from __future__ import annotations\n"
                + textwrap.dedent(inspect.getsource(function)),
            ]
            for method, function in functions.items()
        }
    }


class Plugins:
    """Loads plugins in one isolation, and shuts down what a test has left open."""

    def __init__(self, host: PluginHost, where: str) -> None:
        self.host = host
        self.isolation = "native" if where == "native" else "sandbox"
        self.tier: Tier | None = "process" if where == "process" else "in-process"
        self._loaded: list[LoadedPlugin] = []

    def source(self, folder: Path) -> Path | PluginExport[Any]:
        """What `PluginHost.load` takes for a plugin's folder in this isolation."""
        return load_project(folder) if self.isolation == "native" else built(folder)

    def probe_source(self, kind: PluginType) -> Path | PluginExport[Any]:
        """The source of a probe."""
        return self.source(PROBES / kind.value)

    async def load(
        self,
        folder: Path,
        config: Mapping[str, Any] | None = None,
        context: PluginContext | None = None,
        **options: Any,
    ) -> Any:
        """Loads the plugin of a folder."""
        if self.isolation == "sandbox":
            options.setdefault("tier", self.tier)
        plugin = await self.host.load(self.source(folder), config, context, **options)
        self._loaded.append(plugin)
        return plugin

    async def example(
        self, name: str, config: Mapping[str, Any] | None = None, **options: Any
    ) -> Any:
        """Loads an example. `options` go to `PluginHost.load`."""
        return await self.load(EXAMPLES / name, config, **options)

    async def probe(
        self,
        kind: PluginType,
        *,
        config: Mapping[str, Any] | None = None,
        context: PluginContext | None = None,
        options: Mapping[str, Any] | None = None,
        **functions: Callable[..., Any],
    ) -> Any:
        """Loads a probe with these methods. `options` go to `PluginHost.load`."""
        return await self.load(
            PROBES / kind.value, {**methods(functions), **(config or {})}, context, **options or {}
        )

    async def close(self) -> None:
        """Shuts down what is still open."""
        for plugin in self._loaded:
            await plugin.shutdown()


@pytest.fixture(scope="module", params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """The event loop that an asynchronous test runs on: each one in turn, for all tests of a
    module, so that they can share a host."""
    return request.param


@pytest.fixture(scope="module")
async def host(anyio_backend: str, cache_directory: Path) -> AsyncIterator[PluginHost]:
    """A host that keeps the components it has loaded for all tests of a module."""
    async with PluginHost(HostSettings(cache_directory=cache_directory)) as opened:
        yield opened


@pytest.fixture(params=["native", "in-process", "process"])
def where(request: pytest.FixtureRequest) -> str:
    """Where plugins run: natively, or as components, in each tier."""
    return request.param


@pytest.fixture
async def plugins(host: PluginHost, where: str) -> AsyncIterator[Plugins]:
    """Loads plugins in each place in turn."""
    loading = Plugins(host, where)
    yield loading
    await loading.close()
