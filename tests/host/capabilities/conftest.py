"""A plugin that requests what a test tells it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from orchestrator_plugin_host import HostSettings, LoadedProvider, PluginHost, Policy
from orchestrator_plugin_sdk import (
    HttpRequirement,
    ModelRequest,
    ModelResponse,
    PluginContext,
    PluginExport,
    PluginManifest,
    PluginType,
    SecretRequirement,
)
from sdk.plugins import SmallProvider, small_manifest
from support.servers import Server, ca_file, serving

ANYWHERE = ("http://*:*", "https://*:*")
METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE")

Fetch = Callable[..., Awaitable[str]]


class Fetching(SmallProvider):
    """Requests what the metadata of a model request says."""

    async def generate(self, req: ModelRequest, ctx: PluginContext) -> ModelResponse:
        asked = dict(req.metadata)
        headers = [
            (name, value.replace("SECRET", ctx.secrets.get("api_key", "SECRET")))
            for name, value in asked.pop("headers", {}).items()
        ]
        if isinstance(asked.get("json"), dict) and asked["json"].get("user") == "SECRET":
            asked["json"] = {**asked["json"], "user": ctx.secret("api_key")}
        method, url = asked.pop("method", "GET"), asked.pop("url")
        response = await ctx.http.request(method, url, headers=headers, **asked)
        return ModelResponse(response.text, metadata={"status": response.status})


def manifest() -> PluginManifest:
    """The manifest of a plugin that asks for everything."""
    from dataclasses import replace

    return replace(
        small_manifest(PluginType.PROVIDER),
        http=tuple(HttpRequirement(url, METHODS) for url in ANYWHERE),
        secrets={
            "api_key": SecretRequirement(
                ANYWHERE, required=False, query=("key",), json=("/a/1/key", "/user")
            )
        },
    )


class Names:
    """A resolver whose answers a test writes: a list of addresses for each time it is asked."""

    def __init__(self) -> None:
        self.answers: dict[str, list[list[str]]] = {}
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int) -> list[str]:
        self.asked.append(host)
        answers = self.answers.get(host)
        if not answers:
            raise OSError("no such name")
        return answers.pop(0) if len(answers) > 1 else answers[0]


@pytest.fixture
def names() -> Names:
    return Names()


@pytest.fixture
def server() -> Iterator[Server]:
    with serving({}) as opened:
        yield opened


@pytest.fixture
async def host(
    anyio_backend: str, cache_directory: Path, tmp_path: Path, names: Names
) -> AsyncIterator[PluginHost]:
    settings = HostSettings(
        cache_directory=cache_directory,
        ca_file=ca_file(tmp_path),
        audit_file=tmp_path / "audit.jsonl",
    )
    async with PluginHost(settings, resolver=names) as opened:
        yield opened


@pytest.fixture
def fetching(host: PluginHost) -> Callable[..., Awaitable[LoadedProvider]]:
    """Loads the plugin: `await fetching(policy)`."""

    async def load(policy: Policy, **options: Any) -> LoadedProvider:
        export = PluginExport(manifest(), Fetching)
        return await host.load(export, policy=policy, expect=LoadedProvider, **options)

    return load


async def fetch(plugin: LoadedProvider, url: str, **asked: Any) -> str:
    """The body of what is at a URL."""
    request = {"messages": [], "metadata": {"url": url, **asked}}
    return (await plugin.generate(request)).text
