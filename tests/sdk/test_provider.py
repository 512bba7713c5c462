"""Messages, and the stream that a provider has for free."""

from __future__ import annotations

import pytest
from orchestrator_plugin_sdk import (
    ImagePart,
    Message,
    ModelRequest,
    PluginContext,
    StreamEnd,
    StreamEvent,
    StreamTextDelta,
    StreamUsage,
    TextPart,
    Usage,
)
from sdk.plugins import SmallProvider


@pytest.mark.parametrize(
    ("message", "text"),
    [
        (Message("user"), ""),
        (Message("user", "Hello!"), "Hello!"),
        (Message("user", ()), ""),
        (Message("user", (TextPart("Hel"), ImagePart("image/png", b""), TextPart("lo"))), "Hello"),
    ],
)
def test_the_text_of_a_message(message: Message, text: str) -> None:
    assert message.text == text


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("text", "events"),
    [("Hello!", [StreamTextDelta("Hello!")]), ("", [])],
)
async def test_a_provider_without_a_stream_of_its_own_streams_its_answer_in_one_piece(
    text: str, events: list[StreamEvent]
) -> None:
    request = ModelRequest((Message("user", text),))
    got = [event async for event in SmallProvider().stream(request, PluginContext())]
    assert got == [*events, StreamUsage(Usage(1, 2, 3)), StreamEnd("length")]
