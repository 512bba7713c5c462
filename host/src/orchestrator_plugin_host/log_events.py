"""Log events of plugins, read within bounds and cut to what a log should hold."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from orchestrator_plugin_sdk import LogEvent

from .documents import read_document
from .payload_text import document_of
from .pieces import at_once

MAX_TEXT: Final = 16_384
"""Characters of a text, or a key, of an event that are kept."""
MAX_EVENT_TEXT: Final = 65_536
"""Characters of all texts of an event that are kept."""
SPARE: Final = 1_024
"""Characters that are kept besides while an event is still to be looked through for secrets: one
that is cut in two would not be found."""
_MAX_VALUES: Final = 1_000
_WIDE: Final = 5
"""What `documents.unpack` counts for a byte of text that is not ASCII: here it is no more than one,
since events are small."""


def read_log_event(form: str, data: bytes | memoryview, most_bytes: int) -> LogEvent:
    """An event, given as a payload's form and bytes, of at most `most_bytes` and 1,000 values.

    Takes less than 10 ms for a megabyte. Raises `DocumentError` for what is not such an event.
    """
    document = at_once(document_of(form, data, most_bytes))
    event: LogEvent = read_document(
        document,
        LogEvent,
        "the event",
        most_bytes=max(most_bytes, len(document) * _WIDE),
        most_values=_MAX_VALUES,
    )
    return event


def cut_log_event(event: LogEvent, spare: int = 0) -> LogEvent:
    """An event whose texts are cut to `MAX_TEXT` characters each and `MAX_EVENT_TEXT` in all, and
    to `spare` more of each.

    Cut it with `SPARE` before the values of secrets are taken out, which takes time in proportion
    to its text, and without it afterwards.
    """
    cutter = _Cutter(MAX_TEXT + spare, MAX_EVENT_TEXT)
    made = replace(
        event,
        type=cutter.cut(event.type),
        message=cutter.cut(event.message),
        fields=cutter.cut(event.fields),
    )
    return made if cutter.has_cut else event


class _Cutter:
    def __init__(self, most: int, room: int) -> None:
        self._most = most
        self._room = room
        self.has_cut = False

    def cut(self, value: Any) -> Any:
        if isinstance(value, str):
            most = min(self._most, self._room)
            self._room -= min(len(value), most)
            if len(value) <= most:
                return value
            self.has_cut = True
            return f"{value[:most]}… ({len(value):,} characters)"
        if isinstance(value, bytes):
            self._room -= min(len(value), self._most, self._room)
            if len(value) <= self._most:
                return value
            self.has_cut = True
            return value[: self._most]
        if isinstance(value, dict):
            return {self.cut(key): self.cut(one) for key, one in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.cut(one) for one in value]
        return value
