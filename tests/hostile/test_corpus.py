"""Every hostile case on every tier, and that the harness sees what it is there to see.

A quick run has the first and the last case of each family. Nothing here is timed:
`orchestrator-plugin hostile` measures overshoots.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import threading
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
from orchestrator_plugin_host import read_component
from orchestrator_plugin_host.hostile.building import build, read_pieces
from orchestrator_plugin_host.hostile.cases import (
    TIERS,
    Case,
    CaseError,
    read_case,
    read_corpus,
)
from orchestrator_plugin_host.hostile.runner import Runner
from orchestrator_plugin_host.settings import Tier
from support.processes import alive, state, wait_until

HERE = Path(__file__).parent
CORPUS = read_corpus()


def with_marks() -> Iterator[Any]:
    """The cases, with the mark `slow` on all but the ends of a family."""
    for _, found in groupby(CORPUS, lambda case: case.family):
        family = list(found)
        for case in family:
            marks = () if case in (family[0], family[-1]) else (pytest.mark.slow,)
            yield pytest.param(case, id=case.id, marks=marks)


@pytest.fixture(scope="module")
def runner(cache_directory: Path) -> Iterator[Runner]:
    with Runner(cache_directory) as opened:
        yield opened


@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize("case", [*with_marks()])
def test_case(case: Case, tier: Tier, runner: Runner) -> None:
    result = runner.run(case, tier)
    assert not result.failures, result.stderr


def test_there_are_enough() -> None:
    assert len(CORPUS) > 150
    assert {case.family for case in CORPUS} >= {
        "cpu", "memory", "stack", "types", "documents", "blocking", "floods", "reentrance",
        "after-the-end", "traps", "escape", "host-work",
    }  # fmt: skip


def test_each_says_what_it_tries_in_words_of_its_own() -> None:
    assert len({case.about for case in CORPUS}) == len(CORPUS)


def test_the_corpus_of_the_package_is_this_one() -> None:
    folders = {path.parent.resolve() for path in (HERE / "cases").glob("*/*/case.toml")}
    assert {case.folder.resolve() for case in CORPUS} == folders


# --- what the harness must not miss --------------------------------------------------------------

SPIN = ";;@ generate\n(loop $for_ever (br $for_ever)) (unreachable)\n"
SAYS_HI = ";;@ generate\n(call $hi)\n"
ABOUT = 'about = "A case of the tests"\n'


def written(folder: Path, toml: str, wat: str = SAYS_HI) -> Case:
    made = folder / "family" / "case"
    made.mkdir(parents=True)
    (made / "case.toml").write_text(ABOUT + toml)
    (made / "guest.wat").write_text(wat)
    return read_case(made)


GREEDY = """
;;@ memory
(memory (export "memory") 900)
;;@ generate
(memory.fill (i32.const 65536) (i32.const 1) (i32.const 50000000)) (call $hi)
"""
CALL = '[[steps]]\ndo = "generate"\n'
QUICK = "limits = { deadline_ms = 100 }\n"
WRONG = {
    "another error": (
        QUICK + CALL + 'error = "FuelExhaustedError"\n',
        SPIN,
        "expected FuelExhaustedError, got DeadlineExceededError",
    ),
    "another limit": (
        QUICK + CALL + 'error = "DeadlineExceededError"\nlimit = "fuel"\n',
        SPIN,
        "expected limit = 'fuel', got 'deadline_ms'",
    ),
    "an answer for an error": (
        CALL + 'error = "PluginTrapError"\n',
        SAYS_HI,
        "expected PluginTrapError, got ModelResponse",
    ),
    "an error for an answer": (QUICK + CALL, SPIN, "expected an answer, got DeadlineExceeded"),
    "another answer": (
        CALL + 'answer = { text = "ho" }\n',
        SAYS_HI,
        "expected the answer {'text': 'ho'}, got {'text': 'hi'}",
    ),
    "a load that works": (
        '[load]\nerror = "InvalidComponentError"\n',
        SAYS_HI,
        "load: expected InvalidComponentError, got <LoadedProvider",
    ),
    "a load that fails": (CALL, ";;@ init\n(unreachable)\n", "load: expected an answer, got Plug"),
    "events": (
        '[[steps]]\ndo = "stream"\nevents = 3\n',
        SAYS_HI,
        "stream: expected 3 events, got 0",
    ),
    "memory": (
        "bounds = { peak_mb = 10 }\n" + CALL,
        GREEDY,
        "MB, it may by 10",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_an_outcome_that_is_not_the_expected(name: str, tmp_path: Path, runner: Runner) -> None:
    toml, wat, says = WRONG[name]
    result = runner.run(written(tmp_path, toml, wat), "in-process")
    assert not result.passed
    assert says in "\n".join(result.failures)
    assert result.died is None


# A module that Python imports before anything else: the one way to make a sound host misbehave.
ENDS = {
    "SIGSEGV": "import ctypes; ctypes.string_at(0)",
    "SIGKILL": "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
    "exit code 3": "import os; os._exit(3)",
}
IN_A_CASE = "import os; os.register_at_fork(after_in_child=lambda: exec({!r}, {{}}))"


@pytest.mark.parametrize("when", ["{}", IN_A_CASE], ids=["before any case", "in a case"])
@pytest.mark.parametrize("how", ENDS)
def test_a_host_that_dies(
    how: str, when: str, tmp_path: Path, cache_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken(tmp_path / "broken", monkeypatch, when.format(ENDS[how]))
    case = written(tmp_path, CALL)
    with Runner(cache_directory) as runner:
        for _ in range(2):
            result = runner.run(case, "in-process")
            assert result.died == how
            assert result.failures == (f"host died: {how}",)
            assert not result.hung


@pytest.mark.parametrize("when", ["{}", IN_A_CASE], ids=["before any case", "in a case"])
def test_what_comes_after_a_host_that_died(
    when: str, tmp_path: Path, cache_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = tmp_path / "seen"
    code = f"import os; os.path.exists({str(seen)!r}) or (os.mkdir({str(seen)!r}), os.abort())"
    broken(tmp_path / "broken", monkeypatch, when.format(code))
    case = written(tmp_path, CALL)
    with Runner(cache_directory) as runner:
        first, second = (runner.run(case, "in-process") for _ in range(2))
    assert first.failures == ("host died: SIGABRT",)
    assert second.passed
    assert [step.do for step in second.report.steps] == ["load", "generate"]


def test_a_host_that_dies_after_its_report(
    tmp_path: Path, cache_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = "import atexit, os, signal; atexit.register(os.kill, os.getpid(), signal.SIGABRT)"
    broken(tmp_path / "broken", monkeypatch, IN_A_CASE.format(code))
    with Runner(cache_directory) as runner:
        result = runner.run(written(tmp_path, CALL), "in-process")
    assert result.report.steps
    assert result.failures == ("host died: SIGABRT",)


@pytest.mark.parametrize("when", ["{}", IN_A_CASE], ids=["before any case", "in a case"])
def test_a_host_that_hangs(
    when: str, tmp_path: Path, cache_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken(tmp_path / "broken", monkeypatch, when.format("import time; time.sleep(3600)"))
    with Runner(cache_directory, hung_seconds=1) as runner:
        result = runner.run(written(tmp_path, CALL), "in-process")
    assert result.hung
    assert result.failures == ("hung: the host was not done after 1 s",)


def test_a_host_that_raises(
    tmp_path: Path, cache_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # It lives: what it raised is a fault of its own, and no death.
    code = (
        "import orchestrator_plugin_host.host as host\n"
        "async def close(self): raise ValueError('mine')\n"
        "host.PluginHost.close = close"
    )
    broken(tmp_path / "broken", monkeypatch, IN_A_CASE.format(code))
    with Runner(cache_directory) as runner:
        result = runner.run(written(tmp_path, CALL), "in-process")
    assert result.died is None
    (failure,) = result.failures
    assert failure.startswith("the host raised ")
    assert "ValueError('mine')" in failure
    assert "in close" in result.stderr


class InterruptionError(Exception):
    """Raised by a signal."""


def test_what_comes_after_a_run_that_was_interrupted(
    tmp_path: Path, cache_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Whatever the first was still to say is not taken for an answer to the second.
    seen = tmp_path / "seen"
    code = (
        "import os, pathlib, time\n"
        "import orchestrator_plugin_host.hostile.child as child\n"
        f"seen = pathlib.Path({str(seen)!r})\n"
        "async def hang(self):\n"
        "    seen.write_text(str(os.getpid()))\n"
        "    time.sleep(3600)\n"
        "if not seen.exists():\n"
        "    child._Run.run = hang"
    )
    broken(tmp_path / "broken", monkeypatch, IN_A_CASE.format(code))

    def interrupted(*_: object) -> None:
        raise InterruptionError

    def interrupt() -> None:
        wait_until(lambda: seen.exists() and seen.read_text(), "the case")
        os.kill(os.getpid(), signal.SIGUSR1)

    case = written(tmp_path, CALL)
    before = signal.signal(signal.SIGUSR1, interrupted)
    try:
        with Runner(cache_directory) as runner:
            interrupting = threading.Thread(target=interrupt)
            interrupting.start()
            with pytest.raises(InterruptionError):
                runner.run(case, "in-process")
            interrupting.join()
            wait_until(lambda: not alive(int(seen.read_text())), "the end of the case")
            assert runner.run(case, "in-process").failures == ()
    finally:
        signal.signal(signal.SIGUSR1, before)


@pytest.mark.skipif(sys.platform != "linux", reason="looks for the process in /proc")
def test_no_number_of_a_process_is_used_that_may_be_anothers(
    tmp_path: Path, cache_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What is left of a case's group is ended while the number is still that of the case's process.
    states: list[str | None] = []
    killpg = os.killpg

    def watched(group: int, ending: int) -> None:
        states.append(state(group))
        killpg(group, ending)

    monkeypatch.setattr(os, "killpg", watched)
    case = written(tmp_path, CALL)
    with Runner(cache_directory) as runner:
        for _ in range(2):
            assert runner.run(case, "in-process").passed
    assert states == ["Z", "Z"]


def test_words_on_the_hosts_stdout(
    tmp_path: Path, cache_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = "import atexit; atexit.register(print, 'hello')"
    broken(tmp_path / "broken", monkeypatch, IN_A_CASE.format(code))
    with Runner(cache_directory) as runner:
        result = runner.run(written(tmp_path, CALL), "in-process")
    assert result.failures == ("something reached the host's stdout: b'hello\\n'",)


@pytest.mark.skipif(sys.platform != "linux", reason="looks for the process in /proc")
def test_what_a_case_has_started_ends_with_it(
    tmp_path: Path, cache_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = tmp_path / "started"
    code = (
        "import atexit, pathlib, subprocess\n"
        f"started = pathlib.Path({str(started)!r})\n"
        "def start(): started.write_text(str(subprocess.Popen(['sleep', '3600']).pid))\n"
        "atexit.register(start)"
    )
    broken(tmp_path / "broken", monkeypatch, IN_A_CASE.format(code))
    with Runner(cache_directory) as runner:
        assert runner.run(written(tmp_path, CALL), "in-process").passed
    wait_until(lambda: not alive(int(started.read_text())), "the end of what it started")


# Has the event loop busy for a tenth of a second, again and again.
HOLDS = """
import asyncio, time
def hold(loop):
    time.sleep(0.1)
    loop.call_later(0.01, hold, loop)
