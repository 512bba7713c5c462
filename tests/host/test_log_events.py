"""Log events of plugins: what is read, and what is kept of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from orchestrator_plugin_host.log_events import (
    MAX_EVENT_TEXT,
    MAX_TEXT,
    SPARE,
    cut_log_event,
    read_log_event,
)
from orchestrator_plugin_sdk import DocumentError, LogEvent, pack, to_document
from sdk.strategies import values_of

MIB = 1 << 20
EVENT = LogEvent("hello", "greeting", "warning", {"to": ["é", {"a": b"\xff"}]})


def test_an_event_is_read_in_every_form() -> None:
    document = pack(to_document(EVENT))
    assert read_log_event("bytes", document, 1_000) == EVENT
    assert read_log_event("latin1", document.decode("latin-1").encode(), 1_000) == EVENT
    assert read_log_event("latin1", memoryview(document.decode("latin-1").encode()), 1_000) == EVENT


@given(values_of(LogEvent))
def test_a_small_event_stays_as_it_is(event: LogEvent) -> None:
    assert cut_log_event(event) is event
    assert read_log_event("bytes", pack(to_document(event)), MIB) == event


REFUSED: dict[str, Any] = {
    "another document": [1],
    "a level that there is not": {"message": "a", "level": "loud"},
    "too many values": {"message": "a", "fields": {"a": [0] * 1_000}},
    "too many bytes": {"message": "a" * 2_000},
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(name: str) -> None:
    document = pack(REFUSED[name])
    for form, data in (("bytes", document), ("latin1", document.decode("latin-1").encode())):
        with pytest.raises(DocumentError):
            read_log_event(form, data, 1_500)


def test_long_texts_are_cut_and_say_so() -> None:
    event = LogEvent(
        "m" * 20_000, fields={"k" * 20_000: "v" * 20_000, "short": 1, "raw": bytes(20_000)}
    )
    cut = cut_log_event(event)
    assert cut.message == f"{'m' * MAX_TEXT}… (20,000 characters)"
    assert list(cut.fields) == [f"{'k' * MAX_TEXT}… (20,000 characters)", "short", "raw"]
    assert cut.fields["short"] == 1
    assert cut.fields["raw"] == bytes(MAX_TEXT)
    spared = cut_log_event(event, SPARE)
    assert spared.message.startswith("m" * (MAX_TEXT + SPARE) + "…")


def test_all_texts_together_are_cut() -> None:
    event = LogEvent("a", fields={"texts": ["b" * 10_000] * 50})
    kept = cut_log_event(event).fields["texts"]
    assert len(kept) == 50
    assert sum(text.count("b") for text in kept) == MAX_EVENT_TEXT - len("alogtexts")


HOSTILE: dict[str, Callable[[], dict[str, Any]]] = {
    "a message of a megabyte": lambda: {"message": "a" * MIB},
    "a message of a megabyte, not ASCII": lambda: {"message": "é😀" * (MIB // 6)},
    "fields of a megabyte": lambda: {"message": "", "fields": {"a": ["b" * 1_000] * 990}},
    "keys of a megabyte": lambda: {
        "message": "",
        "fields": {f"{n}{'k' * 2_000}": 0 for n in range(490)},
    },
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.usefixtures("no_garbage")
def test_what_a_hostile_event_costs(name: str) -> None:
    """At most 20 ms of the processor, with a margin of three."""
    data = pack(HOSTILE[name]()).decode("latin-1").encode()
    began = time.thread_time()
    event = cut_log_event(read_log_event("latin1", data, 2 * MIB))
    assert time.thread_time() - began < 0.06
    assert len(pack(to_document(event))) < 300_000
