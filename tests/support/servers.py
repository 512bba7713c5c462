"""Real HTTP servers on loopback, whose answers a test writes."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import trustme


@dataclass
class Seen:
    """A request as the server got it."""

    method: str
    path: str
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str | None:
        """The value of a header; none if it was not sent."""
        found = [value for key, value in self.headers if key.lower() == name.lower()]
        return ", ".join(found) if found else None


class Exchange(BaseHTTPRequestHandler):
    """One exchange, in the hands of a test's function."""

    protocol_version = "HTTP/1.1"
    # Otherwise the body waits for the client to acknowledge the head: 40 ms an answer.
    disable_nagle_algorithm = True
    server: Any
    seen: Seen

    def _serve(self) -> None:
        length = int(self.headers.get("content-length", 0))
        self.seen = Seen(
            self.command, self.path, list(self.headers.items()), self.rfile.read(length)
        )
        self.server.seen.append(self.seen)
        answer = self.server.answers.get(urlsplit(self.path).path)
        if answer is None:
            self.answer(404, b"there is nothing here")
            return
        try:
            answer(self)
        except (BrokenPipeError, ConnectionResetError):
            self.server.left.set()
            self.close_connection = True

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = do_OPTIONS = _serve

    def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        """A whole response. `_` in a header's name stands for `-`."""
        if "date" in headers:  # instead of the one that is sent by itself
            self.send_response_only(status)
        else:
            self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def begin(self, status: int = 200, **headers: str) -> None:
        """The head of a response in chunks."""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()

    def chunk(self, data: bytes) -> None:
        """A piece of it; without any, the end."""
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        self.wfile.flush()

    def cut(self) -> None:
        """Closes the connection in the middle."""
        self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is no news."""


@dataclass
class Server:
    """A server: `answers` by path, `seen` requests, `left` is set when a client went away."""

    port: int
    scheme: str
    answers: dict[str, Callable[[Exchange], None]]
    seen: list[Seen] = field(default_factory=list)
    left: threading.Event = field(default_factory=threading.Event)

    @property
    def origin(self) -> str:
        """Where it is."""
        return f"{self.scheme}://127.0.0.1:{self.port}"


@cache
def authority() -> trustme.CA:
    """Whose certificates tests trust."""
    return trustme.CA()


def ca_file(folder: Path) -> Path:
    """The certificate of `authority`, in a file."""
    path = folder / "ca.pem"
    authority().cert_pem.write_to_path(str(path))
    return path


@contextmanager
def serving(
    answers: dict[str, Callable[[Exchange], None]], *, certificate_for: str | None = None
) -> Iterator[Server]:
    """A server on a free port of loopback, with TLS if it has a certificate."""
    httpd = _Server(("127.0.0.1", 0), Exchange)
    if certificate_for is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority().issue_cert(certificate_for).configure_cert(context)
        httpd.socket = context.wrap_socket(httpd.socket, server_side=True)
    scheme = "http" if certificate_for is None else "https"
    server = Server(httpd.server_address[1], scheme, answers)
    vars(httpd).update(answers=answers, seen=server.seen, left=server.left)
    thread = threading.Thread(target=httpd.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        httpd.shutdown()
        thread.join()
        httpd.server_close()
