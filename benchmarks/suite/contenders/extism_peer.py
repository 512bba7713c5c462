"""The peer of calls: the Extism Python SDK, with a guest that does the same."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import extism
import msgpack
from orchestrator_plugin_sdk import ModelRequest, ModelResponse
from pydantic import TypeAdapter

from ..documents import document_of
from ..guests import chat_request, extism_module
from ..timing import Place, Round, timed, timed_async


@asynccontextmanager
async def echo(place: Place, *, kind: str, size: int) -> AsyncIterator[Round]:
    """`Plugin.call` of an echo."""
    document = document_of(kind, size)
    with extism.Plugin(extism_module()) as plugin:
        assert plugin.call("echo", document) == document
        yield timed(lambda: plugin.call("echo", document))


@asynccontextmanager
async def generate(place: Place) -> AsyncIterator[Round]:
    """A typed call as an application would write it: the request validated and packed, the plugin
    called in a thread, its answer unpacked and validated."""
    requests, responses = TypeAdapter(ModelRequest), TypeAdapter(ModelResponse)
    request = chat_request()
    with extism.Plugin(extism_module()) as plugin:

        async def call() -> ModelResponse:
            validated = requests.validate_python(request)
            packed = msgpack.packb(requests.dump_python(validated))
            answer = await anyio.to_thread.run_sync(plugin.call, "answer", packed)
            return responses.validate_python(msgpack.unpackb(answer))

        assert (await call()).text == "hi"
        yield timed_async(call)
