"""Handles of providers."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from typing import TYPE_CHECKING, Any, cast

from orchestrator_plugin_sdk.naming import PluginType

from ..errors import DeadlineExceededError, PluginClosedError
from ._base import Ending, LoadedPlugin, PluginStream

if TYPE_CHECKING:
    from orchestrator_plugin_sdk.context import PluginContext
    from orchestrator_plugin_sdk.provider import (
        ModelRequest,
        ModelResponse,
        ProviderCapabilities,
        StreamEvent,
    )

    from .arrived import Arrived


class ResponseStream(PluginStream["StreamEvent"]):
    """The events of a streamed answer, and what they make together."""

    def __init__(
        self, plugin: str, events: AsyncGenerator[StreamEvent, None], arrived: Arrived
    ) -> None:
        super().__init__(plugin, events)
        self._arrived = arrived

    @property
    def response(self) -> ModelResponse:
        """What has arrived so far, as `generate` would return it: whole once the stream has ended,
        and whatever there was if it broke off. Of text, as much as a document may have; of tool
        calls, 1,000 and 262,144 characters of arguments: `metadata` say `incomplete` if there was
        more."""
        return self._arrived.response()


class LoadedProvider(LoadedPlugin):
    """A large language model."""

    plugin_type = PluginType.PROVIDER

    def capabilities(self) -> ProviderCapabilities:
        """What the provider can do. Asked once, when it was loaded."""
        return self._capabilities

    async def _learn(self) -> None:
        self._capabilities: ProviderCapabilities = await self._call("capabilities", [], None)

    async def generate(
        self, request: ModelRequest | Mapping[str, Any], context: PluginContext | None = None
    ) -> ModelResponse:
        """One whole answer. `request` may be a mapping with the same keys."""
        return cast("ModelResponse", await self._call("generate", [request], context))

    def stream(
        self, request: ModelRequest | Mapping[str, Any], context: PluginContext | None = None
    ) -> ResponseStream:
        """The answer, piece by piece. Begins when the first event is asked for.

        Besides what every call may raise: `FirstEventTimeoutError`, `IdleTimeoutError` and
        `StreamLimitError`. What had arrived by then is in the stream's `response`.
        """
        from .arrived import Arrived  # whoever streams nothing does without what it imports

        arrived = Arrived(self.limits.document_out_bytes)
        stream = ResponseStream(self.name, self._stream(request, context, arrived), arrived)
        self._streams.add(stream)
        return stream

    async def _stream(
        self,
        request: ModelRequest | Mapping[str, Any],
        context: PluginContext | None,
        arrived: Arrived,
    ) -> AsyncGenerator[StreamEvent, None]:
        self._enter()
        try:
            arguments = self._arguments("stream", [request])
            call = self._begun("stream", context)
            call.begin_step("first_event_ms")
            try:
                streaming = self._backend.stream(self._operations["stream"], arguments, call)
                async with Ending(call), streaming as events:
                    async for event in events:
                        call.count_stream_event()
                        arrived.add(event)
                        call.pause()
                        if self._closed:
                            self._moved.set()
                        yield event
                        if self._closed:
                            raise PluginClosedError(f"plugin {self.name!r} has been shut down")
                        call.resume()
                        call.begin_step("idle_ms")
            except DeadlineExceededError as error:
                error.put_together = arrived.response
                raise
        finally:
            self._leave()