run = asyncio.BaseEventLoop.run_forever
def run_forever(loop):
    loop.call_later(0.01, hold, loop)
    run(loop)
asyncio.BaseEventLoop.run_forever = run_forever
"""


def test_an_event_loop_that_is_held(
    tmp_path: Path, cache_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    played = tmp_path / "played"
    count = f"\nwith open({str(played)!r}, 'a') as file: file.write('x')\n"
    broken(tmp_path / "broken", monkeypatch, IN_A_CASE.format(count + HOLDS))
    bounds = "neighbour = true\nbounds = { gap_ms = 80, neighbour_ms = 80 }\n"
    with Runner(cache_directory) as runner:
        result = runner.run(written(tmp_path, bounds + CALL), "in-process")
    assert result.report.heartbeat.held_ms > 80
    assert result.report.neighbour_calls > 0
    held, neighbour, threads = result.failures
    assert held.startswith("the event loop was held for 1")
    assert held.endswith(", it may be for 80")
    assert neighbour.startswith("the neighbour had to wait for ")
    assert threads.startswith("the application had to wait for a thread for ")
    assert result.late == result.failures
    assert played.read_text() == "xxx"  # what is late alone is tried again


def test_a_case_that_is_late_but_once(
    tmp_path: Path, cache_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = tmp_path / "seen"
    once = f"import os\nif not os.path.exists({str(seen)!r}):\n    os.mkdir({str(seen)!r})"
    code = once + HOLDS.replace("\n", "\n    ")
    broken(tmp_path / "broken", monkeypatch, IN_A_CASE.format(code))
    with Runner(cache_directory) as runner:
        result = runner.run(written(tmp_path, "bounds = { gap_ms = 80 }\n" + CALL), "in-process")
    assert seen.exists()
    assert result.passed, result.failures


def broken(folder: Path, monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(code)
    monkeypatch.syspath_prepend(folder)


# --- cases that are not written as they should be ------------------------------------------------

UNREADABLE = {
    "an unknown key": (CALL + "[colour]\n", "colour: Extra inputs are not permitted"),
    "an unknown key of a step": (CALL + 'colour = "red"\n', "steps.0.colour: Extra inputs"),
    "an unknown limit": ("limits = { colour = 1 }\n" + CALL, "limits.colour: Extra inputs"),
    "an unknown operation": ('[[steps]]\ndo = "explode"\n', "steps.0.do: Input should be"),
    "nothing to do": ("", "nothing is done"),
    "a plugin that is none": (CALL + 'plugin = "other"\n', "which is none of the plugins"),
    "an answer and an error": (
        CALL + 'error = "PluginTrapError"\nanswer = 1\n',
        "an error or an answer, not both",
    ),
    "a limit without its error": (CALL + 'limit = "fuel"\n', "name its class"),
    "a binary file of nothing": ('form = "binary"\n' + CALL, "made of bytes, and there are none"),
    "bytes that are none": (CALL + '[[bytes]]\nhex = "0g"\n', "bytes.0.hex: "),
    "a server that sends nothing": (CALL + "[[server]]\ntimes = 2\n", "either send or hex"),
    "a server that sends two things": (
        CALL + '[[server]]\nsend = "a"\nhex = "00"\n',
        "either send or hex",
    ),
    "bytes of a server that are none": (CALL + '[[server]]\nhex = "0"\n', "server.0"),
    "an unknown import": ('imports = ["network"]\n' + CALL, "imports.0: Input should be"),
    "a policy of an unknown key": (CALL + "[policy]\ncolour = 1\n", "policy.colour: Extra"),
    "no TOML": ("?", "family/case: "),
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_a_case_that_can_not_be_read(name: str, tmp_path: Path) -> None:
    toml, says = UNREADABLE[name]
    with pytest.raises(CaseError, match="family/case") as caught:
        written(tmp_path, toml)
    assert says in str(caught.value)


def test_a_case_without_its_file(tmp_path: Path) -> None:
    case = written(tmp_path, CALL)
    shutil.rmtree(case.folder)
    with pytest.raises(CaseError, match=r"case\.toml"):
        read_case(case.folder)


UNBUILDABLE = {
    ";;@ colour\nred\n": "no skeleton has a place for colour",
    ";;@ generate\n{{colour}}\n": "there is no piece 'colour'",
    ";;@ generate\n{{generate}}\n": "the piece 'generate' is within itself",
    ";;@ generate\n(nonsense)\n": "nonsense",
}


@pytest.mark.parametrize("wat", UNBUILDABLE)
def test_a_guest_that_can_not_be_built(wat: str, tmp_path: Path) -> None:
    with pytest.raises(CaseError, match="family/case") as caught:
        build(written(tmp_path, CALL, wat), "guest")
    assert UNBUILDABLE[wat] in str(caught.value)


def test_pieces() -> None:
    assert read_pieces("intro\n;;@ a\none\n;;@ b c * 3\ntwo\n") == {
        "a": "\none\n",
        "b c": "\ntwo\n" * 3,
    }


def test_bytes_after_a_text(tmp_path: Path) -> None:
    toml = CALL + '[[bytes]]\nhex = "00 02 01 61"\ntimes = 2\n'
    plain = build(written(tmp_path / "plain", CALL), "guest")
    assert build(written(tmp_path / "more", toml), "guest") == plain + b"\0\2\1a\0\2\1a"


def test_a_file_of_bytes_alone(tmp_path: Path) -> None:
    toml = (
        'form = "binary"\n' + CALL + '[[bytes]]\nhex = "0061"\n[[bytes]]\nhex = "ff"\ntimes = 3\n'
    )
    assert build(written(tmp_path, toml), "guest") == b"\0a\xff\xff\xff"


@pytest.mark.parametrize("imported", ["http", "files"])
def test_further_imports(imported: str, tmp_path: Path) -> None:
    case = written(tmp_path, f'imports = ["{imported}"]\n' + CALL)
    names = [name for name, _ in read_component(build(case, "guest")).imports]
    assert f"orchestrator:plugin/{imported}@1.0.0" in names


def test_the_port_of_a_server(tmp_path: Path) -> None:
    toml = 'imports = ["http"]\n' + CALL + '[[policy.http]]\nurl = "http://127.0.0.1:{{port}}"\n'
    case = read_case(written(tmp_path, toml).folder, port=54321)
    assert case.policy.http[0].url == "http://127.0.0.1:54321"
    assert b"http://127.0.0.1:54321/" in build(case, "guest")
