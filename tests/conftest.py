"""What all tests share."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest
from hypothesis import settings
from orchestrator_plugin_host.sandbox.cache import ComponentCache
from support.building import CACHE, EXAMPLES, NATIVE_ONLY, built, prepare

CACHE_BYTES = 1 << 30
"""What the cache of compiled components may grow to: a Python guest is 40 MB of it."""

settings.register_profile("project", deadline=None)
settings.load_profile("project")


def pytest_sessionstart(session: pytest.Session) -> None:
    """Before a run of all tests: builds what they need, outside of any test's time limit. A run of
    some tests builds what it comes to need."""
    config = session.config
    of_all_tests = config.args_source is pytest.Config.ArgsSource.TESTPATHS
    if of_all_tests and not hasattr(config, "workerinput"):
        anyio.run(prepare)


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """The event loop that an asynchronous test runs on: each one in turn."""
    return request.param


@pytest.fixture(scope="session")
def cache_directory() -> Path:
    """One cache of compiled components for all tests of all runs."""
    kept = 0
    for entry in ComponentCache(CACHE).entries():
        kept += entry.size
        if kept > CACHE_BYTES:
            entry.path.unlink(missing_ok=True)
    return CACHE


@pytest.fixture(scope="session")
def example_components() -> dict[str, Path]:
    """The example plugins' components, by name."""
    folders = [folder for folder in EXAMPLES.iterdir() if (folder / "plugin.toml").is_file()]
    return {folder.name: built(folder) for folder in folders if folder.name not in NATIVE_ONLY}
