"""What all tests share."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest
from hypothesis import settings
from orchestrator_plugin_host.sandbox.cache import ComponentCache
from support.building import CACHE, EXAMPLES, built, plugin_folders, prepare

CACHE_BYTES = 1 << 30
"""What the cache of compiled components may grow to: a Python guest is 40 MB of it."""

PLACES = frozenset({"anyio_backend", "where", "tier", "stores", "lasting"})
"""The parameters that say where a test runs, not what it does there."""

settings.register_profile("quick", deadline=None, max_examples=25)
settings.register_profile("slow", deadline=None, max_examples=100)


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--slow`: everything."""
    parser.addoption("--slow", action="store_true", help="run everything, at full length")


def pytest_configure(config: pytest.Config) -> None:
    """How many examples hypothesis tries."""
    settings.load_profile("slow" if config.getoption("slow") else "quick")


def pytest_report_header(config: pytest.Config) -> str | None:
    """Says what a quick run is not."""
    if config.getoption("slow"):
        return None
    return "without what is slow: --slow runs everything"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leaves out what is slow, unless it is asked for."""
    if not config.getoption("slow"):
        left_out = [item for item in items if is_slow(item)]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if not is_slow(item)]


def is_slow(item: pytest.Item) -> bool:
    """Whether a test has the mark, or repeats itself: on trio, a quick run has each test in each
    place, but with the first of its other parameters only. They change what a plugin is asked, not
    how an event loop takes part in it."""
    if item.get_closest_marker("slow") is not None:
        return True
    if not isinstance(item, pytest.Function) or not hasattr(item, "callspec"):
        return False
    spec = item.callspec
    others = (index for name, index in spec.indices.items() if name not in PLACES)
    return spec.params.get("anyio_backend") == "trio" and any(others)


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
    return {one.name: built(one) for one in plugin_folders() if one.parent == EXAMPLES}
