"""Keys and values: what plugins have of them, in every place that they run."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from orchestrator_plugin_host import HostSettings, LoadedToolExecutor, PluginHost, Policy
from orchestrator_plugin_host.capabilities.kv.grant import KvGrant
from orchestrator_plugin_sdk import (
    KvRequirement,
    PluginCallError,
    PluginExport,
    PluginType,
    ToolPolicy,
    ToolRunResult,
)
from sdk.plugins import SmallExecutor, small_manifest

from .conftest import Plugins

pytestmark = pytest.mark.anyio

ALL = ToolPolicy(enabled=True)
RUN = {"command": "run"}
GRANTED = Policy(kv=KvGrant(bytes=1_000_000, keys=3))


@pytest.fixture(scope="module")
async def hosts(
    anyio_backend: str, cache_directory: Path, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[dict[bool, PluginHost]]:
    """A host for native plugins, and one for components: neither has what the other has written."""
    async with AsyncExitStack() as opened:
        yield {
            native: await opened.enter_async_context(
                PluginHost(
                    HostSettings(
                        cache_directory=cache_directory,
                        data_directory=tmp_path_factory.mktemp("data"),
                    )
                )
            )
            for native in (True, False)
        }


@pytest.fixture
def host(hosts: dict[bool, PluginHost], where: str) -> PluginHost:
    """A host whose plugins' keys are those of this module's tests."""
    return hosts[where == "native"]


async def probe(plugins: Plugins, execute: Any, policy: Policy) -> LoadedToolExecutor:
    """An executor with a method of a test's own."""
    loaded = await plugins.probe(
        PluginType.TOOL_EXECUTOR, execute=execute, options={"policy": policy}
    )
    assert isinstance(loaded, LoadedToolExecutor)
    return loaded


async def _uses_everything(self, request, policy, ctx):
    value = bytes(range(256)) * 1000
    said = [await ctx.kv.get("żółć"), await ctx.kv.delete("żółć")]
    await ctx.kv.set("żółć", value)
    await ctx.kv.set("a/1", "text")
    await ctx.kv.set("a/2", b"")
    said += [await ctx.kv.get("żółć") == value, await ctx.kv.get("a/1"), await ctx.kv.get("a/2")]
    said += [list(await ctx.kv.keys()), list(await ctx.kv.keys("a/", after="a/1"))]
    for key in await ctx.kv.keys():
        said.append(await ctx.kv.delete(key))
    return ToolRunResult(0, 0, stdout=repr(said))


async def test_everything_works_everywhere(plugins: Plugins) -> None:
    executor = await probe(plugins, _uses_everything, GRANTED)
    expected = [None, False, True, b"text", b"", ["a/1", "a/2", "żółć"], ["a/2"], *[True] * 3]
    assert (await executor.execute(RUN, ALL)).stdout == repr(expected)
    assert (await executor.execute(RUN, ALL)).stdout == repr(expected)


async def _is_refused(self, request, policy, ctx):
    said = []
    for attempt in (
        ctx.kv.get(""),
        ctx.kv.set("k" * 513, b""),
        ctx.kv.set("k", bytes(1_048_577)),
        ctx.kv.set("k", bytes(1_000_000)),
        ctx.kv.get("k"),
    ):
        try:
            said.append(repr(await attempt))
        except PluginCallError as error:
            said.append(f"{error.kind}: {error.message}")
    return ToolRunResult(0, 0, stdout="\n".join(said))


async def test_what_is_refused_is_the_plugins_to_handle(plugins: Plugins) -> None:
    executor = await probe(plugins, _is_refused, GRANTED)
    said = (await executor.execute(RUN, ALL)).stdout
    lines = said.splitlines()
    assert [line.partition(":")[0] for line in lines] == [
        *["invalid-request"] * 3,
        "permission-denied",
        "  [plugins.probe-tool-executor.kv]",
        "  bytes = 1000001",
        "  keys = 3",
        "None",
    ]
    assert "may keep 1,000,000 bytes, keeps 0, and wanted 1,000,001 more" in said


async def test_without_a_grant_there_are_none(plugins: Plugins) -> None:
    executor = await probe(plugins, _is_refused, Policy())
    said = (await executor.execute(RUN, ALL)).stdout
    assert said.count("permission-denied") == 2
    assert "add to the policy\n  [plugins.probe-tool-executor.kv]\n" in said


def _page_body() -> Any:
    """The method that the page shows."""
    page = (Path(__file__).parents[2] / "docs/capabilities/kv.md").read_text("utf-8")
    found = re.search(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    assert found is not None
    names: dict[str, Any] = {"ToolRunResult": ToolRunResult}
    exec(found[1], names)
    return names["execute"]


async def test_what_the_page_shows(tmp_path: Path, cache_directory: Path) -> None:
    exported = type("Reader", (SmallExecutor,), {"execute": _page_body()})
    about = small_manifest(PluginType.TOOL_EXECUTOR, kv=KvRequirement("how far"))
    settings = HostSettings(
        cache_directory=cache_directory, data_directory=tmp_path, policy=Policy(kv=KvGrant())
    )
    for expected in ("feed/a, feed/b", "feed/a, feed/b", ""):
        async with PluginHost(settings) as host:
            plugin = await host.load(PluginExport(about, exported), expect=LoadedToolExecutor)
            command = "run" if expected else "forget"
            done = await plugin.execute({"command": command, "args": ["a", "b"]}, ALL)
            assert done.stdout == expected
