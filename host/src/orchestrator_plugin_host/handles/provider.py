"""Handles of providers."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from typing import Any, cast

from orchestrator_plugin_sdk import (
    ModelRequest,
    ModelResponse,
    PluginContext,
    PluginType,
    ProviderCapabilities,
    StreamEvent,
)
from orchestrator_plugin_sdk.contract import (
    CAPABILITIES,
    GENERATE,
    STREAM,
)

from ..errors import (
    PluginClosedError,
)
from ._base import LoadedPlugin, PluginStream


class LoadedProvider(LoadedPlugin):
    """A large language model."""

    plugin_type = PluginType.PROVIDER

    def capabilities(self) -> ProviderCapabilities:
        """What the provider can do. Asked once, when it was loaded."""
        return self._capabilities

    async def _learn(self) -> None:
        self._capabilities: ProviderCapabilities = await self._call(CAPABILITIES, [], None)

    async def generate(
        self, request: ModelRequest | Mapping[str, Any], context: PluginContext | None = None
    ) -> ModelResponse:
        """One whole answer. `request` may be a mapping with the same keys."""
        return cast("ModelResponse", await self._call(GENERATE, [request], context))

    def stream(
        self, request: ModelRequest | Mapping[str, Any], context: PluginContext | None = None
    ) -> PluginStream[StreamEvent]:
        """The answer, piece by piece. Begins when the first event is asked for."""
        stream = PluginStream(self.name, self._stream(request, context))
        self._streams.add(stream)
        return stream

    async def _stream(
        self, request: ModelRequest | Mapping[str, Any], context: PluginContext | None
    ) -> AsyncGenerator[StreamEvent, None]:
        with self._entered():
            arguments = self._arguments(STREAM, [request])
            async with (
                self._calling(STREAM.method, context) as call,
                self._backend.stream(STREAM, arguments, call) as events,
            ):
                async for event in events:
                    call.count_stream_event()
                    self._moved.set()
                    yield event
                    if self._closed:
                        raise PluginClosedError(f"plugin {self.name!r} has been shut down")
