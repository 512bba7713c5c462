"""The example `text-tools`, run natively."""

import hashlib
import json
from pathlib import Path

import pytest
from orchestrator_plugin_sdk import (
    AbortController,
    ErrorKind,
    PluginCallError,
    PluginContext,
    ToolExecutorPlugin,
    ToolPolicy,
    ToolRunRequest,
    load_plugin,
    load_project,
)

pytestmark = pytest.mark.anyio
FOLDER = Path(__file__).parents[2] / "guest-examples" / "text-tools"
CTX = PluginContext()
ALL = ToolPolicy(enabled=True)


async def load() -> ToolExecutorPlugin:
    plugin = await load_plugin(load_project(FOLDER))
    assert isinstance(plugin, ToolExecutorPlugin)
    return plugin


async def run(command, *args, stdin="", policy=ALL, ctx=CTX):
    return await (await load()).execute(ToolRunRequest(command, args, stdin), policy, ctx)


FRUIT = "apple\nBanana\ncherry\n"
DOCUMENT = json.dumps({"a": [{"b": "x y"}, {"b": [1, 2]}], "é": None, "": 5})


@pytest.mark.parametrize(
    ("args", "stdin", "exit_code", "stdout"),
    [
        (("text.count",), "one two\nthree", 0, "1 3 13\n"),
        (("text.count",), "", 0, "0 0 0\n"),
        (("text.count", "-m"), "é\n", 0, "2\n"),
        (("text.count", "-c", "-l"), "é\n", 0, "1 3\n"),
        (("text.grep", "an"), FRUIT, 0, "Banana\n"),
        (("text.grep", "^b"), FRUIT, 1, ""),
        (("text.grep", "-i", "^b"), FRUIT, 0, "Banana\n"),
        (("text.grep", "^b", "-in"), FRUIT, 0, "2:Banana\n"),
        (("text.grep", "-v", "-n", "an"), FRUIT, 0, "1:apple\n3:cherry\n"),
        (("text.grep", "-v", "."), FRUIT, 1, ""),
        (("text.grep", "."), "", 1, ""),
        (("text.grep", "e$"), "no newline here", 0, "no newline here\n"),
        (("text.grep", "b"), "a\u2028b\x0bc\n", 0, "a\u2028b\x0bc\n"),
        (("text.grep", "--", "-v"), "x\n-v\n", 0, "-v\n"),
        (("text.replace", "a", "o"), "banana\n", 0, "bonono\n"),
        (("text.replace", r"(\w+)@(\w+)", r"\2 at \1"), "me@home", 0, "home at me"),
        (("text.replace", "$", "!"), "a\nb\n", 0, "a!\nb!\n"),
        (("text.replace", r"\s", ""), "a b\n\nc\n", 0, "ab\n\nc\n"),
        (("text.replace", "-i", "A", "-"), "aA", 0, "--"),
        (("text.replace", "x", "y"), "", 0, ""),
        (("text.sort",), "b\na\nB\n", 0, "B\na\nb\n"),
        (("text.sort", "-r"), "b\nc\na", 0, "c\nb\na\n"),
        (("text.sort", "-u"), "b\na\nb\na\n", 0, "a\nb\n"),
        (("text.sort",), "10\n9\n", 0, "10\n9\n"),
        (("text.sort", "-n"), "10\n 9\n-1.5\nword\n", 0, "-1.5\nword\n 9\n10\n"),
        (("text.sort", "-nr"), "2 b\n10 a\n2 a\n", 0, "10 a\n2 b\n2 a\n"),
        (("text.sort", "-nu"), "9007199254740993\n9007199254740992\n1.0\n1\n", 0,
         "1.0\n9007199254740992\n9007199254740993\n"),
        (("text.sort",), "", 0, ""),
        (("text.json",), '{"b":[1,{}],"a":"é"}', 0,
         '{\n  "b": [\n    1,\n    {}\n  ],\n  "a": "é"\n}\n'),
        (("text.json", "a.0.b"), DOCUMENT, 0, '"x y"\n'),
        (("text.json", "-r", "a.0.b"), DOCUMENT, 0, "x y\n"),
        (("text.json", "-r", "a.1.b.1"), DOCUMENT, 0, "2\n"),
        (("text.json", "é"), DOCUMENT, 0, "null\n"),
        (("text.json", ""), DOCUMENT, 0, "5\n"),
        (("text.diff", "a\nb\n", "a\nb\n"), "", 0, ""),
        (("text.diff", "a\nb\n", "a\nc\n"), "", 1, "--- a\n+++ b\n@@ -1,2 +1,2 @@\n a\n-b\n+c\n"),
        (("text.diff", "a", "a\n"), "", 1,
         "--- a\n+++ b\n@@ -1 +1 @@\n-a\n\\ No newline at end of file\n+a\n"),
        (("text.diff", "- x\n", "--"), "", 1,
         "--- a\n+++ b\n@@ -1 +1 @@\n-- x\n+--\n\\ No newline at end of file\n"),
        (("text.slug",), "Crème Brûlée!\n  Straße_5 -- ok\n", 0, "creme-brulee\nstrasse-5-ok\n"),
        (("text.slug",), "한국어 日本", 0, "한국어-日本\n"),
        (("text.slug",), "!!!", 0, "\n"),
    ],
)  # fmt: skip
async def test_a_tool_does_what_its_kin_does(args, stdin, exit_code, stdout):
    result = await run(*args, stdin=stdin)
    assert (result.exit_code, result.stdout, result.stderr) == (exit_code, stdout, "")
    assert not result.truncated


