"""A process for each case, without the start of one: it is forked from one that has imported all.

`Forking` is the runner's side. It starts this module as a program, asks it for a process for each
case, and is told how that process ended. Nothing of a case happens in the program itself, which
has no thread, no event loop and no engine: a case's process is as new as one that starts, and its
death is the end of nothing else.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from multiprocessing.connection import Connection, Pipe
from pathlib import Path
from typing import Any


class Forking:
    """Processes that play cases, one at a time."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = dict(environment)
        self._program: subprocess.Popen[bytes] | None = None
        self._near: Connection[Any, Any]

    def run(self, asked: Mapping[str, Any], seconds: float) -> int | None:
        """Plays a case: `asked` is what `child.play` takes. `folder` has a file `stdin`, and gets
        `stdout` and `stderr`.

        Returns the exit code of the case's process, or `None` if it had to be ended after so many
        seconds. What it has started, and has not ended, ends with it. Should the program itself
        end, its exit code is returned, and the next case has another one.
        """
        program = self._program or self._start()
        try:
            self._near.send_bytes(json.dumps(asked, default=str).encode())
            if self._near.poll(seconds):
                return self._wait(int(self._near.recv_bytes()), seconds)
        except (EOFError, OSError):
            code = program.wait()
            self.close()
            return code
        except BaseException:
            self.close()  # what it is still to say would be taken for an answer to the next
            raise
        self.close()
        return None

    def _wait(self, pid: int, seconds: float) -> int | None:
        # Until the program is asked for the next, or ends, the number is no other process's.
        try:
            in_time = self._near.poll(seconds)
            if not in_time:
                os.kill(pid, signal.SIGKILL)
            code = int(self._near.recv_bytes())
            return code if in_time else None
        except BaseException:
            with suppress(ProcessLookupError):  # it may have no group yet
                os.kill(pid, signal.SIGKILL)
            raise
        finally:
            with suppress(ProcessLookupError, PermissionError):  # if nothing is left of its group
                os.killpg(pid, signal.SIGKILL)

    def close(self) -> None:
        """Ends the program. A case after that starts another one."""
        if self._program is not None:
            self._near.close()
            self._program.kill()
            self._program.wait()
            self._program = None

    def _start(self) -> subprocess.Popen[bytes]:
        self._near, far = Pipe()
        with far:
            self._program = subprocess.Popen(  # noqa: S603  # this interpreter and this module
                [sys.executable, "-X", "faulthandler", "-m", __name__, str(far.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                env=self._environment,
                pass_fds=[far.fileno()],
            )
        return self._program


def main() -> None:
    """Forks a process for each case that is asked for. In that process, returns when it is over."""
    # With all that they need, once for all cases; not in the runner.
    from .cases import read_case
    from .child import play

    gc.collect()
    gc.freeze()  # what was imported is not what a case's process is to spend its time on
    asking = Connection(int(sys.argv[1]))
    pid = None
    while True:
        try:
            asked = json.loads(asking.recv_bytes())
        except EOFError:
            return
        if pid is not None:
            with suppress(ChildProcessError):
                os.waitpid(pid, 0)
        pid = os.fork()
        if pid == 0:
            asking.close()
            os.setsid()
            folder = Path(asked["folder"])
            for number, name in enumerate(("stdin", "stdout", "stderr")):
                opened = os.open(folder / name, os.O_RDWR | os.O_CREAT, 0o600)
                os.dup2(opened, number)
                os.close(opened)
            case = read_case(Path(asked["case"]), asked["port"])
            play(case, asked["tier"], Path(asked["cache"]), folder)
            return
        asking.send_bytes(str(pid).encode())
        asking.send_bytes(str(_exit_code(pid)).encode())


def _exit_code(pid: int) -> int:
    """The exit code of a process, once it has ended. It stays, as a zombie: its number is given to
    no other process before the runner has ended what is left of its group."""
    if not hasattr(os, "waitid"):  # macOS, before Python 3.13
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    ended = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    assert ended is not None
    return ended.si_status if ended.si_code == os.CLD_EXITED else -ended.si_status


if __name__ == "__main__":
    main()
