"""Taking from a worker process what it does not need, before it runs a guest.

The sandbox is WebAssembly. This is for the day that it fails: a guest that gets out of it finds a
process without network, files, other processes, privileges, and with bounded memory. What the
system does not allow is left out; what is in place is told.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import struct
import sys
from collections.abc import Callable
from typing import Any, Final

from . import seccomp

_PR_SET_DUMPABLE: Final = 4
_PR_SET_NO_NEW_PRIVS: Final = 38
_CLONE_NEWUSER: Final = 0x10000000
_CLONE_NEWNET: Final = 0x40000000
_CLONE_NEWIPC: Final = 0x08000000
_CAPABILITY_VERSION: Final = 0x20080522
_NOBODY: Final = 65_534
_LANDLOCK_CREATE_RULESET: Final = 444
_LANDLOCK_RESTRICT_SELF: Final = 446
_LANDLOCK_VERSION: Final = 1
_LANDLOCK_FILE_RIGHTS: Final = (13, 14, 15, 15, 16)
"""How many rights about files each version of Landlock knows, from version 1."""
_MACHINES: Final = ("x86_64", "aarch64")


def isolate() -> list[str]:
    """Takes the network and the privileges away. Before the process has a second thread.

    Gives the names of what is in place.
    """
    done = []
    taken = False
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        if os.geteuid() == 0:
            taken = libc.unshare(_CLONE_NEWNET | _CLONE_NEWIPC) == 0
            if _become_nobody():
                done.append("unprivileged user")
        if taken or libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET | _CLONE_NEWIPC) == 0:
            done.append("no network")
        # A user namespace gives all capabilities, in itself.
        libc.capset(struct.pack("<II", _CAPABILITY_VERSION, 0), bytes(24))
        if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0:
            done.append("no new privileges")
        libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    return done


def _become_nobody() -> bool:
    """Gives root up. Not even root may, where its capabilities were dropped, or where no other
    user is mapped."""
    steps: tuple[tuple[Callable[..., None], tuple[Any, ...]], ...] = (
        (os.setgroups, ([],)),
        (os.setresgid, (_NOBODY,) * 3),
        (os.setresuid, (_NOBODY,) * 3),
    )
    for change, given in steps:
        with contextlib.suppress(OSError):
            change(*given)
    return os.geteuid() != 0


def limit(memory_bytes: int) -> list[str]:
    """Bounds the memory that the process may still come to hold, in bytes, and its files: what
    wasmtime keeps a guest's first memory in is a file, too.

    Gives the names of what is in place.
    """
    done = ["no core dumps"]
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (memory_bytes, memory_bytes))
    if sys.platform == "linux":
        # Of the data alone: wasmtime reserves many gigabytes of addresses that it never uses.
        most = _data_bytes() + memory_bytes
        resource.setrlimit(resource.RLIMIT_DATA, (most, most))
        done.append("memory")
    return done


def lock() -> list[str]:
    """Takes files, processes and most of the system away, for good. Nothing can be imported
    afterwards. Gives the names of what is in place."""
    if sys.platform != "linux" or os.uname().machine not in _MACHINES:
        return []
    libc: Any = ctypes.CDLL(None, use_errno=True)
    steps: tuple[tuple[str, Callable[[], bool]], ...] = (
        ("no files (landlock)", lambda: _forbid_files(libc)),
        ("no other processes (seccomp)", lambda: seccomp.install(libc, os.uname().machine)),
    )
    return [name for name, step in steps if step()]


def _data_bytes() -> int:
    with open("/proc/self/statm", "rb") as file:
        return int(file.read().split()[5]) * resource.getpagesize()


def _forbid_files(libc: Any) -> bool:
    version = libc.syscall(_LANDLOCK_CREATE_RULESET, None, ctypes.c_size_t(0), _LANDLOCK_VERSION)
    if version < 1:
        return False
    rights = (1 << _LANDLOCK_FILE_RIGHTS[min(version, len(_LANDLOCK_FILE_RIGHTS)) - 1]) - 1
    attributes = struct.pack("<Q", rights)
    ruleset = libc.syscall(
        _LANDLOCK_CREATE_RULESET, attributes, ctypes.c_size_t(len(attributes)), 0
    )
    if ruleset < 0:
        return False
    done = libc.syscall(_LANDLOCK_RESTRICT_SELF, ruleset, 0) == 0
    os.close(ruleset)
    return bool(done)
