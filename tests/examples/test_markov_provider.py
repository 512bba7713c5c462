"""The example `markov-provider`, run natively."""

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from orchestrator_plugin_sdk import (
    AbortController,
    ErrorKind,
    Message,
    ModelRequest,
    PluginCallError,
    PluginContext,
    ProviderAdapterPlugin,
    ResponseFormat,
    StreamEnd,
    StreamTextDelta,
    StreamToolCallDelta,
    StreamUsage,
    ToolDefinition,
    load_plugin,
    load_project,
)

pytestmark = pytest.mark.anyio
FOLDER = Path(__file__).parents[2] / "guest-examples" / "markov-provider"
CTX = PluginContext()
ASK = ModelRequest((Message("user", "Tell me about the sea."),), seed=7)
TOOL = ToolDefinition(
    "book",
    parameters={
        "type": "object",
        "properties": {
            "title": {"type": "string"},
            "copies": {"type": "integer", "minimum": 3, "maximum": 5},
            "size": {"enum": ["small", "large"]},
            "gift": {"type": "boolean"},
            "notes": {"type": "array", "items": {"type": ["string", "null"]}},
            "to": {"properties": {"name": {"type": "string"}}, "required": ["name"]},
            "anything": True,
            "optional": {"type": "string"},
        },
        "required": ["title", "copies", "size", "gift", "notes", "to", "anything"],
    },
)


async def load(**config: object) -> ProviderAdapterPlugin:
    plugin = await load_plugin(load_project(FOLDER), config)
    assert isinstance(plugin, ProviderAdapterPlugin)
    return plugin


async def collect(plugin, request, ctx=CTX):
    return [event async for event in plugin.stream(request, ctx)]


async def test_the_same_seed_gives_the_same_answer_and_others_do_not():
    one, other = await load(), await load()
    first = await one.generate(ASK, CTX)
    assert first == await one.generate(ASK, CTX) == await other.generate(ASK, CTX)
    assert first.text.endswith((".", "!", "?"))
    assert first.finish_reason == "stop"
    answers = {(await one.generate(replace(ASK, seed=n), CTX)).text for n in range(20)}
    assert len(answers) > 10


async def test_without_a_seed_the_contexts_randomness_decides():
    plugin = await load()
    request = replace(ASK, seed=None)
    answers = {(await plugin.generate(request, CTX)).text for _ in range(20)}
    assert len(answers) > 1


async def test_a_corpus_of_ones_own_is_learnt_and_nothing_is_made_up():
    plugin = await load(corpus="zebras zigzag zealously")
    answers = [(await plugin.generate(replace(ASK, seed=n), CTX)).text for n in range(300)]
    pairs = set(pairwise(" ".join(answers).split()))
    assert [pair for pair in pairs if pair[0] == "zebras"] == [("zebras", "zigzag")]
    assert [pair for pair in pairs if pair[0] == "zigzag"] == [("zigzag", "zealously.")]


async def test_temperature_zero_leaves_nothing_to_chance():
    plugin = await load()
    first = [
        (await plugin.generate(replace(ASK, seed=n, temperature=0, max_tokens=3), CTX)).text
        for n in range(10)
    ]
    assert len(set(first)) == 1
    extremes = [replace(ASK, temperature=t) for t in (5e-324, 1e-3, 1e300, float("inf"))]
    for request in extremes:
        assert (await plugin.generate(request, CTX)).text


@pytest.mark.parametrize("max_tokens", [1, 2, 5])
async def test_max_tokens_cuts_the_answer_and_says_so(max_tokens):
    plugin = await load()
    whole = await plugin.generate(ASK, CTX)
    cut = await plugin.generate(replace(ASK, max_tokens=max_tokens), CTX)
    assert cut.finish_reason == "length"
    assert len(cut.text.split()) == cut.usage.output_tokens == max_tokens
    assert whole.text.startswith(cut.text)


async def test_an_answer_as_long_as_allowed_is_not_cut():
    plugin = await load()
    whole = await plugin.generate(ASK, CTX)
    limit = whole.usage.output_tokens
    assert await plugin.generate(replace(ASK, max_tokens=limit), CTX) == whole
    shorter = await plugin.generate(replace(ASK, max_tokens=limit - 1), CTX)
    assert shorter.finish_reason == "length"


async def test_the_earliest_stop_ends_the_answer():
    plugin = await load()
    whole = (await plugin.generate(ASK, CTX)).text
    words = whole.split()
    stops = (words[4], "", f"{words[1]} {words[2]}", "not in it")
    answer = await plugin.generate(replace(ASK, stop=stops), CTX)
    assert answer.text == whole[: min(whole.index(words[4]), whole.index(stops[2]))]
    assert answer.finish_reason == "stop"
    assert not any(stop in answer.text for stop in stops if stop)
    nothing = await plugin.generate(replace(ASK, stop=(words[0],)), CTX)
    assert (nothing.text, nothing.usage.output_tokens) == ("", 0)


@pytest.mark.parametrize("max_tokens", [None, 1, 2, 4])
@pytest.mark.parametrize("stop", [(), (" ",), ("e",)])
async def test_json_is_an_object_whatever_cuts_the_words(max_tokens, stop):
    plugin = await load()
    request = replace(ASK, response_format=ResponseFormat("json"), max_tokens=max_tokens, stop=stop)
    answer = await plugin.generate(request, CTX)
    assert isinstance(json.loads(answer.text)["answer"], str)
    assert answer.usage.output_tokens <= (max_tokens or 80)
    if max_tokens and not stop:
        assert answer.finish_reason == "length"


