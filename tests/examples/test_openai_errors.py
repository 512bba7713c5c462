"""The example `openai-provider`: what goes wrong, as data; and the key, which is nowhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from orchestrator_plugin_host import Policy
from orchestrator_plugin_sdk import (
    LogEvent,
    MemoryLogger,
    PluginCallError,
    PluginContext,
    StreamTextDelta,
)
from support.openai_server import (
    Answer,
    OpenAIServer,
    completion,
    events,
    failure,
    json_answer,
    raw,
    serving_openai,
)

from .conftest import HELLO, Plugins, collected, load_openai

pytestmark = pytest.mark.anyio

KEY = "sk-proj-0123456789-abcdefghij"
DEEP = b"[" * 100_000
DATES = {"date": "Sun, 06 Nov 1994 08:49:37 GMT", "retry_after": "Sun, 06 Nov 1994 08:49:47 GMT"}


@dataclass(frozen=True)
class Wrong:
    """What a server answers, and what a caller is told of it."""

    answer: Answer
    kind: str
    says: tuple[str, ...] = ()
    retryable: bool | None = None
    wait: int | None = None

    @property
    def again(self) -> bool:
        """Whether another try may go better: by the kind, unless it is said."""
        if self.retryable is not None:
            return self.retryable
        return self.kind in ("unavailable", "rate-limited", "timeout")


def gone(exchange: Any, body: Any) -> None:
    """Closes the connection without an answer."""
    exchange.close_connection = True


def cut(exchange: Any, body: Any) -> None:
    """Closes it within the body."""
    exchange.begin(content_type="application/json")
    exchange.chunk(b'{"choices": [')
    exchange.cut()


def calls(arguments: Any, reason: str = "tool_calls", **function: Any) -> Answer:
    made = [{"id": "c0", "function": {"name": "wait", "arguments": arguments, **function}}]
    return json_answer({"choices": [{"message": {"tool_calls": made}, "finish_reason": reason}]})


STATUSES: dict[str, Wrong] = {
    "in bad order": Wrong(
        failure(400, "Too long.", code="context_length_exceeded"),
        "invalid-request",
        ("answered 400 (context_length_exceeded): Too long.",),
    ),
    "no entry": Wrong(
        failure(401, "Incorrect API key.", type="invalid_request_error", code="invalid_api_key"),
        "unauthenticated",
        ("answered 401 (invalid_api_key): Incorrect API key.",),
    ),
    "no money": Wrong(failure(402, "Pay."), "permission-denied", ("402", "Pay.")),
    "not for you": Wrong(failure(403, "Not in your country."), "permission-denied"),
    "no such model": Wrong(failure(404, "No m.", code="model_not_found"), "not-found", ("No m.",)),
    "too slow": Wrong(failure(408, "Slow."), "timeout"),
    "a conflict": Wrong(failure(409, "Wait."), "unavailable"),
    "too large": Wrong(failure(413, "Large."), "invalid-request"),
    "not to be processed": Wrong(failure(422, "No."), "invalid-request"),
    "too often": Wrong(
        failure(429, "Slow down.", code="rate_limit_exceeded", retry_after="2"),
        "rate-limited",
        ("Slow down.",),
        wait=2_000,
    ),
    "too often, to the millisecond": Wrong(
        failure(429, "Slow down.", retry_after="2", retry_after_ms="350"),
        "rate-limited",
        wait=350,
    ),
    "too often, until": Wrong(failure(429, "Slow down.", **DATES), "rate-limited", wait=10_000),
    "too often, who knows": Wrong(failure(429, "Slow down.", retry_after="soon"), "rate-limited"),
    "quota": Wrong(
        failure(429, "Pay.", code="insufficient_quota", retry_after="2"),
        "rate-limited",
        ("(insufficient_quota): Pay.",),
        retryable=False,
    ),
    "quota, by its type": Wrong(
        failure(429, "Pay.", type="insufficient_quota"), "rate-limited", retryable=False
    ),
    "broken": Wrong(failure(500, "Sorry."), "unavailable", ("Sorry.",)),
    "not there yet": Wrong(failure(501, "Not yet."), "unavailable", retryable=False),
    "behind a gateway": Wrong(
        raw(502, b"<html>\n<h1>Bad gateway</h1>\n\n</html>", content_type="text/html"),
        "unavailable",
        ("answered 502: <html> <h1>Bad gateway</h1> </html>",),
    ),
    "later": Wrong(failure(503, "Later.", retry_after="1.5"), "unavailable", wait=1_500),
    "late": Wrong(failure(504, "Late."), "timeout"),
    "from afar": Wrong(raw(521, b""), "unavailable", ("answered 521",)),
    "overloaded": Wrong(failure(529, "Overloaded."), "unavailable"),
    "a redirect": Wrong(
        raw(307, b"", location="/elsewhere"), "invalid-request", ("307", "is base_url right?")
    ),
    "nothing to say": Wrong(raw(400, b""), "invalid-request", ("answered 400",)),
    "no UTF-8": Wrong(raw(400, b"\xff\xfeno"), "invalid-request", ("no",)),
    "a text for an error": Wrong(
        json_answer({"error": "no"}, 400), "invalid-request", ("400: no",)
    ),
    "only a message": Wrong(
        json_answer({"object": "error", "message": "no", "code": 40001}, 400),
        "invalid-request",
        ("400: no",),
    ),
    "a detail": Wrong(
        json_answer({"detail": [{"loc": ["body"], "msg": "missing"}]}, 422),
        "invalid-request",
        ("'msg': 'missing'",),
    ),
    "a list": Wrong(
        json_answer([{"error": {"code": 400, "message": "no", "status": "INVALID_ARGUMENT"}}], 400),
        "invalid-request",
        ("400 (INVALID_ARGUMENT): no",),
    ),
    "an empty list": Wrong(json_answer([], 400), "invalid-request", ("400",)),
    "too deep": Wrong(raw(400, DEEP), "invalid-request", ("400: [[[[",)),
    "too much": Wrong(failure(400, "no " * 1_000_000), "invalid-request", ("no no",)),
    "no answer": Wrong(gone, "unavailable"),
}

ANSWERS: dict[str, Wrong] = {
    "half of an answer": Wrong(cut, "unavailable", ("cut off",)),
    "a page": Wrong(
        raw(200, b"<html>Welcome", content_type="text/html"),
        "unavailable",
        ("no JSON (text/html): is base_url right?",),
    ),
    "too deep": Wrong(raw(200, DEEP, content_type="application/json"), "unavailable", ("no JSON",)),
    "too large": Wrong(
        raw(200, b" " * 9_000_000, content_type="application/json"),
        "unavailable",
        ("more than 8,388,608 bytes",),
        retryable=False,
    ),
    "no number": Wrong(
        raw(200, b'{"choices": NaN}', content_type="application/json"), "unavailable", ("no JSON",)
    ),
    "an error under 200": Wrong(
        json_answer({"error": {"message": "upstream", "code": 502}}),
        "unavailable",
        ("answered 502: upstream",),
    ),
    "a list": Wrong(json_answer([1]), "unavailable", ("without a choice",)),
    "no choices": Wrong(json_answer({"choices": []}), "unavailable", ("without a choice",)),
    "no choice": Wrong(json_answer({"choices": [1]}), "unavailable", ("without a choice",)),
    "no message": Wrong(json_answer({"choices": [{}]}), "unavailable", ("has no message",)),
    "arguments that are no JSON": Wrong(
        calls('{"a": '), "unavailable", ("the arguments of a call of 'wait', '{\"a\":'",)
    ),
    "arguments that are no object": Wrong(calls("[1]"), "unavailable", ("no JSON object",)),
    "arguments that are a list": Wrong(calls([1]), "unavailable", ("no JSON object",)),
    "arguments that nest": Wrong(
        calls('{"a":' * 60 + "1" + "}" * 60), "unavailable", ("no JSON object",)
    ),
    "arguments that are huge": Wrong(
        calls(f'{{"a": {2**70}}}'), "unavailable", ("no JSON object",)
    ),
    "arguments that were cut": Wrong(
        calls('{"a": ', "length"), "invalid-request", ("max_tokens has cut off",)
    ),
    "no name": Wrong(calls("{}", name=""), "unavailable", ("no name",)),
    "calls that are none": Wrong(
        json_answer({"choices": [{"message": {"tool_calls": {"a": 1}}}]}), "unavailable"
    ),
    "calls without end": Wrong(
        json_answer({"choices": [{"message": {"tool_calls": [{}] * 129}}]}), "unavailable"
    ),
    "a call of nothing": Wrong(
        json_answer({"choices": [{"message": {"tool_calls": [None]}}]}), "unavailable"
    ),
}

SAID = {"choices": [{"index": 0, "delta": {"content": "a"}}]}
ENDED = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}


def call_chunk(index: Any, **function: Any) -> dict[str, Any]:
    return {"choices": [{"delta": {"tool_calls": [{"index": index, "function": function}]}}]}


def error_chunk(**error: Any) -> dict[str, Any]:
    return {"error": {"message": "Sorry.", **error}}


STREAMS: dict[str, Wrong] = {
    "broken off": Wrong(events(SAID, end=False), "unavailable", ("cut off",)),
    "broken off in an event": Wrong(
        events(SAID, b'data: {"choices"', end=False), "unavailable", ("cut off",)
    ),
    "no end": Wrong(events(SAID, ENDED), "unavailable", ("ended the stream before it was done",)),
    "an end that is cut": Wrong(
        events(SAID, ENDED, b"data: [DONE]\n"), "unavailable", ("before it was done",)
    ),
    "no JSON": Wrong(events(SAID, "{no"), "unavailable", ("an event that is no JSON: '{no'",)),
    "too deep": Wrong(events(SAID, DEEP.decode()), "unavailable", ("no JSON: '[[[[",)),
    "no chunk": Wrong(events(SAID, "[1]"), "unavailable", ("no chunk: '[1]'",)),
    "without end": Wrong(
        events(SAID, b"data: " + b"x" * 5_000_000), "unavailable", ("without end",)
    ),
    "an error": Wrong(
        events(SAID, error_chunk(type="server_error"), end=False),
        "unavailable",
        ("answered with an error (server_error): Sorry.",),
    ),
    "an error with a name": Wrong(
        events(SAID, error_chunk(type="invalid_request_error", code=None)), "invalid-request"
    ),
    "an error with a number": Wrong(events(SAID, error_chunk(code=429)), "rate-limited", ("429",)),
    "an error that is a text": Wrong(events(SAID, {"error": "oops"}), "unavailable", ("oops",)),
    "quota": Wrong(
        events(SAID, error_chunk(code="insufficient_quota")), "rate-limited", retryable=False
    ),
    "an error with an event's name": Wrong(
        events(SAID, b'event: error\ndata: {"error": {"message": "Sorry."}}\n\n'),
        "unavailable",
        ("Sorry.",),
    ),
    "a call without a name": Wrong(
        events(SAID, call_chunk(0, arguments="{}"), ENDED, "[DONE]"), "unavailable", ("no name",)
    ),
    "a call far away": Wrong(events(SAID, call_chunk(10**6, name="a")), "unavailable", ("128",)),
    "a call nowhere": Wrong(events(SAID, call_chunk("0", name="a")), "unavailable", ("128",)),
}


def told(error: PluginCallError) -> tuple[Any, ...]:
    return (str(error.kind), error.retryable, error.retry_after_ms)


def check(name: str, wrong: Wrong, error: PluginCallError, port: int) -> None:
    assert told(error) == (wrong.kind, wrong.again, wrong.wait), f"{name}: {error}"
    for said in (f"127.0.0.1:{port}", *wrong.says):
        assert said in error.message, name
    assert len(error.message) < 1_200, name


async def test_what_an_api_says_no_with(plugins: Plugins, api: OpenAIServer) -> None:
    """The same to `generate` and to `stream`; after each the next call works."""
    provider = await load_openai(plugins, api)
    for name, wrong in STATUSES.items():
        api.script(wrong.answer, wrong.answer, completion("on we go"))
        with pytest.raises(PluginCallError) as caught:
            await provider.generate(HELLO)
        check(name, wrong, caught.value, api.server.port)
        with pytest.raises(PluginCallError) as caught:
            await collected(provider.stream(HELLO))
        check(name, wrong, caught.value, api.server.port)
        assert (await provider.generate(HELLO)).text == "on we go", name


async def test_answers_that_are_none(plugins: Plugins, api: OpenAIServer) -> None:
    provider = await load_openai(plugins, api)
    for name, wrong in ANSWERS.items():
        api.script(wrong.answer, completion("on we go"))
        with pytest.raises(PluginCallError) as caught:
            await provider.generate(HELLO)
        check(name, wrong, caught.value, api.server.port)
        assert (await provider.generate(HELLO)).text == "on we go", name


async def test_streams_that_go_wrong(plugins: Plugins, api: OpenAIServer) -> None:
    """What came before has reached the caller."""
    provider = await load_openai(plugins, api)
    for name, wrong in STREAMS.items():
        api.script(wrong.answer, completion("on we go"))
        stream = provider.stream(HELLO)
        assert await anext(stream) == StreamTextDelta("a"), name
        with pytest.raises(PluginCallError) as caught:
            await collected(stream)
        check(name, wrong, caught.value, api.server.port)
        assert (await provider.generate(HELLO)).text == "on we go", name


async def test_nobody_is_there(plugins: Plugins) -> None:
    with serving_openai() as api:
        loaded = await load_openai(plugins, api)
    with pytest.raises(PluginCallError) as caught:
        await loaded.generate(HELLO)
    assert told(caught.value) == ("unavailable", True, None)


async def test_the_real_api_refuses_what_it_would_refuse(
    plugins: Plugins, api: OpenAIServer
) -> None:
    """The server's own rules: without them the other tests would say less."""
    provider = await load_openai(plugins, api)
    nobody = {"messages": [{"role": "tool", "content": "x", "tool_call_id": "c9"}]}
    for wrong in (
        nobody,
        {"messages": [{"role": "user", "content": "x"}], "temperature": 3},
        {"messages": [{"role": "user", "content": "x"}], "stop": list("abcde")},
        {"messages": [{"role": "user", "content": "x", "name": "no name"}]},
    ):
        with pytest.raises(PluginCallError, match="answered 400") as caught:
            await provider.generate(wrong)
        assert caught.value.kind == "invalid-request"
        assert api.problems[-1][:100] in caught.value.message


