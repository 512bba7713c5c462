"""What is not used is not paid for: neither by a call, nor by whoever imports the host."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from orchestrator_plugin_host import LoadedProvider, PluginHost, Policy
from orchestrator_plugin_sdk import ModelRequest, ModelResponse, PluginContext, PluginExport
from sdk.plugins import SmallProvider
from support.servers import Server

from .conftest import METHODS, Fetching, fetch, manifest

RARE = ("h11", "httpx", "certifi", "idna", "keyring", "cryptography", "anyio.streams.tls")


def test_importing_the_host_imports_nothing_that_few_plugins_need() -> None:
    look = f"print([name for name in {RARE!r} if name in sys.modules])"
    program = f"import orchestrator_plugin_host, sys; {look}"
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.anyio
async def test_a_call_that_reaches_nothing_makes_nothing(host: PluginHost) -> None:
    reached: list[Any] = []

    class Quiet(SmallProvider):
        async def generate(self, req: ModelRequest, ctx: PluginContext) -> ModelResponse:
            return ModelResponse("quiet")

    plugin = await host.load(PluginExport(manifest(), Quiet), expect=LoadedProvider)
    real = plugin._reach.open

    def opened(call: Any) -> Any:
        reached.append(real(call))
        return reached[-1]

    plugin._reach.open = opened  # type: ignore[method-assign]
    await plugin.generate({"messages": []})
    (one,) = reached
    assert one.of("files")._files._artifacts is None


@pytest.mark.anyio
async def test_certificates_are_read_for_the_first_request_that_needs_them(
    host: PluginHost, server: Server
) -> None:
    server.answers["/"] = lambda exchange: exchange.answer(200, b"hello")
    export = PluginExport(manifest(), Fetching)
    policy = Policy(http=[{"url": server.origin, "methods": METHODS}])
    plugin = await host.load(export, policy=policy, expect=LoadedProvider)
    assert await fetch(plugin, server.origin) == "hello"
    assert host._loading._reach._made["http"]._tls is None
