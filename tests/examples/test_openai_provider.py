"""The example `openai-provider`, natively and in both tiers, against a server that answers and
refuses as OpenAI's does: what it sends, and what it does not."""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import Any

import pytest
from orchestrator_plugin_host import PluginInitError
from orchestrator_plugin_sdk import (
    ImagePart,
    Message,
    ModelRequest,
    PluginCallError,
    PluginValidationError,
    ResponseFormat,
    StreamTextDelta,
    StreamUsage,
    TextPart,
    ToolCall,
    ToolDefinition,
)
from support.openai_server import OpenAIServer, completion

from .conftest import HELLO, SPENT, Plugins, collected, load_openai

pytestmark = pytest.mark.anyio

WEATHER = ToolDefinition("weather", "Tells it.", {"type": "object", "properties": {"at": {}}})

# What is sent.

IMAGE = ImagePart("image/png", data=b"\x89PNG\0")
SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}}
NAMED = {"type": "function", "function": {"name": "weather"}}
TOOL = {
    "type": "function",
    "function": {"name": "weather", "description": "Tells it.", "parameters": WEATHER.parameters},
}
SENT: dict[str, tuple[ModelRequest, dict[str, Any]]] = {
    "the least": (HELLO, {"messages": [{"role": "user", "content": "Hello"}]}),
    "a model of its own": (replace(HELLO, model="other"), {"model": "other"}),
    "all roles": (
        ModelRequest(
            (
                Message("system", "Be brief. 🦊\0"),
                Message("user", "How is it?", name="ada"),
                Message("assistant", "", tool_calls=(ToolCall("c1", "weather", {"at": "ż"}),)),
                Message("tool", "rain", name="weather", tool_call_id="c1"),
                Message("assistant", "Wet.", name="bot", tool_calls=(ToolCall("c2", "weather"),)),
                Message("tool", (TextPart("sun, "), TextPart("later")), tool_call_id="c2"),
                Message("user", ""),
            )
        ),
        {
            "messages": [
                {"role": "system", "content": "Be brief. 🦊\0"},
                {"role": "user", "content": "How is it?", "name": "ada"},
                {
                    "role": "assistant",
                    "content": None,
                    "tool_calls": [
                        {
                            "id": "c1",
                            "type": "function",
                            "function": {"name": "weather", "arguments": '{"at": "ż"}'},
                        }
                    ],
                },
                {"role": "tool", "content": "rain", "tool_call_id": "c1"},
                {
                    "role": "assistant",
                    "content": "Wet.",
                    "name": "bot",
                    "tool_calls": [
                        {
                            "id": "c2",
                            "type": "function",
                            "function": {"name": "weather", "arguments": "{}"},
                        }
                    ],
                },
                {"role": "tool", "content": "sun, later", "tool_call_id": "c2"},
                {"role": "user", "content": ""},
            ]
        },
    ),
    "images": (
        ModelRequest(
            (
                Message(
                    "user",
                    (TextPart("Which?"), IMAGE, ImagePart("", url="https://example.com/a.jpg")),
                ),
            )
        ),
        {
            "messages": [
                {
                    "role": "user",
                    "content": [
                        {"type": "text", "text": "Which?"},
                        {
                            "type": "image_url",
                            "image_url": {
                                "url": "data:image/png;base64,"
                                + base64.b64encode(b"\x89PNG\0").decode()
                            },
                        },
                        {
                            "type": "image_url",
                            "image_url": {"url": "https://example.com/a.jpg"},
                        },
                    ],
                }
            ]
        },
    ),
    "numbers": (
        replace(HELLO, max_tokens=5, temperature=0.0, top_p=0.5, seed=-3, stop=("\n", "", "end")),
        {"max_tokens": 5, "temperature": 0.0, "top_p": 0.5, "seed": -3, "stop": ["\n", "end"]},
    ),
    "no stop is none": (replace(HELLO, stop=("",)), {}),
    "tools": (replace(HELLO, tools=(WEATHER,)), {"tools": [TOOL], "tool_choice": "auto"}),
    "tools not to be used": (
        replace(HELLO, tools=(WEATHER,), tool_choice="none"),
        {"tools": [TOOL], "tool_choice": "none"},
    ),
    "a tool, whichever": (
        replace(HELLO, tools=(WEATHER,), tool_choice="required"),
        {"tools": [TOOL], "tool_choice": "required"},
    ),
    "this tool": (
        replace(HELLO, tools=(WEATHER,), tool_choice="weather"),
        {"tools": [TOOL], "tool_choice": NAMED},
    ),
    "a tool without much to say": (
        replace(HELLO, tools=(ToolDefinition("wait"),)),
        {
            "tools": [
                {
                    "type": "function",
                    "function": {
                        "name": "wait",
                        "parameters": {"type": "object", "properties": {}},
                    },
                }
            ],
            "tool_choice": "auto",
        },
    ),
    "no tools, none to be called": (replace(HELLO, tool_choice="none"), {}),
    "json": (
        replace(HELLO, response_format=ResponseFormat("json")),
        {"response_format": {"type": "json_object"}},
    ),
    "a schema": (
        replace(HELLO, response_format=ResponseFormat("json_schema", SCHEMA)),
        {
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "answer", "schema": SCHEMA},
            }
        },
    ),
    "a schema that is not there": (
        replace(HELLO, response_format=ResponseFormat("json_schema")),
        {"response_format": {"type": "json_object"}},
    ),
    "metadata stays here": (replace(HELLO, metadata={"trace": "secret", "b": b"\0"}), {}),
}


