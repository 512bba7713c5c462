"""Where in a request a secret may stand: in headers for credentials, and where both say so."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest
from orchestrator_plugin_host import LoadedProvider, PluginHost, Policy
from orchestrator_plugin_host.policy import SecretGrant
from orchestrator_plugin_sdk import ErrorKind, PluginCallError, PluginExport, SecretRequirement
from orchestrator_plugin_sdk.capabilities.secrets import SECRET_HEADERS, ConfigField
from orchestrator_plugin_sdk.manifest import validate_manifest
from pydantic import ValidationError
from support.servers import Server

from .conftest import METHODS, Fetching, fetch, manifest

KEY = "a-key-of-this-test-0123456789"
Plugin = Callable[..., Awaitable[LoadedProvider]]


class Referring(Fetching):
    """Puts the reference wherever a request says SECRET."""

    async def generate(self, req: Any, ctx: Any) -> Any:
        told = json.dumps(req.metadata).replace("SECRET", ctx.secret("api_key"))
        return await super().generate(replace(req, metadata=json.loads(told)), ctx)


@pytest.fixture
def referring(
    host: PluginHost, server: Server, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Awaitable[LoadedProvider]]:
    """Loads it with these places in its manifest, and in its policy."""
    monkeypatch.setenv("KEY", KEY)
    server.answers["/"] = lambda exchange: exchange.answer(200)

    async def load(asked: dict[str, Any], granted: dict[str, Any]) -> LoadedProvider:
        secret = SecretRequirement((server.origin,), **asked)
        export = PluginExport(replace(manifest(), secrets={"api_key": secret}), Referring)
        policy = Policy(
            http=[{"url": server.origin, "methods": METHODS}],
            secrets={"api_key": {"env": "KEY", **granted}},
        )
        return await host.load(export, policy=policy, expect=LoadedProvider)

    return load


@pytest.mark.anyio
@pytest.mark.parametrize("header", SECRET_HEADERS)
async def test_headers_for_credentials_need_nothing(
    referring: Plugin, server: Server, header: str
) -> None:
    plugin = await referring({}, {})
    await fetch(plugin, server.origin, headers={header.title(): "Bearer SECRET"})
    assert server.seen[0].header(header) == f"Bearer {KEY}"


PLACES: dict[str, tuple[dict[str, Any], dict[str, tuple[str, ...]]]] = {
    "a header": ({"headers": {"X-Other": "SECRET"}}, {"headers": ("x-other",)}),
    "a parameter": ({"query": {"key": "SECRET"}}, {"query": ("key",)}),
    "JSON": ({"method": "POST", "json": {"a": [{"k/e~y": "SECRET"}]}}, {"json": ("/a/0/k~1e~0y",)}),
}


@pytest.mark.anyio
@pytest.mark.parametrize("place", PLACES)
async def test_any_other_place_needs_manifest_and_policy(
    referring: Plugin, server: Server, place: str
) -> None:
    asked, named = PLACES[place]
    (kind,) = named
    for in_manifest, in_policy, lacking, table in (
        ({}, {}, "manifest", "[secrets.api_key] in plugin.toml"),
        ({}, named, "manifest", "[secrets.api_key] in plugin.toml"),
        (named, {}, "policy", "[plugins.small.secrets.api_key] in the policy"),
    ):
        plugin = await referring(in_manifest, in_policy)
        with pytest.raises(PluginCallError) as caught:
            await fetch(plugin, server.origin, **asked)
        assert caught.value.kind is ErrorKind.PERMISSION_DENIED
        assert (
            f"the {lacking} does not name it: add it to {kind} of {table}" in caught.value.message
        )
    assert server.seen == []
    plugin = await referring(named, named)
    await fetch(plugin, server.origin, **asked)
    (seen,) = server.seen
    sent = f"{seen.path} {seen.headers} {seen.body!r}"
    assert KEY in sent
    assert "{{secret" not in sent


@pytest.mark.anyio
@pytest.mark.parametrize(
    "document",
    [
        {"messages": [{"role": "user", "content": "SECRET"}], "user": "SECRET"},
        {"messages": [{"role": "user", "content": "SECRET"}]},
        {"user": ["SECRET"]},
        {"user": {"": "SECRET"}},
        ["SECRET"],
        "SECRET",
    ],
)
async def test_a_model_is_not_told_a_key_as_a_message(
    referring: Plugin, server: Server, document: Any
) -> None:
    named = {"json": ("/user",)}
    plugin = await referring(named, named)
    with pytest.raises(PluginCallError, match="may not put the secret 'api_key' into the JSON"):
        await fetch(plugin, server.origin, method="POST", json=document)
    assert server.seen == []
    await fetch(plugin, server.origin, method="POST", json={"user": "SECRET", "messages": []})
    assert json.loads(server.seen[0].body) == {"user": KEY, "messages": []}


@pytest.mark.parametrize(
    ("kind", "place"),
    [
        ("headers", "X-Upper"), ("headers", "a b"), ("headers", ""), ("query", ""),
        ("query", "x" * 201), ("json", ""), ("json", "a"), ("json", "/a~2"),
        ("json", "/" + "a" * 200),
    ],
)  # fmt: skip
def test_what_names_no_place_is_refused(kind: str, place: str) -> None:
    with pytest.raises(ValidationError, match=r"expected (the name|a JSON pointer)"):
        SecretGrant.model_validate({kind: [place]})
    named: dict[str, Any] = {kind: (place,)}
    for declared in (
        {"secrets": {"one": SecretRequirement(("https://api.test",), **named)}},
        {"config": {"one": ConfigField("text", secret=True, urls=("https://a.test",), **named)}},
    ):
        with pytest.raises(Exception, match=rf"one\.{kind}\[0\]: expected"):
            validate_manifest(replace(manifest(), **{"secrets": {}, **declared}))


def test_only_a_secret_field_has_places() -> None:
    with pytest.raises(Exception, match="are for secret fields"):
        validate_manifest(replace(manifest(), config={"one": ConfigField("text", query=("key",))}))
