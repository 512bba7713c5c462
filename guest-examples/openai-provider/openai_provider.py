"""An LLM provider for OpenAI's chat completions, and for every server that speaks like it.

The host makes the requests, where the operator lets it, and puts the key into them: all that there
is of the key in here is a reference.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from openai_answer import events_of, response_of
from openai_chunks import Chunks
from openai_errors import error_of, unusable
from openai_request import chat_body
from openai_settings import Settings, read_settings
from orchestrator_plugin_sdk import (
    ErrorKind,
    HealthCheckResult,
    HttpResponse,
    ModelRequest,
    ModelResponse,
    PluginCallError,
    PluginConfig,
    PluginContext,
    ProviderAdapterPlugin,
    ProviderCapabilities,
    SdkVersionRange,
    StreamEvent,
)

MOST_OF_AN_ANSWER = 8 * 1024 * 1024


class OpenAIProvider(ProviderAdapterPlugin):
    """Offers the models of one server."""

    name = "openai-provider"
    sdk_version = SdkVersionRange(1, 1)

    def __init__(self) -> None:
        self._settings = Settings()

    async def init(self, config: PluginConfig, ctx: PluginContext) -> None:
        self._settings = read_settings(config)
        ctx.logger.info(
            "ready", base_url=self._settings.base_url, with_key="api_key" in ctx.secrets
        )

    async def health_check(self) -> HealthCheckResult:
        # Nothing is asked: whoever checks often is to pay nothing, and to wait for nothing.
        model = self._settings.model
        return HealthCheckResult(
            True, f"asks {self._settings.server}", {"model": model} if model else {}
        )

    async def shutdown(self) -> None: ...

    def capabilities(self) -> ProviderCapabilities:
        model = self._settings.model
        return ProviderCapabilities(
            supports_streaming=True,
            supports_tool_calling=True,
            supports_json_mode=True,
            modality="vision" if self._settings.vision else "text",
            models=(model,) if model else (),
        )

    async def generate(self, req: ModelRequest, ctx: PluginContext) -> ModelResponse:
        async with self._asked(req, ctx, stream=False) as response:
            return await self._whole(response, ctx)

    async def stream(self, req: ModelRequest, ctx: PluginContext) -> AsyncIterator[StreamEvent]:
        async with self._asked(req, ctx, stream=True) as response:
            if "json" in response.headers.get("content-type", ""):
                # A server that does not stream, or that has an error to tell.
                for event in events_of(await self._whole(response, ctx)):
                    yield event
                return
            chunks = Chunks(self._settings.server, lambda: _new_id(ctx))
            async for sent in response.server_sent_events():
                for event in chunks.take(sent.data):
                    # Before each event: a caller that has given up is not made to read the rest.
                    ctx.abort_signal.throw_if_aborted()
                    yield event
                if chunks.done:
                    return
            raise chunks.cut_off()

    @asynccontextmanager
    async def _asked(
        self, req: ModelRequest, ctx: PluginContext, *, stream: bool
    ) -> AsyncIterator[HttpResponse]:
        """The response to a request, whose status is well."""
        ctx.abort_signal.throw_if_aborted()
        body = chat_body(req, self._settings, stream=stream)
        headers = self._headers(ctx)
        async with ctx.http.stream(
            "POST", self._settings.url, headers=headers, json=body
        ) as response:
            if not response.ok:
                raise await error_of(response, self._settings.server)
            yield response

    def _headers(self, ctx: PluginContext) -> dict[str, str]:
        headers = dict(self._settings.headers)
        for name, value in (
            ("OpenAI-Organization", self._settings.organization),
            ("OpenAI-Project", self._settings.project),
        ):
            if value:
                headers[name] = value
        if "api_key" in ctx.secrets:
            headers["Authorization"] = "Bearer " + ctx.secret("api_key")
        return headers

    async def _whole(self, response: HttpResponse, ctx: PluginContext) -> ModelResponse:
        return response_of(
            await self._document(response), self._settings.server, lambda: _new_id(ctx)
        )

    async def _document(self, response: HttpResponse) -> Any:
        if len(await response.read(MOST_OF_AN_ANSWER + 1)) > MOST_OF_AN_ANSWER:
            raise PluginCallError(
                ErrorKind.UNAVAILABLE,
                f"{self._settings.server} answered with more than {MOST_OF_AN_ANSWER:,} bytes",
                retryable=False,
            )
        try:
            return response.json()
        except ValueError:
            said = response.headers.get("content-type", "no content type")
            raise unusable(
                self._settings.server,
                f"answered with what is no JSON ({said[:100]}): is base_url right?",
            ) from None


def create_plugin() -> OpenAIProvider:
    """The entry that `plugin.toml` names."""
    return OpenAIProvider()


def _new_id(ctx: PluginContext) -> str:
    """An id for a tool call of a server that gives none."""
    return f"call_{ctx.random_bytes(12).hex()}"
