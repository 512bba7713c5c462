"""What native code in a confined worker can't do to files, other processes and the machine's
memory, whoever the host is run by."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

import pytest
from orchestrator_plugin_host.sandbox.worker.measures import (
    CALL_FILTER,
    EMPTY_ROOT,
    NO_FILES,
    NO_NETWORK,
    UNPRIVILEGED,
)
from support.processes import environment

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or os.uname().machine not in ("x86_64", "aarch64"),
    reason="what confines workers is Linux's",
)

_START = """
import ctypes, fcntl, os, resource, socket, struct, threading, _thread
from orchestrator_plugin_host.sandbox.worker import confine
from orchestrator_plugin_host.sandbox.worker.measures import missing
from support.denying import deny
near, far = socket.socketpair()
machine = os.uname().machine
libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
libc.syscall.restype = ctypes.c_long

def checked(result):
    if result in (-1, (1 << 64) - 1):
        raise OSError(ctypes.get_errno(), "refused")
    return result

def mapped(flags, size=1 << 28, kinds=3):
    return checked(libc.mmap(None, size, kinds, flags, -1, 0))

def call(x86_64, aarch64, *given):
    return checked(libc.syscall({"x86_64": x86_64, "aarch64": aarch64}[machine], *given))

PRIVATE, SHARED, ANONYMOUS, GROWSDOWN = 2, 1, 32, 256
MEMORY, ADDRESSES = 64 << 20, 1 << 30
"""
_SEALED = """
held = confine.enclose(MEMORY, ADDRESSES)
held += confine.seal()
"""
_TRY = """
try:
{attempt}
except (OSError, MemoryError, RuntimeError) as error:
    print("refused", type(error).__name__)
else:
    print("done")
