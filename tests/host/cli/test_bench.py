"""`orchestrator-plugin bench`."""

import json

import pytest
from support.guests import Guest

REQUEST = json.dumps({"messages": [{"role": "user", "content": "hello"}]})
BRIEFLY = ("--calls", "5", "--loads", "2")
QUANTILES = {"p50", "p95", "p99"}


@pytest.fixture
def component(tmp_path):
    path = tmp_path / "guest.wasm"
    path.write_bytes(Guest().build())
    return path


def test_both_tiers_as_json(command, component):
    done = command("bench", component, "--request", REQUEST, *BRIEFLY, "--json")
    assert done.code == 0
    assert (done.document["plugin"], done.document["calls"], done.document["loads"]) == (
        *("wat-guest", 5, 2),
    )
    assert done.document["places"].keys() == {"in-process", "process"}
    for measured in done.document["places"].values():
        assert [*measured] == ["load", "health_check", "generate"]
        for quantiles in measured.values():
            assert quantiles.keys() == QUANTILES
            assert 0 < quantiles["p50"] <= quantiles["p95"] <= quantiles["p99"]


def test_people_are_shown_a_table(command, component):
    done = command("bench", component, *BRIEFLY, "--tier", "in-process")
    assert done.code == 0
    assert "wat-guest" in done.out
    lines = [line.split() for line in done.out.splitlines()]
    assert {"load", "health_check"} <= {line[0] for line in lines if line}
    assert "process" not in [line[1] for line in lines if len(line) == 5]
    assert "milliseconds, of 5 calls" in done.err


def test_a_method_of_ones_choice_and_a_stream(command, examples):
    folder = examples / "markov-provider"
    options = ("--request", REQUEST, *BRIEFLY, "--tier", "in-process", "--json")
    streamed = command("bench", folder, "stream", *options).document["places"]["in-process"]
    assert [*streamed] == ["load", "health_check", "stream", "first event"]
    assert streamed["first event"]["p50"] <= streamed["stream"]["p50"]


def test_natively(command, examples):
    request = json.dumps(
        {"command": "text.count", "stdin": "one two\n", "policy": {"enabled": True}}
    )
    done = command(
        "bench", examples / "text-tools", "--native", "--request", request, *BRIEFLY, "--json"
    )
    assert done.code == 0
    assert [*done.document["places"]] == ["native"]
    assert [*done.document["places"]["native"]] == ["load", "health_check", "execute"]


def test_a_plugin_that_fails_ends_it(command, tmp_path):
    path = tmp_path / "guest.wasm"
    path.write_bytes(Guest(functions={"generate": "(unreachable)"}).build())
    done = command("bench", path, "--request", REQUEST, *BRIEFLY, "--json")
    assert (done.code, done.error["type"]) == (1, "PluginTrapError")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("generate",), "what should generate be called with? Pass --request"),
        (("health_check", "--request", "{}"), "health_check is measured anyway"),
        (("guess", "--request", "{}"), "there is no method 'guess'"),
        (("embed_texts", "--request", "{}"), "argument 'texts' is missing"),
        (("embed_texts", "--request", '{"texts": []}'), "wat-guest is of the type provider"),
        (("--request", "{"), "--request is not JSON"),
        (("--request", '{"text": 1}'), "request"),
        (("--limit", "speed=1"), "there is no limit 'speed'"),
        (("--native",), "--native runs Python in this process"),
    ],
)
def test_a_command_line_that_is_wrong(command, component, arguments, said):
    done = command("bench", component, *arguments, *BRIEFLY, "--json")
    assert done.code in (1, 2)
    assert said in done.error["message"]


def test_native_is_in_no_tier(command, examples):
    done = command("bench", examples / "text-tools", "--native", "--tier", "process", "--json")
    assert (done.code, done.error["type"]) == (2, "UsageError")
