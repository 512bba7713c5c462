"""`orchestrator-plugin demo`."""

import json
import os
import re
import subprocess
import sys

import pytest

MAIN = [sys.executable, "-c", "from orchestrator_plugin_host.cli import main; main()"]
EXPECTED = {
    "fuel": "FuelExhaustedError",
    "deadline": "DeadlineExceededError",
    "memory": "MemoryLimitError",
    "document size": "DocumentTooLargeError",
    "log events": "LogLimitError",
    "no limit but a crash": "PluginTrapError",
}


def test_for_programs(command, examples):
    done = command("demo", "--examples", examples, "--json")
    found = done.document
    assert done.code == 0
    assert found["ok"] is True
    assert [plugin["type"] for plugin in found["plugins"]] == [
        "provider",
        "embedder",
        "vector_memory_backend",
        "tool_executor",
    ]
    for plugin in found["plugins"]:
        assert plugin["agree"] is True
        assert plugin["build_milliseconds"] is None
        for call in plugin["calls"]:
            assert call["native"] == call["sandboxed"]
            assert call["native_milliseconds"] >= 0
    query = found["plugins"][2]["calls"][1]["native"]
    assert [one["metadata"] for one in query] == [{"topic": "sea"}] * 2
    assert {one["about"]: one["error"]["type"] for one in found["limits"]} == EXPECTED
    assert all(one["hit"] and one["survived"] for one in found["limits"])
    assert "markov-provider: ready" in done.err
    native, *sandboxed = found["attack"]["played"]
    assert len(native["lost"]) == native["canaries"] == 11
    assert {one["side"] for one in sandboxed} == {"in-process", "process"}
    for one in sandboxed:
        assert one["lost"] == []
        assert one["answer"] == native["answer"]
        assert any(line.startswith("http POST http://127.0.0.1:") for line in one["denied"])


def test_answers_that_differ_are_told_apart(command, own_examples):
    source = own_examples / "text-tools" / "text_tools.py"
    changed = source.read_text().replace('re.sub(r"[\\W_]+", "-"', 're.sub(r"[\\W_]+", "_"')
    source.write_text(changed)
    done = command("demo", "--examples", own_examples)
    assert done.code == 1
    assert "creme_brulee_a_la_carte" in done.out
    assert "creme-brulee-a-la-carte" in done.out
    assert done.out.count("the same, natively and sandboxed") == 3
    assert "native and sandboxed do not agree" in done.out
    assert "✗  3 of 4 plugins agree, 6 of 6 bad calls stopped and survived" in done.out
    for error in EXPECTED.values():
        assert f"{error} after" in done.out


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such terminals")
def test_on_a_terminal_tokens_appear_one_by_one(examples, cache_directory):
    import pty

    ours, theirs = pty.openpty()
    path = os.pathsep.join(entry for entry in sys.path if entry)
    with subprocess.Popen(
        [*MAIN, "demo", "--examples", str(examples), "--cache", str(cache_directory)],
        env={**os.environ, "PYTHONPATH": path, "TERM": "xterm-256color", "COLUMNS": "100"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    ) as running:
        os.close(theirs)
        shown = _read_all(ours)
    os.close(ours)
    assert running.returncode == 0
    text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", shown)
    spoken = re.findall(r"sandboxed ❯ (.*)", text)
    lengths = sorted({len(words.strip()) for words in spoken})
    assert len(lengths) > 5
    assert "4 of 4 plugins agree" in text


def _read_all(descriptor):
    pieces = []
    while True:
        try:
            piece = os.read(descriptor, 65_536)
        except OSError:  # Linux says the other end is closed in this way
            piece = b""
        if not piece:
            return b"".join(pieces).decode("utf-8", "replace")
        pieces.append(piece)


def test_examples_are_built_when_their_sources_are_newer(own_examples, command, monkeypatch):
    built = []

    def build(directory, output):
        built.append(directory.name)
        raise OSError("no space left")

    monkeypatch.setattr("orchestrator_plugin_host.cli.demo.examples.build", build)
    os.utime(own_examples / "markov-provider" / "markov_provider.py", (2**33, 2**33))
    done = command("demo", "--examples", own_examples, "--json")
    assert built == ["markov-provider"]
    assert (done.code, done.error["message"]) == (1, "no space left")


def test_examples_that_are_not_there(command, tmp_path):
    done = command("demo", "--examples", tmp_path, "--json")
    assert (done.code, done.error["type"]) == (1, "PluginNotFoundError")
    assert "does not hold the example plugins" in done.error["message"]


def test_examples_are_found_from_the_working_directory(own_examples, monkeypatch):
    from orchestrator_plugin_host.cli.demo.examples import find_examples

    inside = own_examples / "text-tools"
    monkeypatch.chdir(inside)
    assert find_examples(None) == own_examples


def test_one_document_only(examples, command):
    done = command("demo", "--examples", examples / "text-tools", "--json")
    assert len(done.out.splitlines()) == 1
    assert json.loads(done.out).keys() == {"error"}
