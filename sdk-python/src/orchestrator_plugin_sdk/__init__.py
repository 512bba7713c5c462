"""Write plugins for LLM orchestrators.

There are four kinds: providers, embedders, vector memory backends and tool executors.
One source of a plugin runs natively in Python and, unchanged, compiled to a WebAssembly component.
"""

from .codec import pack, to_document, unpack
from .context import (
    AbortController,
    AbortSignal,
    CallContext,
    NativeServices,
    PluginContext,
    Services,
)
from .embedder import EmbedderPlugin
from .errors import (
    DocumentError,
    ErrorKind,
    PluginCallError,
    PluginError,
    PluginValidationError,
    PluginVersionMismatchError,
    Problem,
)
from .event_stream import ServerSentEvent
from .files import FileInfo, Files
from .http import Http, HttpRequest, HttpResponse
from .json_text import read_json
from .log import LogEvent, LogLevel, MemoryLogger, NullLogger, PluginLogger, StandardLogger
from .manifest import (
    ConfigField,
    FilesRequirement,
    HttpRequirement,
    ManifestLimits,
    PluginManifest,
    PluginType,
    SecretRequirement,
    check_version,
    validate_manifest,
)
from .native import (
    SafeLoadResult,
    check_export,
    create_plugin,
    load_plugin,
    safe_load_plugin,
)
from .payload import PayloadEncoding
from .plugin import HealthCheckResult, Plugin, PluginConfig, PluginExport
from .project import BuildSettings, PluginProject, load_project, read_manifest, read_project
from .provider import (
    ContentPart,
    FinishReason,
    ImagePart,
    Message,
    ModelRequest,
    ModelResponse,
    ProviderAdapterPlugin,
    ProviderCapabilities,
    ResponseFormat,
    Role,
    StreamEnd,
    StreamEvent,
    StreamTextDelta,
    StreamToolCallDelta,
    StreamUsage,
    TextPart,
    ToolCall,
    ToolDefinition,
    Usage,
)
from .schema import from_document
from .tool_executor import Artifact, ToolExecutorPlugin, ToolPolicy, ToolRunRequest, ToolRunResult
from .vector_memory import (
    FieldCondition,
    FilterOperator,
    VectorBackendInfo,
    VectorItem,
    VectorMemoryBackendPlugin,
    VectorQueryFilter,
    VectorQueryResult,
)
from .vectors import Vector, VectorLike, Vectors
from .version import SDK_VERSION, SdkVersionRange

__all__ = [
    "SDK_VERSION",
    "AbortController",
    "AbortSignal",
    "Artifact",
    "BuildSettings",
    "CallContext",
    "ConfigField",
    "ContentPart",
    "DocumentError",
    "EmbedderPlugin",
    "ErrorKind",
    "FieldCondition",
    "FileInfo",
    "Files",
    "FilesRequirement",
    "FilterOperator",
    "FinishReason",
    "HealthCheckResult",
    "Http",
    "HttpRequest",
    "HttpRequirement",
    "HttpResponse",
    "ImagePart",
    "LogEvent",
    "LogLevel",
    "ManifestLimits",
    "MemoryLogger",
    "Message",
    "ModelRequest",
    "ModelResponse",
    "NativeServices",
    "NullLogger",
    "PayloadEncoding",
    "Plugin",
    "PluginCallError",
    "PluginConfig",
    "PluginContext",
    "PluginError",
    "PluginExport",
    "PluginLogger",
    "PluginManifest",
    "PluginProject",
    "PluginType",
    "PluginValidationError",
    "PluginVersionMismatchError",
    "Problem",
    "ProviderAdapterPlugin",
    "ProviderCapabilities",
    "ResponseFormat",
    "Role",
    "SafeLoadResult",
    "SdkVersionRange",
    "SecretRequirement",
    "ServerSentEvent",
    "Services",
    "StandardLogger",
    "StreamEnd",
    "StreamEvent",
    "StreamTextDelta",
    "StreamToolCallDelta",
    "StreamUsage",
    "TextPart",
    "ToolCall",
    "ToolDefinition",
    "ToolExecutorPlugin",
    "ToolPolicy",
    "ToolRunRequest",
    "ToolRunResult",
    "Usage",
    "Vector",
    "VectorBackendInfo",
    "VectorItem",
    "VectorLike",
    "VectorMemoryBackendPlugin",
    "VectorQueryFilter",
    "VectorQueryResult",
    "Vectors",
    "check_export",
    "check_version",
    "create_plugin",
    "from_document",
    "load_plugin",
    "load_project",
    "pack",
    "read_json",
    "read_manifest",
    "read_project",
    "safe_load_plugin",
    "to_document",
    "unpack",
    "validate_manifest",
]
