"""The example `openai-provider` as its users have it: a policy in a file, a key in the environment,
and the program of its README."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from contextlib import aclosing
from pathlib import Path

import pytest
from orchestrator_plugin_host import (
    HostSettings,
    LoadedProvider,
    PluginHost,
    PluginRefusedError,
    PolicyFile,
    read_policy,
)
from orchestrator_plugin_host.settings import Tier
from orchestrator_plugin_sdk import (
    MemoryLogger,
    PluginCallError,
    PluginContext,
    StreamEnd,
    StreamTextDelta,
    StreamUsage,
    read_manifest,
)
from support.building import built
from support.loading import EXAMPLES
from support.openai_server import OpenAIServer, completion, serving_openai

from .conftest import HELLO, SPENT

FOLDER = EXAMPLES / "openai-provider"
README = (FOLDER / "README.md").read_text()
KEY = "sk-proj-9876543210-zyxwvutsrq"
TOKENS = ("The", " rivers", " carry", " salt", ". 🌊")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


@pytest.fixture
def guarded() -> Iterator[OpenAIServer]:
    """The server, which wants the key."""
    with serving_openai(KEY) as opened:
        yield opened


@pytest.fixture
def policy_file(tmp_path: Path, guarded: OpenAIServer) -> Path:
    """The README's policy, for this server."""
    path = tmp_path / "policy.toml"
    path.write_text(blocks("toml")[0].replace("https://api.openai.com", guarded.server.origin))
    return path


def changed(path: Path, pattern: str, by: str) -> PolicyFile:
    """The policy of a file in which something is different."""
    path.write_text(re.sub(pattern, by, path.read_text(), flags=re.MULTILINE))
    return read_policy(path)


@pytest.mark.anyio
@pytest.mark.parametrize("tier", ["in-process", "process"])
async def test_a_chat_with_a_key_from_the_environment(
    guarded: OpenAIServer,
    policy_file: Path,
    cache_directory: Path,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    tier: Tier,
) -> None:
    """The server sends a token once the one before was seen; it finds the key, nobody else does."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    gate = threading.Semaphore(0)
    guarded.script(completion(*TOKENS, gate=gate))
    logger = MemoryLogger()
    settings = HostSettings(
        policy=read_policy(policy_file),
        cache_directory=cache_directory,
        audit_file=tmp_path / "audit.jsonl",
        tier=tier,
    )
    config = {"base_url": guarded.base_url, "model": "gpt-test"}
    seen = []
    async with PluginHost(settings) as host:
        provider = await host.load(
            built(FOLDER), config, PluginContext(logger=logger), expect=LoadedProvider
        )
        async with aclosing(provider.stream(HELLO)) as stream:
            async for event in stream:
                seen.append(event)
                if isinstance(event, StreamTextDelta):
                    gate.release()
    assert seen == [*map(StreamTextDelta, TOKENS), StreamUsage(SPENT), StreamEnd()]
    [sent] = guarded.server.seen
    assert sent.header("authorization") == f"Bearer {KEY}"
    assert KEY not in repr((seen, logger.events, settings))
    audit = (tmp_path / "audit.jsonl").read_text()
    assert guarded.server.origin in audit
    assert KEY not in audit
    assert any(json.loads(line).get("secrets") == ["api_key"] for line in audit.splitlines())


@pytest.mark.anyio
async def test_the_key_goes_nowhere_else(
    guarded: OpenAIServer,
    policy_file: Path,
    cache_directory: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Not to another port that the policy grants, if the secret's own origins have it not."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with serving_openai() as other:
        more = f'\n[[plugins.openai-provider.http]]\nurl = "{other.server.origin}"\n'
        policy = changed(policy_file, r"\Z", more + 'methods = ["POST"]\n')
        config = {"base_url": other.base_url, "model": "gpt-test"}
        async with PluginHost(HostSettings(cache_directory=cache_directory)) as host:
            provider = await host.load(built(FOLDER), config, expect=LoadedProvider, policy=policy)
            with pytest.raises(PluginCallError, match="may not send the secret") as caught:
                await provider.generate(HELLO)
        assert caught.value.kind == "permission-denied"
        assert other.server.seen == []


@pytest.mark.anyio
async def test_a_key_without_its_origins_is_refused(
    policy_file: Path, cache_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the manifest it could go anywhere."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    policy = changed(policy_file, r"^urls.*\n", "")
    async with PluginHost(HostSettings(cache_directory=cache_directory)) as host:
        with pytest.raises(PluginRefusedError, match="does not name: add to the policy"):
            await host.load(built(FOLDER), policy=policy)


def test_the_readmes_program_runs(
    guarded: OpenAIServer, policy_file: Path, cache_directory: Path
) -> None:
    guarded.script(completion(*TOKENS))
    [program] = blocks("python")
    program = program.replace("https://api.openai.com/v1", guarded.base_url)
    program = re.sub(r'^PLUGIN = ".*"', f"PLUGIN = {str(built(FOLDER))!r}", program, flags=re.M)
    environment = {**os.environ, "OPENAI_API_KEY": KEY, "PYTHONIOENCODING": "utf-8"}
    environment["ORCHESTRATOR_PLUGIN_CACHE"] = str(cache_directory)
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=policy_file.parent,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "".join(TOKENS) + "\n21 tokens\n", done.stderr
    assert guarded.requests[0]["max_tokens"] == 200


def test_the_readmes_policies_are_policies(tmp_path: Path) -> None:
    for i, text in enumerate(blocks("toml")):
        path = tmp_path / f"{i}.toml"
        path.write_text(text)
        assert read_policy(path).plugins.keys() == {"openai-provider"}
        assert tomllib.loads(text)


def test_the_readmes_config_is_the_manifests() -> None:
    table = README[README.index("| config key") :].partition("\n\n")[0]
    first = "".join(re.findall(r"^\| ([^|]+) \|", table, re.MULTILINE))
    assert set(re.findall(r"`(\w+)`", first)) == set(read_manifest(FOLDER).config or {})
