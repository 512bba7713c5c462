"""A chat completion as a `ModelResponse`, and the parts that streams have, too.

What a server leaves out, or writes in a form of its own, is nothing to fail for; what would make
the answer another one is.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from openai_errors import cut, error_in, unusable
from orchestrator_plugin_sdk import (
    ErrorKind,
    FinishReason,
    ModelResponse,
    PluginCallError,
    StreamEnd,
    StreamEvent,
    StreamTextDelta,
    StreamToolCallDelta,
    StreamUsage,
    ToolCall,
    Usage,
    read_json,
)

MAX_CALLS = 128
_DEPTH_OF_ARGUMENTS = 48
"""Levels of a call's arguments: a `ModelResponse` around them has a few of a document's 64."""
_REASONS: Mapping[Any, FinishReason] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
}


def response_of(document: Any, server: str, new_id: Callable[[], str]) -> ModelResponse:
    """The answer. Raises `PluginCallError`: what the API says, or that it makes no sense."""
    error = error_in(document, server)
    if error is not None:
        raise error
    choices = document.get("choices") if isinstance(document, dict) else None
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        raise unusable(server, "answered without a choice: is that a chat completion?")
    message = choices[0].get("message")
    if not isinstance(message, dict):
        raise unusable(server, "answered with a choice that has no message")
    reason = choices[0].get("finish_reason")
    calls = tuple(_calls(message.get("tool_calls"), server, reason, new_id))
    refusal = message.get("refusal")
    model, answer_id = document.get("model"), document.get("id")
    return ModelResponse(
        text=text_of(refusal) or text_of(message.get("content")),
        usage=usage_of(document.get("usage")) or Usage(),
        tool_calls=calls,
        finish_reason=finish_reason(reason, called=bool(calls), refused=bool(text_of(refusal))),
        model=model if isinstance(model, str) else None,
        metadata={"id": answer_id} if isinstance(answer_id, str) else {},
    )


def events_of(response: ModelResponse) -> Iterator[StreamEvent]:
    """An answer as the events of a stream: of a server that does not stream."""
    if response.text:
        yield StreamTextDelta(response.text)
    for index, call in enumerate(response.tool_calls):
        arguments = json.dumps(call.arguments, ensure_ascii=False)
        yield StreamToolCallDelta(index, call.id, call.name, arguments)
    yield StreamUsage(response.usage)
    yield StreamEnd(response.finish_reason)


def text_of(content: Any) -> str:
    """The text of a message's content, which some servers write as parts."""
    if isinstance(content, list):
        return "".join(text_of(part.get("text")) for part in content if isinstance(part, dict))
    return content if isinstance(content, str) else ""


def finish_reason(given: Any, *, called: bool, refused: bool) -> FinishReason:
    """Why an answer ended. With calls it is `tool_calls`, though APIs say `stop` where
    `tool_choice` named the tool; a refusal is `content_filter`."""
    reason = _REASONS.get(given if isinstance(given, str) else None, "stop")
    if reason == "stop" and (called or refused):
        return "tool_calls" if called else "content_filter"
    return reason


def usage_of(given: Any) -> Usage | None:
    """The tokens spent, if they are given."""
    if not isinstance(given, dict):
        return None
    read, written = _count(given, "prompt_tokens"), _count(given, "completion_tokens")
    return Usage(
        input_tokens=read,
        output_tokens=written,
        total_tokens=_count(given, "total_tokens") or read + written,
        cached_input_tokens=_count(given.get("prompt_tokens_details"), "cached_tokens"),
        reasoning_tokens=_count(given.get("completion_tokens_details"), "reasoning_tokens"),
    )


def _count(given: Any, name: str) -> int:
    value = given.get(name) if isinstance(given, dict) else None
    return value if type(value) is int and 0 <= value < 2**53 else 0


def _calls(given: Any, server: str, reason: Any, new_id: Callable[[], str]) -> Iterator[ToolCall]:
    if given is None:
        return
    if not isinstance(given, list) or len(given) > MAX_CALLS:
        raise unusable(server, f"answered with tool calls that are no list of up to {MAX_CALLS}")
    for call in given:
        call = call if isinstance(call, dict) else {}
        function = call.get("function")
        function = function if isinstance(function, dict) else {}
        name = function.get("name")
        if not isinstance(name, str) or not name:
            raise unusable(server, "answered with a tool call that has no name")
        call_id = call.get("id")
        yield ToolCall(
            call_id if isinstance(call_id, str) and call_id else new_id(),
            name,
            _arguments(function.get("arguments"), name, server, reason),
        )


def _arguments(given: Any, name: str, server: str, reason: Any) -> Mapping[str, Any]:
    """The arguments of a call. A model writes them, and may write anything."""
    if given is None or (isinstance(given, str) and not given.strip()):
        return {}  # what some models write for none
    text = given if isinstance(given, str) else json.dumps(given)
    try:
        arguments = read_json(text, _DEPTH_OF_ARGUMENTS)
    except ValueError:
        arguments = None
    if isinstance(arguments, dict):
        return arguments
    shown = f"the arguments of a call of {cut(name, 64)!r}, {cut(text, 200)!r}"
    if reason == "length":
        raise PluginCallError(
            ErrorKind.INVALID_REQUEST,
            f"{server} answered with {shown}, which max_tokens has cut off: allow the model more",
        )
    raise unusable(server, f"answered with {shown}, which are no JSON object")
