"""Everything that can go wrong between a caller and a plugin.

::

    PluginError                            (from the SDK, as are the next three)
    ├── PluginValidationError
    │   └── InvalidComponentError          not a component, or not one of ours, type for type
    ├── PluginVersionMismatchError
    ├── PluginCallError                    the plugin said no
    ├── PluginNotFoundError                no such file or entry point
    ├── PluginRefusedError                 the plugin asks for more than the operator grants
    ├── PolicyError                        the operator's policy is not valid
    ├── AuditError                         the audit can't be written
    ├── SecretError                        a secret that the policy binds can't be read or used
    ├── FilesError                         a folder of a plugin's can't be used
    ├── PluginInitError                    `init` failed
    ├── PluginInputError                   what the caller passed does not fit the schema
    ├── PluginOutputError                  what the plugin answered is not what it promised
    ├── PluginTrapError                    the sandboxed plugin crashed
    ├── PluginAbortedError                 the caller gave up
    ├── WorkerLostError                    the process that ran the plugin ended
    ├── CompilerLostError                  the process that compiled the plugin ended
    ├── ConfinementError                   this system does not let worker processes be confined
    ├── PluginClosedError                  the plugin or the host has been shut down
    ├── PluginBuildError                   a plugin could not be built
    ├── SignalsTakenError                  this process can't run sandboxed plugins safely any more
    ├── CacheError                         the folder of compiled components can't be used safely
    └── LimitExceededError                 a limit was reached
        ├── FuelExhaustedError
        ├── DeadlineExceededError
        │   ├── FirstEventTimeoutError
        │   └── IdleTimeoutError
        ├── MemoryLimitError
        ├── ComponentTooLargeError
        ├── CompileLimitError
        ├── DocumentTooLargeError
        ├── LogLimitError
        ├── StreamLimitError
        ├── HttpLimitError
        └── ConcurrencyLimitError
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

# From the modules, not the package: a worker process imports this one, and none of the rest.
from orchestrator_plugin_sdk.errors import (
    ErrorKind,
    PluginCallError,
    PluginError,
    PluginValidationError,
    PluginVersionMismatchError,
)

if TYPE_CHECKING:
    from orchestrator_plugin_sdk.provider import ModelResponse

__all__ = [
    "AuditError",
    "CacheError",
    "CallTimes",
    "CompileLimitError",
    "CompilerLostError",
    "ComponentTooLargeError",
    "ConcurrencyLimitError",
    "ConfinementError",
    "DeadlineExceededError",
    "DocumentTooLargeError",
    "ErrorKind",
    "FilesError",
    "FirstEventTimeoutError",
    "FuelExhaustedError",
    "HttpLimitError",
    "IdleTimeoutError",
    "InvalidComponentError",
    "LimitExceededError",
    "LogLimitError",
    "MemoryLimitError",
    "PluginAbortedError",
    "PluginBuildError",
    "PluginCallError",
    "PluginClosedError",
    "PluginError",
    "PluginInitError",
    "PluginInputError",
    "PluginNotFoundError",
    "PluginOutputError",
    "PluginRefusedError",
    "PluginTrapError",
    "PluginValidationError",
    "PluginVersionMismatchError",
    "PolicyError",
    "SecretError",
    "SignalsTakenError",
    "StreamLimitError",
    "WorkerLostError",
]


class InvalidComponentError(PluginValidationError):
    """A file is not a component, or not one that this host runs."""


class PluginNotFoundError(PluginError):
    """There is no such file, and no entry point of that name."""


class PluginRefusedError(PluginError):
    """A plugin asks for more than the operator grants, or is not the one that the policy names."""


class PolicyError(PluginError):
    """The operator's policy is not valid. The message lists every fault."""


class AuditError(PluginError):
    """The file of the audit can't be opened or written. What can't be audited does not happen."""


class SecretError(PluginError):
    """A secret that the policy binds can't be read, or is not one. Its value is not in the
    message."""


class FilesError(PluginError):
    """A plugin's data folder, or a folder that the policy grants it, can't be used: another host or
    another version has it, it is not private, or not there. The message says what to do."""


class PluginInitError(PluginError):
    """A plugin's `init` failed; the cause says how."""


class PluginInputError(PluginError):
    """What the caller passed does not fit the schema. The plugin was not called."""


class PluginOutputError(PluginError):
    """What a plugin answered is not MessagePack, or does not fit the schema."""


class PluginTrapError(PluginError):
    """A sandboxed plugin crashed. Its instance is gone; the next call gets another.

    `trap` says how, in WebAssembly's words: `unreachable`, `stack overflow`, `out-of-bounds memory
    access` and so on.
    """

    def __init__(self, message: str, trap: str) -> None:
        self.trap = trap
        super().__init__(message)


