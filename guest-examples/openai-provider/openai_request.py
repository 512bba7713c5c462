"""A `ModelRequest` as the body of a chat completion.

Source: https://platform.openai.com/docs/api-reference/chat/create
"""

from __future__ import annotations

import base64
import json
from typing import Any

from openai_settings import Settings
from orchestrator_plugin_sdk import (
    ErrorKind,
    ImagePart,
    Message,
    ModelRequest,
    PluginCallError,
    ResponseFormat,
    ToolDefinition,
)


def chat_body(req: ModelRequest, settings: Settings, *, stream: bool) -> dict[str, Any]:
    """The body. What the request leaves open is left out, so that the API's defaults hold; of the
    fields of `extra_body`, what the request says comes first.

    Raises `PluginCallError` for what the API would have no way to understand. The `metadata` of a
    request is the orchestrator's own, and stays with it.
    """
    model = req.model or settings.model
    if not model:
        raise _invalid("no model: neither the request nor the config names one")
    if not req.messages:
        raise _invalid("a request needs at least one message")
    body: dict[str, Any] = {
        **settings.extra_body,
        "model": model,
        "messages": [_message(message, i) for i, message in enumerate(req.messages)],
        "stream": stream,
    }
    if stream and settings.stream_usage:
        body["stream_options"] = {"include_usage": True}
    plain = {
        settings.max_tokens_field: req.max_tokens,
        "temperature": req.temperature,
        "top_p": req.top_p,
        "seed": req.seed,
        "stop": [stop for stop in req.stop if stop] or None,
        "response_format": _response_format(req.response_format, settings),
        **_tools(req),
    }
    body.update({name: value for name, value in plain.items() if value is not None})
    return body


def _message(message: Message, index: int) -> dict[str, Any]:
    made: dict[str, Any] = {"role": message.role, "content": _content(message, index)}
    if message.role == "tool":
        if not message.tool_call_id:
            raise _invalid(f"messages[{index}] answers no call: a tool's has a tool_call_id")
        made["tool_call_id"] = message.tool_call_id
        return made
    if message.name:
        made["name"] = message.name
    if message.tool_calls:
        made["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": _arguments(call.arguments, index)},
            }
            for call in message.tool_calls
        ]
        made["content"] = made["content"] or None
    return made


def _content(message: Message, index: int) -> str | list[dict[str, Any]]:
    """Parts only where there is an image: every server understands a text, not every one parts."""
    if isinstance(message.content, str) or not any(
        isinstance(part, ImagePart) for part in message.content
    ):
        return message.text
    return [
        {"type": "image_url", "image_url": {"url": _image(part, index)}}
        if isinstance(part, ImagePart)
        else {"type": "text", "text": part.text}
        for part in message.content
    ]


def _image(image: ImagePart, index: int) -> str:
    if image.data is not None:
        return f"data:{image.media_type};base64,{base64.b64encode(image.data).decode()}"
    if not image.url:
        raise _invalid(f"an image of messages[{index}] has neither data nor url")
    return image.url


def _arguments(arguments: Any, index: int) -> str:
    try:
        return json.dumps(arguments, ensure_ascii=False)
    except TypeError:  # bytes, which a document may hold and JSON may not
        raise _invalid(f"the arguments of a call of messages[{index}] are no JSON") from None


def _tools(req: ModelRequest) -> dict[str, Any]:
    choice = req.tool_choice
    names = [tool.name for tool in req.tools]
    if choice not in ("auto", "none", "required", *names):
        raise _invalid(f"tool_choice is {choice!r}, and no tool has this name")
    if not names:
        if choice == "required":
            raise _invalid("tool_choice is 'required', and there are no tools")
        return {}
    named = {"type": "function", "function": {"name": choice}}
    return {
        "tools": [_tool(tool) for tool in req.tools],
        "tool_choice": choice if choice in ("auto", "none", "required") else named,
    }


def _tool(tool: ToolDefinition) -> dict[str, Any]:
    function: dict[str, Any] = {"name": tool.name}
    if tool.description:
        function["description"] = tool.description
    function["parameters"] = tool.parameters or {"type": "object", "properties": {}}
    return {"type": "function", "function": function}


def _response_format(form: ResponseFormat, settings: Settings) -> dict[str, Any] | None:
    if form.type == "text":
        return None
    if form.type == "json" or form.schema is None:
        return {"type": "json_object"}
    schema: dict[str, Any] = {"name": "answer", "schema": form.schema}
    if settings.strict_schemas:
        schema["strict"] = True
    return {"type": "json_schema", "json_schema": schema}


def _invalid(message: str) -> PluginCallError:
    return PluginCallError(ErrorKind.INVALID_REQUEST, message)
