"""Providers: requests and answers field by field, streams, and the example `markov-provider`."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import aclosing
from typing import Any

import anyio
import pytest
from orchestrator_plugin_host import (
    DocumentTooLargeError,
    Limits,
    LoadedProvider,
    PluginClosedError,
    PluginInputError,
    PluginOutputError,
    PoolSettings,
    StreamLimitError,
)
from orchestrator_plugin_sdk import (
    ErrorKind,
    HealthCheckResult,
    ImagePart,
    LogEvent,
    MemoryLogger,
    Message,
    ModelRequest,
    ModelResponse,
    PluginCallError,
    PluginContext,
    PluginType,
    ProviderAdapterPlugin,
    ProviderCapabilities,
    ResponseFormat,
    StreamEnd,
    StreamEvent,
    StreamTextDelta,
    StreamToolCallDelta,
    StreamUsage,
    TextPart,
    ToolCall,
    ToolDefinition,
    Usage,
    Vector,
    load_plugin,
    load_project,
    to_document,
)
from support.building import EXAMPLES

from .conftest import Plugins

pytestmark = pytest.mark.anyio

NAME = "probe-provider"
ONE = {"pool": PoolSettings(instances=1)}
HELLO = ModelRequest((Message("user", "hello"),))
EVERYTHING = ModelRequest(
    messages=(
        Message("system", "Be brief. 🦊 żółć 漢字 \U0010ffff e\u0301"),
        Message(
            "user",
            (
                TextPart("What is this?\0"),
                ImagePart("image/png", data=bytes(range(256)) * 8),
                ImagePart("image/jpeg", url="https://example.com/cat.jpg"),
            ),
            name="Ada",
        ),
        Message(
            "assistant",
            tool_calls=(
                ToolCall("call_1", "look", {"at": {"x": 1, "y": -0.5}, "tags": [], "deep": None}),
                ToolCall("call_2", "wait"),
            ),
        ),
        Message("tool", "a cat", tool_call_id="call_1"),
        Message("user", ()),
    ),
    model="m-1",
    max_tokens=2**40,
    temperature=0.25,
    top_p=1.0,
    stop=("\n", "", "終"),
    seed=-1,
    tools=(
        ToolDefinition("look", "Looks.", {"type": "object", "properties": {"at": {}}}),
        ToolDefinition("wait"),
    ),
    tool_choice="look",
    response_format=ResponseFormat("json_schema", {"type": "object", "required": ["a"]}),
    metadata={"trace": "🧵", "n": [1, 2.5, True, None, b"\0\xff"], "": {"": {}}},
)


async def collected(stream: Any) -> list[StreamEvent]:
    """All events of a stream."""
    async with aclosing(stream) as events:
        return [event async for event in events]


async def probe(plugins: Plugins, **how: Any) -> LoadedProvider:
    """A provider with methods of a test's own."""
    loaded = await plugins.probe(PluginType.PROVIDER, **how)
    assert isinstance(loaded, LoadedProvider)
    return loaded


# The example.


async def markov_itself() -> ProviderAdapterPlugin:
    """The example without a host: what every way of running it must agree with."""
    plugin = await load_plugin(load_project(EXAMPLES / "markov-provider"))
    assert isinstance(plugin, ProviderAdapterPlugin)
    return plugin


MARKOV_REQUESTS = {
    "text": ModelRequest((Message("user", "Tell me a story"),), seed=7),
    "limited": ModelRequest((Message("user", "Tell me"),), seed=1, max_tokens=3),
    "cold": ModelRequest((Message("user", "x"),), seed=2, temperature=0.0),
    "stopped": ModelRequest((Message("user", "x"),), seed=3, stop=("the", "The")),
    "json": ModelRequest((Message("user", "x"),), seed=4, response_format=ResponseFormat("json")),
    "schema": ModelRequest(
        (Message("user", "x"),),
        seed=5,
        response_format=ResponseFormat(
            "json_schema",
            {"properties": {"n": {"type": "integer"}, "ok": {"type": "boolean"}, "s": {}}}
            | {"required": ["n", "ok", "s"]},
        ),
    ),
    "tool": ModelRequest(
        (Message("user", "x"),),
        seed=6,
        tools=(ToolDefinition("find", parameters={"properties": {"q": {}}, "required": ["q"]}),),
        tool_choice="required",
    ),
}


