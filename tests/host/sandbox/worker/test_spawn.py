"""Starting workers on a system that has no descriptor left."""

from __future__ import annotations

import os
import socket
import sys
from typing import Any

import pytest
from orchestrator_plugin_host.sandbox.code import Code
from orchestrator_plugin_host.sandbox.worker.spawn import Worker, WorkerGoneError
from orchestrator_plugin_host.sandbox.workers import StoredCode
from orchestrator_plugin_host.wit import World


def none_left(*_: Any, **__: Any) -> Any:
    raise OSError(24, "Too many open files")


def test_no_channel_can_be_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "socketpair", none_left)
    with pytest.raises(WorkerGoneError, match="could not be started: Too many open files"):
        Worker()


@pytest.mark.skipif(sys.platform != "linux", reason="memory files are Linux's")
def test_code_is_sent_where_no_memory_file_can_be_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "memfd_create", none_left)
    stored = StoredCode(World("empty", {}, {}), frozenset(), 1, Code.of(b"code"))
    assert stored.code.descriptor is None
    assert stored.code.read() == b"code"
