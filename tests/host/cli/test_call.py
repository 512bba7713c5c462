"""`orchestrator-plugin call`."""

import json
import os
from pathlib import Path

import pytest
from support.wasi import wasi_guest

HELLO = {"messages": [{"role": "user", "content": "hello"}], "seed": 7, "max_tokens": 5}
COUNT = {"command": "text.count", "stdin": "one two\n"}
ALLOWED = {"enabled": True}


def as_json(value):
    return json.dumps(value)


@pytest.mark.parametrize("native", [(), ("--native",)], ids=["sandboxed", "native"])
@pytest.mark.parametrize("request_", [HELLO, {"request": HELLO}], ids=["bare", "named"])
def test_generate(command, examples, native, request_):
    folder = examples / "markov-provider"
    done = command("call", folder, "generate", "--request", as_json(request_), "--json", *native)
    assert done.code == 0
    assert done.document["text"] == "The sun was up. The"
    assert done.document["usage"]["output_tokens"] == 5
    assert "trained the Markov chain" in done.err


def test_people_are_shown_json_too_and_how_it_ran(command, examples):
    folder = examples / "text-tools"
    request = as_json({**COUNT, "policy": ALLOWED})
    sandboxed = command("call", folder, "execute", "--request", request)
    assert (sandboxed.code, sandboxed.document["stdout"]) == (0, "1 2 8\n")
    assert "text-tools sandboxed (in-process tier)" in sandboxed.err
    in_worker = command("call", folder, "execute", "--request", request, "--tier", "process")
    assert json.loads(in_worker.out)["stdout"] == "1 2 8\n"
    assert "text-tools sandboxed (process tier)" in in_worker.err
    native = command("call", folder, "execute", "--request", request, "--native")
    assert native.document["stdout"] == "1 2 8\n"
    assert "not sandboxed" in native.err


def test_stream_for_programs_is_an_object_a_line(command, examples):
    component = examples / "markov-provider" / "build" / "markov-provider.wasm"
    done = command("call", component, "stream", "--request", as_json(HELLO), "--json")
    events = [json.loads(line) for line in done.out.splitlines()]
    assert done.code == 0
    assert [event["type"] for event in events] == [*["text_delta"] * 5, "usage", "end"]
    assert "".join(event.get("text", "") for event in events) == "The sun was up. The"


def test_stream_for_people_is_text(command, examples):
    done = command("call", examples / "markov-provider", "stream", "--request", as_json(HELLO))
    assert (done.code, done.out) == (0, "The sun was up. The\n")
    assert "finish reason: length" in done.err


def test_stream_of_tool_calls_for_people(command, examples):
    tool = {"name": "look", "parameters": {"properties": {}, "required": []}}
    request = as_json({**HELLO, "tools": [tool], "tool_choice": "required"})
    done = command("call", examples / "markov-provider", "stream", "--request", request)
    assert json.loads(done.out.splitlines()[0])["name"] == "look"


@pytest.mark.parametrize("options", [("--json",), ()])
def test_vectors_are_arrays_of_numbers(command, examples, options):
    done = command(
        *("call", examples / "ngram-embedder", "embed_texts", "--config", '{"dimensions": 2}'),
        *("--request", '{"texts": ["a b", "c"]}', *options),
    )
    assert [len(row) for row in done.document] == [2, 2]
    assert sum(x * x for x in done.document[0]) == pytest.approx(1, abs=1e-6)


def test_vectors_are_passed_as_arrays_of_numbers(command, examples):
    folder = examples / "memory-vectors"
    item = {"id": "a", "vector": [1, 0.5], "metadata": {"topic": "sea"}}
    stored = command(
        *("call", folder, "upsert", "--json"),
        *("--request", as_json({"repo_id": "r", "items": [item]})),
    )
    assert (stored.code, stored.document) == (0, None)
    query = {"repo_id": "r", "vector": [1, 0.5], "top_k": 3}
    assert command("call", folder, "query", "--json", "--request", as_json(query)).document == []


def test_nothing_to_show_for_people(command, examples):
    done = command(
        *("call", examples / "memory-vectors", "wipe_repo", "--request", '{"repo_id": "r"}')
    )
    assert (done.code, done.out) == (0, "")
    assert "done" in done.err


