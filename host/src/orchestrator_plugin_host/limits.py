"""What a plugin may use: the operator's limits, and those a manifest lowers."""

from typing import TYPE_CHECKING, Annotated, Final

from orchestrator_plugin_sdk.codec import to_document
from pydantic import BaseModel, ConfigDict, Field

from .errors import PluginRefusedError

if TYPE_CHECKING:
    from orchestrator_plugin_sdk.manifest import PluginManifest

Positive = Annotated[int, Field(gt=0, le=2**62, strict=True)]
NotNegative = Annotated[int, Field(ge=0, le=2**62, strict=True)]

MIB: Final = 1024 * 1024


class Limits(BaseModel):
    """The operator's limits. Each holds for one call of one plugin unless it says otherwise.

    For native plugins, which are not sandboxed, fuel and memory do not apply, and the deadline and
    cancellation end a call only where it awaits.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    fuel: Positive = 200_000_000_000
    """WebAssembly instructions, about."""
    deadline_ms: Positive = 30_000
    """Milliseconds from the call to its answer, waiting for an instance included. Of a stream:
    the time spent inside the plugin, not the caller's between events."""
    memory_bytes: Positive = 256 * MIB
    """Bytes of linear memory of an instance, all its memories together."""
    memories: Positive = 8
    """Linear memories of an instance."""
    core_instances: Positive = 256
    """Core WebAssembly instances within an instance of a component."""
    tables: Positive = 128
    """Tables of an instance."""
    table_elements: Positive = 100_000
    """Elements of one table."""
    component_bytes: Positive = 128 * MIB
    """Bytes of a component's file."""
    modules: Positive = 100
    """Core modules in a component."""
    functions: Positive = 200_000
    """Functions that a component's modules define."""
    data_segments: Positive = 100_000
    """Data segments of a component's modules."""
    compile_ms: Positive = 120_000
    """Milliseconds that compiling a component may take, in a process of its own."""
    compile_memory_bytes: Positive = 4096 * MIB
    """Bytes of memory that compiling a component may take."""
    code_bytes: Positive = 256 * MIB
    """Bytes of what a component is compiled to, with what its memories hold at first."""
    document_in_bytes: Positive = 16 * MIB
    """Bytes of a document on its way into a plugin."""
    document_out_bytes: Positive = 16 * MIB
    """Bytes of a document that a plugin gives. A byte of text that is not ASCII counts five."""
    document_values: Positive = 50_000
    """Values of a document that a plugin gives: items of lists, keys and values of maps."""
    log_events: NotNegative = 1_000
    """Log events."""
    log_bytes: NotNegative = MIB
    """Bytes of all log events together."""
    stream_events: Positive = 100_000
    """Events of a stream."""
    concurrent_calls: Positive = 64
    """Calls of one loaded plugin at once, running or waiting for an instance."""
    first_event_ms: Positive = 30_000
    """Milliseconds from asking for a stream to its first event, without the caller's own."""
    idle_ms: Positive = 30_000
    """Milliseconds between two events of a stream, without the caller's own."""
    http_requests: NotNegative = 100
    """HTTP requests, redirects included."""
    http_concurrent: Positive = 8
    """HTTP requests at once: responses that are open."""
    http_up_bytes: NotNegative = 16 * MIB
    """Bytes that requests send, heads included."""
    http_down_bytes: NotNegative = 64 * MIB
    """Bytes of the bodies of responses, decompressed. Of everything that comes, compressed and in
    chunks, there may be twice as many and 1 MiB, each chunk counting as 256 more."""
    http_names: NotNegative = 32
    """Names of hosts that are looked up, each once. What is looked up can be read by whoever
    answers for a name."""
    http_ms: Positive = 120_000
    """Milliseconds from sending a request to the end of its response."""
    http_head_bytes: Positive = 16 * 1024
    """Bytes of a head: of the names and values of a request's headers and query, and of everything
    before the body of a response."""


UNITS: Final = {
    "fuel": "units of fuel",
    "deadline_ms": "ms",
    "memory_bytes": "bytes",
    "memories": "memories",
    "core_instances": "instances",
    "tables": "tables",
    "table_elements": "elements",
    "component_bytes": "bytes",
    "modules": "modules",
    "functions": "functions",
    "data_segments": "data segments",
    "compile_ms": "ms",
    "compile_memory_bytes": "bytes",
    "code_bytes": "bytes",
    "document_in_bytes": "bytes",
    "document_out_bytes": "bytes",
    "document_values": "values",
    "log_events": "events",
    "log_bytes": "bytes",
    "stream_events": "events",
    "concurrent_calls": "calls",
    "first_event_ms": "ms",
    "idle_ms": "ms",
    "http_requests": "requests",
    "http_concurrent": "requests",
    "http_up_bytes": "bytes",
    "http_down_bytes": "bytes",
    "http_names": "names",
    "http_ms": "ms",
    "http_head_bytes": "bytes",
}
"""The unit of each limit."""


def effective_limits(operator: Limits, manifest: "PluginManifest") -> Limits:
    """The operator's limits, lowered by the manifest's.

    A manifest that asks for more than the operator gives is refused, since the plugin says that it
    can't do with less. Raises `PluginRefusedError`.
    """
    asked = {
        name: value for name, value in to_document(manifest.limits).items() if value is not None
    }
    for name, value in asked.items():
        given = getattr(operator, name)
        if value > given:
            raise PluginRefusedError(
                f"plugin {manifest.name!r} asks for limits.{name} = {value:,} {UNITS[name]} in its "
                f"manifest, the operator gives {given:,}: grant it with Limits({name}={value}), or "
                f"lower limits.{name} in the manifest"
            )
    return operator.model_copy(update=asked)