@pytest.mark.parametrize("request_", MARKOV_REQUESTS.values(), ids=MARKOV_REQUESTS)
async def test_markov_answers_the_same_everywhere(request_: ModelRequest, plugins: Plugins) -> None:
    provider = await plugins.example("markov-provider")
    itself = await markov_itself()
    expected = await itself.generate(request_, PluginContext())
    assert await provider.generate(request_) == expected
    assert await provider.generate(to_document(request_)) == expected
    events = await collected(provider.stream(request_))
    assert events == [event async for event in itself.stream(request_, PluginContext())]
    text = "".join(event.text for event in events if isinstance(event, StreamTextDelta))
    assert text == expected.text
    assert events[-2:] == [StreamUsage(expected.usage), StreamEnd(expected.finish_reason)]


async def test_markov_says_what_it_can_do(plugins: Plugins) -> None:
    provider = await plugins.example("markov-provider")
    assert provider.capabilities() == (await markov_itself()).capabilities()
    assert provider.capabilities().models == ("markov-1",)
    health = await provider.health_check()
    assert health.healthy
    assert health.details["words"] > 50


async def test_markov_refuses_what_it_can_not_do(plugins: Plugins) -> None:
    provider = await plugins.example("markov-provider")
    with pytest.raises(PluginCallError) as caught:
        await provider.generate({"messages": []})
    assert caught.value.kind is ErrorKind.INVALID_REQUEST
    assert caught.value.message == "a request needs at least one message"
    with pytest.raises(PluginCallError, match="at least one message"):
        await collected(provider.stream({"messages": []}))


async def test_markov_without_a_seed_differs(plugins: Plugins) -> None:
    provider = await plugins.example("markov-provider")
    answers = {(await provider.generate(HELLO)).text for _ in range(12)}
    assert len(answers) > 1


# Requests.


async def _echo(self, req, ctx):
    seen = [type(req).__name__, *(type(message).__name__ for message in req.messages)]
    for message in req.messages:
        if not isinstance(message.content, str):
            seen.extend(type(part).__name__ for part in message.content)
        seen.extend(type(call).__name__ for call in message.tool_calls)
    seen.extend(type(tool).__name__ for tool in req.tools)
    seen.append(type(req.response_format).__name__)
    for several in (req.messages, req.messages[0].tool_calls, req.stop, req.tools):
        seen.append(type(several).__name__)
    return ModelResponse("echo", metadata={"request": to_document(req), "types": seen})


async def test_every_field_of_a_request_arrives(plugins: Plugins) -> None:
    provider = await probe(plugins, generate=_echo)
    document = to_document(EVERYTHING)
    types = (
        ["ModelRequest", *["Message"] * 5, "TextPart", "ImagePart", "ImagePart"]
        + ["ToolCall", "ToolCall", "ToolDefinition", "ToolDefinition", "ResponseFormat"]
        + ["tuple"] * 4
    )
    for request in (EVERYTHING, document):
        answer = await provider.generate(request)
        assert answer.metadata == {"request": document, "types": types}


async def test_what_a_request_leaves_out_is_the_default(plugins: Plugins) -> None:
    provider = await probe(plugins, generate=_echo)
    answers = [
        await provider.generate(request)
        for request in (
            ModelRequest((Message("user", "hi"),)),
            {"messages": [{"role": "user", "content": "hi"}]},
            {"messages": ({"role": "user", "content": "hi"},), "model": None, "stop": []},
            {"messages": (Message("user", "hi"),)},
        )
    ]
    assert answers[0].metadata["request"] == to_document(ModelRequest((Message("user", "hi"),)))
    assert all(answer == answers[0] for answer in answers)


async def test_numbers_of_a_request_have_their_type(plugins: Plugins) -> None:
    async def generate(self, req, ctx):
        return ModelResponse(f"{req.temperature!r} {req.top_p!r} {req.metadata!r}")

    provider = await probe(plugins, generate=generate)
    for request in (
        ModelRequest((), temperature=1, top_p=0, metadata={"pair": (1, 2.0)}),
        {"messages": [], "temperature": 1, "top_p": 0, "metadata": {"pair": (1, 2.0)}},
    ):
        assert (await provider.generate(request)).text == "1.0 0.0 {'pair': [1, 2.0]}"