@pytest.mark.parametrize(
    ("plugin", "method", "request_", "expected"),
    [
        ("ngram-embedder", "dims", {}, 256),
        ("text-tools", "is_allowed", {"command": "text.count", "policy": ALLOWED}, True),
        ("text-tools", "is_allowed", {"command": "text.count", "policy": {}}, False),
        ("memory-vectors", "delete_by_ids", {"repo_id": "r", "ids": ["a"]}, None),
    ],
)
def test_methods(command, examples, plugin, method, request_, expected):
    done = command("call", examples / plugin, method, "--json", "--request", as_json(request_))
    assert (done.code, done.document) == (0, expected)


@pytest.mark.parametrize(
    ("plugin", "method", "key"),
    [
        ("markov-provider", "capabilities", "supports_streaming"),
        ("memory-vectors", "info", "supports_filters"),
        ("misbehaving-tools", "health_check", "healthy"),
    ],
)
def test_methods_without_arguments(command, examples, plugin, method, key):
    assert command("call", examples / plugin, method, "--json").document[key] is True


def test_request_from_a_file_and_from_standard_input(command, examples, tmp_path):
    request = as_json({"command": "text.help", "policy": ALLOWED})
    file = tmp_path / "request.json"
    file.write_text(request)
    call = ("call", examples / "text-tools", "is_allowed", "--json", "--request")
    assert command(*call, f"@{file}").document is True
    assert command(*call, "-", stdin=request).document is True


