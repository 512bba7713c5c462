"""A server on loopback that speaks OpenAI's chat completions, as the real one does: it refuses what
that would refuse, and a test writes what it answers.

    with serving_openai() as api:
        api.script(completion("Hello!"))
        … a plugin asks f"{api.base_url}/chat/completions" …
        assert api.requests[0]["model"] == "gpt-test"

A completion is streamed where the request asks for that, one event for each token. With a `gate`,
the next event is sent once the test has said that it has seen the one before.
"""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from .openai_rules import problem_of
from .servers import Exchange, Server, serving

PATH = "/v1/chat/completions"
USAGE = {
    "prompt_tokens": 9,
    "completion_tokens": 12,
    "total_tokens": 21,
    "prompt_tokens_details": {"cached_tokens": 4},
    "completion_tokens_details": {"reasoning_tokens": 5},
}

Answer = Callable[[Exchange, Mapping[str, Any]], None]
"""Answers a request, whose body was found in order."""


@dataclass
class OpenAIServer:
    """The server. `requests` are the bodies that were in order, `problems` what was wrong with the
    others."""

    server: Server
    key: str | None = None
    requests: list[dict[str, Any]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    answers: deque[Answer] = field(default_factory=deque)

    @property
    def base_url(self) -> str:
        """What a client's config has."""
        return f"{self.server.origin}/v1"

    def script(self, *answers: Answer) -> None:
        """The answers to the next requests, in their order."""
        self.answers.extend(answers)

    def serve(self, exchange: Exchange) -> None:
        """Answers an exchange."""
        sent = exchange.seen.header("authorization")
        if self.key is not None and sent != f"Bearer {self.key}":
            failure(401, "Incorrect API key provided.", code="invalid_api_key")(exchange, {})
            return
        body, problem = _read(exchange)
        if problem is not None:
            self.problems.append(problem)
            failure(400, problem, type="invalid_request_error")(exchange, {})
            return
        self.requests.append(body)
        self.answers.popleft()(exchange, body)


def _read(exchange: Exchange) -> tuple[dict[str, Any], str | None]:
    if exchange.seen.method != "POST":
        return {}, "Not allowed to request this resource with this method."
    if exchange.seen.header("content-type") != "application/json":
        return {}, "The content type is application/json."
    try:
        body = json.loads(exchange.seen.body)
    except ValueError:
        return {}, "We could not parse the JSON body of your request."
    return body, problem_of(body)


def completion(
    *tokens: str,
    calls: Iterable[Mapping[str, Any]] = (),
    reason: str | None = None,
    usage: Any = USAGE,
    gate: threading.Semaphore | None = None,
    **message: Any,
) -> Answer:
    """An answer of these tokens, or with tool `calls`: `{"id", "name", "arguments"}`. `message` is
    more of its message."""
    made = [
        {"id": one["id"], "type": "function"}
        | {"function": {"name": one["name"], "arguments": one["arguments"]}}
        for one in calls
    ]
    ended = reason or ("tool_calls" if made else "stop")

    def answer(exchange: Exchange, body: Mapping[str, Any]) -> None:
        head = {"id": "chatcmpl-1", "created": 1, "model": f"{body['model']}-2025"}
        if not body.get("stream"):
            said = {"role": "assistant", "content": "".join(tokens) or None, **message}
            said |= {"tool_calls": made} if made else {}
            choice = {"index": 0, "message": said, "finish_reason": ended, "logprobs": None}
            whole = {**head, "object": "chat.completion", "choices": [choice], "usage": usage}
            json_answer(whole)(exchange, body)
            return
        head["object"] = "chat.completion.chunk"
        deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
        deltas += [{"content": token} for token in tokens]
        deltas += [delta for i, call in enumerate(made) for delta in _call_deltas(i, call)]
        chunks = [
            {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
            for delta in deltas
        ]
        chunks.append({**head, "choices": [{"index": 0, "delta": {}, "finish_reason": ended}]})
        if body.get("stream_options", {}).get("include_usage"):
            chunks = [{**chunk, "usage": None} for chunk in chunks]
            chunks.append({**head, "choices": [], "usage": usage})
        events(*chunks, "[DONE]", gate=gate)(exchange, body)

    return answer


def _call_deltas(index: int, call: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """As the API streams a call: its head, then its arguments, a few letters at a time."""
    function = {"name": call["function"]["name"], "arguments": ""}
    yield {"tool_calls": [{**call, "index": index, "function": function}]}
    arguments = call["function"]["arguments"]
    for at in range(0, len(arguments), 4):
        piece = {"arguments": arguments[at : at + 4]}
        yield {"tool_calls": [{"index": index, "function": piece}]}


def events(
    *data: Any, gate: threading.Semaphore | None = None, end: bool = True, **headers: str
) -> Answer:
    """A stream of events: texts as they are, anything else as JSON, bytes as they come on the
    wire. Without an `end` the connection breaks off."""

    def answer(exchange: Exchange, body: Mapping[str, Any]) -> None:
        exchange.begin(**{"content_type": "text/event-stream; charset=utf-8", **headers})
        for one in data:
            if not isinstance(one, bytes):
                text = one if isinstance(one, str) else json.dumps(one)
                one = f"data: {text}\n\n".encode()
            exchange.chunk(one)
            if gate is not None and b'"content": "' in one and b'"content": ""' not in one:
                assert gate.acquire(timeout=30), "the token before has not been seen"
        if end:
            exchange.chunk(b"")
        else:
            exchange.cut()

    return answer


def raw(status: int, body: bytes, **headers: str) -> Answer:
    """A response as it is."""
    return lambda exchange, _: exchange.answer(status, body, **headers)


def json_answer(document: Any, status: int = 200, **headers: str) -> Answer:
    """A response of JSON."""
    body = json.dumps(document).encode()
    return raw(status, body, **{"content_type": "application/json", **headers})


def failure(
    status: int, message: str, *, type: str = "api_error", code: str | None = None, **headers: str
) -> Answer:
    """An error, in the API's form."""
    error = {"message": message, "type": type, "param": None, "code": code}
    return json_answer({"error": error}, status, **headers)


@contextmanager
def serving_openai(key: str | None = None) -> Iterator[OpenAIServer]:
    """The server. With a `key` it lets nobody in who has not this one."""
    with serving({}) as server:
        api = OpenAIServer(server, key)
        server.answers[PATH] = api.serve
        yield api
