"""A host for each test, and guests loaded into it."""

from __future__ import annotations

import gc
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from orchestrator_plugin_host import HostSettings, LoadedPlugin, PluginHost
from support.guests import Guest

Load = Callable[..., Awaitable[Any]]


@pytest.fixture
def no_garbage() -> Iterator[None]:
    """No collection of all of the process's garbage falls into what is measured."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


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
    """Loads a `Guest`: `await load(guest, limits=…, manifest={…})`."""

    numbers = count()

    async def loads(
        guest: Guest | bytes, *, manifest: dict[str, Any] | None = None, **options: Any
    ) -> LoadedPlugin:
        data = guest if isinstance(guest, bytes) else guest.build(**(manifest or {}))
        path = tmp_path / f"guest-{next(numbers)}.wasm"
        path.write_bytes(data)
        return await host.load(path, **options)

    return loads