async def test_a_plugin_can_not_change_the_callers_request(plugins: Plugins) -> None:
    async def generate(self, req, ctx):
        req.metadata["list"].append(2)
        req.metadata["new"] = True
        return ModelResponse("")

    provider = await probe(plugins, generate=generate)
    metadata: dict[str, Any] = {"list": [1]}
    await provider.generate(ModelRequest((), metadata=metadata))
    await provider.generate({"messages": [], "metadata": metadata})
    assert metadata == {"list": [1]}


MIB = 1024 * 1024


@pytest.mark.parametrize(
    "text",
    ["a" * (3 * MIB), "漢" * MIB, "\x00" * 5000, "é" * 8193],
    ids=["3MB", "3MB-wide", "0", "é"],
)
async def test_large_documents_arrive(text: str, plugins: Plugins) -> None:
    provider = await probe(plugins)
    answer = await provider.generate(ModelRequest((Message("user", text),)))
    assert answer.text == text


BAD_REQUESTS: dict[str, Any] = {
    "nothing": None,
    "text": "hello",
    "list": [{"role": "user", "content": "hi"}],
    "no-messages": {},
    "messages-not-a-list": {"messages": "hello"},
    "unknown-key": {"messages": [], "temprature": 1},
    "unknown-key-inside": {"messages": [{"role": "user", "contents": "hi"}]},
    "unknown-role": {"messages": [{"role": "wizard", "content": "hi"}]},
    "unknown-role-in-an-object": ModelRequest((Message("wizard", "hi"),)),  # type: ignore[arg-type]
    "message-is-text": ModelRequest(("hi",)),  # type: ignore[arg-type]
    "messages-are-text": ModelRequest("hi"),  # type: ignore[arg-type]
    "number-for-text": {"messages": [], "model": 5},
    "text-for-number": {"messages": [], "max_tokens": "5"},
    "float-for-integer": {"messages": [], "max_tokens": 5.0},
    "flag-for-integer": {"messages": [], "seed": True},
    "flag-for-integer-in-an-object": ModelRequest((), seed=True),
    "nan": {"messages": [], "temperature": float("nan")},
    "infinite-in-an-object": ModelRequest((), temperature=float("inf")),
    "unknown-part": {"messages": [{"role": "user", "content": [{"type": "video"}]}]},
    "text-for-bytes": {
        "messages": [
            {"role": "user", "content": [{"type": "image", "media_type": "x", "data": "x"}]}
        ]
    },
    "number-in-stop": {"messages": [], "stop": ["a", 1]},
    "unknown-form": {"messages": [], "response_format": {"type": "xml"}},
    "object-in-metadata": {"messages": [], "metadata": {"x": object()}},
    "object-in-an-objects-metadata": ModelRequest((), metadata={"x": {1, 2}}),
    "number-key": ModelRequest((), metadata={1: 2}),  # type: ignore[dict-item]
    "huge-integer": ModelRequest((), seed=2**64),
    "lone-surrogate": ModelRequest((Message("user", "\ud800"),)),
    "another-type": Message("user", "hello"),
}


@pytest.mark.parametrize("request_", BAD_REQUESTS.values(), ids=BAD_REQUESTS)
async def test_a_bad_request_is_not_passed_on(request_: Any, plugins: Plugins) -> None:
    async def generate(self, req, ctx):
        ctx.logger.info("called")
        return ModelResponse("")

    async def stream(self, req, ctx):
        ctx.logger.info("called")
        yield StreamEnd()

    logger = MemoryLogger()
    provider = await probe(
        plugins, generate=generate, stream=stream, context=PluginContext(logger=logger)
    )
    with pytest.raises(PluginInputError) as caught:
        await provider.generate(request_)
    assert type(caught.value) is PluginInputError
    assert str(caught.value).startswith(f"generate of plugin {NAME!r}: ")
    with pytest.raises(PluginInputError) as caught:
        await collected(provider.stream(request_))
    assert str(caught.value).startswith(f"stream of plugin {NAME!r}: ")
    assert logger.events == []
    assert (await provider.generate(HELLO)).text == ""


async def test_a_bad_request_is_told_every_fault(plugins: Plugins) -> None:
    provider = await probe(plugins)
    with pytest.raises(PluginInputError) as caught:
        await provider.generate({"messages": [{"role": "user"}, {"role": 1}], "stop": 2})
    assert "messages[1].role" in str(caught.value)
    assert "stop" in str(caught.value)
    assert "messages[0]" not in str(caught.value)


