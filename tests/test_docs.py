"""What the README and the docs show is run, or checked against the code."""

from __future__ import annotations

import ast
import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from dataclasses import fields
from pathlib import Path

import orchestrator_plugin_host
import pytest
from orchestrator_plugin_host import (
    LimitExceededError,
    Limits,
    PolicyFile,
    read_component,
    read_policy,
)
from orchestrator_plugin_host.capabilities.files.data import DataFolders
from orchestrator_plugin_host.capabilities.owned.owners import owner_of
from orchestrator_plugin_host.cli import app
from orchestrator_plugin_sdk import (
    ManifestLimits,
    Message,
    ModelRequest,
    PluginContext,
    PluginManifest,
    ProviderAdapterPlugin,
    ToolPolicy,
    load_plugin,
    load_project,
    read_manifest,
    to_document,
)
from orchestrator_plugin_sdk.command_patterns import (
    MAX_COMMAND_CHARACTERS,
    MAX_PATTERN_CHARACTERS,
    MAX_PATTERNS,
)
from support.building import CACHE
from support.guests import Guest
from typer.testing import CliRunner

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    [
        ROOT / "README.md",
        ROOT / "SECURITY.md",
        *ROOT.glob("docs/**/*.md"),
        *ROOT.glob("guest-examples/*/*.md"),
    ]
)


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)


def run(command: list[str], example_components: dict[str, Path]) -> str:
    """Runs a command where a reader would, with the examples built."""
    assert example_components
    environment = {**os.environ, "ORCHESTRATOR_PLUGIN_CACHE": str(CACHE)}
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False, env=environment
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("recipe", ["demo", "test"])
def test_the_readmes_commands_are_recipes(recipe: str) -> None:
    assert f"$ python3 dev.py {recipe}\n" in "".join(blocks(ROOT / "README.md", "console"))
    assert re.search(rf"^{recipe}\b", (ROOT / "Justfile").read_text(), re.MULTILINE)


def test_the_ten_lines_stream(examples_in_place: dict[str, Path]) -> None:
    shown = [one for one in blocks(ROOT / "README.md", "console") if "-c '" in one]
    assert len(shown) == 1
    code = shown[0].partition("-c '")[2].rpartition("'")[0]
    assert len([line for line in code.splitlines() if line.strip()]) <= 10
    events = run([sys.executable, "-c", code], examples_in_place)
    assert events.count("StreamTextDelta") > 1
    assert "StreamEnd" in events


def test_the_limit_snippet(examples_in_place: dict[str, Path]) -> None:
    [snippet] = [one for one in blocks(ROOT / "README.md", "python") if "FuelExhausted" in one]
    printed = run([sys.executable, "-c", snippet], examples_in_place)
    assert printed.startswith("fuel is 500,000,000: ")
    assert "it-goes-on" in printed


def test_the_snippet_of_the_tool_policy(examples_in_place: dict[str, Path]) -> None:
    page = ROOT / "docs/tool-policy.md"
    [snippet] = blocks(page, "python")
    [printed] = blocks(page, "text")
    assert run([sys.executable, "-c", snippet], examples_in_place) == printed


def test_the_table_of_the_tool_policy_is_true() -> None:
    table = re.findall(
        r"^\| `(\w+)` \| (\S+) \|", (ROOT / "docs/tool-policy.md").read_text(), re.MULTILINE
    )
    stated = {name: value.strip("`").replace(",", "") for name, value in table}
    defaults = to_document(ToolPolicy())
    assert stated == {
        name: "none" if value is None else json.dumps(value) for name, value in defaults.items()
    }


def test_the_numbers_of_the_tool_policy_are_true() -> None:
    text = (ROOT / "docs/tool-policy.md").read_text()
    for value in (MAX_COMMAND_CHARACTERS, MAX_PATTERN_CHARACTERS, MAX_PATTERNS):
        assert f"{value:,}" in text


