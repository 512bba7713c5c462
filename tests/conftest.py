"""What all tests share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import pytest
from hypothesis import settings
from orchestrator_plugin_host import PluginBuildError
from orchestrator_plugin_host.sandbox.cache import ComponentCache
from support.building import CACHE, EXAMPLES, built, plugin_folders, prepare

CACHE_BYTES = 1 << 30
"""What the cache of compiled components may grow to: a Python guest is 40 MB of it."""

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
    """Leaves out what is slow, unless it is asked for: tests with the mark, and those that repeat
    others.

    Suites run natively, in the host's process and in workers, on asyncio and on trio. A quick run
    has each of their tests in each of these places; but in workers and on trio, only with the first
    of its other parameters. They change what is asked of a plugin, not the way there.
    """
    if config.getoption("slow"):
        return
    seen: set[tuple[Any, ...]] = set()
    wanted, left_out = [], []
    for item in items:
        place = place_of(item)
        repeats = (item.parent, getattr(item, "originalname", item.name), *place.items())
        elsewhere = "trio" in place.values() or place.get("where") == "process"
        if item.get_closest_marker("slow") or (elsewhere and repeats in seen):
            left_out.append(item)
        else:
            wanted.append(item)
        seen.add(repeats)
    config.hook.pytest_deselected(items=left_out)
    items[:] = wanted


def place_of(item: pytest.Item) -> dict[str, str]:
    """The parameters of a test that say where it runs, and with which vector store."""
    given = item.callspec.params if hasattr(item, "callspec") else {}
    place = {name: given[name] for name in ("anyio_backend", "where", "tier") if name in given}
    for fixture in ("stores", "lasting"):
        if fixture in given:
            store, place["where"] = given[fixture]
            place[fixture] = store.name
    return place


def pytest_sessionstart(session: pytest.Session) -> None:
    """Before a run of all tests: builds what they need, outside of any test's time limit. A run of
    some tests builds what it comes to need."""
    config = session.config
    of_all_tests = config.args_source is pytest.Config.ArgsSource.TESTPATHS
    runs = not config.option.collectonly and not hasattr(config, "workerinput")
    if of_all_tests and runs:
        terminal = config.pluginmanager.get_plugin("terminalreporter")
        try:
            anyio.run(prepare, terminal.write_line if terminal else print)
        except PluginBuildError as error:
            pytest.exit(str(error), returncode=1)


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