async def test_a_request_may_be_as_large_as_its_limit(plugins: Plugins) -> None:
    provider = await probe(plugins, options={"limits": Limits(document_in_bytes=2000)})
    assert (await provider.generate(ModelRequest((Message("user", "x" * 1500),)))).text
    for call in (
        lambda request: provider.generate(request),
        lambda request: collected(provider.stream(request)),
    ):
        with pytest.raises(DocumentTooLargeError) as caught:
            await call(ModelRequest((Message("user", "x" * 2000),)))
        assert (caught.value.limit, caught.value.value) == ("document_in_bytes", 2000)
        assert "was to get a document of 2," in str(caught.value)


# Answers.


async def test_every_field_of_an_answer_arrives(plugins: Plugins) -> None:
    async def generate(self, req, ctx):
        return ModelResponse(
            "text 🦊\0",
            Usage(1, 2, 3, 4, 2**40),
            (
                ToolCall("id", "name", {"a": [1, {"b": None}], "🔑": 0.5, "raw": b"\xff"}),
                ToolCall("", ""),
            ),
            "tool_calls",
            "m-1",
            {"pair": (1, 2), "kind": ErrorKind.TIMEOUT, "vector": Vector([0.5])},
        )

    provider = await probe(plugins, generate=generate)
    assert await provider.generate(HELLO) == ModelResponse(
        "text 🦊\0",
        Usage(1, 2, 3, 4, 2**40),
        (
            ToolCall("id", "name", {"a": [1, {"b": None}], "🔑": 0.5, "raw": b"\xff"}),
            ToolCall("", ""),
        ),
        "tool_calls",
        "m-1",
        {"pair": [1, 2], "kind": "timeout", "vector": b"\0\0\0?"},
    )


async def test_an_answer_may_be_a_map(plugins: Plugins) -> None:
    def generate(self, req, ctx):
        return {
            "text": "hi",
            "usage": {"input_tokens": 1},
            "tool_calls": [{"id": "1", "name": "n"}],
        }

    provider = await probe(plugins, generate=generate)
    assert await provider.generate(HELLO) == ModelResponse("hi", Usage(1), (ToolCall("1", "n"),))


def _nothing(self, req, ctx):
    return None


def _a_text(self, req, ctx):
    return "hi"


def _number_for_text(self, req, ctx):
    return ModelResponse(5)


def _unknown_key(self, req, ctx):
    return {"text": "", "txt": ""}


def _unknown_reason(self, req, ctx):
    return ModelResponse("", finish_reason="bored")


def _float_for_integer(self, req, ctx):
    return ModelResponse("", usage=Usage(1.0))


def _another_type(self, req, ctx):
    return Usage(1)


@pytest.mark.parametrize(
    "generate",
    [
        _nothing,
        _a_text,
        _number_for_text,
        _unknown_key,
        _unknown_reason,
        _float_for_integer,
        _another_type,
    ],
)
async def test_a_bad_answer_is_refused(generate: Callable[..., Any], plugins: Plugins) -> None:
    provider = await probe(plugins, generate=generate)
    for _ in range(2):
        with pytest.raises(PluginOutputError) as caught:
            await provider.generate(HELLO)
        assert type(caught.value) is PluginOutputError
        assert f"what plugin {NAME!r} answered to generate does not fit" in str(caught.value)


# Capabilities.


async def test_every_capability_arrives_and_is_asked_once(plugins: Plugins) -> None:
    def capabilities(self):
        self.ctx.logger.info("asked")
        return ProviderCapabilities(True, True, True, "multimodal", "slow", ("a", "b"), 2**31, 4096)

    logger = MemoryLogger()
    provider = await probe(plugins, capabilities=capabilities, context=PluginContext(logger=logger))
    for _ in range(2):
        assert provider.capabilities() == ProviderCapabilities(
            True, True, True, "multimodal", "slow", ("a", "b"), 2**31, 4096
        )
    assert logger.events == [LogEvent("asked")]


async def test_a_provider_that_can_not_say_what_it_can_do_is_not_loaded(plugins: Plugins) -> None:
    def fails(self):
        raise PluginCallError("unavailable", "ask later", retry_after_ms=5)

    def answers_badly(self):
        return {"modality": "smell"}

    async def shutdown(self):
        self.ctx.logger.info("shutdown")

    logger = MemoryLogger()
    context = PluginContext(logger=logger)
    with pytest.raises(PluginCallError) as caught:
        await probe(plugins, capabilities=fails, shutdown=shutdown, context=context)
    assert (caught.value.kind, caught.value.retry_after_ms) == (ErrorKind.UNAVAILABLE, 5)
    assert logger.events == [LogEvent("shutdown")]
    with pytest.raises(PluginOutputError, match="answered to capabilities does not fit"):
        await probe(plugins, capabilities=answers_badly, shutdown=shutdown, context=context)
    assert logger.events == [LogEvent("shutdown")] * 2


