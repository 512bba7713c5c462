"""What has arrived of a streamed answer, put together when it is asked for."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Final

from orchestrator_plugin_sdk.provider import (
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

_MAX_CALLS: Final = 1_000
_MAX_ARGUMENTS: Final = 256 * 1024
"""Tool calls, and characters of all their arguments, that are kept: parsing them takes less than
10 ms."""
_WIDE: Final = 4
"""Bytes of a character of text that is not ASCII, at most."""


@dataclass(slots=True)
class _Call:
    id: str = ""
    name: str = ""
    arguments: list[str] = field(default_factory=list)


class Arrived:
    """Gathers events. Keeps at most `most` bytes of their text: a stream may be longer than what
    may be kept of it."""

    def __init__(self, most: int) -> None:
        self._room = most
        self._room_for_arguments = _MAX_ARGUMENTS
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
            self._add_call(event)
        elif isinstance(event, StreamUsage):
            self._usage = event.usage
        elif isinstance(event, StreamEnd):
            self._reason = event.finish_reason

    def _add_call(self, event: StreamToolCallDelta) -> None:
        self._room_for_arguments -= len(event.arguments_json)
        call = self._calls.get(event.index)
        if self._room_for_arguments < 0 or (call is None and len(self._calls) == _MAX_CALLS):
            self._is_whole = False
        if self._fits(event.id or "", event.name or "", event.arguments_json):
            if call is None:
                call = self._calls[event.index] = _Call()
            call.id = event.id or call.id
            call.name = event.name or call.name
            call.arguments.append(event.arguments_json)

    def _fits(self, *texts: str) -> bool:
        for text in texts:
            self._room -= len(text) * (1 if text.isascii() else _WIDE)
        self._is_whole = self._is_whole and self._room >= 0
        return self._is_whole

    def response(self) -> ModelResponse:
        """What there is. Its `metadata` say `incomplete` if the stream has not ended, or if more
        came than is kept; a tool call whose arguments are not a JSON object yet has none."""
        incomplete = self._reason is None or not self._is_whole
        self._text = ["".join(self._text)]
        return ModelResponse(
            self._text[0],
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
