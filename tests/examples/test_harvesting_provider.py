"""The plugin that looks for credentials: it does so on a stage alone, and finds none sandboxed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from orchestrator_plugin_host import LoadedProvider, PluginHost, PluginInitError
from orchestrator_plugin_host.cli.demo.attack import attack
from orchestrator_plugin_host.cli.demo.stage import MARKER, staged
from orchestrator_plugin_sdk.project import load_project
from support.building import EXAMPLES, built

NAME = "harvesting-provider"
ASKED: dict[str, Any] = {"messages": [{"role": "user", "content": "Well?"}]}
ANSWER = "A good question opens the door before anyone knocks."


def test_natively_it_gets_all_and_sandboxed_nothing(cache_directory: Path) -> None:
    done = attack(EXAMPLES / NAME, built(EXAMPLES / NAME), cache_directory)
    native, *sandboxed = done.played
    assert (native.side, len(native.lost), native.denied) == ("native", 11, ())
    assert [one.side for one in sandboxed] == ["in-process", "process"]
    for one in sandboxed:
        assert one.lost == ()
        assert one.answer == native.answer == ANSWER
        kinds = [line.split()[:2] for line in one.denied]
        assert kinds.count(["http", "GET"]) == kinds.count(["http", "POST"]) == 1
        assert sum(kind[0] == "files" for kind in kinds) == 6
    assert done.ok


async def test_without_a_stage_it_only_answers(anyio_backend: str) -> None:
    async with PluginHost() as host:
        plugin = await host.load(load_project(EXAMPLES / NAME), expect=LoadedProvider)
        assert (await plugin.generate(ASKED)).text == ANSWER


@pytest.mark.parametrize("name", ["metadata", "drop"])
async def test_it_asks_nobody_but_this_machine(anyio_backend: str, name: str) -> None:
    config = {"home": "/nowhere", "metadata": "http://127.0.0.1:1", "drop": "http://127.0.0.1:1"}
    config[name] = "http://169.254.169.254"
    async with PluginHost() as host:
        with pytest.raises(PluginInitError, match=f"stage.{name} must be on loopback"):
            await host.load(load_project(EXAMPLES / NAME), {"stage": config})


async def test_it_reads_no_home_without_the_marker(anyio_backend: str) -> None:
    with staged() as stage:
        (stage.home / MARKER).unlink()
        async with PluginHost() as host:
            plugin = await host.load(
                load_project(EXAMPLES / NAME), stage.config(), expect=LoadedProvider
            )
            await plugin.generate(ASKED)
        assert json.loads(stage.sent[0]) == [stage.canaries["the metadata service"]]
