"""Where commands write: a plugin's words forge no line, drive no terminal and are no markup."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path

import pytest
from hypothesis import given
from orchestrator_plugin_host.cli.call import NoteLogger, _show_event
from orchestrator_plugin_host.cli.demo import report
from orchestrator_plugin_host.cli.demo.calls import Answer
from orchestrator_plugin_host.cli.demo.comparison import Compared
from orchestrator_plugin_host.cli.demo.examples import Example
from orchestrator_plugin_host.cli.demo.limits import TRIALS, Tried
from orchestrator_plugin_host.cli.hostile import _table, _told
from orchestrator_plugin_host.cli.output import Output
from orchestrator_plugin_host.hostile.cases import read_corpus
from orchestrator_plugin_host.hostile.runner import Result
from orchestrator_plugin_sdk import LogEvent, PluginCallError
from orchestrator_plugin_sdk.provider import StreamTextDelta
from rich.console import Console
from support.texts import WITH_HALVES, hidden_in

CASE = read_corpus()[0]


@contextmanager
def captured() -> Iterator[tuple[StringIO, StringIO]]:
    out, err = StringIO(), StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        yield out, err


@given(WITH_HALVES)
def test_a_result_is_json_that_hides_nothing(text: str) -> None:
    document = {"text": text, text: [text]}
    meant = json.loads(json.dumps(document))
    for write in (Output.document, Output.line, Output.pretty):
        with captured() as (out, err):
            write(Output(False), document)
        assert json.loads(out.getvalue()) == meant
        assert not hidden_in(out.getvalue(), but="\n")
        out.getvalue().encode()
        assert not err.getvalue()
        if write == Output.line:
            assert len(out.getvalue().splitlines()) == 1


@given(WITH_HALVES)
def test_a_note_is_one_line(text: str) -> None:
    with captured() as (out, err):
        output = Output(False)
        output.note(text)
        NoteLogger(output).emit(LogEvent(text, text, "warning", {text: [text]}))
    assert not out.getvalue()
    assert not hidden_in(err.getvalue(), but="\n")
    assert err.getvalue().count("\n") == 2


@given(WITH_HALVES)
def test_an_error_stays_in_its_box(text: str) -> None:
    with captured() as (_, err):
        Output(False).error(PluginCallError("internal", text))
    shown = err.getvalue()
    assert not hidden_in(shown, but="\n")
    assert all(line[0] in "╭│╰" for line in shown.splitlines())
    with captured() as (out, _):
        Output(True).error(PluginCallError("internal", text))
    assert not hidden_in(out.getvalue(), but="\n")
    assert len(out.getvalue().splitlines()) == 1


@given(WITH_HALVES)
def test_a_stream_has_lines_and_nothing_hidden(text: str) -> None:
    with captured() as (out, _):
        _show_event(Output(False), StreamTextDelta(text))
    assert not hidden_in(out.getvalue(), but="\n\t")


@given(WITH_HALVES)
def test_waiting_says_what_it_is_told(text: str) -> None:
    with captured() as (_, err), Output(False).waiting(text) as say:
        say(text)
    assert not hidden_in(err.getvalue(), but="\n")


def of_demo(text: str) -> Iterator[object]:
    answers = {"generate": Answer({}, text, 1.0)}
    example = Example("x", Path("x"), Path("x.wasm"), None)
    yield report.comparison(Compared(example, "provider", 1.0, False, answers, answers, None))
    error = PluginCallError("internal", text)
    yield report.trial(Tried(TRIALS[0], error, 1.0, text, 1.0))


def of_hostile(text: str) -> Iterator[object]:
    result = Result(CASE, "process", 1.0, failures=(text,), stderr=text)
    yield _table([result])
    quantiles = {"p50": 1.0, "p99": 1.0, "max": 1.0, "count": 1, "allowed": 50.0}
    worst = {"case": CASE.id, "tier": "process"}
    tiers = {"process": {"cases": 1, "passed": 0, "died": 0, "hung": 0}}
    times = {"overshoot_ms": quantiles, "neighbour_ms": quantiles}
    yield _told({"tiers": tiers, **times, "gap_ms": {**quantiles, "worst": worst}}, [result])


@pytest.mark.parametrize("reports", [of_demo, of_hostile])
@given(text=WITH_HALVES)
def test_reports(reports: Callable[[str], Iterator[object]], text: str) -> None:
    for shown in reports(text):
        with captured() as (out, _):
            Output(False).people.print(shown)
        assert not hidden_in(out.getvalue(), but="\n")


def test_markup_is_not_read() -> None:
    markup = "[bold]x[/bold] [link=https://example.com]y[/link] :bomb: [/]"
    with captured() as (out, err):
        output = Output(False)
        output.note(markup)
        output.error(PluginCallError("internal", markup))
        output.pretty({"a": markup})
        output.people.print(markup)  # not even of whoever forgets
        with output.waiting(markup):
            pass
    assert out.getvalue().count(markup) == 2
    assert err.getvalue().count(markup) == 3


def test_consoles_read_no_markup() -> None:
    for console in (Output(False).people, Output(False).notes):
        assert isinstance(console, Console)
        assert console.render_str("[bold]:bomb:").plain == "[bold]:bomb:"