"""


_USERS = {"whoever runs the tests": "", "root": "", "another user": "os.setresuid(*[1234] * 3)\n"}


def _run(code: str, user: str = "whoever runs the tests") -> str:
    if user != "whoever runs the tests" and os.geteuid() != 0:
        pytest.skip("only root can be another user")
    ended = subprocess.run(
        [sys.executable, "-c", _START + _USERS[user] + code],
        capture_output=True,
        text=True,
        check=False,
        env=environment(),
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def _attempt(statements: str, confined: str = _SEALED, user: str = "whoever runs the tests") -> str:
    attempt = textwrap.indent(textwrap.dedent(statements), "    ")
    return _run(confined + _TRY.format(attempt=attempt), user)


def _each(**statements: str) -> list[object]:
    return [pytest.param(one, id=name.replace("_", " ")) for name, one in statements.items()]


_FILES = _each(
    open="os.open('/', 0)",
    open_a_path="os.open('/', os.O_PATH)",
    open_this_folder="os.open('.', 0)",
    create="os.open('/tmp/by-a-worker', os.O_CREAT | os.O_WRONLY)",
    stat="os.stat('/etc')",
    lstat="os.lstat('/proc/self/exe')",
    statvfs="os.statvfs('/')",
    access="checked(libc.access(b'/', 0))",
    list="os.listdir('/')",
    list_descriptors="os.listdir('/proc/self/fd')",
    readlink="os.readlink('/proc/self/exe')",
    attributes="os.listxattr('/')",
    working_directory="os.getcwd()",
    chdir="os.chdir('/')",
    chroot="os.chroot('/')",
    unlink="os.unlink('/none')",
    watch="call(254, 27, 0, b'/', 2)",
    socket="socket.socket(socket.AF_UNIX)",
    socket_pair="socket.socketpair()",
    pipe="os.pipe()",
    connect="checked(libc.connect(near.fileno(), b'\\1\\0/run/a-socket\\0', 16))",
    send_to_another="near.sendmsg([b'x'])",
    terminal="os.ttyname(0) and fcntl.ioctl(near, 0x5413, bytes(8))",
    any_ioctl="fcntl.ioctl(near, 0x541B, bytes(8))",
    sync="call(162, 81) or checked(-1)",
    mount="call(165, 40, b'none', b'/', b'tmpfs', 0, 0)",
)


@pytest.mark.parametrize("statements", _FILES)
def test_no_file_is_reached(statements: str) -> None:
    assert _attempt(statements).startswith("refused ")


@pytest.mark.parametrize(
    "statements",
    _each(
        F_SETOWN="fcntl.fcntl(near, fcntl.F_SETOWN, os.getppid())",
        F_SETOWN_EX="fcntl.fcntl(near, 15, struct.pack('ii', 1, os.getppid()))",
        F_SETSIG="fcntl.fcntl(near, 10, 9)",
        FIOSETOWN="fcntl.ioctl(near, 0x8901, struct.pack('i', os.getppid()))",
        SIOCSPGRP="fcntl.ioctl(near, 0x8902, struct.pack('i', os.getppid()))",
        kill="os.kill(os.getppid(), 0)",
        kill_itself="os.kill(os.getpid(), 0)",
        signal_by_descriptor="os.pidfd_open(os.getppid())",
        ptrace="call(101, 117, 16, os.getppid(), 0, 0)",
        read_memory="call(310, 270, os.getppid(), 0, 0, 0, 0, 0)",
        scheduler="os.sched_setscheduler(os.getpid(), 5, os.sched_param(0))",
        io_priority="call(251, 30, 1, 0, 3 << 13)",
        limits="resource.prlimit(0, resource.RLIMIT_NPROC, (9, 9)); checked(-1)",
    ),
)
def test_other_processes_are_out_of_reach(statements: str) -> None:
    assert _attempt(statements) == "refused PermissionError\n"


_MORE = _each(
    thread="_thread.start_new_thread(print, ('more',))",
    fork="os.fork()",
    vfork="call(58, 220, 0, 0, 0, 0, 0)",
    clone="call(56, 220, 17, 0, 0, 0, 0)",
    # CLONE_VM, CLONE_SIGHAND, CLONE_THREAD: a thread, which would run on this stack.
    clone_a_thread="call(56, 220, 0x10900, 0, 0, 0, 0)",
    clone3="call(435, 435, struct.pack('<11Q', *[0] * 4, 17, *[0] * 6), 88)",
    exec="os.execv('/bin/true', ['true'])",
    spawn="os.posix_spawn('/bin/true', ['true'], {})",
)


@pytest.mark.parametrize("user", _USERS)
@pytest.mark.parametrize("statements", _MORE)
def test_nothing_more_can_be_started(statements: str, user: str) -> None:
    assert _attempt(statements, user=user).startswith("refused ")


@pytest.mark.parametrize("user", _USERS)
@pytest.mark.parametrize("statements", _MORE[:4])
def test_nor_without_a_filter_of_calls(statements: str, user: str) -> None:
    confined = 'deny("seccomp")' + _SEALED
    assert _attempt(statements, confined, user).startswith("refused ")


def test_threads_that_there_were_before_are_sealed_with_the_rest() -> None:
    assert (
        _run(
            """
sealed, tried = threading.Event(), []
def attempts():
    sealed.wait()
    for attempt in (
        os.fork,
        lambda: _thread.start_new_thread(print, ("more",)),
        lambda: os.open("/", os.O_PATH),
        lambda: os.stat("/"),
        lambda: os.kill(os.getppid(), 0),
        lambda: mapped(PRIVATE | ANONYMOUS),
    ):
        try:
            attempt()
        except (OSError, RuntimeError):
            tried.append("refused")
        else:
            tried.append("done")