def test_entry_point(command, examples, tmp_path, monkeypatch):
    folder = examples / "ngram-embedder"
    (tmp_path / "installed_embedder.py").write_text(
        f"from orchestrator_plugin_sdk import load_project\nexport = load_project({str(folder)!r})"
    )
    information = tmp_path / "installed_embedder-1.0.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: x\nVersion: 1.0.0\n")
    (information / "entry_points.txt").write_text(
        "[orchestrator.plugins]\nmy-embedder = installed_embedder:export\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert command("call", "my-embedder", "dims", "--json").document == 256
    inspected = command("inspect", "my-embedder", "--json").document
    assert inspected["form"] == "entry point"
    assert inspected["admission"] == {"admitted": True}


# Errors.


def test_a_limit_reached(command, examples):
    spin = as_json({"command": "spin", "policy": ALLOWED})
    done = command(
        *("call", examples / "misbehaving-tools", "execute", "--json"),
        *("--request", spin, "--limit", "fuel=100_000_000", "--limit", "deadline_ms=20000"),
    )
    assert done.code == 1
    assert done.error["type"] == "FuelExhaustedError"
    assert (done.error["limit"], done.error["value"]) == ("fuel", 100_000_000)
    assert done.error["plugin"] == "misbehaving-tools"


def test_an_error_for_people_is_a_block_without_a_traceback(command, examples):
    request = as_json({"command": "nope", "policy": ALLOWED})
    done = command("call", examples / "text-tools", "execute", "--request", request)
    assert (done.code, done.out) == (1, "")
    assert "PluginCallError" in done.err
    assert "there is no tool 'nope'" in done.err
    assert "Traceback" not in done.err


def test_what_a_plugin_refuses(command, examples):
    request = as_json({**COUNT, "policy": {}})
    done = command("call", examples / "text-tools", "execute", "--request", request, "--json")
    assert done.code == 1
    assert done.error["type"] == "PluginCallError"
    assert (done.error["kind"], done.error["retryable"]) == ("permission-denied", False)


def test_a_crash(command, examples):
    request = as_json({"command": "crash", "policy": ALLOWED})
    done = command(
        *("call", examples / "misbehaving-tools", "execute", "--request", request, "--json")
    )
    assert (done.code, done.error["type"]) == (1, "PluginTrapError")
    assert done.error["trap"] == "unreachable"


def test_the_misbehaving_example_refuses_to_run_natively(command, examples):
    done = command(*("call", examples / "misbehaving-tools", "health_check", "--native", "--json"))
    assert (done.code, done.error["type"]) == (1, "PluginInitError")


def test_a_method_of_another_kind(command, examples):
    request = as_json(HELLO)
    done = command("call", examples / "text-tools", "generate", "--request", request, "--json")
    assert (done.code, done.error["type"]) == (1, "PluginValidationError")


def test_what_does_not_fit_the_schema(command, examples):
    done = command(
        *("call", examples / "ngram-embedder", "embed_texts", "--json"),
        *("--request", '{"texts": [1]}'),
    )
    assert (done.code, done.error["type"]) == (1, "PluginInputError")


def test_a_folder_that_is_not_built(command, examples, tmp_path):
    source = examples / "text-tools"
    (tmp_path / "plugin.toml").write_text((source / "plugin.toml").read_text())
    done = command("call", tmp_path, "health_check", "--json")
    assert (done.code, done.error["type"]) == (1, "PluginNotFoundError")
    assert f"orchestrator-plugin build {tmp_path}" in done.error["message"]


def test_a_component_that_is_older_than_its_sources(command, examples, tmp_path):
    source = examples / "text-tools"
    component = tmp_path / "build" / "text-tools.wasm"
    component.parent.mkdir()
    component.symlink_to(source / "build" / "text-tools.wasm")
    (tmp_path / "plugin.toml").write_text((source / "plugin.toml").read_text())
    assert "build it again" not in command("call", tmp_path, "health_check").err
    os.utime(tmp_path / "plugin.toml", (2**33, 2**33))
    done = command("call", tmp_path, "health_check")
    assert done.code == 0
    assert "build it again" in done.err


@pytest.mark.parametrize("name", ["missing.wasm", "no-such-entry-point"])
def test_nothing_there(command, name):
    done = command("call", name, "health_check", "--json")
    assert (done.code, done.error["type"]) == (1, "PluginNotFoundError")


def test_a_core_module(command, tmp_path):
    module = tmp_path / "core.wasm"
    module.write_bytes(b"\0asm\1\0\0\0")
    done = command("call", module, "health_check", "--json")
    assert (done.code, done.error["type"]) == (1, "InvalidComponentError")


def test_a_cache_that_can_not_be_used(command, examples, tmp_path, monkeypatch):
    file = tmp_path / "file"
    file.touch()
    monkeypatch.setenv("ORCHESTRATOR_PLUGIN_CACHE", str(file))
    done = command("call", examples / "text-tools", "health_check", "--json")
    assert done.code == 1
    assert "ORCHESTRATOR_PLUGIN_CACHE" in done.error["message"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("nope",), "there is no method 'nope'; there are health_check"),
        (("init",), "there is no method 'init'"),
        (("generate", "--request", "{"), "--request is not JSON"),
        (("generate", "--request", '{"temperature": NaN}'), "NaN is no JSON number"),
        (("generate", "--request", "[" * 100_000), "--request is not JSON"),
        (("generate", "--request", "[]"), "must be a JSON object"),
        (("generate", "--request", "@no-such-file"), "no-such-file can't be read"),
        (("generate", "--config", "x"), "argument 'request' is missing"),
        (("health_check", "--config", "x"), "--config is not JSON"),
        (("health_check", "--request", '{"a": 1}'), "no argument 'a'; it takes no arguments"),
        (("execute", "--request", as_json(COUNT)), "argument 'policy' is missing"),
        (("query", "--request", '{"repo": "r"}'), "no argument 'repo', argument 'repo_id' is"),
        (("health_check", "--limit", "speed=1"), "there is no limit 'speed'; there are fuel"),
        (("health_check", "--limit", "fuel"), "expected fuel=NUMBER"),
        (("health_check", "--limit", "fuel=much"), "expected fuel=NUMBER"),
        (("health_check", "--limit", "fuel=0"), "greater than 0"),
        (("health_check", "--native"), "is a component"),
    ],
)
def test_usage_errors(command, arguments, said):
    for_programs = command("call", "plugin.wasm", *arguments, "--json")
    assert (for_programs.code, for_programs.error["type"]) == (2, "UsageError")
    assert said in for_programs.error["message"]
    for_people = command("call", "plugin.wasm", *arguments)
    assert (for_people.code, for_people.out) == (2, "")
    assert "UsageError" in for_people.err


def test_a_faulty_plugin_toml(command, tmp_path: Path):
    (tmp_path / "plugin.toml").write_text('name = "No Good"')
    done = command("call", tmp_path, "health_check", "--json")
    assert (done.code, done.error["type"]) == (1, "PluginValidationError")
    assert {"type", "version"} <= {problem["path"] for problem in done.error["problems"]}


def test_what_a_component_may_import_is_granted(command, tmp_path):
    file = tmp_path / "wasi.wasm"
    file.write_bytes(wasi_guest().build())
    refused = command("call", str(file), "health_check", "--json")
    assert refused.code == 1
    assert "Policy(wasi='core')" in refused.error["message"]
    granted = ("call", str(file), "health_check", "--json", "--wasi", "core")
    assert "tier='process'" in command(*granted).error["message"]
    assert command(*granted, "--tier", "process").document["healthy"]
