"""A plugin of each kind that does as little as its interface allows, in Python."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from orchestrator_plugin_sdk import (
    EmbedderPlugin,
    HealthCheckResult,
    ModelRequest,
    ModelResponse,
    Plugin,
    PluginConfig,
    PluginContext,
    PluginManifest,
    PluginType,
    ProviderAdapterPlugin,
    ProviderCapabilities,
    SdkVersionRange,
    ToolExecutorPlugin,
    ToolPolicy,
    ToolRunRequest,
    ToolRunResult,
    Usage,
    Vector,
    VectorBackendInfo,
    VectorItem,
    VectorMemoryBackendPlugin,
    VectorQueryFilter,
    VectorQueryResult,
    Vectors,
)


class Small(Plugin):
    """The life of a plugin, with a note of it."""

    name = "small"
    sdk_version = SdkVersionRange(1)

    def __init__(self) -> None:
        self.initialised_with: tuple[PluginConfig, PluginContext] | None = None

    async def init(self, config: PluginConfig, ctx: PluginContext) -> None:
        self.initialised_with = (config, ctx)

    async def health_check(self) -> HealthCheckResult:
        return HealthCheckResult(healthy=self.initialised_with is not None)

    async def shutdown(self) -> None:
        self.initialised_with = None


class SmallProvider(Small, ProviderAdapterPlugin):
    """Answers with the last message's text."""

    def capabilities(self) -> ProviderCapabilities:
        return ProviderCapabilities()

    async def generate(self, req: ModelRequest, ctx: PluginContext) -> ModelResponse:
        text = req.messages[-1].text
        return ModelResponse(text, usage=Usage(1, 2, 3), finish_reason="length")


class SmallEmbedder(Small, EmbedderPlugin):
    """Embeds a text as its length."""

    def dims(self) -> int:
        return 1

    async def embed_texts(self, texts: Sequence[str], ctx: PluginContext) -> Vectors:
        return Vectors([[len(text)] for text in texts], self.dims())


class SmallMemory(Small, VectorMemoryBackendPlugin):
    """Keeps nothing."""

    async def upsert(self, repo_id: str, items: Sequence[VectorItem], ctx: PluginContext) -> None:
        pass

    async def query(
        self,
        repo_id: str,
        vector: Vector,
        top_k: int,
        ctx: PluginContext,
        filter: VectorQueryFilter | None = None,
    ) -> Sequence[VectorQueryResult]:
        return ()

    async def delete_by_ids(self, repo_id: str, ids: Sequence[str], ctx: PluginContext) -> None:
        pass

    async def wipe_repo(self, repo_id: str, ctx: PluginContext) -> None:
        pass

    async def info(self) -> VectorBackendInfo:
        return VectorBackendInfo("small", 0)


class SmallExecutor(Small, ToolExecutorPlugin):
    """Runs nothing, successfully."""

    async def execute(
        self, request: ToolRunRequest, policy: ToolPolicy, ctx: PluginContext
    ) -> ToolRunResult:
        return ToolRunResult(exit_code=0, duration_ms=0)

    def is_allowed(self, command: str, policy: ToolPolicy) -> bool:
        return policy.allows(command)


SMALL_PLUGINS: Mapping[PluginType, type[Small]] = MappingProxyType(
    {
        PluginType.PROVIDER: SmallProvider,
        PluginType.EMBEDDER: SmallEmbedder,
        PluginType.VECTOR_MEMORY_BACKEND: SmallMemory,
        PluginType.TOOL_EXECUTOR: SmallExecutor,
    }
)


def small_manifest(type: PluginType = PluginType.PROVIDER, **others: Any) -> PluginManifest:
    """A manifest of these plugins."""
    required = {"name": "small", "sdk_version": SdkVersionRange(1), "version": "1.0.0"}
    return PluginManifest(type=type, **{**required, **others})