# Streams.


async def _streams(self, req, ctx):
    yield StreamTextDelta("")
    yield StreamTextDelta("🦊\0")
    yield StreamToolCallDelta(0, "call_1", "look")
    yield {"type": "tool_call_delta", "index": 0, "arguments_json": '{"a":'}
    yield StreamToolCallDelta(0, arguments_json="1}")
    yield StreamUsage(Usage(1, 2, 3))
    yield StreamEnd("tool_calls")


STREAMED = [
    StreamTextDelta(""),
    StreamTextDelta("🦊\0"),
    StreamToolCallDelta(0, "call_1", "look"),
    StreamToolCallDelta(0, arguments_json='{"a":'),
    StreamToolCallDelta(0, arguments_json="1}"),
    StreamUsage(Usage(1, 2, 3)),
    StreamEnd("tool_calls"),
]


async def test_every_event_of_a_stream_arrives(plugins: Plugins) -> None:
    provider = await probe(plugins, stream=_streams)
    assert await collected(provider.stream(HELLO)) == STREAMED
    assert await collected(provider.stream(to_document(HELLO))) == STREAMED


def _list(self, req, ctx):
    return [StreamTextDelta(str(n)) for n in range(3)]


def _generator(self, req, ctx):
    for n in range(3):
        yield StreamTextDelta(str(n))


async def _returns_a_generator(self, req, ctx):
    async def events():
        for n in range(3):
            await ctx.sleep(0)
            yield StreamTextDelta(str(n))

    return events()


@pytest.mark.parametrize("stream", [_list, _generator, _returns_a_generator])
async def test_anything_that_iterates_is_a_stream(
    stream: Callable[..., Any], plugins: Plugins
) -> None:
    provider = await probe(plugins, stream=stream)
    assert await collected(provider.stream(HELLO)) == [StreamTextDelta(str(n)) for n in range(3)]


async def test_without_a_stream_method_the_answer_comes_in_one_piece(plugins: Plugins) -> None:
    async def generate(self, req, ctx):
        return ModelResponse(req.messages[0].text, Usage(1, 1, 2), finish_reason="length")

    provider = await probe(plugins, generate=generate)
    assert await collected(provider.stream(HELLO)) == [
        StreamTextDelta("hello"),
        StreamUsage(Usage(1, 1, 2)),
        StreamEnd("length"),
    ]


async def test_a_stream_may_be_empty(plugins: Plugins) -> None:
    async def stream(self, req, ctx):
        return
        yield

    provider = await probe(plugins, stream=stream)
    assert await collected(provider.stream(HELLO)) == []


async def until_it_raises(stream: Any) -> tuple[list[StreamEvent], Exception | None]:
    """What came of a stream, and what ended it."""
    seen: list[StreamEvent] = []
    try:
        async with aclosing(stream) as events:
            async for event in events:
                seen.append(event)
    except Exception as error:
        return seen, error
    return seen, None


@pytest.mark.parametrize("before", [0, 1, 3])
async def test_a_stream_that_raises(before: int, plugins: Plugins) -> None:
    async def stream(self, req, ctx):
        try:
            for n in range(req.max_tokens):
                yield StreamTextDelta(str(n))
            if req.model == "no":
                raise PluginCallError("rate-limited", "later 🕰", retry_after_ms=9)
            raise ValueError("oh no")
        finally:
            ctx.logger.info("over")

    logger = MemoryLogger()
    provider = await probe(plugins, stream=stream, options=ONE)
    expected = [StreamTextDelta(str(n)) for n in range(before)]
    for model in ("no", "bug"):
        seen, error = await until_it_raises(
            provider.stream(
                ModelRequest((), model=model, max_tokens=before), PluginContext(logger=logger)
            )
        )
        assert seen == expected
        assert type(error) is PluginCallError
        if model == "no":
            assert (error.kind, error.message) == (ErrorKind.RATE_LIMITED, "later 🕰")
            assert (error.retryable, error.retry_after_ms) == (True, 9)
        else:
            assert (error.kind, error.message) == (ErrorKind.INTERNAL, "ValueError: oh no")
            assert (error.retryable, error.retry_after_ms) == (False, None)
    assert logger.events == [LogEvent("over")] * 2
    assert (await provider.generate(HELLO)).text == "hello"