class PluginAbortedError(PluginError):
    """The caller's abort signal ended the call."""


class PluginClosedError(PluginError):
    """The plugin or its host has been shut down."""


class WorkerLostError(PluginError):
    """The process that ran a plugin (of the `process` tier) ended by itself. The plugin goes on:
    the next call gets another process."""


class CompilerLostError(PluginError):
    """The process that compiled a component ended by itself."""


class ConfinementError(PluginError):
    """`HostSettings.require_confinement` is set, and this system does not let the host confine a
    worker process completely. Nothing of the plugin was run.

    `missing` names what does not hold; the message says how to mend each.
    """

    def __init__(self, message: str, missing: tuple[str, ...]) -> None:
        self.missing = missing
        super().__init__(message)


class PluginBuildError(PluginError):
    """A plugin's source could not be made into a component."""


class SignalsTakenError(PluginError):
    """Another part of the process has taken the signals that wasmtime learns of traps by."""


class CacheError(PluginError):
    """The folder of compiled components can't be used safely. The message says what to do."""


class LimitExceededError(PluginError):
    """A call reached a limit. The plugin goes on; so does the host.

    `limit` is the limit's name, in the operator's `Limits` and in the manifest's `[limits]`;
    `value` is what it is set to, in `unit`. A limit `timeout_ms` is that of a request, or of a tool
    policy.
    """

    def __init__(
        self,
        plugin: str,
        limit: str,
        value: int,
        unit: str,
        what: str,
        *,
        remedy: str | None = None,
    ) -> None:
        """`remedy` says how to raise it, if it is none of `Limits`."""
        self.plugin = plugin
        self.limit = limit
        self.value = value
        self.unit = unit
        if remedy is None:
            remedy = (
                f"pass Limits({limit}=…) to PluginHost or load(), and raise limits.{limit} in the "
                "plugin's manifest if it is set there"
            )
        super().__init__(
            f"plugin {plugin!r} {what}: the limit {limit} is {value:,} {unit}; to raise it, "
            f"{remedy}"
        )


class FuelExhaustedError(LimitExceededError):
    """A call used up its fuel (about one unit a WebAssembly instruction)."""


@dataclass(frozen=True, slots=True)
class CallTimes:
    """Where the time of a call has gone, in milliseconds: waiting for an instance, inside the
    plugin, and in what the host does for it (HTTP, files, sleep)."""

    queue_ms: int = 0
    plugin_ms: int = 0
    host_ms: int = 0

    def __str__(self) -> str:
        return (
            f"{self.plugin_ms:,} ms in the plugin, {self.host_ms:,} ms in calls of the host, "
            f"{self.queue_ms:,} ms waiting for an instance"
        )


class DeadlineExceededError(LimitExceededError):
    """A call took too long. `times` says where the time went.

    `put_together`, of a stream, makes what had come until then: see `arrived`.
    """

    def __init__(
        self,
        plugin: str,
        limit: str,
        value: int,
        unit: str,
        what: str,
        times: CallTimes | None = None,
        *,
        remedy: str | None = None,
    ) -> None:
        super().__init__(plugin, limit, value, unit, what, remedy=remedy)
        self.times = times or CallTimes()
        self.put_together: Callable[[], ModelResponse] | None = None

    @property
    def arrived(self) -> ModelResponse | None:
        """Of a stream, what had come until the deadline. Put together when it is asked for, so
        that nobody hears later of a deadline because much had come."""
        return None if self.put_together is None else self.put_together()


class FirstEventTimeoutError(DeadlineExceededError):
    """A stream's first event took too long."""


class IdleTimeoutError(DeadlineExceededError):
    """A stream gave nothing for too long."""


class MemoryLimitError(LimitExceededError):
    """A plugin wanted more memory, tables or instances than it may have."""


class ComponentTooLargeError(LimitExceededError):
    """A component's file is too large, or holds too many modules, functions or data segments."""


class CompileLimitError(LimitExceededError):
    """Compiling a component took too long or too much memory."""


class DocumentTooLargeError(LimitExceededError):
    """A document, to a plugin or from it, is larger than allowed."""


class LogLimitError(LimitExceededError):
    """A call logged too many events, or too many bytes."""


class StreamLimitError(LimitExceededError):
    """A stream gave too many events."""


class HttpLimitError(LimitExceededError):
    """A call made too many requests, sent or got too much, or a request took too long."""


class ConcurrencyLimitError(LimitExceededError):
    """Too many calls of one plugin at once. The call was not made; try again later."""
