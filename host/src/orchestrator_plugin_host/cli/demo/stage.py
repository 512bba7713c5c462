"""A stage for a plugin that looks for credentials: an environment, a home and servers that hold
nothing but canaries, and see where those go.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final

MARKER: Final = ".a-stage"
_VARIABLES: Final = (
    "OPENAI_API_KEY", "ANTHROPIC_API_KEY", "AWS_SECRET_ACCESS_KEY", "GITHUB_TOKEN",
)  # fmt: skip
_FILES: Final[Mapping[str, str]] = {
    ".ssh/id_ed25519": "-----BEGIN A KEY-----\n{}\n-----END A KEY-----\n",
    ".aws/credentials": "[default]\naws_secret_access_key = {}\n",
    ".config/gcloud/application_default_credentials.json": '{{"refresh_token": \n {} \n}}',
    ".kube/config": "users:\n- user:\n    token: {}\n",
    ".netrc": "machine example.com login me password {}\n",
    "project/.env": "DATABASE_PASSWORD= {}\n",
}
_KEPT: Final = ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "SYSTEMROOT", "TMPDIR")
"""What a Python needs of the real environment."""


@dataclass
class Stage:
    """What a plugin finds, and what its server was sent."""

    home: Path
    canaries: Mapping[str, str]
    """By where they are."""
    metadata: str
    drop: str
    sent: list[str] = field(default_factory=list)
    """The bodies of the requests to the server of the plugin's own."""

    def environment(self) -> dict[str, str]:
        """The environment of a process that plays on this stage."""
        kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
        keys = {name: self.canaries[name] for name in _VARIABLES}
        return {**kept, **keys, "HOME": str(self.home), "PYTHONPATH": os.pathsep.join(sys.path)}

    def config(self) -> dict[str, dict[str, str]]:
        """The config of a plugin that plays on this stage."""
        named = {"home": str(self.home), "metadata": self.metadata, "drop": self.drop}
        return {"stage": named}

    def lost(self) -> list[str]:
        """Where the canaries were that its server has got."""
        sent = {one for body in self.sent for one in json.loads(body)}
        return [where for where, canary in self.canaries.items() if canary in sent]


@contextmanager
def staged() -> Iterator[Stage]:
    """Sets a stage up, and takes it down."""
    with (
        tempfile.TemporaryDirectory(prefix="orchestrator-plugin-stage-") as folder,
        _server() as metadata,
        _server() as drop,
    ):
        home = Path(folder)
        places = (*_VARIABLES, *(f"~/{name}" for name in _FILES), "the metadata service")
        canaries = {place: f"canary-{os.urandom(8).hex()}" for place in places}
        for name, text in _FILES.items():
            path = home / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text.format(canaries[f"~/{name}"]), encoding="utf-8")
        (home / MARKER).touch()
        metadata.answer = canaries["the metadata service"].encode()
        yield Stage(home, canaries, metadata.origin, drop.origin, drop.bodies)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        self.answer = b""
        self.bodies: list[str] = []
        super().__init__(("127.0.0.1", 0), _Exchange)

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Exchange(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        self._respond()

    def do_POST(self) -> None:
        size = int(self.headers.get("content-length", 0))
        self.server.bodies.append(self.rfile.read(size).decode())
        self._respond()

    def _respond(self) -> None:
        self.send_response(200)
        self.send_header("content-length", str(len(self.server.answer)))
        self.end_headers()
        self.wfile.write(self.server.answer)

    def log_message(self, format: str, *arguments: object) -> None:
        """Says nothing."""


@contextmanager
def _server() -> Iterator[_Server]:
    with _Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
