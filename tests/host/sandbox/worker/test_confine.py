"""What native code in a confined worker can't do to other processes and the machine's memory."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

import pytest
from orchestrator_plugin_host.sandbox.worker import confine

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or os.uname().machine not in ("x86_64", "aarch64"),
    reason="what confines workers is Linux's",
)

_CONFINED = """
import ctypes, fcntl, os, socket, struct, threading
from orchestrator_plugin_host.sandbox.worker import confine
near, far = socket.socketpair()
libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
confined = confine.isolate() + confine.limit(64 << 20) + confine.lock()

def checked(result):
    if result in (-1, (1 << 64) - 1):
        raise OSError(ctypes.get_errno(), "refused")
    return result

def mapped(flags, size=1 << 28):
    return checked(libc.mmap(None, size, 3, flags, -1, 0))

PRIVATE, SHARED, ANONYMOUS, GROWSDOWN = 2, 1, 32, 256
try:
{attempt}
except (OSError, MemoryError) as error:
    print("refused", type(error).__name__)
else:
    print("done")
"""


def _attempt(statements: str, *command: str) -> str:
    code = _CONFINED.replace("{attempt}", textwrap.indent(textwrap.dedent(statements), "    "))
    ended = subprocess.run(
        [*command, sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


@pytest.mark.parametrize(
    "statements",
    [
        pytest.param("fcntl.fcntl(near, fcntl.F_SETOWN, os.getppid())", id="F_SETOWN"),
        pytest.param("fcntl.fcntl(near, 15, struct.pack('ii', 1, os.getppid()))", id="F_SETOWN_EX"),
        pytest.param("fcntl.fcntl(near, 10, 9)", id="F_SETSIG"),
        pytest.param("fcntl.ioctl(near, 0x8901, struct.pack('i', os.getppid()))", id="FIOSETOWN"),
        pytest.param("fcntl.ioctl(near, 0x8902, struct.pack('i', os.getppid()))", id="SIOCSPGRP"),
        pytest.param("os.kill(os.getppid(), 0)", id="kill"),
        pytest.param("os.sched_setscheduler(os.getpid(), 5, os.sched_param(0))", id="scheduler"),
        pytest.param(
            "checked(libc.syscall({'x86_64': 251, 'aarch64': 30}"
            "[os.uname().machine], 1, 0, 3 << 13))",
            id="io priority",
        ),
        pytest.param("os.fork()", id="fork"),
        pytest.param("socket.socket()", id="socket"),
        pytest.param("os.open('/', 0)", id="open"),
    ],
)
def test_other_processes_are_out_of_reach(statements: str) -> None:
    assert _attempt(statements) == "refused PermissionError\n"


@pytest.mark.parametrize(
    "statements",
    [
        pytest.param("mapped(PRIVATE | ANONYMOUS)", id="private"),
        pytest.param("mapped(SHARED | ANONYMOUS)", id="shared"),
        pytest.param("mapped(SHARED | PRIVATE | ANONYMOUS, 1)", id="shared, validated"),
        pytest.param("mapped(PRIVATE | ANONYMOUS | GROWSDOWN)", id="a stack"),
        pytest.param("os.memfd_create('more')", id="memory files"),
        pytest.param("bytearray(1 << 28)", id="malloc"),
    ],
)
def test_no_memory_escapes_the_limit(statements: str) -> None:
    assert _attempt(statements).startswith("refused ")


def test_threads_and_memory_within_the_limit_are_left() -> None:
    assert (
        _attempt(
            """
            thread = threading.Thread(target=bytearray, args=(1 << 22,))
            thread.start()
            thread.join()
            mapped(PRIVATE | ANONYMOUS, 1 << 20)
            fcntl.fcntl(near, fcntl.F_SETFL, os.O_NONBLOCK)
            near.send(b"x")
            """
        )
        == "done\n"
    )


def test_no_capabilities_are_left() -> None:
    found = _attempt(
        """
        held = (ctypes.c_uint32 * 6)()
        checked(libc.capget((ctypes.c_uint32 * 2)(0x20080522, 0), held))
        print(list(held))
        """
    )
    assert found == "[0, 0, 0, 0, 0, 0]\ndone\n"


def test_a_root_that_may_not_change_its_user_is_confined_by_the_rest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As in a container whose capabilities were dropped, or with one user mapped."""

    def refused(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    class Libc:
        def unshare(self, flags: int) -> int:
            return 0

        def prctl(self, *_: int) -> int:
            return 0

        def capset(self, *_: object) -> int:
            return 0

    monkeypatch.setattr(confine.ctypes, "CDLL", lambda *_, **__: Libc())
    monkeypatch.setattr(confine.os, "geteuid", lambda: 0)
    for name in ("setgroups", "setresgid", "setresuid"):
        monkeypatch.setattr(confine.os, name, refused)
    assert confine.isolate() == ["no network", "no new privileges"]
