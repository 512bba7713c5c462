"""Starting a worker process, talking to it, and ending it."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from .channel import Channel, ChannelClosedError

_ASK_MS: Final = 10
_MAX_STDERR: Final = 4096
_OURS: Final = ("orchestrator_plugin_host", "orchestrator_plugin_sdk")
_OTHERS: Final = ("wasmtime", "msgpack")

_OUT_OF_MEMORY: Final = (
    "memory allocation of",
    "MemoryError",
    "Cannot allocate memory",
    # No room for a thread's stack: Python's words, and those of wasmtime's compiler.
    "can't start new thread",
    "ThreadPoolBuildError",
)
"""What a process says that ends because it may have no more memory."""

_ENVIRONMENT: Final = {"TOKIO_WORKER_THREADS": "1"}
"""WASI waits in one thread, however many cores there are: it has one guest."""

# A worker starts with nothing of the user's: no environment, no site directory, no startup files.
# Our packages are entered without their public names, which import much that a worker never uses,
# so that it starts in a fraction of the time.
_START: Final = """
import json, sys, types
given = json.loads(sys.argv[1])
sys.path += given["paths"]
for name, folder in given["packages"].items():
    package = sys.modules[name] = types.ModuleType(name)
    package.__path__ = [folder]
from orchestrator_plugin_host.sandbox.worker.main import main
main(given["channel"], given["code"])
"""


class WorkerGoneError(Exception):
    """The worker ended, or sent what is no message. The message says how.

    `out_of_memory` is whether it said that it had none left.
    """

    def __init__(self, message: str, *, out_of_memory: bool) -> None:
        self.out_of_memory = out_of_memory
        super().__init__(message)


def _not_started(error: OSError) -> WorkerGoneError:
    return WorkerGoneError(f"it could not be started: {error.strerror}", out_of_memory=False)


def _folder(package: str) -> Path:
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise RuntimeError(f"the package {package} has no folder to start a worker from")
    return Path(spec.origin).parent


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # most real-time signals have none
        return f"signal {number}"


class Worker:
    """A worker process. A context manager that ends it."""

    def __init__(self, code_descriptor: int | None = None) -> None:
        """Starts it. `code_descriptor` is an open file of compiled code that it may map.

        Raises `WorkerGoneError` if it can't be started.
        """
        try:
            near, far = socket.socketpair()
        except OSError as error:
            raise _not_started(error) from None
        self._lock = threading.Lock()
        self._near = near
        self._channel = Channel(near, _ASK_MS)
        self._owner = os.getpid()
        self._talks = False
        self._closed = False
        self._killed_by_us = False
        self._said = ""
        self._reaper = threading.Thread(
            target=self._reap, name="orchestrator-plugin-reaper", daemon=True
        )
        given = {
            "packages": {name: str(_folder(name)) for name in _OURS},
            "paths": list(dict.fromkeys(str(_folder(name).parent) for name in _OTHERS)),
            "channel": far.fileno(),
            "code": code_descriptor,
        }
        environment = dict(_ENVIRONMENT)
        if "LD_LIBRARY_PATH" in os.environ:  # where Python itself may be
            environment["LD_LIBRARY_PATH"] = os.environ["LD_LIBRARY_PATH"]
        try:
            with far:
                self._process = subprocess.Popen(  # noqa: S603  # our own interpreter, our own words
                    [sys.executable, "-I", "-S", "-B", "-c", _START, json.dumps(given)],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.PIPE,
                    pass_fds=[one for one in (far.fileno(), code_descriptor) if one is not None],
                    env=environment,
                    cwd="/",
                    start_new_session=True,
                )
        except OSError as error:
            self._channel.close()
            raise _not_started(error) from None

    @property
    def pid(self) -> int:
        """The process's number."""
        return self._process.pid

    @property
    def socket(self) -> socket.socket:
        """This end of the channel: for a `Conversation`."""
        return self._near

    def ended(self, otherwise: str) -> WorkerGoneError:
        """Ends it, and waits for that: how it ended, or `otherwise`."""
        self.close(wait=True)
        return self._how_it_ended(otherwise)

    def send(self, message: Sequence[Any], go_on: Callable[[], None]) -> None:
        """Sends a message. `go_on` is asked every 10 ms; what it raises ends the exchange, after
        which the worker is of no more use. Raises `WorkerGoneError`."""
        with self._talking():
            self._channel.send(message, go_on)

    def receive(self, most: int, go_on: Callable[[], None]) -> list[Any]:
        """The worker's next message, of at most `most` bytes: a list that begins with a word.

        `go_on` as for `send`. Raises `WorkerGoneError`.
        """
        with self._talking():
            message = self._channel.receive(most, go_on)
            if not isinstance(message, list) or not message or not isinstance(message[0], str):
                raise ChannelClosedError("what came is not a message")
        return message

    def send_bytes(self, data: bytes | bytearray, go_on: Callable[[], None]) -> None:
        """As `Channel.send_bytes`. Raises `WorkerGoneError`."""
        with self._talking():
            self._channel.send_bytes(data, go_on)

    def receive_bytes(self, size: int, go_on: Callable[[], None]) -> bytearray:
        """As `Channel.receive_bytes`. Raises `WorkerGoneError`."""
        with self._talking():
            return self._channel.receive_bytes(size, go_on)

    @contextlib.contextmanager
    def _talking(self) -> Iterator[None]:
        with self._lock:
            if self._closed:
                raise WorkerGoneError("it has been ended", out_of_memory=False)
            self._talks = True
        try:
            yield
        except ChannelClosedError as error:
            raise self.ended(str(error)) from None
        finally:
            with self._lock:
                self._talks = False
                if self._closed:
                    self._channel.close()

    def _how_it_ended(self, otherwise: str) -> WorkerGoneError:
        status, said = self._process.returncode, self._said
        how = otherwise
        if status < 0 and status != -signal.SIGKILL:
            how = f"it was ended by {_signal_name(-status)}"
        elif status == -signal.SIGKILL and not self._killed_by_us:
            how = "it was ended by SIGKILL, as a system does that is out of memory"
        elif status > 0:
            how = f"it ended with status {status}"
        words = " ".join(said.split())[-200:]
        detail = f" ({words})" if words.isprintable() and words else ""
        return WorkerGoneError(
            how + detail,
            out_of_memory=any(one in said for one in _OUT_OF_MEMORY),
        )

    def close(self, *, wait: bool = False) -> None:
        """Ends it, whatever it does; with `wait`, returns when it has ended. From any thread; a
        second time does nothing more."""
        if os.getpid() != self._owner:
            return  # in a fork of the host's process: the worker is not its own
        with self._lock:
            if not self._closed:
                self._closed = True
                self._killed_by_us = self._process.poll() is None
                self._process.kill()
                if not self._talks:  # else whoever talks closes its end
                    self._channel.close()
                # A process that ends gives its memory back first: nobody needs to wait for that.
                self._reaper.start()
        if wait:
            self._reaper.join()

    def _reap(self) -> None:
        self._process.wait()
        if self._process.stderr is not None:
            with self._process.stderr as stderr:
                os.set_blocking(stderr.fileno(), False)
                said = stderr.read(_MAX_STDERR) or b""
            self._said = said.decode("utf-8", "replace")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close(wait=True)
