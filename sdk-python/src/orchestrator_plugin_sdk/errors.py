"""Everything that can go wrong with a plugin, for authors and callers alike.

::

    PluginError
    ├── PluginValidationError          the plugin is wrong: its manifest, its export, its methods
    ├── PluginVersionMismatchError     it is for another version of the SDK
    ├── PluginCallError                the plugin said no, with a closed kind (plugins raise it)
    └── DocumentError                  a document does not fit its schema, or is not MessagePack

The host package adds its own branches below `PluginError`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .version import SdkVersionRange


MAX_MESSAGE = 4_096
"""Characters of an error's message: one that is longer is cut, and ends in `…`."""


def cut(message: str) -> str:
    """At most `MAX_MESSAGE` characters of a message."""
    return message if len(message) <= MAX_MESSAGE else f"{message[: MAX_MESSAGE - 1]}…"


class PluginError(Exception):
    """The root of the tree: catch it to catch everything about plugins.

    A message may repeat what a plugin said, so it has at most `MAX_MESSAGE` characters.
    """

    def __init__(self, message: str = "") -> None:
        super().__init__(cut(message))


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong in a document: where, and what.

    `path` is dotted from the document's root (`sdk_version.min_version`, `items[3].id`); the root
    itself is the empty string.
    """

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message


class PluginValidationError(PluginError):
    """The plugin can't be loaded because something about it is wrong.

    `problems` holds every fault that was found, not just the first one.
    """

    def __init__(self, message: str, problems: Iterable[Problem] = ()) -> None:
        self.problems = tuple(problems)
        super().__init__("\n  - ".join([message, *map(str, self.problems)]))


class PluginVersionMismatchError(PluginError):
    """The plugin is for SDK versions that do not include this one."""

    def __init__(
        self, plugin_name: str, required_range: SdkVersionRange, current_version: int
    ) -> None:
        self.plugin_name = plugin_name
        self.required_range = required_range
        self.current_version = current_version
        remedy = (
            "upgrade the host"
            if required_range.min_version > current_version
            else "install a newer release of the plugin"
        )
        super().__init__(
            f"plugin {plugin_name!r} requires SDK version {required_range}, "
            f"this is SDK version {current_version}: {remedy}"
        )


class ErrorKind(str, Enum):
    """Why a plugin says no: the closed list of `types.error-kind` in the WIT contract."""

    INVALID_REQUEST = "invalid-request"
    UNAUTHENTICATED = "unauthenticated"
    PERMISSION_DENIED = "permission-denied"
    NOT_FOUND = "not-found"
    RATE_LIMITED = "rate-limited"
    UNAVAILABLE = "unavailable"
    TIMEOUT = "timeout"
    ABORTED = "aborted"
    UNSUPPORTED = "unsupported"
    OUT_OF_MEMORY = "out-of-memory"
    INTERNAL = "internal"

    def __str__(self) -> str:
        return self.value


_RETRYABLE = frozenset({ErrorKind.RATE_LIMITED, ErrorKind.UNAVAILABLE, ErrorKind.TIMEOUT})


class PluginCallError(PluginError):
    """A plugin said no. Plugins raise it; callers catch it, from native and sandboxed alike.

    `retryable` defaults to what the kind suggests: true for `rate-limited`, `unavailable` and
    `timeout`. `retry_after_ms` is the shortest sensible wait before another try, in milliseconds.
    """

    def __init__(
        self,
        kind: ErrorKind | str,
        message: str,
        *,
        retryable: bool | None = None,
        retry_after_ms: int | None = None,
    ) -> None:
        self.kind = ErrorKind(kind)
        self.message = cut(message)
        self.retryable = self.kind in _RETRYABLE if retryable is None else retryable
        self.retry_after_ms = retry_after_ms
        super().__init__(f"{self.kind}: {self.message}")

    @classmethod
    def from_exception(cls, error: BaseException) -> PluginCallError:
        """What any exception that escapes from a plugin's method becomes."""
        if isinstance(error, PluginCallError):
            return error
        if isinstance(error, MemoryError):
            return cls(ErrorKind.OUT_OF_MEMORY, "the plugin ran out of memory")
        if isinstance(error, NotImplementedError):
            return cls(ErrorKind.UNSUPPORTED, str(error) or "the plugin does not do this")
        return cls(ErrorKind.INTERNAL, f"{type(error).__name__}: {error}")


class DocumentError(PluginError):
    """A document is not MessagePack, or does not fit its schema. `problems` says where."""

    def __init__(self, message: str, problems: Iterable[Problem] = ()) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join([message, *map(str, self.problems)]))
