"""The example `openai-provider`: what it makes of whole answers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from orchestrator_plugin_sdk import Message, ModelResponse, ToolCall, ToolDefinition, Usage
from support.openai_server import Answer, OpenAIServer, completion, json_answer, raw

from .conftest import HELLO, SPENT, Plugins, load_openai

pytestmark = pytest.mark.anyio

WEATHER = ToolDefinition("weather")
CALL = {"id": "call_1", "name": "weather", "arguments": '{"at": "Łódź", "days": [1, 2]}'}


def choice(message: Any, reason: Any = "stop") -> dict[str, Any]:
    return {"choices": [{"index": 0, "message": message, "finish_reason": reason}]}


def told(content: Any, reason: Any = "stop", **message: Any) -> Answer:
    return json_answer(choice({"content": content, **message}, reason))


def calls(*functions: Any, reason: str = "tool_calls") -> dict[str, Any]:
    made = [{"id": f"c{i}", "type": "function", "function": f} for i, f in enumerate(functions)]
    return choice({"content": None, "tool_calls": made}, reason)


ANSWERED: dict[str, tuple[Answer, ModelResponse]] = {
    "text": (
        completion("Hel", "lo", "! 🦊"),
        ModelResponse("Hello! 🦊", SPENT, model="gpt-test-2025", metadata={"id": "chatcmpl-1"}),
    ),
    "a call": (
        completion(calls=[CALL]),
        ModelResponse(
            "",
            SPENT,
            (ToolCall("call_1", "weather", {"at": "Łódź", "days": [1, 2]}),),
            "tool_calls",
            "gpt-test-2025",
            {"id": "chatcmpl-1"},
        ),
    ),
    "text and calls": (
        completion("Let me see.", calls=[CALL, {**CALL, "id": "call_2"}], usage=None),
        ModelResponse(
            "Let me see.",
            tool_calls=(
                ToolCall("call_1", "weather", {"at": "Łódź", "days": [1, 2]}),
                ToolCall("call_2", "weather", {"at": "Łódź", "days": [1, 2]}),
            ),
            finish_reason="tool_calls",
            model="gpt-test-2025",
            metadata={"id": "chatcmpl-1"},
        ),
    ),
    "a call that was insisted on": (
        json_answer(calls({"name": "wait", "arguments": " "}, reason="stop")),
        ModelResponse("", tool_calls=(ToolCall("c0", "wait"),), finish_reason="tool_calls"),
    ),
    "arguments as an object": (
        json_answer(calls({"name": "wait", "arguments": {"s": 1}}, {"name": "go"})),
        ModelResponse(
            "",
            tool_calls=(ToolCall("c0", "wait", {"s": 1}), ToolCall("c1", "go")),
            finish_reason="tool_calls",
        ),
    ),
    "cut": (told("Once", "length"), ModelResponse("Once", finish_reason="length")),
    "filtered": (told(None, "content_filter"), ModelResponse("", finish_reason="content_filter")),
    "refused": (told(None, refusal="No."), ModelResponse("No.", finish_reason="content_filter")),
    "another reason": (told("a", "eos"), ModelResponse("a")),
    "no reason": (told("a", {"x": 1}), ModelResponse("a")),
    "parts": (told([{"type": "text", "text": "a"}, {"text": "b"}, 7]), ModelResponse("ab")),
    "half of the usage": (
        json_answer(
            choice({"content": "a"})
            | {"usage": {"prompt_tokens": 2, "completion_tokens": "x", "total_tokens": -1}}
        ),
        ModelResponse("a", Usage(2, 0, 2)),
    ),
    "half of a letter": (told("a\ud83e"), ModelResponse("a\ufffd")),
    "a mark at the beginning": (
        raw(200, b'\xef\xbb\xbf{"choices": [{"message": {"content": "a"}}]}'),
        ModelResponse("a"),
    ),
}


async def test_answers(plugins: Plugins, api: OpenAIServer) -> None:
    provider = await load_openai(plugins, api)
    for name, (answer, expected) in ANSWERED.items():
        api.script(answer)
        assert await provider.generate(HELLO) == expected, name


async def test_a_call_without_an_id_gets_one(plugins: Plugins, api: OpenAIServer) -> None:
    provider = await load_openai(plugins, api)
    one = {"type": "function", "function": {"name": "wait", "arguments": "{}"}}
    api.script(json_answer(choice({"tool_calls": [one, one]})))
    found = (await provider.generate(HELLO)).tool_calls
    assert len({call.id for call in found}) == 2
    assert all(call.id.startswith("call_") for call in found)


async def test_a_conversation_with_a_tool(plugins: Plugins, api: OpenAIServer) -> None:
    provider = await load_openai(plugins, api)
    api.script(completion(calls=[CALL]), completion("It", " rains"))
    request = replace(HELLO, tools=(WEATHER,))
    wished = await provider.generate(request)
    more = (
        Message("assistant", wished.text, tool_calls=wished.tool_calls),
        Message("tool", "rain", tool_call_id=wished.tool_calls[0].id),
    )
    told = await provider.generate(replace(request, messages=request.messages + more))
    assert told.text == "It rains"
    assert api.problems == []
