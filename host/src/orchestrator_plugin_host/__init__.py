"""Run plugins of LLM orchestrators: sandboxed WebAssembly components, or trusted Python objects.

>>> from orchestrator_plugin_host import LoadedProvider, PluginHost
"""

from .component_file import ComponentFile, read_component, with_manifest
from .discovery import ENTRY_POINT_GROUP, PluginSource
from .errors import (
    CacheError,
    CompileLimitError,
    CompilerLostError,
    ComponentTooLargeError,
    ConcurrencyLimitError,
    DeadlineExceededError,
    DocumentTooLargeError,
    FilesError,
    FuelExhaustedError,
    InvalidComponentError,
    LimitExceededError,
    LogLimitError,
    MemoryLimitError,
    PluginAbortedError,
    PluginBlockedError,
    PluginBuildError,
    PluginClosedError,
    PluginInitError,
    PluginInputError,
    PluginNotFoundError,
    PluginOutputError,
    PluginRefusedError,
    PluginTrapError,
    SignalsTakenError,
    StreamLimitError,
    WorkerLostError,
)
from .handles import (
    LoadedEmbedder,
    LoadedPlugin,
    LoadedProvider,
    LoadedToolExecutor,
    LoadedVectorMemoryBackend,
    PluginStream,
)
from .host import PluginHost, SafeLoad
from .limits import Limits
from .policy import Policy
from .settings import HostSettings, PoolSettings

__all__ = [
    "ENTRY_POINT_GROUP",
    "CacheError",
    "CompileLimitError",
    "CompilerLostError",
    "ComponentFile",
    "ComponentTooLargeError",
    "ConcurrencyLimitError",
    "DeadlineExceededError",
    "DocumentTooLargeError",
    "FilesError",
    "FuelExhaustedError",
    "HostSettings",
    "InvalidComponentError",
    "LimitExceededError",
    "Limits",
    "LoadedEmbedder",
    "LoadedPlugin",
    "LoadedProvider",
    "LoadedToolExecutor",
    "LoadedVectorMemoryBackend",
    "LogLimitError",
    "MemoryLimitError",
    "PluginAbortedError",
    "PluginBlockedError",
    "PluginBuildError",
    "PluginClosedError",
    "PluginHost",
    "PluginInitError",
    "PluginInputError",
    "PluginNotFoundError",
    "PluginOutputError",
    "PluginRefusedError",
    "PluginSource",
    "PluginStream",
    "PluginTrapError",
    "Policy",
    "PoolSettings",
    "SafeLoad",
    "SignalsTakenError",
    "StreamLimitError",
    "WorkerLostError",
    "read_component",
    "with_manifest",
]
