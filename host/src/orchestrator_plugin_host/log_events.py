"""Log events of plugins: read within bounds, without the values of secrets, and cut to what a log
should hold."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from orchestrator_plugin_sdk.log import LogEvent

from .documents import unpack, validate

MAX_TEXT: Final = 16_384
"""Characters of a text or key, or bytes of binary, that are kept."""
MAX_EVENT_TEXT: Final = 65_536
"""Characters of all texts of an event that are kept."""
_SPARE: Final = 1_024
"""Characters that are kept besides while an event is still to be looked through for secrets: one
that is cut in two would not be found."""
_MAX_VALUES: Final = 1_000
_WIDE: Final = 5
"""What `unpack` counts for a byte of text that is not ASCII. Events are small: here it counts one
as all others."""
_FIRST: Final = ("type", "level", "message")


def read_log_event(document: bytes, most_bytes: int, scrub: Callable[[Any], Any]) -> LogEvent:
    """The event that a document is, of at most `most_bytes` and 1,000 values.

    `scrub` takes the values of secrets out of plain data; it gets no more text than is kept. Texts
    that are longer than `MAX_TEXT`, or than what `MAX_EVENT_TEXT` leaves, are cut, and end in `…`.
    Takes less than 20 ms for a megabyte. Raises `DocumentError` for what is not such an event.
    """
    plain = unpack(document, most_bytes * _WIDE, _MAX_VALUES)
    event: LogEvent = validate(LogEvent, plain, "the event", from_plugin=True)
    is_short = len(document) <= MAX_TEXT
    kept = plain if is_short else _cut(plain, _SPARE)
    scrubbed = scrub(kept)
    if not is_short:
        scrubbed = _cut(scrubbed, 0)
    if scrubbed is not plain:
        event = validate(LogEvent, scrubbed, "the event", from_plugin=True)
    return event


def _cut(plain: dict[str, Any], spare: int) -> dict[str, Any]:
    cutter = _Cutter(MAX_TEXT + spare, MAX_EVENT_TEXT + spare)
    ordered = [name for name in _FIRST if name in plain] + sorted(plain.keys() - set(_FIRST))
    return {name: cutter.cut(plain[name]) for name in ordered}


class _Cutter:
    def __init__(self, most: int, room: int) -> None:
        self._most = most
        self._room = room

    def cut(self, value: Any) -> Any:
        if isinstance(value, str):
            kept = self._kept(len(value))
            if kept == len(value):
                return value
            return f"{value[:kept]}…"
        if isinstance(value, bytes):
            return value[: self._kept(len(value))]
        if isinstance(value, dict):
            return {self.cut(key): self.cut(one) for key, one in value.items()}
        if isinstance(value, list):
            return [self.cut(one) for one in value]
        return value

    def _kept(self, size: int) -> int:
        kept = min(size, self._most, self._room)
        self._room -= kept
        return kept
