"""`orchestrator-plugin build`."""

import pytest
from orchestrator_plugin_host import read_component
from support.building import REPOSITORY

TEXT_TOOLS = REPOSITORY / "guest-examples" / "text-tools"


def test_build(command, tmp_path):
    (tmp_path / "plugin.toml").write_text((TEXT_TOOLS / "plugin.toml").read_text())
    (tmp_path / "text_tools.py").write_text((TEXT_TOOLS / "text_tools.py").read_text())
    target = tmp_path / "else" / "where.wasm"
    done = command("build", tmp_path, "-o", target, "--json")
    assert done.code == 0
    file = read_component(target.read_bytes())
    assert done.document["component"] == str(target)
    assert done.document["digest"] == f"sha256:{file.digest}"
    assert done.document["manifest"]["name"] == "text-tools"
    assert done.document["milliseconds"] > 0
    assert "compiling to WebAssembly" in done.err


def test_a_manifest_into_a_finished_component(command, examples, tmp_path):
    finished = examples / "text-tools" / "build" / "text-tools.wasm"
    toml = (TEXT_TOOLS / "plugin.toml").read_text().replace("1.0.0", "2.3.4")
    (tmp_path / "plugin.toml").write_text(toml)
    done = command("build", tmp_path, "--component", finished)
    target = tmp_path / "build" / "text-tools.wasm"
    assert (done.code, done.out) == (0, f"{target}\n")
    assert read_component(target.read_bytes()).manifest_document["version"] == "2.3.4"


def test_a_component_of_another_world(command, examples, tmp_path):
    finished = examples / "text-tools" / "build" / "text-tools.wasm"
    done = command("build", examples / "ngram-embedder", "--component", finished, "--json")
    assert (done.code, done.error["type"]) == (1, "InvalidComponentError")


def test_a_core_module(command, tmp_path):
    module = tmp_path / "core.wasm"
    module.write_bytes(b"\0asm\1\0\0\0")
    target = tmp_path / "target.wasm"
    done = command("build", TEXT_TOOLS, "--component", module, "-o", target)
    assert (done.code, done.out) == (1, "")
    assert "it does not export 'orchestrator:plugin/lifecycle@1.0.0#health-check'" in done.err
    assert not target.exists()


@pytest.mark.parametrize(
    ("toml", "error"),
    [(None, "PluginValidationError"), ("name =", "PluginValidationError")],
    ids=["missing", "faulty"],
)
def test_plugin_toml(command, tmp_path, toml, error):
    if toml is not None:
        (tmp_path / "plugin.toml").write_text(toml)
    done = command("build", tmp_path, "--json")
    assert (done.code, done.error["type"]) == (1, error)


def test_source_that_can_not_be_imported(command, tmp_path):
    (tmp_path / "plugin.toml").write_text((TEXT_TOOLS / "plugin.toml").read_text())
    (tmp_path / "text_tools.py").write_text("import no_such_module_anywhere")
    done = command("build", tmp_path, "--json")
    assert (done.code, done.error["type"]) == (1, "PluginBuildError")
    assert "no_such_module_anywhere" in done.error["message"]
