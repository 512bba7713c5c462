"""From what a caller names to a component's bytes or a native plugin's export."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from orchestrator_plugin_host import ENTRY_POINT_GROUP, PluginHost, PluginNotFoundError
from orchestrator_plugin_host.discovery import resolve
from orchestrator_plugin_sdk import PluginExport, PluginValidationError
from sdk.plugins import SmallProvider, small_manifest

pytestmark = pytest.mark.anyio

Install = Callable[[str, str], None]

MODULE = """
from sdk.plugins import SmallProvider, small_manifest
from orchestrator_plugin_sdk import PluginExport

plugin = PluginExport(small_manifest(), SmallProvider)
nothing = 42
"""


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Installs a distribution with an entry point: `install(name, target)`."""
    site = tmp_path / "site-packages"
    site.mkdir()
    (site / "installed_plugins.py").write_text(MODULE)
    (site / "broken_plugins.py").write_text("raise RuntimeError('no such service')")
    monkeypatch.syspath_prepend(str(site))

    def install_one(name: str, target: str) -> None:
        info = site / f"{name.replace('-', '_')}-1.0.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0.0\n")
        (info / "entry_points.txt").write_text(f"[{ENTRY_POINT_GROUP}]\n{name} = {target}\n")

    yield install_one
    sys.modules.pop("installed_plugins", None)


# --- files ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("convert", [str, Path], ids=["text", "path"])
async def test_a_file(tmp_path: Path, convert: Any) -> None:
    path = tmp_path / "plugin.wasm"
    write(path, b"anything")
    assert await resolve(convert(path), 1000) == b"anything"


def write(path: Path, data: bytes) -> None:
    path.write_bytes(data)


async def test_a_file_of_another_name(tmp_path: Path) -> None:
    path = tmp_path / "plugin.component"
    write(path, b"anything")
    assert await resolve(path, 1000) == b"anything"
    assert await resolve(str(path), 1000) == b"anything"


async def test_a_huge_file_is_not_read_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "plugin.wasm"
    write(path, bytes(10_000))
    found = await resolve(path, 1000)
    assert isinstance(found, bytes)
    assert len(found) == 1001


@pytest.mark.parametrize("convert", [str, Path], ids=["text", "path"])
async def test_no_such_file(tmp_path: Path, convert: Any) -> None:
    with pytest.raises(PluginNotFoundError, match=r"none\.wasm' can't be read: No such file"):
        await resolve(convert(tmp_path / "none.wasm"), 1000)


async def test_a_path_without_a_file_is_no_entry_point(tmp_path: Path) -> None:
    with pytest.raises(PluginNotFoundError, match="none' can't be read"):
        await resolve(tmp_path / "none", 1000)


@pytest.mark.parametrize("convert", [str, Path], ids=["text", "path"])
async def test_a_folder(tmp_path: Path, convert: Any) -> None:
    with pytest.raises(PluginNotFoundError, match="is a folder: build it with `orchestrator-plu"):
        await resolve(convert(tmp_path), 1000)


async def test_a_link_that_leads_in_a_circle(tmp_path: Path) -> None:
    link = tmp_path / "plugin.wasm"
    link.symlink_to(link)
    with pytest.raises(PluginNotFoundError, match="can't be read"):
        await resolve(link, 1000)


@pytest.mark.parametrize("name", ["", "a\0b", "x" * 5000, "\ud800.wasm", "a/\0.wasm"])
async def test_names_that_no_file_can_have(name: str) -> None:
    with pytest.raises(PluginNotFoundError):
        await resolve(name, 1000)


@pytest.mark.parametrize(
    "source",
    [None, 42, b"plugin.wasm", SmallProvider, object()],
    ids=lambda source: type(source).__name__,
)
async def test_things_that_name_nothing(source: Any) -> None:
    with pytest.raises(PluginValidationError, match="not from a"):
        await resolve(source, 1000)


# --- native plugins ------------------------------------------------------------------------------


async def test_an_export_in_hand() -> None:
    export = PluginExport(small_manifest(), SmallProvider)
    assert await resolve(export, 1000) is export


async def test_an_installed_entry_point(install: Install, host: PluginHost) -> None:
    install("nice-plugin", "installed_plugins:plugin")
    export = await resolve("nice-plugin", 1000)
    assert isinstance(export, PluginExport)
    plugin = await host.load("nice-plugin")
    assert (plugin.name, plugin.isolation) == ("small", "native")
    assert (await plugin.health_check()).healthy


async def test_an_entry_point_that_is_not_installed(install: Install) -> None:
    install("nice-plugin", "installed_plugins:plugin")
    with pytest.raises(PluginNotFoundError) as caught:
        await resolve("mean-plugin", 1000)
    message = str(caught.value)
    assert "no file 'mean-plugin' and no entry point of that name" in message
    assert ENTRY_POINT_GROUP in message
    assert "nice-plugin" in message


FAULTY = {
    "installed_plugins:nothing": "is a int, it must be a PluginExport",
    "installed_plugins:absent": "could not be imported: AttributeError",
    "no_such_module:plugin": "could not be imported: ModuleNotFoundError",
    "broken_plugins:plugin": "could not be imported: RuntimeError: no such service",
}


@pytest.mark.parametrize("target", FAULTY)
async def test_an_entry_point_that_is_no_plugin(install: Install, target: str) -> None:
    install("faulty-plugin", target)
    with pytest.raises(PluginValidationError, match=FAULTY[target]):
        await resolve("faulty-plugin", 1000)


async def test_a_file_goes_before_an_entry_point(
    install: Install, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install("nice-plugin", "installed_plugins:plugin")
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "nice-plugin", b"anything")
    assert await resolve("nice-plugin", 1000) == b"anything"