async def test_what_is_sent(plugins: Plugins, api: OpenAIServer) -> None:
    provider = await load_openai(plugins, api)
    plain = {"model": "gpt-test", "messages": [{"role": "user", "content": "Hello"}]}
    for name, (request, expected) in SENT.items():
        api.script(completion("ok"), completion("ok"))
        assert (await provider.generate(request)).text == "ok", name
        assert api.requests[-1] == {**plain, **expected, "stream": False}, name
        assert StreamTextDelta("ok") in await collected(provider.stream(request)), name
        streamed = {"stream": True, "stream_options": {"include_usage": True}}
        assert api.requests[-1] == {**plain, **expected, **streamed}, name
    assert api.problems == []
    for seen in api.server.seen:
        assert seen.header("authorization") is None


CONFIGS: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, str]]] = {
    "names": (
        {"organization": "org-1", "project": "proj-1", "headers": {"X-Title": "tests"}},
        {},
        {"openai-organization": "org-1", "openai-project": "proj-1", "x-title": "tests"},
    ),
    "fields": (
        {
            "max_tokens_field": "max_completion_tokens",
            "strict_schemas": True,
            "stream_usage": False,
            "extra_body": {"reasoning_effort": "low", "seed": 1, "temperature": 0.25},
        },
        {
            "max_completion_tokens": 7,
            "reasoning_effort": "low",
            "seed": 2,
            "temperature": 0.25,
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "answer", "schema": SCHEMA, "strict": True},
            },
        },
        {},
    ),
}


@pytest.mark.parametrize("name", CONFIGS)
async def test_what_the_config_adds(plugins: Plugins, api: OpenAIServer, name: str) -> None:
    config, expected, headers = CONFIGS[name]
    provider = await load_openai(plugins, api, **{"base_url": api.base_url + "//", **config})
    request = HELLO
    if expected:
        schema = ResponseFormat("json_schema", SCHEMA)
        request = replace(HELLO, max_tokens=7, seed=2, response_format=schema)
    api.script(completion("ok"))
    seen = await collected(provider.stream(request))
    assert (StreamUsage(SPENT) in seen) is (name != "fields")
    sent = api.requests[0]
    assert {key: sent.get(key) for key in expected} == expected
    assert ("stream_options" in sent) is (name != "fields")
    assert {key: api.server.seen[0].header(key) for key in headers} == headers
    assert api.server.seen[0].path == "/v1/chat/completions"


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "no model": ({"model": ""}, "no model"),
    "no messages": ({"messages": ()}, "at least one message"),
    "a tool that is not there": ({"tools": (WEATHER,), "tool_choice": "x"}, "no tool has this"),
    "no tools": ({"tool_choice": "required"}, "there are no tools"),
    "an answer to nothing": ({"messages": (Message("tool", "x"),)}, r"messages\[0\] answers no"),
    "an image of nothing": (
        {"messages": (Message("user", (ImagePart("image/png"),)),)},
        r"messages\[0\] has neither data nor url",
    ),
    "bytes for arguments": (
        {"messages": (Message("assistant", tool_calls=(ToolCall("1", "a", {"b": b"\0"}),)),)},
        "are no JSON",
    ),
}


async def test_what_makes_no_sense_is_not_sent(plugins: Plugins, api: OpenAIServer) -> None:
    provider = await load_openai(plugins, api, model="")
    for changes, said in REFUSED.values():
        request = replace(HELLO, **{"model": "m", **changes})
        with pytest.raises(PluginCallError, match=said) as caught:
            await provider.generate(request)
        assert caught.value.kind == "invalid-request"
        with pytest.raises(PluginCallError, match=said):
            await collected(provider.stream(request))
    assert api.server.seen == []


BAD_CONFIGS: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"base_url": "api.openai.com"}, PluginInitError, "base_url is like https://"),
    ({"base_url": "https://a.example/v1?key=1"}, PluginInitError, "without a query"),
    ({"max_tokens_field": "tokens"}, PluginInitError, "max_tokens or max_completion_tokens"),
    ({"headers": {"a": 1}}, PluginInitError, "headers are texts"),
    ({"extra_body": {"n": 2, "stream": False}}, PluginInitError, "can't have n, stream"),
    ({"base_url": 1}, PluginValidationError, "expected text"),
    ({"api_key": "sk-in-the-wrong-place"}, PluginValidationError, "unknown key"),
]


async def test_a_config_that_is_none(plugins: Plugins, api: OpenAIServer) -> None:
    for config, error, said in BAD_CONFIGS:
        with pytest.raises(error, match=said) as caught:
            await load_openai(plugins, api, **config)
        assert "sk-in-the-wrong-place" not in str(caught.value)


async def test_what_it_says_of_itself(plugins: Plugins, api: OpenAIServer) -> None:
    provider = await load_openai(plugins, api, vision=True)
    said = provider.capabilities()
    assert (said.supports_streaming, said.supports_tool_calling, said.supports_json_mode) == (
        True,
        True,
        True,
    )
    assert (said.modality, said.models) == ("vision", ("gpt-test",))
    health = await provider.health_check()
    assert (health.healthy, health.message) == (True, f"asks 127.0.0.1:{api.server.port}")
    assert api.server.seen == []
