"""Log events of plugins: what is read, and what is kept of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from orchestrator_plugin_host.capabilities.secrets.scrubbing import SCRUBBED, Scrubber
from orchestrator_plugin_host.log_events import MAX_EVENT_TEXT, MAX_TEXT, read_log_event
from orchestrator_plugin_sdk import DocumentError, LogEvent, pack, to_document
from sdk.strategies import values_of

MIB = 1 << 20
SECRET = "sk-0123456789abcdef"


def plainly(document: Any) -> Any:
    return document


def scrub(document: Any) -> Any:
    """Takes `SECRET` out, as a call's secrets are."""
    scrubber = Scrubber([SECRET])
    if isinstance(document, str):
        return scrubber.text(document)
    if isinstance(document, dict):
        return {key: scrub(value) for key, value in document.items()}
    return [scrub(one) for one in document] if isinstance(document, list) else document


def read(event: Any, scrubbing: Callable[[Any], Any] = plainly) -> LogEvent:
    return read_log_event(pack(to_document(event)), MIB, scrubbing)


@given(values_of(LogEvent))
def test_a_small_event_stays_as_it_is(event: LogEvent) -> None:
    assert read(event) == event


def test_the_values_of_secrets_are_taken_out() -> None:
    event = read(LogEvent(f"a {SECRET}", fields={"b": [SECRET]}), scrub)
    assert event == LogEvent(f"a {SCRUBBED}", fields={"b": [SCRUBBED]})


REFUSED: dict[str, Any] = {
    "another document": [1],
    "a level that there is not": {"message": "a", "level": "loud"},
    "too many values": {"message": "a", "fields": {"a": [0] * 1_000}},
    "too many bytes": {"message": "a" * (5 * MIB)},
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(name: str) -> None:
    with pytest.raises(DocumentError):
        read(REFUSED[name])


def test_long_texts_are_cut() -> None:
    fields = {"k" * 20_000: "v", "short": 1, "raw": bytes(20_000)}
    event = read(LogEvent("m" * 20_000, fields=fields))
    assert event.message == f"{'m' * MAX_TEXT}…"
    assert event.fields == {
        f"{'k' * MAX_TEXT}…": "v",
        "short": 1,
        "raw": bytes(MAX_TEXT),
    }


def test_all_texts_together_are_cut_the_message_last() -> None:
    texts = ["b" * 10_000] * 50
    event = read({"fields": {"texts": texts}, "message": "m" * 10_000})
    assert event.message == "m" * 10_000
    assert sum(text.count("b") for text in event.fields["texts"]) < MAX_EVENT_TEXT - 10_000
    assert len(event.fields["texts"]) == 50


@pytest.mark.parametrize("at", range(MAX_TEXT - len(SECRET) - 1, MAX_TEXT + 2))
def test_a_secret_is_taken_out_wherever_a_text_is_cut(at: int) -> None:
    text = "." * at + SECRET + "." * 10_000
    for event in (LogEvent(text), LogEvent("a", fields={"b": text})):
        cut = read(event, scrub)
        shown = cut.message + str(cut.fields)
        assert SECRET[:6] not in shown


HOSTILE: dict[str, Callable[[], dict[str, Any]]] = {
    "a message of a megabyte": lambda: {"message": "a" * MIB},
    "a message of a megabyte, not ASCII": lambda: {"message": "é😀" * (MIB // 6)},
    "fields of a megabyte": lambda: {"message": "", "fields": {"a": ["b" * 1_000] * 990}},
    "keys of a megabyte": lambda: {
        "message": "",
        "fields": {f"{n}{'k' * 2_000}": 0 for n in range(490)},
    },
    "the beginning of a secret without end": lambda: {"message": SECRET[:-1] * (MIB // 20)},
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.usefixtures("no_garbage")
def test_what_a_hostile_event_costs(name: str) -> None:
    """At most 20 ms of the processor, with a margin of three."""
    document = pack(HOSTILE[name]())
    began = time.thread_time()
    event = read_log_event(document, 2 * MIB, scrub)
    assert time.thread_time() - began < 0.06
    assert len(pack(to_document(event))) < 300_000