@pytest.mark.parametrize("algorithm", ["sha256", "sha512", "sha1", "md5", "blake2b"])
async def test_hashes_are_of_the_utf8_bytes(algorithm):
    expected = hashlib.new(algorithm, "héllo\n".encode()).hexdigest() + "\n"
    assert (await run("text.hash", algorithm, stdin="héllo\n")).stdout == expected
    if algorithm == "sha256":
        assert (await run("text.hash", stdin="héllo\n")).stdout == expected


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("text.grep",), "wrong number of arguments; usage: text.grep"),
        (("text.grep", "a", "b"), "wrong number of arguments"),
        (("text.grep", "-ix", "a"), "unknown option -x"),
        (("text.grep", "--ignore-case", "a"), "unknown option --"),
        (("text.grep", "("), "bad pattern"),
        (("text.grep", "(" * 3000 + ")" * 3000), "bad pattern"),
        (("text.replace", "a"), "wrong number of arguments"),
        (("text.replace", "a", r"\1"), "bad replacement"),
        (("text.replace", "a", r"\g<no>"), "bad replacement"),
        (("text.sort", "-x"), "unknown option -x"),
        (("text.diff", "a"), "wrong number of arguments"),
        (("text.slug", "a"), "wrong number of arguments"),
        (("text.hash", "crc32"), "unknown algorithm 'crc32'"),
    ],
)
async def test_a_usage_error_is_exit_code_2_with_a_message(args, message):
    result = await run(*args, stdin="a\n")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(f"{args[0]}: ")
    assert message in result.stderr


@pytest.mark.parametrize(
    ("stdin", "path", "message"),
    [
        ("{", (), "not JSON"),
        ("", (), "not JSON"),
        ("[NaN]", (), "not JSON"),
        ("9" * 5000, (), "not JSON"),
        ("[" * 100_000, (), "nested too deeply"),
        ('["\\"[[", ' + '{"a":[' * 50, (), "nested too deeply"),
        (DOCUMENT, ("b",), "there is no 'b'"),
        (DOCUMENT, ("a.2",), "there is no 'a.2'"),
        (DOCUMENT, ("a.b",), "there is no 'a.b'"),
        (DOCUMENT, ("é.x",), "there is no 'é.x'"),
        (DOCUMENT, ("a.0.b.0",), "there is no 'a.0.b.0'"),
    ],
)
async def test_bad_json_and_paths_to_nothing_are_exit_code_1(stdin, path, message):
    result = await run("text.json", *path, stdin=stdin)
    assert (result.exit_code, result.stdout) == (1, "")
    assert message in result.stderr


@pytest.mark.parametrize("value", ["[" * 200, '"]' * 200, "\\", {"a": "{" * 200}])
async def test_brackets_in_texts_do_not_nest(value):
    assert json.loads((await run("text.json", stdin=json.dumps([value] * 3))).stdout) == [value] * 3


async def test_json_may_nest_a_hundred_deep():
    assert (await run("text.json", stdin="[" * 100 + "]" * 100)).exit_code == 0
    assert (await run("text.json", stdin="[" * 101 + "]" * 101)).exit_code == 1


@pytest.mark.parametrize("text", ['"' * 200_001, '"' + "\\" * 200_001, '"' + "[" * 200_000])
async def test_an_unfinished_text_is_found_in_linear_time(text):
    assert (await run("text.json", stdin=text)).exit_code == 1


@pytest.mark.parametrize(
    ("limit", "stdout", "truncated"),
    [
        (9, "äé€\n", False),
        (8, "äé€\n", False),
        (7, "äé€", True),
        (6, "äé", True),
        (4, "äé", True),
        (3, "ä", True),
        (1, "", True),
        (0, "", True),
        (-1, "", True),
    ],
)
async def test_output_is_cut_between_characters(limit, stdout, truncated):
    policy = ToolPolicy(enabled=True, max_output_bytes=limit)
    result = await run("text.sort", stdin="äé€\n", policy=policy)
    assert (result.stdout, result.truncated, result.exit_code) == (stdout, truncated, 0)


async def test_messages_are_cut_as_well():
    policy = ToolPolicy(enabled=True, max_output_bytes=10)
    result = await run("text.grep", policy=policy)
    assert (result.stderr, result.truncated, result.exit_code) == ("text.grep:", True, 2)


async def test_output_is_always_utf8():
    result = await run("text.json", "-r", "0", stdin=r'["a\ud800b"]')
    assert result.stdout == "a?b\n"


async def test_help_lists_the_tools_that_the_health_check_names():
    tools = (await (await load()).health_check()).details["tools"]
    lines = (await run("text.help")).stdout.splitlines()
    assert [line.split()[0] for line in lines] == tools
    assert {"text.count", "text.grep", "text.replace", "text.sort"} < set(tools)
    assert {"text.json", "text.diff", "text.hash", "text.slug"} < set(tools)


@pytest.mark.parametrize("command", ["text.rm", "grep", "", "text.grep "])
async def test_an_unknown_tool_is_not_found(command):
    assert not (await load()).is_allowed(command, ALL)
    with pytest.raises(PluginCallError) as raised:
        await run(command)
    assert raised.value.kind is ErrorKind.NOT_FOUND


async def test_the_time_is_the_contexts():
    class Clock:
        """Services of which only the clock is there; each look at it takes a quarter second."""

        now = 100.0

        def monotonic(self):
            self.now += 0.25
            return self.now

    result = await run("text.help", ctx=PluginContext(services=Clock()))
    assert result.duration_ms == 250


async def test_an_aborted_call_ends():
    controller = AbortController()
    controller.abort()
    with pytest.raises(PluginCallError) as raised:
        await run("text.help", ctx=PluginContext(abort_signal=controller.signal))
    assert raised.value.kind is ErrorKind.ABORTED
