"""Hosts, guests and tiers for tests of faults."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from orchestrator_plugin_host import HostSettings, LoadedPlugin, PluginHost
from orchestrator_plugin_host.settings import Tier
from support.guests import Guest

Load = Callable[..., Awaitable[Any]]

collect_ignore_glob = [] if sys.platform == "linux" else ["test_*.py"]
"""Other systems have no `/proc` to look for what is left over in, nor what these tests confine."""


@pytest.fixture(params=["in-process", "process"])
def tier(request: pytest.FixtureRequest) -> Tier:
    """Where guests run."""
    return request.param


@pytest.fixture
def settings(cache_directory: Path) -> HostSettings:
    """Settings whose cache is the run's own."""
    return HostSettings(cache_directory=cache_directory)


@pytest.fixture
async def host(anyio_backend: str, settings: HostSettings) -> AsyncIterator[PluginHost]:
    """An open host."""
    async with PluginHost(settings) as opened:
        yield opened


@pytest.fixture
def load(host: PluginHost, tmp_path: Path) -> Load:
    """Loads a `Guest`: `await load(guest, tier=…, limits=…)`."""
    numbers = count()

    async def loads(guest: Guest, **options: Any) -> LoadedPlugin:
        path = tmp_path / f"guest-{next(numbers)}.wasm"
        path.write_bytes(guest.build())
        return await host.load(path, **options)

    return loads
