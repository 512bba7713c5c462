"""A server in a process of its own that sends chunks of one byte without end, to whoever comes:
`python flooding.py`. Says its port."""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import threading

HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
CHUNKS = b"1\r\na\r\n" * 10_000


def flood(connection: socket.socket) -> None:
    """Serves one client."""
    with connection, contextlib.suppress(OSError):
        connection.recv(65_536)
        connection.sendall(HEAD)
        while True:
            connection.sendall(CHUNKS)


def main() -> None:
    """Serves until standard input ends, when nobody else has anything to do."""
    os.nice(19)
    listening = socket.create_server(("127.0.0.1", 0), backlog=256)
    print(listening.getsockname()[1], flush=True)

    def accept() -> None:
        while True:
            connection, _ = listening.accept()
            threading.Thread(target=flood, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    sys.stdin.read()


if __name__ == "__main__":
    main()
