"""Taking from a worker process what it does not need, before it runs a guest.

The sandbox is WebAssembly. This is for the day that it fails: a guest that gets out of it finds a
process without network, files, other processes, privileges, and with bounded memory. What the
system does not allow is left out; what holds is said, by the names in `measures`.

Two steps: `enclose` while the process has one thread, and `seal` once it has all that it needs.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import struct
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, Final

from . import seccomp
from .measures import (
    CALL_FILTER,
    EMPTY_ROOT,
    MEMORY,
    NO_FILES,
    NO_NETWORK,
    NO_NEW_PRIVILEGES,
    UNPRIVILEGED,
)

_PR_SET_DUMPABLE: Final = 4
_PR_SET_KEEPCAPS: Final = 8
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
_DESCRIPTORS: Final = 64
"""What a worker may have open: each pipe and the like is memory of the kernel's."""
_OF_A_THREAD: Final = "/proc/thread-self/fdinfo"
_MOST_TRIES: Final = 1000


def enclose(memory_bytes: int, address_bytes: int) -> list[str]:
    """Bounds what the process may still come to hold: `memory_bytes` of data, `address_bytes` of
    addresses. Takes the network, the files and the privileges away, for good: nothing can be
    imported afterwards. Before the process has a second thread.

    Returns the names of the measures that hold.
    """
    _lower(resource.RLIMIT_CORE, 0)
    # What wasmtime keeps a guest's first memory in is a file, too.
    _lower(resource.RLIMIT_FSIZE, memory_bytes)
    if sys.platform != "linux":
        return []
    libc: Any = ctypes.CDLL(None, use_errno=True)
    steps: tuple[tuple[str, Callable[[], bool]], ...] = (
        (MEMORY, lambda: _limit_memory(memory_bytes, address_bytes)),
        (UNPRIVILEGED, lambda: _become_unprivileged(libc)),
        (NO_NETWORK, lambda: _leave_network(libc)),
        (EMPTY_ROOT, _empty_root),
        (NO_NEW_PRIVILEGES, lambda: _drop_privileges(libc)),
        (NO_FILES, lambda: _forbid_files(libc)),
    )
    return [name for name, step in steps if step()]


def seal() -> list[str]:
    """Takes everything away that is needed only to start: no thread of the process can make another
    from here on, nor a process, nor most system calls.

    Returns the names of the measures that hold.
    """
    _lower(resource.RLIMIT_NOFILE, _DESCRIPTORS)
    if sys.platform != "linux":
        return []
    # Holds without a filter, too, unless the process is still root's.
    _lower(resource.RLIMIT_NPROC, 0)
    machine = os.uname().machine
    if machine not in seccomp.MACHINES:
        return []
    libc = ctypes.CDLL(None, use_errno=True)
    return [CALL_FILTER] if seccomp.install(libc, machine) else []


def _lower(limit: int, most: int) -> None:
    """Sets a limit, or leaves it where the system has set a lower one."""
    _, hard = resource.getrlimit(limit)
    least = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(limit, (least, least))


def _limit_memory(memory_bytes: int, address_bytes: int) -> bool:
    try:
        with open("/proc/self/statm", "rb") as file:
            pages = [int(one) for one in file.read().split()]
    except OSError:
        return False
    page = resource.getpagesize()
    # wasmtime reserves many gigabytes of addresses that it never uses: data is what counts.
    _lower(resource.RLIMIT_DATA, pages[5] * page + memory_bytes)
    # Pages that are only read are no data, but take pages of the kernel's to be found by.
    _lower(resource.RLIMIT_AS, pages[0] * page + address_bytes)
    return True


def _become_unprivileged(libc: Any) -> bool:
    """Gives root up, but for its capabilities, which the next steps need. Not even root may, where
    it was given none of them, or where no other user is mapped."""
    if os.geteuid() != 0:
        return True
    libc.prctl(_PR_SET_KEEPCAPS, 1, 0, 0, 0)
    steps: tuple[tuple[Callable[..., None], tuple[Any, ...]], ...] = (
        (os.setgroups, ([],)),
        (os.setresgid, (_NOBODY,) * 3),
        (os.setresuid, (_NOBODY,) * 3),
    )
    for change, given in steps:
        with contextlib.suppress(OSError):
            change(*given)
    # Those that may be had are had again.
    header, held = struct.pack("<II", _CAPABILITY_VERSION, 0), (ctypes.c_uint32 * 6)()
    libc.capget(header, held)
    held[0], held[3] = held[1], held[4]
    libc.capset(header, held)
    return os.geteuid() != 0


def _leave_network(libc: Any) -> bool:
    alone = _CLONE_NEWNET | _CLONE_NEWIPC
    # A user namespace gives all capabilities, in itself.
    return any(libc.unshare(flags) == 0 for flags in (alone, alone | _CLONE_NEWUSER))


def _empty_root() -> bool:
    """Makes the root a folder of a thread that has ended: nothing is in it, not even its parent,
    and nothing can be put there. Needs no other file system, and nobody to remove it."""
    entered = []

    def enter() -> None:  # for the whole process: its threads share the root
        with contextlib.suppress(OSError):
            os.chroot(_OF_A_THREAD)
            os.chdir("/")
            entered.append(True)

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    return bool(entered) and _root_is_gone()


def _root_is_gone() -> bool:
    """Waits for the thread to end in the kernel, too, which is after it is joined."""
    for _ in range(_MOST_TRIES):
        try:
            os.listdir("/")
        except OSError:
            return True
        time.sleep(0.001)
    return False


def _drop_privileges(libc: Any) -> bool:
    libc.capset(struct.pack("<II", _CAPABILITY_VERSION, 0), bytes(24))
    libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    return bool(libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0)


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