async def test_json_schema_gives_the_required_properties():
    plugin = await load()
    form = ResponseFormat("json_schema", TOOL.parameters)
    answer = await plugin.generate(replace(ASK, response_format=form), CTX)
    assert set(json.loads(answer.text)) == set(TOOL.parameters["required"])
    cut = await plugin.generate(replace(ASK, response_format=form, max_tokens=2), CTX)
    assert (cut.finish_reason, cut.usage.output_tokens) == ("length", 2)
    without = replace(ASK, response_format=ResponseFormat("json_schema"))
    assert "answer" in json.loads((await plugin.generate(without, CTX)).text)


@pytest.mark.parametrize("choice", ["required", "book"])
async def test_a_required_tool_is_called_with_arguments_that_fit(choice):
    plugin = await load()
    for seed in range(20):
        request = replace(ASK, tools=(TOOL,), tool_choice=choice, seed=seed)
        answer = await plugin.generate(request, CTX)
        assert (answer.text, answer.finish_reason) == ("", "tool_calls")
        (call,) = answer.tool_calls
        assert call.name == "book"
        assert call.id
        assert set(call.arguments) == set(TOOL.parameters["required"])
        assert isinstance(call.arguments["title"], str)
        assert call.arguments["copies"] in (3, 4, 5)
        assert call.arguments["size"] in ("small", "large")
        assert isinstance(call.arguments["gift"], bool)
        assert isinstance(call.arguments["notes"][0], str)
        assert isinstance(call.arguments["to"]["name"], str)


async def test_a_named_tool_is_the_one_called():
    plugin = await load()
    tools = (ToolDefinition("one"), TOOL, ToolDefinition("two"))
    for seed in range(10):
        request = replace(ASK, tools=tools, tool_choice="two", seed=seed)
        (call,) = (await plugin.generate(request, CTX)).tool_calls
        assert (call.name, call.arguments) == ("two", {})


@pytest.mark.parametrize("choice", ["auto", "none"])
async def test_a_tool_that_need_not_be_called_is_not(choice):
    plugin = await load()
    request = replace(ASK, tools=(TOOL,), tool_choice=choice)
    assert await plugin.generate(request, CTX) == await plugin.generate(ASK, CTX)


@pytest.mark.parametrize(
    "request_",
    [
        ASK,
        replace(ASK, max_tokens=3),
        replace(ASK, stop=("the",)),
        replace(ASK, temperature=0.2),
        replace(ASK, response_format=ResponseFormat("json")),
        replace(ASK, tools=(TOOL,), tool_choice="required"),
    ],
)
async def test_stream_and_generate_agree(request_):
    plugin = await load()
    whole = await plugin.generate(request_, CTX)
    *deltas, usage, end = await collect(plugin, request_)
    assert usage == StreamUsage(whole.usage)
    assert end == StreamEnd(whole.finish_reason)
    assert len(deltas) >= whole.usage.output_tokens
    text = "".join(event.text for event in deltas if isinstance(event, StreamTextDelta))
    assert text == whole.text
    calls = [event for event in deltas if isinstance(event, StreamToolCallDelta)]
    if whole.tool_calls:
        (call,) = whole.tool_calls
        assert (calls[0].id, calls[0].name) == (call.id, call.name)
        assert all(event.id is None and event.name is None for event in calls[1:])
        assert json.loads("".join(event.arguments_json for event in calls)) == call.arguments
    else:
        assert calls == []


async def test_usage_counts_words():
    plugin = await load()
    request = replace(ASK, messages=(Message("system", "Be brief."), Message("user", "a b  c")))
    answer = await plugin.generate(request, CTX)
    assert answer.usage.input_tokens == 5
    assert answer.usage.output_tokens == len(answer.text.split())
    assert answer.usage.total_tokens == 5 + answer.usage.output_tokens


async def test_an_abort_ends_a_stream_between_two_events():
    plugin = await load()
    controller = AbortController()
    stream = plugin.stream(ASK, PluginContext(abort_signal=controller.signal))
    assert isinstance(await anext(stream), StreamTextDelta)
    controller.abort()
    with pytest.raises(PluginCallError) as raised:
        await anext(stream)
    assert raised.value.kind is ErrorKind.ABORTED


@pytest.mark.parametrize(
    "request_",
    [
        ModelRequest(()),
        replace(ASK, max_tokens=0),
        replace(ASK, temperature=-0.1),
        replace(ASK, temperature=float("nan")),
        replace(ASK, tool_choice="required"),
        replace(ASK, tools=(TOOL,), tool_choice="missing"),
    ],
)
async def test_what_cannot_be_answered_is_refused(request_):
    plugin = await load()
    with pytest.raises(PluginCallError) as generated:
        await plugin.generate(request_, CTX)
    with pytest.raises(PluginCallError) as streamed:
        await collect(plugin, request_)
    assert generated.value.kind is streamed.value.kind is ErrorKind.INVALID_REQUEST


async def test_config_is_checked_and_health_follows_the_plugins_life():
    with pytest.raises(PluginCallError) as raised:
        await load(corpus=["not a text"])
    assert raised.value.kind is ErrorKind.INVALID_REQUEST
    plugin = await load()
    assert (await plugin.health_check()).healthy
    more = await load(corpus="Zebras zigzag.")
    words = [(await one.health_check()).details["words"] for one in (plugin, more)]
    assert words[1] == words[0] + 1
    await plugin.shutdown()
    assert not (await plugin.health_check()).healthy
