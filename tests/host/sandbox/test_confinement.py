"""What a host says, or does, on a system that does not let it confine its workers."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from orchestrator_plugin_host import ConfinementError, HostSettings
from orchestrator_plugin_host.notices import LOGGER_NAME as LOGGER
from orchestrator_plugin_host.sandbox.confinement import Confinement
from orchestrator_plugin_host.sandbox.worker.measures import EMPTY_ROOT, REMEDIES, missing
from pydantic import ValidationError
from support.guests import Guest
from support.processes import run

_LINUX = pytest.mark.skipif(
    sys.platform != "linux" or os.uname().machine not in ("x86_64", "aarch64"),
    reason="what confines workers is Linux's",
)


@given(st.sets(st.sampled_from([*REMEDIES, "something else"])))
def test_one_is_refused_unless_all_measures_hold(held: set[str]) -> None:
    lacks = [name for name in REMEDIES if name not in held]
    assert [*missing(held)] == lacks
    confinement = Confinement(required=True)
    if not lacks:
        confinement.check("a-plugin", held)
        return
    with pytest.raises(ConfinementError, match="'a-plugin' was not run") as caught:
        confinement.check("a-plugin", held)
    assert [*caught.value.missing] == lacks
    for name, remedy in REMEDIES.items():
        assert (f"{name} (to have it, {remedy})" in str(caught.value)) is (name in lacks)


def test_the_warning_comes_once(caplog: pytest.LogCaptureFixture) -> None:
    confinement = Confinement()
    with caplog.at_level(logging.DEBUG):
        confinement.check("a-plugin", REMEDIES)
        assert caplog.records == []
        for name in ("one", "another"):
            confinement.check(name, set(REMEDIES) - {EMPTY_ROOT})
    (record,) = caplog.records
    assert (record.name, record.levelname) == (LOGGER, "WARNING")
    assert f"{EMPTY_ROOT} (to have it, {REMEDIES[EMPTY_ROOT]})" in record.getMessage()
    assert "HostSettings(require_confinement=True)" in record.getMessage()


def test_without_workers_it_can_not_be_required() -> None:
    with pytest.raises(ValidationError, match="set tier='process'"):
        HostSettings(require_confinement=True)
    assert HostSettings(require_confinement=True, tier="process").require_confinement


_HOST = """
import logging, sys
from pathlib import Path
import anyio
from orchestrator_plugin_host import ConfinementError, HostSettings, PluginHost
from support.denying import deny

logging.basicConfig(stream=sys.stdout, format="%(levelname)s %(name)s %(message).60s")
file, cache, tier, required, *denied = sys.argv[1:]
if denied:
    deny(*denied)

async def main():
    settings = HostSettings(
        cache_directory=Path(cache), tier=tier, require_confinement=required == "required"
    )
    async with PluginHost(settings) as host:
        for _ in range(2):
            try:
                plugin = await host.load(file)
                print((await plugin.generate({"messages": []})).text)
            except ConfinementError as error:
                print(*error.missing)
    print(len(list(Path(cache).glob("*.cwasm"))), "compiled")

anyio.run(main)
"""
_WARNING = "WARNING orchestrator_plugins worker processes are not confined completely"


def _said(tmp_path: Path, *arguments: str) -> list[str]:
    file = tmp_path / "guest.wasm"
    file.write_bytes(Guest().build())
    ended = run(_HOST, file, tmp_path / "cache", *arguments)
    assert (ended.returncode, ended.stderr) == (0, "")
    return ended.stdout.splitlines()


@_LINUX
@pytest.mark.parametrize("tier", ["in-process", "process"])
def test_a_host_warns_where_its_workers_are_not_confined(tmp_path: Path, tier: str) -> None:
    said = _said(tmp_path, tier, "", "chroot")
    assert [one[: len(_WARNING)] for one in said[:-1]] == [_WARNING, "hi", "hi"]


@_LINUX
def test_a_host_says_nothing_where_they_are(tmp_path: Path) -> None:
    assert _said(tmp_path, "process", "required")[:-1] == ["hi", "hi"]


@_LINUX
@pytest.mark.parametrize("cached", [False, True])
def test_where_it_is_required_nothing_is_compiled_or_run(tmp_path: Path, cached: bool) -> None:
    before = _said(tmp_path, "process", "", "chroot")[-1] if cached else "0 compiled"
    assert _said(tmp_path, "process", "required", "chroot") == [EMPTY_ROOT, EMPTY_ROOT, before]
