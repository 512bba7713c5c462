"""What OpenAI's API refuses in the body of a chat completion.

Source: https://platform.openai.com/docs/api-reference/chat/create
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

_NUMBERS = {"temperature": (0, 2), "top_p": (0, 1), "presence_penalty": (-2, 2)}
_INTEGERS = ("max_tokens", "max_completion_tokens", "seed", "n")
_FIELDS = frozenset(
    {
        *_NUMBERS,
        *_INTEGERS,
        "messages",
        "model",
        "reasoning_effort",
        "response_format",
        "stop",
        "stream",
        "stream_options",
        "tool_choice",
        "tools",
    }
)
_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_ROLES = {
    "system": {"role", "content", "name"},
    "user": {"role", "content", "name"},
    "assistant": {"role", "content", "name", "tool_calls"},
    "tool": {"role", "content", "tool_call_id"},
}


def problem_of(body: Any) -> str | None:
    """What is wrong with a body, in words like the API's; none if it is in order."""
    if not isinstance(body, dict):
        return "The body is an object."
    return next(_problems(body), None)


def _problems(body: Mapping[str, Any]) -> Iterator[str]:
    for name in sorted(body.keys() - _FIELDS):
        yield f"Unrecognized request argument supplied: {name}"
    if not isinstance(body.get("model"), str) or not body["model"]:
        yield "you must provide a model parameter"
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        yield "Invalid 'messages': expected an array with minimum length 1."
        return
    yield from _problems_of_messages(messages)
    yield from _problems_of_tools(body)
    for name, (least, most) in _NUMBERS.items():
        value = body.get(name, least)
        if not isinstance(value, (int, float)) or not least <= value <= most:
            yield f"Invalid '{name}': expected a number from {least} to {most}."
    for name in _INTEGERS:
        if name in body and type(body[name]) is not int:
            yield f"Invalid '{name}': expected an integer."
    stop = body.get("stop", [""])
    if not isinstance(stop, list) or not 1 <= len(stop) <= 4:
        yield "Invalid 'stop': expected an array with maximum length 4."
    if not isinstance(body.get("stream", False), bool):
        yield "Invalid 'stream': expected a boolean."
    if "stream_options" in body and not body.get("stream"):
        yield "The 'stream_options' parameter is only allowed when 'stream' is enabled."
    yield from _problems_of_format(body.get("response_format", {"type": "text"}))


def _problems_of_messages(messages: list[Any]) -> Iterator[str]:
    open_calls: list[str] = []
    for i, message in enumerate(messages):
        at = f"messages.[{i}]"
        role = message.get("role")
        if role not in _ROLES:
            yield f"Invalid value: '{role}'. Supported values are {', '.join(_ROLES)}. ({at}.role)"
            return
        unknown = message.keys() - _ROLES[role]
        if unknown:
            yield f"Additional properties are not allowed: {sorted(unknown)} ({at})"
        if "name" in message and not _NAME.fullmatch(message["name"]):
            yield f"Invalid '{at}.name': string does not match pattern."
        if role == "tool":
            if message.get("tool_call_id") not in open_calls:
                yield (
                    "messages with role 'tool' must be a response to a preceeding message with "
                    f"'tool_calls' ({at})."
                )
            else:
                open_calls.remove(message["tool_call_id"])
        elif open_calls:
            yield (
                "An assistant message with 'tool_calls' must be followed by tool messages "
                f"responding to each 'tool_call_id': {open_calls}"
            )
        calls = message.get("tool_calls", [])
        yield from _problems_of_calls(calls, at)
        open_calls += [call["id"] for call in calls]
        yield from _problems_of_content(message, at)
    if open_calls:
        yield f"The following tool_call_ids did not have response messages: {open_calls}"


def _problems_of_calls(calls: list[Any], at: str) -> Iterator[str]:
    for call in calls:
        if call.get("type") != "function" or not isinstance(call.get("id"), str):
            yield f"Missing required parameter: '{at}.tool_calls[].id' or type."
        function = call.get("function", {})
        if not _NAME.fullmatch(function.get("name", "")):
            yield f"Invalid '{at}.tool_calls[].function.name'."
        if not isinstance(function.get("arguments"), str):
            yield f"Invalid '{at}.tool_calls[].function.arguments': expected a string."
        elif not isinstance(json.loads(function["arguments"]), dict):
            yield f"Invalid '{at}.tool_calls[].function.arguments': no object."


def _problems_of_content(message: Mapping[str, Any], at: str) -> Iterator[str]:
    content = message.get("content")
    if isinstance(content, str) or (content is None and message.get("tool_calls")):
        return
    if not isinstance(content, list) or not content:
        yield f"Invalid value for 'content': expected a string, got null ({at}.content)."
        return
    for part in content:
        kind = part.get("type")
        if kind == "text" and part.keys() == {"type", "text"}:
            continue
        if kind == "image_url" and message["role"] == "user":
            url = part.get("image_url", {}).get("url", "")
            if url.startswith(("https://", "http://", "data:image/")):
                continue
        yield f"Invalid content part of type '{kind}' ({at}.content)."


def _problems_of_tools(body: Mapping[str, Any]) -> Iterator[str]:
    tools = body.get("tools", [])
    names = []
    for tool in tools:
        function = tool.get("function", {})
        names.append(function.get("name"))
        if tool.get("type") != "function" or not _NAME.fullmatch(function.get("name", "")):
            yield "Invalid 'tools[].function.name'."
        if function.get("parameters", {"type": "object"}).get("type") != "object":
            yield "Invalid schema for function: schema must be a JSON Schema of 'type: \"object\"'."
    if "tools" in body and not tools:
        yield "[] is too short - 'tools'"
    choice = body.get("tool_choice")
    if choice is None:
        return
    if not tools:
        yield "Invalid value for 'tool_choice': only allowed when 'tools' are specified."
    if isinstance(choice, dict):
        if choice.get("type") != "function" or choice["function"]["name"] not in names:
            yield "Tool choice: function not found in 'tools'."
    elif choice not in ("auto", "none", "required"):
        yield f"Invalid value: '{choice}' (tool_choice)."


def _problems_of_format(form: Mapping[str, Any]) -> Iterator[str]:
    kind = form.get("type")
    if kind == "json_schema":
        schema = form.get("json_schema", {})
        if not _NAME.fullmatch(schema.get("name", "")):
            yield "Missing required parameter: 'response_format.json_schema.name'."
        if not isinstance(schema.get("schema"), dict):
            yield "Missing required parameter: 'response_format.json_schema.schema'."
    elif kind not in ("text", "json_object"):
        yield f"Invalid value: '{kind}' (response_format.type)."
