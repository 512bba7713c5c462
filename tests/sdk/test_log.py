"""Log events and their sinks."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from io import StringIO
from typing import Any, get_args

import pytest
from hypothesis import given
from orchestrator_plugin_sdk import LogEvent, LogLevel, MemoryLogger, NullLogger, StandardLogger
from support.texts import WITH_HALVES, hidden_in


@pytest.mark.parametrize(
    ("given", "event"),
    [
        ({"message": "m"}, LogEvent("m")),
        ({"type": "log", "message": "MyProvider initialized"}, LogEvent("MyProvider initialized")),
        ({}, LogEvent("")),
        ({"message": "m", "type": "t", "level": "error"}, LogEvent("m", "t", "error")),
        ({"message": "m", "a": 1}, LogEvent("m", fields={"a": 1})),
        ({"message": "m", "fields": {"a": 1}}, LogEvent("m", fields={"a": 1})),
        ({"a": 1, "b": 1, "fields": {"b": 2}}, LogEvent("", fields={"a": 1, "b": 2})),
        ({"message": 5}, LogEvent("5")),
        (LogEvent("m", "t", "debug", {"a": 1}), LogEvent("m", "t", "debug", {"a": 1})),
    ],
)
def test_an_event_given_as_a_mapping(given: LogEvent | Mapping[str, Any], event: LogEvent) -> None:
    logger = MemoryLogger()
    logger.log(given)
    assert logger.events == [event]


def test_the_mapping_is_left_alone() -> None:
    given = {"message": "m", "fields": {"a": 1}, "b": 2}
    MemoryLogger().log(given)
    assert given == {"message": "m", "fields": {"a": 1}, "b": 2}


@pytest.mark.parametrize("level", get_args(LogLevel))
def test_there_is_a_method_a_level(level: LogLevel) -> None:
    logger = MemoryLogger()
    getattr(logger, level)("m", a=1)
    assert logger.events == [LogEvent("m", level=level, fields={"a": 1})]


def test_the_null_logger_takes_everything() -> None:
    logger = NullLogger()
    logger.log({"message": "m"})
    logger.error("m", a=object())
    assert not vars(logger)


@pytest.mark.parametrize("level", get_args(LogLevel))
def test_the_standard_library_gets_the_event(
    level: LogLevel, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "plugins")
    StandardLogger(logging.getLogger("plugins")).emit(LogEvent("100 %s", "t", level, {"name": "n"}))
    (record,) = caplog.records
    assert record.levelname == level.upper()
    assert record.getMessage() == "100 %s"
    assert vars(record)["plugin_event_type"] == "t"
    assert vars(record)["plugin_fields"] == {"name": "n"}


@given(WITH_HALVES, WITH_HALVES, WITH_HALVES)
def test_no_event_forges_a_line_or_drives_a_terminal(message: str, kind: str, field: str) -> None:
    logger = logging.Logger("plugins")  # of its own: nobody else hears of it
    written = StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(
        logging.Formatter("%(levelname)s %(message)s %(plugin_event_type)s %(plugin_fields)s")
    )
    logger.addHandler(handler)
    StandardLogger(logger).emit(LogEvent(message, kind, fields={field: [field, {"a": field}]}))
    (line,) = written.getvalue().splitlines()
    assert line.startswith("INFO ")
    assert not hidden_in(line)