@pytest.mark.anyio
async def test_the_plugin_in_the_readme(tmp_path: Path) -> None:
    [manifest] = [one for one in blocks(ROOT / "README.md", "toml") if "# plugin.toml" in one]
    [source] = [one for one in blocks(ROOT / "README.md", "python") if "# shout.py" in one]
    (tmp_path / "plugin.toml").write_text(manifest)
    (tmp_path / "shout.py").write_text(source)
    plugin = await load_plugin(load_project(tmp_path), {"mark": "?"})
    assert isinstance(plugin, ProviderAdapterPlugin)
    response = await plugin.generate(ModelRequest((Message("user", "hello"),)), PluginContext())
    assert response.text == "HELLO?"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_snippets_parse_and_links_lead_somewhere(page: Path) -> None:
    for snippet in blocks(page, "python"):
        ast.parse(snippet)
    for snippet in blocks(page, "toml"):
        tomllib.loads(snippet)
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text()):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_policies_and_manifests_that_are_shown_are_valid(page: Path, tmp_path: Path) -> None:
    for snippet in blocks(page, "toml"):
        if "# policy.toml" in snippet:
            (tmp_path / "policy.toml").write_text(snippet)
            assert read_policy(tmp_path / "policy.toml") != PolicyFile()
        elif "# plugin.toml" in snippet:
            (tmp_path / "plugin.toml").write_text(snippet)
            assert read_manifest(tmp_path)


def test_the_table_of_limits_is_true() -> None:
    rows = re.findall(
        r"^\| `(\w+)` \| ([\d,]+)( MiB)? \|.*\| `(\w+)` \|$",
        (ROOT / "docs/limits.md").read_text(),
        re.MULTILINE,
    )
    documented = {
        name: int(value.replace(",", "")) * (1024 * 1024 if mib else 1)
        for name, value, mib, _ in rows
    }
    assert documented == Limits().model_dump()
    for _, _, _, error in rows:
        assert issubclass(getattr(orchestrator_plugin_host, error), LimitExceededError)


def test_the_table_of_manifest_keys_is_true() -> None:
    text = (ROOT / "docs/writing-plugins.md").read_text()
    table = text[text.index("| key | meaning |") :]
    keys = {page.stem for page in ROOT.glob("docs/capabilities/*.md")}  # have one of their own
    keys |= set(
        re.findall(r"`\[{0,2}(\w+)\]{0,2}`", "".join(re.findall(r"^\| ([^|]+) \|", table, re.M)))
    )
    assert keys == {*(one.name for one in fields(PluginManifest)), "build"}


def test_manifest_limits_are_limits() -> None:
    assert set(ManifestLimits.__slots__) <= set(Limits.model_fields)


def test_paths_of_the_architecture_page_exist() -> None:
    text = (ROOT / "docs/architecture.md").read_text()
    for base, path in re.findall(r"^\| (… )?`([^`]+)`", text, re.MULTILINE):
        roots = [ROOT / "sdk-python/src/orchestrator_plugin_sdk"] if base else [ROOT]
        roots.append(ROOT / "host/src/orchestrator_plugin_host")
        assert any((root / path).exists() for root in roots), path


@pytest.fixture(scope="session")
def examples_in_place(example_components: dict[str, Path]) -> dict[str, Path]:
    """The examples built where the README looks for them."""
    for name, built in example_components.items():
        target = ROOT / "guest-examples" / name / "build" / f"{name}.wasm"
        if not target.exists() or target.stat().st_mtime < built.stat().st_mtime:
            target.parent.mkdir(exist_ok=True)
            temporary = target.with_suffix(f".{os.getpid()}")
            temporary.write_bytes(built.read_bytes())
            temporary.replace(target)
    return example_components


def test_what_the_security_page_points_to_exists() -> None:
    text = (ROOT / "SECURITY.md").read_text()
    named = set(re.findall(r"`(tests/[\w/.-]+)`", text))
    assert len(named) > 20
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_the_commands_about_digests_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a plugin, its policy and its data folder are, one after the other."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ORCHESTRATOR_PLUGIN_DATA", str(tmp_path / "data"))
    (tmp_path / "chat.wasm").write_bytes(Guest().build(name="chat"))
    [policy] = [
        one for one in blocks(ROOT / "docs/policy.md", "toml") if one.startswith("# policy.toml")
    ]
    (tmp_path / "policy.toml").write_text(policy)
    folders = DataFolders(tmp_path / "data")
    folders.taken("chat", owner_of("0" * 64))
    folders.back("chat")
    shown = "".join(blocks(ROOT / "docs/policy.md", "console"))
    commands = re.findall(r"^\$ orchestrator-plugin (.+)$", shown, re.MULTILINE)
    assert len(commands) == 5
    said = [CliRunner().invoke(app, shlex.split(one)) for one in commands]
    assert [one.exit_code for one in said] == [0] * 5
    digest = read_component((tmp_path / "chat.wasm").read_bytes()).digest
    assert said[0].stdout.endswith(f" → sha256:{digest}\n")
    assert "✗ [plugins.chat]" not in said[1].stdout
    assert "by the digest that the policy names" in said[2].stdout
    assert said[4].stdout.startswith(f"chat: sha256:{'0' * 64} → sha256:9f86")
