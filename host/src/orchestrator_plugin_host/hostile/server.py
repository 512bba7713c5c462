"""A server for cases in which it is not the guest alone that attacks, but whoever answers it.

What it sends is data, entries of a case's `[[server]]`: each connection gets all of them, one after
the other, as soon as the head of a request has come, and is closed. It is a process of its own, not
one that the case's host started: `serving` is the runner's side.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Final, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

_MAX_HEAD: Final = 1 << 20
_BATCH: Final = 1 << 16
_FIRST_PORT: Final = 10_000
_LINGER_SECONDS: Final = 10


class Sent(BaseModel):
    """A piece of what a server sends."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    send: str | None = None
    """Text, as UTF-8."""
    hex: str | None = None
    """Bytes, in hexadecimal."""
    times: int = Field(default=1, ge=1)
    """How often."""
    pause_ms: int = Field(default=0, ge=0)
    """Milliseconds to wait after each time."""

    @model_validator(mode="after")
    def _one_of_them(self) -> Self:
        if (self.send is None) == (self.hex is None):
            raise ValueError("expected either send or hex")
        self.data()
        return self

    def data(self) -> bytes:
        """The bytes that are sent each time."""
        return (self.send or "").encode() if self.hex is None else bytes.fromhex(self.hex)


@contextmanager
def serving(sent: Sequence[Sent], environment: Mapping[str, str]) -> Iterator[int]:
    """Runs a server on loopback, and gives its port, which has five digits."""
    with subprocess.Popen(  # noqa: S603  # this interpreter and this module
        [sys.executable, "-m", __name__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=dict(environment),
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(json.dumps([one.model_dump() for one in sent]).encode() + b"\n")
            process.stdin.flush()
            yield int(process.stdout.readline())
        finally:
            process.kill()


def main() -> None:
    """Serves what is described on stdin, until that ends."""
    sent = [Sent.model_validate(one) for one in json.loads(sys.stdin.readline())]
    listening = _bound()
    sys.stdout.write(f"{listening.getsockname()[1]}\n")
    sys.stdout.flush()
    threading.Thread(target=_accept, args=(listening, sent), daemon=True).start()
    sys.stdin.read()  # ends with the runner


def _bound() -> socket.socket:
    """A socket that listens, at a port of five digits: it goes into a guest's text by its place."""
    while True:
        listening = socket.create_server(("127.0.0.1", 0), backlog=128)
        if listening.getsockname()[1] >= _FIRST_PORT:
            return listening
        listening.close()


def _accept(listening: socket.socket, sent: Sequence[Sent]) -> None:
    while True:
        end, _ = listening.accept()
        threading.Thread(target=_serve, args=(end, sent), daemon=True).start()


def _serve(end: socket.socket, sent: Sequence[Sent]) -> None:
    with end, suppress(OSError):  # a client that goes
        end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        _receive_head(end)
        # What comes after the head is taken as well: a client that can't send does not listen.
        discarding = threading.Thread(target=_discard, args=(end,), daemon=True)
        discarding.start()
        for one in sent:
            _send(end, one)
        end.shutdown(socket.SHUT_WR)
        discarding.join(_LINGER_SECONDS)  # to close it now could take back what is on its way


def _receive_head(end: socket.socket) -> None:
    head = b""
    while b"\r\n\r\n" not in head and len(head) < _MAX_HEAD:
        piece = end.recv(_BATCH)
        if not piece:
            raise ConnectionResetError
        head += piece


def _discard(end: socket.socket) -> None:
    with suppress(OSError):
        while end.recv(_BATCH):
            pass


def _send(end: socket.socket, one: Sent) -> None:
    data = one.data()
    at_once = 1 if one.pause_ms else max(1, _BATCH // max(len(data), 1))
    for begun in range(0, one.times, at_once):
        end.sendall(data * min(at_once, one.times - begun))
        if one.pause_ms:
            time.sleep(one.pause_ms / 1000)


if __name__ == "__main__":
    main()
