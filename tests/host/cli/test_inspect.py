"""`orchestrator-plugin inspect`."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from orchestrator_plugin_host import read_component, with_manifest
from orchestrator_plugin_sdk import ManifestLimits, PluginManifest, PluginType, SdkVersionRange
from support.texts import HOSTILE_TEXTS, hidden_in

EMPTY = b"\0asm\x0d\0\1\0"


def manifest(**changes):
    given = {
        "name": "empty",
        "type": PluginType.EMBEDDER,
        "sdk_version": SdkVersionRange(1, 1),
        "version": "1.0.0",
        **changes,
    }
    return PluginManifest(**given)


def test_a_component(command, examples):
    path = examples / "text-tools" / "build" / "text-tools.wasm"
    done = command("inspect", path, "--json")
    found = done.document
    file = read_component(path.read_bytes())
    assert done.code == 0
    assert found["source"] == str(path)
    assert found["manifest"]["name"] == "text-tools"
    assert found["world"] == "tool-executor-plugin"
    assert (found["size"], found["digest"]) == (len(file.data), f"sha256:{file.digest}")
    assert "orchestrator:plugin/log@1.0.0" in found["imports"]
    assert "orchestrator:plugin/tool-executor@1.0.0" in found["exports"]
    sections = {section["name"]: section["size"] for section in found["custom_sections"]}
    assert sections["orchestrator-plugin-manifest"] > 100
    assert found["admission"] == {"admitted": True}


def test_for_people(command, examples):
    done = command("inspect", examples / "text-tools")
    assert done.code == 0
    for said in (
        "text-tools 1.0.0",
        "tool_executor, world tool-executor-plugin",
        "sha256:",
        "orchestrator:plugin/lifecycle@1.0.0",
        "✓ would be admitted",
    ):
        assert said in done.out


def test_a_folder_that_is_not_built(command, examples, tmp_path):
    toml = (examples / "text-tools" / "plugin.toml").read_text()
    (tmp_path / "plugin.toml").write_text(f"{toml}\n[limits]\nfuel = 5\n")
    found = command("inspect", tmp_path, "--json").document
    assert (found["form"], found["component"]) == ("folder", None)
    assert found["admission"] == {"admitted": True}
    assert "not built yet" in command("inspect", tmp_path).out
    assert "fuel = 5 units of fuel" in command("inspect", tmp_path).out


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (EMPTY, "InvalidComponentError"),  # no manifest
        (with_manifest(EMPTY, manifest()), "InvalidComponentError"),  # no exports
        (with_manifest(EMPTY, manifest(name="No Good")), "PluginValidationError"),
        (
            with_manifest(EMPTY, manifest(sdk_version=SdkVersionRange(7))),
            "PluginVersionMismatchError",
        ),
        (
            with_manifest(EMPTY, manifest(limits=ManifestLimits(fuel=10**18))),
            "PluginRefusedError",
        ),
    ],
)
def test_what_would_be_refused_is_shown_with_the_reason(command, tmp_path, data, error):
    path = tmp_path / "x.wasm"
    path.write_bytes(data)
    done = command("inspect", path, "--json")
    assert done.code == 0
    assert done.document["size"] == len(data)
    assert done.document["admission"]["admitted"] is False
    assert done.document["admission"]["error"]["type"] == error
    assert f"✗ refused: {error}" in command("inspect", path).out


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"\0asm\1\0\0\0", "core WebAssembly module"),
        (b"(component)", "WebAssembly text"),
        (b"", "it is empty"),
        (EMPTY + b"\1", "truncated"),
    ],
)
def test_what_is_no_component(command, tmp_path, data, said):
    path = tmp_path / "x.wasm"
    path.write_bytes(data)
    for_programs = command("inspect", path, "--json")
    assert (for_programs.code, for_programs.error["type"]) == (1, "InvalidComponentError")
    assert said in for_programs.error["message"]
    for_people = command("inspect", path)
    assert (for_people.code, for_people.out) == (1, "")
    assert "InvalidComponentError" in for_people.err


@pytest.mark.parametrize("name", ["missing.wasm", "no-such-entry-point"])
def test_nothing_there(command, name):
    done = command("inspect", name, "--json")
    assert (done.code, done.error["type"]) == (1, "PluginNotFoundError")


def test_a_folder_without_a_manifest(command, tmp_path):
    done = command("inspect", tmp_path, "--json")
    assert (done.code, done.error["type"]) == (1, "PluginValidationError")


def test_a_plugins_words_do_nothing_to_the_terminal(command, tmp_path):
    path = tmp_path / "x.wasm"
    text = "\x1b]0;owned\x07 \u202eback [bold]"
    path.write_bytes(with_manifest(EMPTY, manifest(description=text)))
    done = command("inspect", path)
    assert "\x1b" not in done.out
    assert "\u202e" not in done.out
    assert "\\x1b]0;owned\\x07 \\u202eback [bold]" in done.out
    assert json.loads(command("inspect", path, "--json").out)["manifest"]["description"] == text


# What `command` does is the same for each example.
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=HOSTILE_TEXTS)
def test_whatever_a_plugin_says_of_itself(command, tmp_path, text):
    path = tmp_path / "x.wasm"
    words = dict.fromkeys(("description", "author", "license", "homepage"), text)
    path.write_bytes(with_manifest(EMPTY, manifest(**words)))
    shown = command("inspect", path).out
    assert not hidden_in(shown, but="\n")
    assert shown.count("admission") == 1 + text.count("admission")
    as_json = command("inspect", path, "--json").out
    assert not hidden_in(as_json, but="\n")
    assert json.loads(as_json)["manifest"]["description"] == text
