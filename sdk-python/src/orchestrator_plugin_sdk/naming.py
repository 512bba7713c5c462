"""Names that the contract gives: the kinds of plugins, and where a component has its manifest."""

from __future__ import annotations

from enum import Enum
from typing import Final

MANIFEST_SECTION: Final = "orchestrator-plugin-manifest"
"""The custom section of a component that holds its manifest, as MessagePack."""


class PluginType(str, Enum):
    """The four kinds of plugins."""

    PROVIDER = "provider"
    EMBEDDER = "embedder"
    VECTOR_MEMORY_BACKEND = "vector_memory_backend"
    TOOL_EXECUTOR = "tool_executor"

    def __str__(self) -> str:
        return self.value
