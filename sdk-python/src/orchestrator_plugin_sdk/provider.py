"""LLM providers: the types of a chat, and the interface `ProviderAdapterPlugin`."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Union

from .plugin import Plugin

if TYPE_CHECKING:
    from .context import PluginContext

Role = Literal["system", "user", "assistant", "tool"]
"""Who speaks in a message."""
FinishReason = Literal["stop", "length", "tool_calls", "content_filter", "aborted"]
"""Why an answer ended."""


@dataclass(frozen=True, slots=True)
class TextPart:
    """Text in a message of several parts."""

    text: str
    type: Literal["text"] = "text"


@dataclass(frozen=True, slots=True)
class ImagePart:
    """An image in a message: its bytes, or where it is."""

    media_type: str
    data: bytes | None = None
    url: str | None = None
    type: Literal["image"] = "image"


ContentPart = Union[TextPart, ImagePart]
"""One part of a message; `type` tells which."""


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A model's wish to have a tool called. `id` ties the answer to it."""

    id: str
    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a chat.

    A `tool` message answers the call named by `tool_call_id`; an `assistant` message may carry
    `tool_calls`.
    """

    role: Role
    content: str | tuple[ContentPart, ...] = ""
    name: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None

    @property
    def text(self) -> str:
        """The text of the message, its parts joined."""
        if isinstance(self.content, str):
            return self.content
        return "".join(part.text for part in self.content if isinstance(part, TextPart))


@dataclass(frozen=True, slots=True)
class ToolDefinition:
    """A tool that a model may call. `parameters` is a JSON Schema of its arguments."""

    name: str
    description: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ResponseFormat:
    """The form of the answer. `schema` (a JSON Schema) goes with `json_schema`."""

    type: Literal["text", "json", "json_schema"] = "text"
    schema: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """What is asked of a model. `tool_choice` is `auto`, `none`, `required` or a tool's name."""

    messages: tuple[Message, ...]
    model: str | None = None
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    stop: tuple[str, ...] = ()
    seed: int | None = None
    tools: tuple[ToolDefinition, ...] = ()
    tool_choice: str = "auto"
    response_format: ResponseFormat = field(default_factory=ResponseFormat)
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens spent. `cached_input_tokens` and `reasoning_tokens` are parts of the sums."""

    input_tokens: int = 0
    output_tokens: int = 0
    total_tokens: int = 0
    cached_input_tokens: int = 0
    reasoning_tokens: int = 0


@dataclass(frozen=True, slots=True)
class ModelResponse:
    """A model's whole answer."""

    text: str
    usage: Usage = field(default_factory=Usage)
    tool_calls: tuple[ToolCall, ...] = ()
    finish_reason: FinishReason = "stop"
    model: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StreamTextDelta:
    """More text of the answer."""

    text: str
    type: Literal["text_delta"] = "text_delta"


@dataclass(frozen=True, slots=True)
class StreamToolCallDelta:
    """More of a tool call. The first delta of an `index` carries `id` and `name`; the
    `arguments_json` pieces of one index, joined, are a JSON object."""

    index: int
    id: str | None = None
    name: str | None = None
    arguments_json: str = ""
    type: Literal["tool_call_delta"] = "tool_call_delta"


@dataclass(frozen=True, slots=True)
class StreamUsage:
    """Tokens spent so far. A later one replaces an earlier one."""

    usage: Usage
    type: Literal["usage"] = "usage"


@dataclass(frozen=True, slots=True)
class StreamEnd:
    """The last event of a stream."""

    finish_reason: FinishReason = "stop"
    type: Literal["end"] = "end"


StreamEvent = Union[StreamTextDelta, StreamToolCallDelta, StreamUsage, StreamEnd]
"""One piece of a streamed answer; `type` tells which."""


@dataclass(frozen=True, slots=True)
class ProviderCapabilities:
    """What a provider can do. Token counts are of its model, if it has one."""

    supports_streaming: bool = False
    supports_tool_calling: bool = False
    supports_json_mode: bool = False
    modality: Literal["text", "vision", "audio", "multimodal"] = "text"
    latency_class: Literal["fast", "medium", "slow"] = "medium"
    models: tuple[str, ...] = ()
    max_input_tokens: int | None = None
    max_output_tokens: int | None = None


class ProviderAdapterPlugin(Plugin):
    """A plugin that adds a large language model."""

    @abstractmethod
    def capabilities(self) -> ProviderCapabilities:
        """What the provider can do, after `init`."""

    @abstractmethod
    async def generate(self, req: ModelRequest, ctx: PluginContext) -> ModelResponse:
        """One whole answer. Raise `PluginCallError` to say no."""

    async def stream(self, req: ModelRequest, ctx: PluginContext) -> AsyncIterator[StreamEvent]:
        """The answer, piece by piece. Unless overridden: `generate`, in one piece."""
        response = await self.generate(req, ctx)
        if response.text:
            yield StreamTextDelta(response.text)
        yield StreamUsage(response.usage)
        yield StreamEnd(response.finish_reason)
