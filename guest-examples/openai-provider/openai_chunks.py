"""The chunks of a streamed chat completion as the events of a stream. Knows no transport."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from openai_answer import MAX_CALLS, finish_reason, text_of, usage_of
from openai_errors import cut, error_in, unusable
from orchestrator_plugin_sdk import (
    StreamEnd,
    StreamEvent,
    StreamTextDelta,
    StreamToolCallDelta,
    StreamUsage,
    Usage,
    read_json,
)


@dataclass
class _Call:
    """A tool call that is on its way. `arguments` waits until there is a name to go with it."""

    id: str | None = None
    name: str = ""
    arguments: str = ""
    begun: bool = False


class Chunks:
    """Takes the data of server-sent events, in their order, until `done`."""

    def __init__(self, server: str, new_id: Callable[[], str]) -> None:
        self.done = False
        self._server = server
        self._new_id = new_id
        self._calls: dict[int, _Call] = {}
        self._reason: Any = None
        self._refused = False
        self._usage: Usage | None = None

    def take(self, data: str) -> Iterator[StreamEvent]:
        """What an event says. Raises `PluginCallError`."""
        if data.strip() == "[DONE]":
            self.done = True
            yield from self._end()
            return
        try:
            chunk = read_json(data)
        except ValueError:
            raise unusable(
                self._server, f"sent an event that is no JSON: {cut(data, 200)!r}"
            ) from None
        error = error_in(chunk, self._server)
        if error is not None:
            raise error
        if not isinstance(chunk, dict):
            raise unusable(self._server, f"sent an event that is no chunk: {cut(data, 200)!r}")
        # The last one has it, without choices; some servers have the sum so far in each.
        self._usage = usage_of(chunk.get("usage")) or self._usage
        choices = chunk.get("choices")
        if isinstance(choices, list) and choices and isinstance(choices[0], dict):
            yield from self._choice(choices[0])

    def cut_off(self) -> Exception:
        """The error of a stream that ended before it was done."""
        return unusable(self._server, "ended the stream before it was done")

    def _choice(self, choice: dict[str, Any]) -> Iterator[StreamEvent]:
        self._reason = choice.get("finish_reason") or self._reason
        delta = choice.get("delta")
        if not isinstance(delta, dict):
            return
        text = text_of(delta.get("content"))
        refusal = delta.get("refusal")
        if isinstance(refusal, str) and refusal:
            self._refused = True
            text += refusal
        if text:
            yield StreamTextDelta(text)
        calls = delta.get("tool_calls")
        for call in calls if isinstance(calls, list) else ():
            if isinstance(call, dict):
                yield from self._call(call)

    def _call(self, delta: dict[str, Any]) -> Iterator[StreamEvent]:
        index = self._index(delta)
        call = self._calls.setdefault(index, _Call())
        function = delta.get("function")
        function = function if isinstance(function, dict) else {}
        given_id, name = delta.get("id"), function.get("name")
        if not call.begun:
            call.id = given_id if isinstance(given_id, str) and given_id else call.id
            call.name += name if isinstance(name, str) else ""
        arguments = function.get("arguments")
        if isinstance(arguments, dict):
            arguments = json.dumps(arguments)
        call.arguments += arguments if isinstance(arguments, str) else ""
        if call.name and not call.begun:
            # The first delta of a call has its id and name, even where a server repeats them.
            call.begun = True
            yield StreamToolCallDelta(
                index, call.id or self._new_id(), call.name, self._taken(call)
            )
        elif call.begun and call.arguments:
            yield StreamToolCallDelta(index, arguments_json=self._taken(call))
        elif len(call.arguments) > 1024 * 1024:
            raise unusable(self._server, "sent the arguments of a tool call without its name")

    def _index(self, delta: dict[str, Any]) -> int:
        index = delta.get("index")
        if index is None:  # a server that sends calls whole: one with an id is the next
            index = len(self._calls)
            if not delta.get("id") and self._calls:
                index -= 1
        if type(index) is not int or not 0 <= index < MAX_CALLS:
            raise unusable(self._server, f"sent a tool call that is not one of {MAX_CALLS}")
        return index

    def _taken(self, call: _Call) -> str:
        arguments, call.arguments = call.arguments, ""
        return arguments

    def _end(self) -> Iterator[StreamEvent]:
        if not all(call.begun for call in self._calls.values()):
            raise unusable(self._server, "sent a tool call that has no name")
        if self._usage is not None:
            yield StreamUsage(self._usage)
        yield StreamEnd(
            finish_reason(self._reason, called=bool(self._calls), refused=self._refused)
        )