async def test_a_stream_that_is_refused(plugins: Plugins) -> None:
    def stream(self, req, ctx):
        raise PluginCallError("permission-denied", "not you")

    provider = await probe(plugins, stream=stream, options=ONE)
    seen, error = await until_it_raises(provider.stream(HELLO))
    assert seen == []
    assert isinstance(error, PluginCallError)
    assert (error.kind, error.message) == (ErrorKind.PERMISSION_DENIED, "not you")


def _no_stream(self, req, ctx):
    return None


def _one_number(self, req, ctx):
    return 5


@pytest.mark.parametrize("stream", [_no_stream, _one_number])
async def test_what_does_not_iterate_is_no_stream(
    stream: Callable[..., Any], plugins: Plugins
) -> None:
    provider = await probe(plugins, stream=stream, options=ONE)
    for _ in range(2):
        seen, error = await until_it_raises(provider.stream(HELLO))
        assert seen == []
        assert type(error) is PluginCallError
        assert error.kind is ErrorKind.INTERNAL
        assert "object is not iterable" in error.message


async def _yields_a_number(self, req, ctx):
    yield StreamTextDelta("fine")
    yield 5


async def _yields_another_type(self, req, ctx):
    yield StreamTextDelta("fine")
    yield {"type": "text"}


async def _yields_a_number_in_an_event(self, req, ctx):
    yield StreamTextDelta("fine")
    yield StreamTextDelta(5)


async def _yields_nothing(self, req, ctx):
    yield StreamTextDelta("fine")
    yield None


@pytest.mark.parametrize(
    "stream",
    [_yields_a_number, _yields_another_type, _yields_a_number_in_an_event, _yields_nothing],
)
async def test_a_bad_event_is_refused(stream: Callable[..., Any], plugins: Plugins) -> None:
    provider = await probe(plugins, stream=stream, options=ONE)
    for _ in range(2):
        seen, error = await until_it_raises(provider.stream(HELLO))
        assert seen == [StreamTextDelta("fine")]
        assert type(error) is PluginOutputError
        assert f"what plugin {NAME!r} answered to stream does not fit" in str(error)


async def test_an_event_that_is_no_document(plugins: Plugins) -> None:
    async def stream(self, req, ctx):
        yield StreamTextDelta("fine")
        yield object()

    provider = await probe(plugins, stream=stream, options=ONE)
    for _ in range(2):
        seen, error = await until_it_raises(provider.stream(HELLO))
        assert seen == [StreamTextDelta("fine")]
        assert isinstance(error, PluginCallError)
        assert error.kind is ErrorKind.INTERNAL
        assert error.message.startswith(
            "the answer to stream can't be sent: a object can't be in a document"
        )


async def _counts(self, req, ctx):
    try:
        for n in range(1000):
            ctx.logger.info("event", n=n, run_id=ctx.run_id)
            yield StreamTextDelta(str(n))
    finally:
        self.over = True
        ctx.logger.info("over", run_id=ctx.run_id)


async def _over(self):
    return HealthCheckResult(getattr(self, "over", False))


async def test_a_stream_is_pulled_and_may_be_left(plugins: Plugins) -> None:
    of_load, of_call = MemoryLogger(), MemoryLogger()
    provider = await probe(
        plugins,
        stream=_counts,
        health_check=_over,
        context=PluginContext(logger=of_load),
        options=ONE,
    )
    assert not (await provider.health_check()).healthy
    stream = provider.stream(HELLO, PluginContext(run_id="🏃", logger=of_call))
    async with aclosing(stream) as events:
        async for event in events:
            if event == StreamTextDelta("2"):
                break
    assert of_call.events[:3] == [
        LogEvent("event", fields={"n": n, "run_id": "🏃"}) for n in range(3)
    ]
    assert LogEvent("event", fields={"n": 3, "run_id": "🏃"}) not in of_call.events
    assert (await provider.health_check()).healthy
    assert (await provider.generate(HELLO)).text == "hello"
    assert of_load.events == []


