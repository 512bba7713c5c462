"""Secrets of a plugin that is observed: references to all, values of none that the policy does not
name the origins of."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from orchestrator_plugin_host import (
    HostSettings,
    LoadedProvider,
    PluginHost,
    Policy,
)
from orchestrator_plugin_host.capabilities.observing import Observations
from orchestrator_plugin_host.capabilities.secrets.stand_ins import bind_observed
from orchestrator_plugin_sdk import PluginCallError, PluginExport, SecretRequirement
from orchestrator_plugin_sdk.capabilities.secrets import ConfigField
from orchestrator_plugin_sdk.origins import Origin, OriginPattern
from support.servers import Server, serving

from .conftest import ANYWHERE, Fetching, fetch, manifest

VALUE = "sk-the-value-of-this-test"
LOOPBACK = (ipaddress.ip_network("127.0.0.1"),)
URLS = ("https://a.example", "https://*.b.example", "https://*", "http://c.example:8080")
ORIGINS = (
    Origin("https", "a.example", 443),
    Origin("https", "x.b.example", 443),
    Origin("https", "evil.example", 443),
    Origin("http", "c.example", 8080),
    Origin("http", "evil.example", 80),
)
SOME_URLS = st.lists(st.sampled_from(URLS), min_size=1, max_size=3, unique=True)


@given(
    SOME_URLS,
    st.none() | SOME_URLS,
    st.sampled_from(["env", "config", "both", "nowhere"]),
    st.sampled_from(ORIGINS),
)
def test_a_value_goes_only_where_the_policy_itself_says(
    asked: list[str], named: list[str] | None, where: str, origin: Origin
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KEY_OF_THIS_TEST", VALUE)
        grant: dict[str, Any] = {} if named is None else {"urls": named}
        if where in ("env", "both"):
            grant["env"] = "KEY_OF_THIS_TEST"
        declared = replace(manifest(), secrets={}, config=None)
        config: dict[str, Any] = {"other": 1}
        if where in ("config", "both"):
            field = ConfigField("text", secret=True, urls=tuple(asked))
            declared = replace(declared, config={"key": field, "other": ConfigField()})
            config["key"] = VALUE
        else:
            declared = replace(declared, secrets={"key": SecretRequirement(tuple(asked))})
        seen = Observations()
        policy = Policy(secrets={"key": grant} if grant else {})
        secrets, given = bind_observed(seen, declared, policy.secrets, config)
        assert given.keys() == config.keys()
        assert given["other"] == 1
        reference = secrets.references["key"]
        assert given.get("key", reference) == reference
        sent = secrets.into_text(f"Bearer {reference}")
        assert reference not in sent
        by_policy = any(OriginPattern.parse(one).matches(origin) for one in named or ())
        if VALUE in sent:
            assert secrets.lacks_origin("key", origin) is not None or by_policy
            assert seen.stand_ins == set()
        else:
            assert secrets.lacks_origin("key", origin) is None  # it means nothing to anybody
            assert seen.stand_ins == {"key"}
        assert (VALUE in sent) is (named is not None and where != "nowhere")


def test_a_field_of_the_config_that_is_called_as_a_secret_is_another_thing() -> None:
    asked = {"key": SecretRequirement(("https://a.example",))}
    declared = replace(manifest(), secrets=asked, config={"key": ConfigField("integer")})
    secrets, given = bind_observed(Observations(), declared, {}, {"key": 5})
    assert given == {"key": 5}
    assert secrets.references.keys() == {"key"}


@pytest.fixture
def servers() -> Iterator[tuple[Server, Server]]:
    with serving({}) as one, serving({}) as other:
        for server in (one, other):
            server.answers["/"] = lambda exchange: exchange.answer(200, b"here")
        yield one, other


@pytest.mark.anyio
@pytest.mark.parametrize("named", [True, False])
async def test_an_observed_plugin_sends_what_it_refers_to(
    anyio_backend: str,
    cache_directory: Path,
    tmp_path: Path,
    servers: tuple[Server, Server],
    monkeypatch: pytest.MonkeyPatch,
    named: bool,
) -> None:
    monkeypatch.setenv("KEY_OF_THIS_TEST", VALUE)
    one, other = servers
    grant: dict[str, Any] = {"env": "KEY_OF_THIS_TEST"}
    if named:
        grant["urls"] = [one.origin]
    seen = Observations(LOOPBACK)
    settings = HostSettings(
        cache_directory=cache_directory,
        data_directory=tmp_path,
        policy=Policy(secrets={"api_key": grant}),
    )
    asked = replace(manifest(), secrets={"api_key": SecretRequirement(ANYWHERE)})
    async with PluginHost(settings, observations=seen) as host:
        plugin = await host.load(PluginExport(asked, Fetching), expect=LoadedProvider)
        headers = {"authorization": "SECRET"}
        assert await fetch(plugin, one.origin, headers=headers) == "here"
        if named:
            with pytest.raises(PluginCallError, match="may not send the secret"):
                await fetch(plugin, other.origin, headers=headers)
            assert other.seen == []
        else:
            assert await fetch(plugin, other.origin, headers=headers) == "here"
            assert VALUE not in str(other.seen[0].header("authorization"))
    sent = str(one.seen[0].header("authorization"))
    assert "{{secret" not in sent
    assert (sent == VALUE) is named
    assert seen.stand_ins == (set() if named else {"api_key"})
    assert set(seen.secrets) == {"api_key"}
