"""Loaded plugins, as callers see them: typed, async, and the same for native and sandboxed ones."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from orchestrator_plugin_sdk.naming import PluginType

from ._base import LoadedPlugin, PluginStream
from .embedder import LoadedEmbedder
from .provider import LoadedProvider, ResponseStream
from .tool_executor import LoadedToolExecutor
from .vector_memory import LoadedVectorMemoryBackend

__all__ = [
    "HANDLES",
    "LoadedEmbedder",
    "LoadedPlugin",
    "LoadedProvider",
    "LoadedToolExecutor",
    "LoadedVectorMemoryBackend",
    "PluginStream",
    "ResponseStream",
]

HANDLES: Final[Mapping[PluginType, type[LoadedPlugin]]] = MappingProxyType(
    {
        handle.plugin_type: handle
        for handle in (
            LoadedProvider,
            LoadedEmbedder,
            LoadedVectorMemoryBackend,
            LoadedToolExecutor,
        )
    }
)
"""The handle of each kind of plugin."""