# The key.


def secret(api: OpenAIServer) -> dict[str, Any]:
    return {"secrets": {"api_key": {"env": "TEST_OPENAI_KEY", "urls": [api.server.origin]}}}


async def test_the_key_reaches_the_server_and_nobody_else(
    plugins: Plugins, api: OpenAIServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def echo(exchange: Any, body: Any) -> None:
        sent = exchange.seen.header("authorization")
        completion(sent, usage=None, refusal=None)(exchange, body)

    monkeypatch.setenv("TEST_OPENAI_KEY", KEY)
    api.key = KEY
    provider = await load_openai(plugins, api, secret(api))
    logger = MemoryLogger()
    api.script(echo, echo)
    response = await provider.generate(HELLO, PluginContext(logger=logger))
    assert response.text == "Bearer [secret]"
    seen = await collected(provider.stream(HELLO, PluginContext(logger=logger)))
    assert KEY not in repr((response, seen, logger.events))
    for sent in api.server.seen:
        assert sent.header("authorization") == f"Bearer {KEY}"
        assert KEY.encode() not in sent.body


async def test_a_key_that_is_wrong_is_not_repeated(
    plugins: Plugins, api: OpenAIServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_OPENAI_KEY", KEY)

    def names_it(exchange: Any, body: Any) -> None:
        sent = exchange.seen.header("authorization")
        failure(401, f"Incorrect API key provided: {sent}.", code="invalid_api_key")(exchange, body)

    provider = await load_openai(plugins, api, secret(api))
    api.script(names_it)
    with pytest.raises(PluginCallError) as caught:
        await provider.generate(HELLO)
    assert caught.value.kind == "unauthenticated"
    assert "Incorrect API key provided: Bearer [secret]." in caught.value.message
    api.key = "sk-another-key"
    with pytest.raises(PluginCallError, match="401"):
        await collected(provider.stream(HELLO))


async def test_without_a_key_it_says_what_the_api_says(plugins: Plugins, api: OpenAIServer) -> None:
    api.key = KEY
    logger = MemoryLogger()
    given = {"base_url": api.base_url, "model": "gpt-test"}
    policy = Policy(http=[{"url": api.server.origin, "methods": ["POST"]}])
    context = PluginContext(logger=logger)
    provider = await plugins.example("openai-provider", given, context=context, policy=policy)
    assert LogEvent("ready", fields={"base_url": api.base_url, "with_key": False}) in logger.events
    with pytest.raises(PluginCallError) as caught:
        await provider.generate(HELLO)
    assert caught.value.kind == "unauthenticated"
