"""Native plugins: what the host does for them, and what they can't do to it.

That they behave as sandboxed ones do is what the conformance suites say.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any, ClassVar

import anyio
import pytest
from orchestrator_plugin_host import (
    DeadlineExceededError,
    DocumentTooLargeError,
    Limits,
    LoadedProvider,
    LogLimitError,
    PluginAbortedError,
    PluginHost,
    PluginInitError,
    PluginInputError,
    StreamLimitError,
)
from orchestrator_plugin_sdk import (
    AbortController,
    LogEvent,
    MemoryLogger,
    Message,
    ModelRequest,
    ModelResponse,
    PluginCallError,
    PluginContext,
    PluginExport,
    PluginLogger,
    PluginValidationError,
    StreamEvent,
    StreamTextDelta,
    to_document,
)
from sdk.plugins import SmallProvider, small_manifest

pytestmark = pytest.mark.anyio

REQUEST: dict[str, Any] = {"messages": [{"role": "user", "content": "hello"}]}


async def load(host: PluginHost, plugin: Any, **options: Any) -> Any:
    return await host.load(PluginExport(small_manifest(), plugin), **options)


class Sleeping(SmallProvider):
    woken: ClassVar[list[str]] = []

    async def generate(self, req: ModelRequest, ctx: PluginContext) -> ModelResponse:
        try:
            await anyio.sleep_forever()
        finally:
            self.woken.append("cancelled")
        return ModelResponse("never")


async def test_the_deadline_ends_it_where_it_awaits(host: PluginHost) -> None:
    plugin = await load(host, Sleeping, limits=Limits(deadline_ms=30))
    with pytest.raises(DeadlineExceededError):
        await plugin.generate(REQUEST)
    assert Sleeping.woken.pop() == "cancelled"
    assert (await plugin.health_check()).healthy


async def test_the_abort_signal_ends_it_where_it_awaits(host: PluginHost) -> None:
    plugin = await load(host, Sleeping)
    controller = AbortController()
    async with anyio.create_task_group() as group:

        async def abort_soon() -> None:
            await anyio.wait_all_tasks_blocked()
            controller.abort("changed my mind")

        group.start_soon(abort_soon)
        with pytest.raises(PluginAbortedError, match="changed my mind"):
            await plugin.generate(REQUEST, PluginContext(abort_signal=controller.signal))
    assert Sleeping.woken.pop() == "cancelled"


async def test_a_cancelled_caller_cancels_it(host: PluginHost) -> None:
    plugin = await load(host, Sleeping)
    with anyio.move_on_after(0.02) as scope:
        await plugin.generate(REQUEST)
    assert scope.cancelled_caught
    assert Sleeping.woken.pop() == "cancelled"


class Keeping(SmallProvider):
    """Keeps what it gets, and gives what it keeps."""

    def __init__(self) -> None:
        super().__init__()
        self.request: ModelRequest | None = None
        self.metadata: dict[str, Any] = {"count": 1}

    async def generate(self, req: ModelRequest, ctx: PluginContext) -> ModelResponse:
        self.request = req
        return ModelResponse("hi", metadata=self.metadata)


async def test_it_shares_nothing_with_the_caller(host: PluginHost) -> None:
    made: list[Keeping] = []

    def make() -> Keeping:
        made.append(Keeping())
        return made[0]

    plugin = await load(host, make)
    metadata = {"list": [1, 2]}
    request = ModelRequest((Message("user", "hello"),), metadata=metadata)
    answer = await plugin.generate(request)
    metadata["list"].append(3)
    made[0].metadata["count"] = 2
    assert made[0].request is not None
    assert made[0].request.metadata == {"list": [1, 2]}
    assert answer.metadata == {"count": 1}


async def test_what_could_not_cross_the_boundary_is_refused(host: PluginHost) -> None:
    plugin = await load(host, Keeping)
    with pytest.raises(PluginInputError):
        await plugin.generate({**REQUEST, "metadata": {"thing": object()}})
    with pytest.raises(DocumentTooLargeError):
        small = await load(host, Keeping, limits=Limits(document_in_bytes=100))
        await small.generate({**REQUEST, "metadata": {"thing": "x" * 200}})


class Counting(SmallProvider):
    ended: ClassVar[list[int]] = []

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    async def generate(self, req: ModelRequest, ctx: PluginContext) -> ModelResponse:
        assert self.initialised_with is not None
        self.calls += 1
        return ModelResponse(str(self.calls))

    async def stream(self, req: ModelRequest, ctx: PluginContext) -> AsyncIterator[StreamEvent]:
        self.calls += 1
        yield StreamTextDelta(str(self.calls))

    async def shutdown(self) -> None:
        await super().shutdown()
        self.ended.append(self.calls)
        raise RuntimeError("nobody is told")


async def test_a_fresh_plugin_serves_one_call(host: PluginHost) -> None:
    Counting.ended.clear()
    manifest = {**to_document(small_manifest()), "fresh_instances": True}
    plugin = await host.load(PluginExport(manifest, Counting), expect=LoadedProvider)
    assert [(await plugin.generate(REQUEST)).text for _ in range(3)] == ["1", "1", "1"]
    async with aclosing(plugin.stream(REQUEST)) as stream:
        assert [event async for event in stream] == [StreamTextDelta("1")]
    assert Counting.ended == [0, 1, 1, 1, 1]  # the first served `capabilities`
    await plugin.shutdown()
    assert Counting.ended == [0, 1, 1, 1, 1]


class Logging(SmallProvider):
    async def generate(self, req: ModelRequest, ctx: PluginContext) -> ModelResponse:
        for i in range(10):
            try:
                ctx.logger.info(f"event {i}")
            except BaseException:  # a plugin that ignores what it is told
                continue
        return ModelResponse("hi")


async def test_its_log_is_counted_and_it_can_not_ignore_that(host: PluginHost) -> None:
    plugin = await load(host, Logging, limits=Limits(log_events=4))
    logger = MemoryLogger()
    with pytest.raises(LogLimitError):
        await plugin.generate(REQUEST, PluginContext(logger=logger))
    assert [event.message for event in logger.events] == [f"event {i}" for i in range(4)]


class RaisingLogger(PluginLogger):
    def __init__(self) -> None:
        self.error = ValueError("the caller's own")

    def emit(self, event: LogEvent) -> None:
        raise self.error


async def test_the_callers_logger_raises_to_the_caller(host: PluginHost) -> None:
    plugin = await load(host, Logging)
    logger = RaisingLogger()
    with pytest.raises(ValueError, match="the caller's own") as caught:
        await plugin.generate(REQUEST, PluginContext(logger=logger))
    assert caught.value is logger.error
    assert (await plugin.generate(REQUEST)).text == "hi"


class Streaming(SmallProvider):
    closed: ClassVar[list[str]] = []

    async def stream(self, req: ModelRequest, ctx: PluginContext) -> AsyncIterator[StreamEvent]:
        try:
            while True:
                yield StreamTextDelta("x")
        finally:
            self.closed.append("closed")


async def test_a_stream_that_is_left_is_closed(host: PluginHost) -> None:
    plugin = await load(host, Streaming)
    async with aclosing(plugin.stream(REQUEST)) as stream:
        assert await anext(stream) == StreamTextDelta("x")
        assert Streaming.closed == []
    assert Streaming.closed.pop() == "closed"


async def test_a_stream_is_counted(host: PluginHost) -> None:
    plugin = await load(host, Streaming, limits=Limits(stream_events=3))
    events: list[Any] = []

    async def listen() -> None:
        async with aclosing(plugin.stream(REQUEST)) as stream:
            events.extend([event async for event in stream])

    with pytest.raises(StreamLimitError):
        await listen()
    assert Streaming.closed.pop() == "closed"


class Refusing(SmallProvider):
    async def init(self, config: Any, ctx: PluginContext) -> None:
        raise PluginCallError("unauthenticated", "no key")

    async def shutdown(self) -> None:
        raise AssertionError("what was never ready is not shut down")


async def test_an_init_that_says_no(host: PluginHost) -> None:
    with pytest.raises(PluginInitError, match="no key") as caught:
        await load(host, Refusing)
    assert isinstance(caught.value.__cause__, PluginCallError)


async def test_a_plugin_that_can_not_be_made(host: PluginHost) -> None:
    with pytest.raises(PluginValidationError, match="ZeroDivisionError"):
        await load(host, lambda: 1 / 0)


ERRORS: dict[str, tuple[BaseException, str]] = {
    "an error": (KeyError("a"), "internal"),
    "something not implemented": (NotImplementedError("not this"), "unsupported"),
    "no memory": (MemoryError(), "out-of-memory"),
    "the end of an iteration": (StopAsyncIteration(), "internal"),
    "an exit": (SystemExit(3), "internal"),
    "a no": (PluginCallError("not-found", "none"), "not-found"),
}


@pytest.mark.parametrize("case", ERRORS)
async def test_whatever_it_raises_is_its_own_no(host: PluginHost, case: str) -> None:
    error, kind = ERRORS[case]

    class Raising(SmallProvider):
        async def generate(self, req: ModelRequest, ctx: PluginContext) -> ModelResponse:
            raise error

    plugin = await load(host, Raising)
    with pytest.raises(PluginCallError) as caught:
        await plugin.generate(REQUEST)
    assert str(caught.value.kind) == kind
    assert (await plugin.health_check()).healthy
