"""What is kept of a stream, and what it costs to put it together."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable, Iterable

import pytest
from orchestrator_plugin_host.handles.arrived import Arrived
from orchestrator_plugin_sdk import (
    StreamEnd,
    StreamEvent,
    StreamTextDelta,
    StreamToolCallDelta,
    StreamUsage,
    ToolCall,
    Usage,
)

MIB = 1 << 20


def gathered(events: Iterable[StreamEvent], most: int = 16 * MIB) -> Arrived:
    arrived = Arrived(most)
    for event in events:
        arrived.add(event)
    return arrived


def test_a_whole_stream() -> None:
    response = gathered(
        [
            StreamTextDelta("once "),
            StreamToolCallDelta(1, "id-1", "cut", '{"a"'),
            StreamToolCallDelta(0, "id-0", "look"),
            StreamTextDelta("upon"),
            StreamToolCallDelta(1, arguments_json=": [1]}"),
            StreamUsage(Usage(1, 2, 3)),
            StreamEnd("tool_calls"),
        ]
    ).response()
    assert response.text == "once upon"
    assert response.usage == Usage(1, 2, 3)
    assert response.tool_calls == (ToolCall("id-0", "look"), ToolCall("id-1", "cut", {"a": [1]}))
    assert (response.finish_reason, response.metadata) == ("tool_calls", {})


def test_it_can_be_asked_for_at_any_time() -> None:
    arrived = Arrived(100)
    texts = []
    for word in ("a", "b", "c"):
        arrived.add(StreamTextDelta(word))
        texts.append(arrived.response().text)
    assert texts == ["a", "ab", "abc"]
    assert arrived.response().metadata == {"incomplete": True}
    assert arrived.response().finish_reason == "aborted"


@pytest.mark.parametrize("text", ["", "{", "[1]", "null", '{"a": ', "[" * 100_000, "1" * 5_000])
def test_arguments_that_are_not_an_object(text: str) -> None:
    events = [StreamToolCallDelta(0, "i", "n", text), StreamEnd()]
    assert gathered(events).response().tool_calls == (ToolCall("i", "n", {}),)


KEPT: dict[str, tuple[list[StreamEvent], int, int, bool]] = {
    "text": ([StreamTextDelta("x" * 10)] * 100, 100, 0, False),
    "text that is not ASCII": ([StreamTextDelta("é" * 10)] * 100, 20, 0, False),
    "text up to the last byte": ([StreamTextDelta("x" * 10)] * 10, 100, 0, True),
    "names and arguments": ([StreamToolCallDelta(0, "i" * 40, "n" * 40, "x" * 40)], 0, 0, False),
}


@pytest.mark.parametrize("name", KEPT)
def test_what_is_kept(name: str) -> None:
    events, characters, calls, is_whole = KEPT[name]
    response = gathered([*events, StreamEnd()], 100).response()
    assert (len(response.text), len(response.tool_calls)) == (characters, calls)
    assert response.metadata == ({} if is_whole else {"incomplete": True})


def pieces(text: str, count: int) -> list[StreamEvent]:
    return [StreamToolCallDelta(0, arguments_json=text) for _ in range(count)]


HOSTILE: dict[str, Callable[[], list[StreamEvent]]] = {
    "100,000 tool calls": lambda: [StreamToolCallDelta(i, "i", "n") for i in range(100_000)],
    "16 MiB of arguments": lambda: pieces("[" * MIB, 16),
    "100,000 pieces of arguments": lambda: pieces("{},", 100_000),
    "as many empty objects as are kept": lambda: [
        StreamToolCallDelta(0, arguments_json=f'{{"a": [{"{}," * 87_000}0]}}')
    ],
    "as many numbers as are kept": lambda: [
        StreamToolCallDelta(0, arguments_json=f'{{"a": [{"1," * 131_000}0]}}')
    ],
    "16 MiB of text": lambda: [StreamTextDelta("x" * 1000)] * 16_000,
    "4 MiB of other text": lambda: [StreamTextDelta("é" * 1000)] * 4_000,
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.usefixtures("no_garbage")
def test_what_a_hostile_stream_costs(name: str) -> None:
    """At most 20 ms of the processor to put together, with a margin of three, and 8 MB besides four
    times its bytes."""
    events = HOSTILE[name]()
    size = sum(
        len(str(getattr(e, "text", getattr(e, "arguments_json", ""))).encode()) for e in events
    )
    arrived = gathered(events)
    began = time.thread_time()
    arrived.response()
    assert time.thread_time() - began < 0.06
    tracemalloc.start()
    try:
        gathered(events).response()
        held = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert held < 4 * min(size, 16 * MIB) + 8_000_000