async def test_what_a_stream_logs_when_it_is_left(
    plugins: Plugins, request: pytest.FixtureRequest
) -> None:
    if plugins.isolation == "sandbox":
        reason = "componentize-py 0.25 tells a resource nothing when it is dropped"
        request.applymarker(pytest.mark.xfail(reason=reason, raises=AssertionError))
    logger = MemoryLogger()
    provider = await probe(plugins, stream=_counts)
    async with aclosing(
        provider.stream(HELLO, PluginContext(run_id="🏃", logger=logger))
    ) as events:
        await anext(events)
    assert logger.events == [
        LogEvent("event", fields={"n": 0, "run_id": "🏃"}),
        LogEvent("over", fields={"run_id": "🏃"}),
    ]


async def test_a_stream_that_is_not_begun_costs_nothing(plugins: Plugins) -> None:
    logger = MemoryLogger()
    provider = await probe(
        plugins, stream=_counts, context=PluginContext(logger=logger), options=ONE
    )
    await provider.stream(HELLO).aclose()
    assert logger.events == []
    assert (await provider.generate(HELLO)).text == "hello"


async def test_a_stream_that_fails_when_it_is_left(plugins: Plugins) -> None:
    async def stream(self, req, ctx):
        try:
            yield StreamTextDelta("one")
            yield StreamTextDelta("two")
        finally:
            raise ValueError("while closing")

    provider = await probe(plugins, stream=stream, options=ONE)
    async with aclosing(provider.stream(HELLO)) as events:
        assert await anext(events) == StreamTextDelta("one")
    assert (await provider.generate(HELLO)).text == "hello"


async def test_more_events_than_allowed(plugins: Plugins) -> None:
    provider = await probe(
        plugins,
        stream=_counts,
        health_check=_over,
        options={**ONE, "limits": Limits(stream_events=2)},
    )
    seen, error = await until_it_raises(provider.stream(HELLO))
    assert seen == [StreamTextDelta("0"), StreamTextDelta("1")]
    assert isinstance(error, StreamLimitError)
    assert (error.limit, error.value) == ("stream_events", 2)
    assert (await provider.health_check()).healthy


async def test_shutdown_closes_an_open_stream(plugins: Plugins) -> None:
    async def shutdown(self):
        self.ctx.logger.info("shutdown", over=self.over)

    logger = MemoryLogger()
    context = PluginContext(logger=logger)
    provider = await probe(plugins, stream=_counts, shutdown=shutdown, context=context)
    async with aclosing(provider.stream(HELLO)) as events:
        assert await anext(events) == StreamTextDelta("0")
        await provider.shutdown()
        assert logger.events[-1] == LogEvent("shutdown", fields={"over": True})
        with pytest.raises((PluginClosedError, StopAsyncIteration)):
            await anext(events)
    with pytest.raises(PluginClosedError):
        await collected(provider.stream(HELLO))


# Calls at once.


async def test_calls_at_once_do_not_mix(plugins: Plugins) -> None:
    async def generate(self, req, ctx):
        ctx.logger.info(req.messages[0].text)
        await ctx.sleep(0.01)
        ctx.logger.info(req.messages[0].text)
        return ModelResponse(req.messages[0].text, metadata={"run": ctx.run_id})

    provider = await probe(plugins, generate=generate)
    loggers = {str(n): MemoryLogger() for n in range(8)}
    answers: dict[str, ModelResponse] = {}

    async def ask(name: str) -> None:
        context = PluginContext(run_id=name, logger=loggers[name])
        answers[name] = await provider.generate(ModelRequest((Message("user", name),)), context)

    async with anyio.create_task_group() as group:
        for name in loggers:
            group.start_soon(ask, name)
    assert answers == {name: ModelResponse(name, metadata={"run": name}) for name in loggers}
    assert {name: logger.events for name, logger in loggers.items()} == {
        name: [LogEvent(name)] * 2 for name in loggers
    }


async def test_streams_at_once_do_not_mix(plugins: Plugins) -> None:
    async def stream(self, req, ctx):
        for n in range(3):
            yield StreamTextDelta(f"{req.model}{n}")

    provider = await probe(plugins, stream=stream)
    async with (
        aclosing(provider.stream(ModelRequest((), model="a"))) as one,
        aclosing(provider.stream(ModelRequest((), model="b"))) as other,
    ):
        seen = [(await anext(one), await anext(other)) for _ in range(3)]
    assert seen == [(StreamTextDelta(f"a{n}"), StreamTextDelta(f"b{n}")) for n in range(3)]
