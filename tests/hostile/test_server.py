"""The server of hostile cases: that it sends what a case says."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from typing import Any

import pytest
from orchestrator_plugin_host.hostile.server import Sent, serving

REQUEST = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


def sent(*entries: Mapping[str, Any]) -> list[Sent]:
    return [Sent.model_validate(one) for one in entries]


def received(port: int, request: bytes = REQUEST) -> bytes:
    """What a server sends to one client, until it closes the connection."""
    data = b""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as end:
        end.sendall(request)
        while piece := end.recv(1 << 16):
            data += piece
    return data


def test_each_connection_gets_all_of_it() -> None:
    entries = sent(
        {"send": "a\u00e4\r\n"},
        {"hex": "00ff", "times": 100_000},
        {"send": "b", "times": 3, "pause_ms": 1},
    )
    with serving(entries, os.environ) as port:
        assert 10_000 <= port <= 65_535
        for _ in range(2):
            assert received(port) == "a\u00e4\r\n".encode() + b"\0\xff" * 100_000 + b"bbb"


def test_a_body_is_taken_as_well() -> None:
    with serving(sent({"send": "a"}), os.environ) as port:
        assert received(port, REQUEST + bytes(10_000_000)) == b"a"


def test_clients_that_go() -> None:
    with serving(sent({"send": "x" * 1000, "times": 1_000_000_000}), os.environ) as port:
        for request in (REQUEST, b"GET /", b""):
            with socket.create_connection(("127.0.0.1", port), timeout=60) as end:
                end.sendall(request)
        with socket.create_connection(("127.0.0.1", port), timeout=60) as end:
            end.sendall(REQUEST)
            assert end.recv(1) == b"x"


def test_it_ends() -> None:
    with serving(sent({"send": "a"}), os.environ) as port:
        pass
    with pytest.raises(ConnectionRefusedError):
        received(port)
