"""The four interfaces as a table: each operation's names, arguments and result.

The guest adapter, both of the host's backends and the generated JSON Schemas all go by this table;
the WIT contract says the same to people and to other languages.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, Literal

from .capabilities.files import FileInfo
from .capabilities.http import HttpHead, HttpRequest
from .context import CallContext
from .embedder import EmbedderPlugin
from .log import LogEvent
from .manifest import PluginManifest
from .naming import PluginType
from .plugin import HealthCheckResult
from .provider import (
    ModelRequest,
    ModelResponse,
    ProviderAdapterPlugin,
    ProviderCapabilities,
    StreamEvent,
)
from .tool_executor import ToolExecutorPlugin, ToolPolicy, ToolRunRequest, ToolRunResult
from .vector_memory import (
    VectorBackendInfo,
    VectorItem,
    VectorMemoryBackendPlugin,
    VectorQueryFilter,
    VectorQueryResult,
)
from .vectors import Vector, Vectors

ResultForm = Literal["nothing", "document", "scalar", "stream"]


@dataclass(frozen=True, slots=True)
class Operation:
    """One thing that can be asked of a plugin.

    `arguments` are the keys of its document in the order of the method's parameters, with their
    types; an operation `with_context` has the key `context` too, and its method a `ctx` parameter
    where `context_position` says. `form` is how the result travels: as a document of the type
    `result`, as a WIT scalar, as a stream of documents, or not at all.
    """

    method: str
    interface: str
    function: str
    arguments: Mapping[str, Any]
    result: Any
    form: ResultForm
    with_context: bool = True
    context_position: int = -1


def _operation(
    method: str,
    interface: str,
    arguments: Mapping[str, Any],
    result: Any,
    form: ResultForm = "document",
    *,
    function: str | None = None,
    context: bool = True,
    context_position: int | None = None,
) -> Operation:
    position = len(arguments) if context_position is None else context_position
    return Operation(
        method,
        interface,
        function or method.replace("_", "-"),
        MappingProxyType(dict(arguments)),
        result,
        form,
        context,
        position if context else -1,
    )


_CONFIG = Mapping[str, Any]

INIT = _operation("init", "lifecycle", {"config": _CONFIG}, None, "nothing")
HEALTH_CHECK = _operation("health_check", "lifecycle", {}, HealthCheckResult, context=False)
SHUTDOWN = _operation("shutdown", "lifecycle", {}, None, "nothing", context=False)

CAPABILITIES = _operation("capabilities", "provider", {}, ProviderCapabilities, context=False)
GENERATE = _operation("generate", "provider", {"request": ModelRequest}, ModelResponse)
STREAM = _operation(
    "stream",
    "provider",
    {"request": ModelRequest},
    StreamEvent,
    "stream",
    function="generate-stream",
)

DIMS = _operation("dims", "embedder", {}, int, "scalar", context=False)
EMBED_TEXTS = _operation("embed_texts", "embedder", {"texts": tuple[str, ...]}, Vectors)

_MEMORY = "vector-memory-backend"
UPSERT = _operation(
    "upsert", _MEMORY, {"repo_id": str, "items": tuple[VectorItem, ...]}, None, "nothing"
)
QUERY = _operation(
    "query",
    _MEMORY,
    {"repo_id": str, "vector": Vector, "top_k": int, "filter": VectorQueryFilter | None},
    tuple[VectorQueryResult, ...],
    context_position=3,
)
DELETE_BY_IDS = _operation(
    "delete_by_ids", _MEMORY, {"repo_id": str, "ids": tuple[str, ...]}, None, "nothing"
)
WIPE_REPO = _operation("wipe_repo", _MEMORY, {"repo_id": str}, None, "nothing")
INFO = _operation("info", _MEMORY, {}, VectorBackendInfo, context=False)

EXECUTE = _operation(
    "execute", "tool-executor", {"request": ToolRunRequest, "policy": ToolPolicy}, ToolRunResult
)
IS_ALLOWED = _operation(
    "is_allowed",
    "tool-executor",
    {"command": str, "policy": ToolPolicy},
    bool,
    "scalar",
    context=False,
)


@dataclass(frozen=True, slots=True)
class Kind:
    """One of the four kinds: its WIT world, its Python interface, its operations."""

    world: str
    interface: type[Any]
    type: PluginType
    operations: tuple[Operation, ...]


_LIFECYCLE = (INIT, HEALTH_CHECK, SHUTDOWN)

KINDS: Final[Mapping[PluginType, Kind]] = MappingProxyType(
    {
        kind.type: kind
        for kind in (
            Kind(
                "provider-plugin",
                ProviderAdapterPlugin,
                PluginType.PROVIDER,
                (*_LIFECYCLE, CAPABILITIES, GENERATE, STREAM),
            ),
            Kind(
                "embedder-plugin",
                EmbedderPlugin,
                PluginType.EMBEDDER,
                (*_LIFECYCLE, DIMS, EMBED_TEXTS),
            ),
            Kind(
                "vector-memory-backend-plugin",
                VectorMemoryBackendPlugin,
                PluginType.VECTOR_MEMORY_BACKEND,
                (*_LIFECYCLE, UPSERT, QUERY, DELETE_BY_IDS, WIPE_REPO, INFO),
            ),
            Kind(
                "tool-executor-plugin",
                ToolExecutorPlugin,
                PluginType.TOOL_EXECUTOR,
                (*_LIFECYCLE, EXECUTE, IS_ALLOWED),
            ),
        )
    }
)

DOCUMENTS: Final[Mapping[str, Any]] = MappingProxyType(
    {
        "PluginManifest": PluginManifest,
        "CallContext": CallContext,
        "LogEvent": LogEvent,
        "HttpRequest": HttpRequest,
        "HttpHead": HttpHead,
        "FileInfo": FileInfo,
        "HealthCheckResult": HealthCheckResult,
        "ProviderCapabilities": ProviderCapabilities,
        "ModelRequest": ModelRequest,
        "ModelResponse": ModelResponse,
        "StreamEvent": StreamEvent,
        "Vectors": Vectors,
        "VectorItem": VectorItem,
        "VectorQueryFilter": VectorQueryFilter,
        "VectorQueryResult": VectorQueryResult,
        "VectorBackendInfo": VectorBackendInfo,
        "ToolRunRequest": ToolRunRequest,
        "ToolPolicy": ToolPolicy,
        "ToolRunResult": ToolRunResult,
    }
)
"""Every document that crosses the boundary, by the name the WIT contract calls it."""
