"""`orchestrator-plugin policy`: files are checked, and what a plugin used is the least it needs."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.building import REPOSITORY, built
from support.servers import Server, serving

from .conftest import Command

PROBE = REPOSITORY / "tests/conformance/plugins/provider"
KEY = "sk-the-key-of-this-test"

SOURCE = """
async def uses(self, req, ctx):
    url = req.messages[0].text
    key = ctx.secrets.get("api_key", "")
    response = await ctx.http.request("POST", url, headers={"authorization": key})
    await ctx.files.write("data/kept", response.content)
    await ctx.files.read("folders/docs/readme")
    return ModelResponse(response.text)
"""


@pytest.fixture
def server() -> Iterator[Server]:
    with serving({"/": lambda exchange: exchange.answer(200, b"hello")}) as opened:
        yield opened


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: Server) -> Path:
    """The policy to begin with: where the secret and the folder are."""
    monkeypatch.setenv("API_KEY", KEY)
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "readme").write_text("read me")
    path = tmp_path / "start.toml"
    path.write_text(
        "[plugins.probe-provider.secrets]\n"
        f'api_key = {{ env = "API_KEY", urls = ["{server.origin}"] }}\n'
        "[plugins.probe-provider.files.folders]\n"
        'docs = "docs"\n'
    )
    return path


def arguments(server: Server) -> list[str]:
    config = {"methods": {"generate": ["uses", SOURCE]}}
    request = {"messages": [{"role": "user", "content": server.origin}]}
    return ["--config", json.dumps(config), "--request", json.dumps(request)]


@pytest.mark.parametrize("native", [True, False])
def test_what_is_suggested_is_enough_and_the_least(
    command: Command,
    server: Server,
    start: Path,
    tmp_path: Path,
    native: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    source = PROBE if native else built(PROBE)
    how = ["--native"] if native else []
    done = command(
        "policy", "suggest", source, "generate", *arguments(server), "--policy", start,
        "--address", "127.0.0.1", *how, "--json",
    )  # fmt: skip
    assert done.code == 0, done.out
    suggested = done.document["policy"]
    document = tomllib.loads(suggested)["plugins"]["probe-provider"]
    assert document["http"] == [{"url": server.origin, "methods": ["POST"]}]
    assert document["secrets"] == {"api_key": {"env": "API_KEY", "urls": [server.origin]}}
    assert document["files"]["folders"] == {"docs": str(tmp_path / "docs")}
    assert document["files"]["data"]["bytes"] > 0
    assert "artifacts" not in document["files"]
    assert ("digest" in document) is not native
    manifest = tomllib.loads(done.document["manifest"])
    assert manifest["http"] == [{"url": server.origin, "methods": ["POST"]}]
    assert manifest["files"] == {"data": True, "folders": ["docs"]}
    assert manifest["secrets"] == {"api_key": {"urls": [server.origin]}}
    assert KEY not in done.out + done.err
    assert done.document["stand_ins"] == []  # the policy names where the key may go
    assert server.seen[-1].header("authorization") == KEY

    def call(policy: str) -> Any:
        path = tmp_path / "policy.toml"
        path.write_text(policy)
        return command(
            "call", source, "generate", *arguments(server), "--policy", path, *how, "--json"
        )

    monkeypatch.setenv("ORCHESTRATOR_PLUGIN_DATA", str(tmp_path / "data"))
    done = call(suggested)
    assert done.code == 0, done.out
    assert done.document["text"] == "hello"
    # Without any of its parts it is not enough.
    for part in ("http", "files", "secrets"):
        less = "\n".join(
            block
            for block in suggested.split("\n\n")
            if not block.lstrip("[").startswith(f"plugins.probe-provider.{part}")
        )
        seen = len(server.seen)
        done = call(less)
        if part == "secrets":  # it is optional: the request goes without it
            assert server.seen[-1].header("authorization") != KEY
            continue
        assert done.code == 1
        assert done.error["kind"] == "permission-denied"
        assert len(server.seen) == seen + (part == "files")


@pytest.mark.parametrize("native", [True, False])
def test_a_secret_that_no_policy_names_the_origins_of_is_a_stand_in(
    command: Command,
    server: Server,
    start: Path,
    native: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    start.write_text(start.read_text().replace(f', urls = ["{server.origin}"]', ""))
    asked = [
        "policy", "suggest", PROBE if native else built(PROBE), "generate", *arguments(server),
        "--policy", start, "--address", "127.0.0.1", *(["--native"] if native else []),
    ]  # fmt: skip
    done = command(*asked, "--json")
    assert done.code == 0, done.out
    assert done.document["stand_ins"] == ["api_key"]
    suggested = tomllib.loads(done.document["policy"])["plugins"]["probe-provider"]
    assert suggested["secrets"] == {"api_key": {"env": "API_KEY", "urls": [server.origin]}}
    sent = server.seen[-1].header("authorization")
    assert sent is not None
    assert sent.startswith("stand-in-")
    shown = command(*asked)
    assert "stand-ins, not the values, were used for: api_key" in shown.out
    assert ("is native" if native else "is not pinned") in shown.err
    # With nothing said of it, too: then the line to add has the usual variable.
    monkeypatch.delenv("API_KEY")
    start.write_text(start.read_text().replace('api_key = { env = "API_KEY" }', ""))
    done = command(*asked, "--json")
    assert done.document["stand_ins"] == ["api_key"]
    again = tomllib.loads(done.document["policy"])["plugins"]["probe-provider"]
    assert again["secrets"] == suggested["secrets"]


def test_a_digest_that_the_policy_names_holds_in_audit_mode(
    command: Command, server: Server, start: Path
) -> None:
    start.write_text(f'{start.read_text()}[plugins.probe-provider]\ndigest = "{"0" * 64}"\n')
    for how in ([built(PROBE)], [PROBE, "--native"]):
        done = command(
            "policy", "suggest", how[0], "generate", *arguments(server), *how[1:],
            "--policy", start, "--address", "127.0.0.1", "--json",
        )  # fmt: skip
        assert done.code == 1
        assert done.error["type"] == "PluginRefusedError"
        assert "0" * 64 in done.error["message"]
    assert server.seen == []


def test_not_even_in_audit_mode_is_every_address_reached(
    command: Command, server: Server, start: Path
) -> None:
    done = command(
        "policy", "suggest", PROBE, "generate", *arguments(server), "--policy", start, "--native",
        "--json",
    )  # fmt: skip
    assert done.code == 1
    assert "its address is loopback" in done.error["message"]
    assert server.seen == []
    done = command(
        "policy",
        "suggest",
        PROBE,
        "generate",
        *arguments(server),
        "--address",
        "localhost",
        "--json",
    )
    assert done.code == 2
    assert "--address" in done.error["message"]


def test_a_policy_is_checked(command: Command, start: Path, tmp_path: Path) -> None:
    done = command("policy", "check", start, "--json")
    assert done.code == 0
    secrets = done.document["plugins"]["probe-provider"]["secrets"]
    assert secrets["api_key"]["env"] == "API_KEY"
    assert KEY not in done.out
    wrong = tmp_path / "wrong.toml"
    wrong.write_text("[default]\nwasy = 1")
    done = command("policy", "check", wrong, "--json")
    assert done.code == 1
    assert done.error["type"] == "PolicyError"
    assert "default.wasy" in done.error["message"]
    assert "policy.toml" not in command("policy", "check", start).out


def test_inspect_shows_what_is_asked_for_and_what_lacks(
    command: Command, start: Path, tmp_path: Path, server: Server
) -> None:
    component = built(PROBE)
    found = command("inspect", component, "--json").document["asks_for"]
    assert not any(one["granted"] for one in found)
    assert any("secret api_key" in one["what"] for one in found)
    found = command("inspect", component, "--policy", start, "--json").document["asks_for"]
    granted = {one["what"]: one["granted"] for one in found}
    assert granted["files: the folder docs, to be read"]
    assert not granted["files: data"]
    shown = command("inspect", component, "--policy", start).out
    assert "✓ files: the folder docs" in shown
    assert "✗ files: data" in shown
    # The plugin asks to send it anywhere, and the policy says where.
    assert "◐ secret api_key" in shown
    assert "partly granted; missing: it may not go to http://*:*, https://*:*" in shown
    line = f'urls = ["{server.origin}", "http://*:*", "https://*:*"]'
    assert any(line in one["line"].splitlines() for one in found)
    assert "data = { bytes = 67108864, files = 1000 }" in shown
    # The lines that it shows are a policy that grants it all.
    lines = "\n".join(
        one["line"]
        for one in found
        if not one["granted"] and not one["missing"] and "artifacts" not in one["what"]
    )
    whole = tmp_path / "whole.toml"
    places = ', query = ["key"], json = ["/auth/key"]'
    whole.write_text(start.read_text().replace(f', urls = ["{server.origin}"]', places) + lines)
    again = command("inspect", component, "--policy", whole, "--json").document["asks_for"]
    assert [one["what"] for one in again if not one["granted"]] == ["files: artifacts"]


def test_a_policy_and_wasi_are_said_in_one_place(
    command: Command, start: Path, server: Server
) -> None:
    done = command(
        "call", PROBE, "generate", *arguments(server), "--policy", start, "--wasi", "core", "--json"
    )
    assert done.code == 2
    assert "say wasi = … in the policy file" in done.error["message"]
