"""Python's own clocks, randomness, files and output, inside a component that has no WASI.

A component is built with every WASI call replaced by a trap, so that nothing of the operating
system is there to ask for. What a plugin's source may still use unchanged, `time`, `datetime`,
`random`, `secrets`, `uuid`, `print`, and files and folders, is carried to the host's imports here
(`datetime` because the build makes it the pure Python one, which asks `time`). What has no meaning
in a sandbox raises `PermissionError` instead of ending the instance.
"""

from __future__ import annotations

import io
import os
import random
import sys
import time
from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any, NoReturn, TextIO

from wit_world.imports import clock as host_clock
from wit_world.imports import random as host_random

from . import _file_system

_RANDOM_CHUNK = 65_536


def random_bytes(length: int) -> bytes:
    """Random bytes from the host, however many."""
    pieces = []
    while length > 0:
        piece = min(length, _RANDOM_CHUNK)
        pieces.append(bytes(host_random.get_bytes(piece)))
        length -= piece
    return b"".join(pieces)


def sleep(seconds: float) -> None:
    """Waits on the host, which ends the wait when the call is aborted or out of time."""
    if seconds < 0:
        raise ValueError("sleep length must be non-negative")
    host_clock.sleep(round(seconds * 1000))


class _LogStream(io.TextIOBase):
    """Standard output or error: each line becomes a log event, once there is a host to log to."""

    def __init__(self, emit: Callable[[str], None], of_the_build: TextIO) -> None:
        self._emit = emit
        self._of_the_build = of_the_build
        self._pending = ""

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        if not _begun:
            return self._of_the_build.write(text)
        *lines, self._pending = (self._pending + text).split("\n")
        for line in lines:
            if line:
                self._emit(line)
        return len(text)


def _refuse(what: str) -> Callable[..., NoReturn]:
    def refused(*args: Any, **kwargs: Any) -> NoReturn:
        raise PermissionError(f"{what} is not there in a sandboxed plugin")

    return refused


# All of these would end the instance: there is no system to ask. (`abort` is meant to.)
_REFUSED_OS = [
    "_exit",
    "closerange",
    "dup",
    "fpathconf",
    "get_blocking",
    "get_inheritable",
    "isatty",
    "link",
    "pathconf",
    "posix_fadvise",
    "pread",
    "pwrite",
    "readinto",
    "set_blocking",
    "set_inheritable",
    "symlink",
    "times",
]


# Raised in Python's own code, or harmless.
_ALLOWED_EVENTS = frozenset({"os.putenv", "os.unsetenv", "os.walk"})


def _refuse_system(event: str, arguments: tuple[Any, ...]) -> None:
    """Refuses what the C code is about to ask the system: a trap would end the instance. So does
    the parser, which looks for the file of every syntax error and goes on without it."""
    if (event == "open" or event.startswith(("os.", "socket."))) and event not in _ALLOWED_EVENTS:
        raise PermissionError(f"{event} is not there in a sandboxed plugin")


_TIMES = ("monotonic", "monotonic_ns", "perf_counter", "process_time", "sleep", "time", "time_ns")
_captured: list[tuple[ModuleType, str, str]] = []
_before_begun: list[Any] = []
_begun: list[bool] = []
"""Empty until the instance's first call: during the build there is no host."""


def prepare() -> None:
    """Notes who has taken functions of `time` into variables of their own. Called by the build,
    since looking takes long."""
    by_function = {id(getattr(time, name)): name for name in _TIMES}
    for module in list(sys.modules.values()):
        if isinstance(module, ModuleType) and module is not time:
            for name, value in vars(module).items():
                if id(value) in by_function:
                    _captured.append((module, name, by_function[id(value)]))


def install(emit_output: Callable[[str, str], None]) -> None:
    """Puts everything in place. `emit_output(level, line)` takes what the plugin prints.

    Called by the build, once the plugin has been imported, which may have read files.
    """
    before = {name: getattr(time, name) for name in _TIMES}
    time.time = lambda: host_clock.wall_now() / 1e9
    time.time_ns = host_clock.wall_now
    time.monotonic = time.perf_counter = lambda: host_clock.monotonic_now() / 1e9
    time.monotonic_ns = time.perf_counter_ns = host_clock.monotonic_now
    time.process_time = time.thread_time = time.monotonic
    time.process_time_ns = time.thread_time_ns = time.monotonic_ns
    time.get_clock_info = _clock_info
    time.sleep = sleep  # type: ignore[assignment]  # the same, by a simpler signature
    _default_to_now("gmtime", "localtime", "ctime")
    time.clock_gettime = lambda clock: (
        time.time() if clock == time.CLOCK_REALTIME else time.monotonic()
    )
    time.clock_getres = lambda clock: 1e-9
    for module, name, which in _captured:
        if getattr(module, name, None) is before[which]:
            setattr(module, name, getattr(time, which))
    plain_strftime, plain_asctime = time.strftime, time.asctime
    time.strftime = lambda form, when=None: plain_strftime(form, when or time.gmtime())
    time.asctime = lambda when=None: plain_asctime(when or time.gmtime())

    os.urandom = random_bytes
    random._urandom = random_bytes  # type: ignore[attr-defined]
    plain_seed = random.Random.seed
    random.Random.seed = lambda self, a=None, version=2: plain_seed(  # type: ignore[method-assign]
        self, random_bytes(32) if a is None else a, version
    )
    random.seed = random._inst.seed  # it was bound before

    # Python takes its streams to be its own, and these functions not to be replaced: hence what the
    # type checker is told not to mind, above and below.
    sys.stdout = sys.__stdout__ = _LogStream(  # type: ignore[misc, assignment]
        lambda line: emit_output("info", line), sys.stdout
    )
    sys.stderr = sys.__stderr__ = _LogStream(  # type: ignore[misc, assignment]
        lambda line: emit_output("warning", line), sys.stderr
    )
    sys.stdin = sys.__stdin__ = io.StringIO("")  # type: ignore[misc, assignment]

    _file_system.install()
    select = sys.modules.get("select")
    if select is not None:
        select.select = select.poll = _refuse("select")  # type: ignore[attr-defined]
    for name in _REFUSED_OS:
        if hasattr(os, name):
            setattr(os, name, _refuse(f"os.{name}"))


def begin() -> None:
    """What the build could not do: it imports some of componentize-py's own modules at its end, and
    what it does is the same in all instances. Called at an instance's first call.

    From now on random numbers are this instance's own, output goes to the host's log, and nothing
    looks for files that are not there.
    """
    _begun.append(True)
    random.seed()
    sys.addaudithook(_refuse_system)
    # A late import would look for a file; without a path to look in, it is an ImportError.
    # What was there before is left in its place: to free it, an instance would have to copy it.
    _before_begun.extend((sys.path, sys.path_importer_cache, sys.path_hooks))
    sys.path, sys.path_importer_cache, sys.path_hooks = [], {}, []


def _clock_info(name: str) -> Any:
    """As `time.get_clock_info`."""
    return SimpleNamespace(
        implementation="the host",
        monotonic=name != "time",
        adjustable=name == "time",
        resolution=1e-9,
    )


def _default_to_now(*names: str) -> None:
    for name in names:
        plain = getattr(time, name)
        setattr(
            time,
            name,
            lambda seconds=None, plain=plain: plain(time.time() if seconds is None else seconds),
        )
