"""What has arrived of a streamed answer, put together."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from orchestrator_plugin_sdk import (
    FinishReason,
    ModelResponse,
    StreamEnd,
    StreamEvent,
    StreamTextDelta,
    StreamToolCallDelta,
    StreamUsage,
    ToolCall,
    Usage,
)


@dataclass(slots=True)
class _Call:
    id: str = ""
    name: str = ""
    arguments: list[str] = field(default_factory=list)


class Arrived:
    """Gathers events. Keeps at most `most` characters of them: a stream may be longer than what
    may be kept of it."""

    def __init__(self, most: int) -> None:
        self._room = most
        self._text: list[str] = []
        self._calls: dict[int, _Call] = {}
        self._usage = Usage()
        self._reason: FinishReason | None = None
        self._is_whole = True

    def add(self, event: StreamEvent) -> None:
        """Takes the next event."""
        if isinstance(event, StreamTextDelta):
            if self._fits(event.text):
                self._text.append(event.text)
        elif isinstance(event, StreamToolCallDelta):
            if self._fits(f"{event.id or ''}{event.name or ''}{event.arguments_json} "):
                call = self._calls.setdefault(event.index, _Call())
                call.id = event.id or call.id
                call.name = event.name or call.name
                call.arguments.append(event.arguments_json)
        elif isinstance(event, StreamUsage):
            self._usage = event.usage
        elif isinstance(event, StreamEnd):
            self._reason = event.finish_reason

    def _fits(self, text: str) -> bool:
        self._room -= len(text)
        self._is_whole = self._is_whole and self._room >= 0
        return self._is_whole

    def response(self) -> ModelResponse:
        """What there is. Its `metadata` say `incomplete` if the stream has not ended, or if more
        came than is kept; a tool call whose arguments are no JSON object yet has none."""
        incomplete = self._reason is None or not self._is_whole
        return ModelResponse(
            "".join(self._text),
            self._usage,
            tuple(
                ToolCall(call.id, call.name, _arguments("".join(call.arguments)))
                for _, call in sorted(self._calls.items())
            ),
            self._reason or "aborted",
            metadata={"incomplete": True} if incomplete else {},
        )


def _arguments(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text or "{}")
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
