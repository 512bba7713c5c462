"""Ctrl-C, however it arrives."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGINT to send")

# The signal goes to a thread, so that it does not interrupt what the main thread waits in.
WAITING = """
import signal, threading
import anyio
from orchestrator_plugin_host.cli.running import run

def interrupt():
    signal.pthread_kill(threading.get_ident(), signal.SIGINT)

async def main():
    threading.Timer(0.2, interrupt).start()
    await anyio.sleep_forever()

try:
    run(main)
except KeyboardInterrupt:
    print("interrupted", signal.set_wakeup_fd(-1))
"""


def test_a_signal_that_does_not_interrupt_the_waiting(environment):
    done = subprocess.run(
        [sys.executable, "-c", WAITING],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout == "interrupted -1\n", done.stderr