confine.enclose(MEMORY, ADDRESSES)
thread = threading.Thread(target=attempts)
thread.start()
confine.seal()
sealed.set()
thread.join()
print(*tried)
"""
        )
        == " ".join(["refused"] * 6) + "\n"
    )


@pytest.mark.parametrize(
    "statements",
    [
        pytest.param("mapped(PRIVATE | ANONYMOUS)", id="private"),
        pytest.param("mapped(SHARED | ANONYMOUS)", id="shared"),
        pytest.param("mapped(SHARED | PRIVATE | ANONYMOUS, 1)", id="shared, validated"),
        pytest.param("mapped(PRIVATE | ANONYMOUS | GROWSDOWN)", id="a stack"),
        pytest.param("mapped(PRIVATE | ANONYMOUS, ADDRESSES + 4096, 1)", id="only read"),
        pytest.param("mapped(PRIVATE | ANONYMOUS, ADDRESSES + 4096, 0)", id="only reserved"),
        pytest.param("os.memfd_create('more')", id="memory files"),
        pytest.param("bytearray(1 << 28)", id="malloc"),
        pytest.param("[os.dup(0) for _ in range(100)]", id="descriptors"),
    ],
)
def test_no_memory_escapes_the_limit(statements: str) -> None:
    assert _attempt(statements).startswith("refused ")


def test_what_a_worker_needs_is_left() -> None:
    assert (
        _attempt(
            """
            mapped(PRIVATE | ANONYMOUS, 1 << 20)
            bytearray(1 << 22)
            fcntl.fcntl(near, fcntl.F_SETFL, os.O_NONBLOCK)
            near.setblocking(False)
            near.send(b"x")
            assert far.recv(1) == b"x"
            """
        )
        == "done\n"
    )


@pytest.mark.parametrize(
    ("user", "denied", "lacks"),
    [
        ("root", "unshare", (NO_NETWORK,)),
        ("another user", "unshare", (NO_NETWORK, EMPTY_ROOT)),
        ("root", "setresuid", (UNPRIVILEGED,)),
        *[
            (user, denied, lacks)
            for user in _USERS
            for denied, lacks in (
                ("nothing", ()),
                ("chroot", (EMPTY_ROOT,)),
                ("landlock", (NO_FILES,)),
                ("seccomp", (CALL_FILTER,)),
            )
        ],
    ],
)
def test_what_the_system_does_not_allow_is_said_and_the_rest_holds(
    user: str, denied: str, lacks: tuple[str, ...]
) -> None:
    confined = "" if denied == "nothing" else f"deny({denied!r})"
    assert _run(f"{confined}\n{_SEALED}\nprint(missing(held))", user) == f"{lacks}\n"


@pytest.mark.parametrize("denied", ["nothing", "unshare"])
@pytest.mark.parametrize("user", _USERS)
def test_it_is_no_longer_root_and_has_no_capabilities(user: str, denied: str) -> None:
    confined = "" if denied == "nothing" else f"deny({denied!r})"
    status = "status = open('/proc/self/status')"
    found = _run(f"{status}\n{confined}\n{_SEALED}\nprint(status.read())", user)
    lines = dict(line.split(":", 1) for line in found.splitlines() if ":" in line)
    sets = ("CapInh", "CapPrm", "CapEff", "CapAmb")
    assert {int(lines[name], 16) for name in sets} == {0}
    assert lines["NoNewPrivs"].strip() == "1"
    assert "0" not in lines["Uid"].split()


_ALONE = 'deny("landlock", "seccomp")\nconfine.enclose(MEMORY, ADDRESSES)\n'


@pytest.mark.parametrize("path", ["/..", ".", "..", "/proc", "/0", "/etc/passwd", "/proc/self/fd"])
@pytest.mark.parametrize("attempt", ["listdir(path)", "open(path, os.O_PATH)", "stat(path)"])
def test_the_root_is_empty_by_itself(path: str, attempt: str) -> None:
    assert _attempt(f"path = {path!r}\nos.{attempt}", _ALONE).startswith("refused ")


@pytest.mark.parametrize("attempt", ["listdir('/')", "open('/', 0)", "mkdir('/new')"])
def test_nothing_is_in_the_root(attempt: str) -> None:
    assert _attempt(f"os.{attempt}", _ALONE).startswith("refused ")


@pytest.mark.parametrize("statements", _FILES[:6])
def test_calls_are_filtered_where_the_root_is_not_empty(statements: str) -> None:
    assert _attempt(statements, f'deny("chroot", "landlock")\n{_SEALED}').startswith("refused ")
