"""What one call of a plugin may use up: log events, stream events, the sizes of its documents."""

from __future__ import annotations

from .errors import DocumentTooLargeError, LogLimitError, StreamLimitError
from .limits import UNITS, Limits


class CallBudget:
    """Counts for one call."""

    __slots__ = ("_log_bytes", "_log_events", "_stream_events", "limits", "plugin")

    def __init__(self, plugin: str, limits: Limits) -> None:
        self.plugin = plugin
        self.limits = limits
        self._log_events = 0
        self._log_bytes = 0
        self._stream_events = 0

    def count_stream_event(self) -> None:
        """Counts an event of a stream. Raises `StreamLimitError`."""
        self._stream_events += 1
        if self._stream_events > self.limits.stream_events:
            raise StreamLimitError(*self._limit("stream_events"), "streamed too many events")

    def check_log_bytes(self, size: int) -> None:
        """Raises `LogLimitError` for an event that is too large even to be read."""
        if self._log_bytes + size > self.limits.log_bytes:
            raise LogLimitError(*self._limit("log_bytes"), "logged too many bytes")

    def count_log_event(self, size: int) -> None:
        """Counts a log event of `size` bytes. Raises `LogLimitError`."""
        self._log_events += 1
        if self._log_events > self.limits.log_events:
            raise LogLimitError(*self._limit("log_events"), "logged too many events")
        self.check_log_bytes(size)
        self._log_bytes += size

    def check_document_in(self, size: int) -> None:
        """Raises `DocumentTooLargeError` for a document that is too large to pass in."""
        if size > self.limits.document_in_bytes:
            raise DocumentTooLargeError(
                *self._limit("document_in_bytes"), f"was to get a document of {size:,} bytes"
            )

    def check_document_out(self, size: int) -> None:
        """Raises `DocumentTooLargeError` for a document that is too large to take."""
        if size > self.limits.document_out_bytes:
            raise DocumentTooLargeError(
                *self._limit("document_out_bytes"), f"gave a document of {size:,} bytes"
            )

    def _limit(self, name: str) -> tuple[str, str, int, str]:
        return self.plugin, name, getattr(self.limits, name), UNITS[name]
