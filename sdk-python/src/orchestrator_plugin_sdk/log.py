"""Structured log events, and the sinks that a caller gives to a plugin."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from .codec import pack, to_document
from .errors import DocumentError
from .schema import from_document

if TYPE_CHECKING:
    import logging

LogLevel = Literal["debug", "info", "warning", "error"]
"""How much an event matters, least first."""


@dataclass(frozen=True, slots=True)
class LogEvent:
    """One event. `type` is the plugin's own word for what happened; `fields` are its data."""

    message: str
    type: str = "log"
    level: LogLevel = "info"
    fields: Mapping[str, Any] = field(default_factory=dict)


def log_document(event: LogEvent) -> bytes:
    """An event as it crosses the boundary. Raises `ValueError` for what is no log event."""
    try:
        document = to_document(event)
        from_document(LogEvent, document, "it")
        return pack(document)
    except DocumentError as error:
        raise ValueError(f"this is no log event: {error}") from None


class PluginLogger(ABC):
    """Where a plugin's events go. A sink implements `emit`; a plugin calls the rest."""

    @abstractmethod
    def emit(self, event: LogEvent) -> None:
        """Takes one event."""

    def log(self, event: LogEvent | Mapping[str, Any]) -> None:
        """Emits an event given as a `LogEvent` or a mapping.

        Of a mapping, the keys `message`, `type` and `level` have their meaning; all others become
        `fields`.
        """
        if not isinstance(event, LogEvent):
            rest = dict(event)
            fields = dict(rest.pop("fields", {}))
            event = LogEvent(
                message=str(rest.pop("message", "")),
                type=str(rest.pop("type", "log")),
                level=rest.pop("level", "info"),
                fields={**rest, **fields},
            )
        self.emit(event)

    def debug(self, message: str, **fields: Any) -> None:
        """Emits an event of level `debug`."""
        self.emit(LogEvent(message, level="debug", fields=fields))

    def info(self, message: str, **fields: Any) -> None:
        """Emits an event of level `info`."""
        self.emit(LogEvent(message, level="info", fields=fields))

    def warning(self, message: str, **fields: Any) -> None:
        """Emits an event of level `warning`."""
        self.emit(LogEvent(message, level="warning", fields=fields))

    def error(self, message: str, **fields: Any) -> None:
        """Emits an event of level `error`."""
        self.emit(LogEvent(message, level="error", fields=fields))


class NullLogger(PluginLogger):
    """Forgets every event."""

    def emit(self, event: LogEvent) -> None:
        """Does nothing."""


class MemoryLogger(PluginLogger):
    """Keeps every event in `events`: for tests and short runs."""

    def __init__(self) -> None:
        self.events: list[LogEvent] = []

    def emit(self, event: LogEvent) -> None:
        """Appends the event."""
        self.events.append(event)


class StandardLogger(PluginLogger):
    """Passes events on to the standard library's `logging`.

    The event's type and fields are on the record as `plugin_event_type` and `plugin_fields`.
    Control characters, line breaks and characters that hide text are escaped in all of it
    (`visible`), so that no event looks like two.
    """

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger

    def emit(self, event: LogEvent) -> None:
        """Logs the event at its level."""
        import logging

        from .visible import visible, visible_data  # plugins, in whose memory this is, need neither

        self._logger.log(
            getattr(logging, event.level.upper()),
            "%s",
            visible(event.message),
            extra={
                "plugin_event_type": visible(event.type),
                "plugin_fields": visible_data(event.fields),
            },
        )
