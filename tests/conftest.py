"""What all tests share."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings
from orchestrator_plugin_host.sandbox.cache import ComponentCache
from support.building import BUILD, EXAMPLES, NATIVE_ONLY, built

CACHE_BYTES = 1 << 30
"""What the cache of compiled components may grow to: a Python guest is 40 MB of it."""

settings.register_profile("project", deadline=None)
settings.load_profile("project")


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """The event loop that an asynchronous test runs on: each one in turn."""
    return request.param


@pytest.fixture(scope="session")
def cache_directory() -> Path:
    """One cache of compiled components for all tests of all runs."""
    directory = BUILD / "test-cache"
    kept = 0
    for entry in ComponentCache(directory).entries():
        kept += entry.size
        if kept > CACHE_BYTES:
            entry.path.unlink(missing_ok=True)
    return directory


@pytest.fixture(scope="session")
def example_components() -> dict[str, Path]:
    """The example plugins' components, by name."""
    folders = [folder for folder in EXAMPLES.iterdir() if (folder / "plugin.toml").is_file()]
    return {folder.name: built(folder) for folder in folders if folder.name not in NATIVE_ONLY}
