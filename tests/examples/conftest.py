"""The fixtures of tests that run an example in each place: see `support.loading`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import aclosing
from typing import Any

import pytest
from orchestrator_plugin_host import LoadedProvider, Policy
from orchestrator_plugin_sdk import Message, ModelRequest, StreamEvent, Usage
from support.loading import Plugins, anyio_backend, host, plugins, where
from support.openai_server import OpenAIServer, serving_openai

__all__ = ["Plugins", "anyio_backend", "host", "plugins", "where"]

HELLO = ModelRequest((Message("user", "Hello"),))
SPENT = Usage(9, 12, 21, cached_input_tokens=4, reasoning_tokens=5)
"""What `support.openai_server.USAGE` is."""


@pytest.fixture
def api() -> Iterator[OpenAIServer]:
    with serving_openai() as opened:
        yield opened


async def load_openai(
    plugins: Plugins, api: OpenAIServer, policy: Any = None, **config: Any
) -> LoadedProvider:
    """The example `openai-provider`, which may ask the server."""
    given = {"base_url": api.base_url, "model": "gpt-test", **config}
    granted = Policy(http=[{"url": api.server.origin, "methods": ["POST"]}], **policy or {})
    loaded = await plugins.example("openai-provider", given, policy=granted)
    assert isinstance(loaded, LoadedProvider)
    return loaded


async def collected(stream: Any) -> list[StreamEvent]:
    """All events of a stream."""
    async with aclosing(stream) as events:
        return [event async for event in events]
