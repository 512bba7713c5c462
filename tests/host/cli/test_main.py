"""The command as a process: its entry point, its exit codes, Ctrl-C."""

import json
import signal
import subprocess
import sys

import pytest

MAIN = [sys.executable, "-c", "from orchestrator_plugin_host.cli import main; main()"]


@pytest.fixture
def process(environment):
    def run(*arguments):
        return subprocess.run(
            [*MAIN, *arguments], env=environment, capture_output=True, text=True, check=False
        )

    return run


def test_version(process):
    done = process("--version")
    assert done.returncode == 0
    assert done.stdout.startswith("orchestrator-plugin ")
    assert "orchestrator:plugin@1.0.0" in done.stdout


def test_help_names_every_command(command):
    shown = command("--help").out
    for name in ("demo", "build", "inspect", "call", "cache"):
        assert name in shown


@pytest.mark.parametrize(
    "arguments", [("call",), ("inspect", "x", "--speed"), ("nope",), ("cache", "nope")]
)
def test_a_wrong_command_line(process, arguments):
    for_programs = process(*arguments, "--json")
    assert for_programs.returncode == 2
    assert json.loads(for_programs.stdout)["error"]["type"] == "UsageError"
    for_people = process(*arguments)
    assert (for_people.returncode, for_people.stdout) == (2, "")
    assert for_people.stderr


def test_exit_codes_with_and_without_json(process):
    for options in ((), ("--json",)):
        assert process("cache", "list", *options).returncode == 0
        failed = process("inspect", "missing.wasm", *options)
        assert failed.returncode == 1
        assert "Traceback" not in failed.stderr


def test_an_output_that_can_not_show_every_character(environment, examples):
    done = subprocess.run(
        [*MAIN, "inspect", str(examples / "text-tools")],
        env={**environment, "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0
    assert "would be admitted" in done.stdout


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGINT to send")
@pytest.mark.parametrize("options", [(), ("--json",)])
def test_an_interrupt(environment, examples, options):
    request = json.dumps({"command": "flood", "policy": {"enabled": True}})
    limits = ("--limit", "log_events=1000000000", "--limit", "log_bytes=1000000000000")
    folder = str(examples / "misbehaving-tools")
    with subprocess.Popen(
        [*MAIN, "call", folder, "execute", "--request", request, *limits, *options],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as running:
        assert running.stderr is not None
        while "and another thing" not in running.stderr.readline():
            assert running.poll() is None
        running.send_signal(signal.SIGINT)
        out, err = running.communicate(timeout=20)
    assert running.returncode == 130
    assert "Traceback" not in err
    if options:
        assert json.loads(out)["error"]["type"] == "Interrupted"
    else:
        assert (out, "interrupted" in err) == ("", True)
