"""The audit: every decision about what a plugin reaches, one line of JSON each, appended to a file.

A line is written by a thread of its own, so that no call waits for a disk; whoever is denied
something does not wait either. Nothing is dropped: when the disk can't keep up, calls wait after
all.
"""

from __future__ import annotations

import atexit
import json
import os
import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from queue import Queue
from typing import Any, Final

from .calls import Call
from .errors import AuditError

_WAITING: Final = 10_000
_LAST_SECONDS: Final = 30.0
"""How long the last lines may take."""


class AuditLog:
    """The file of one host. Thread-safe."""

    def __init__(self, path: Path) -> None:
        """Opens it, or makes it for this user alone. Raises `AuditError`."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
            self._file = os.open(path, flags, 0o600)
        except OSError as error:
            raise AuditError(f"the audit {path} can't be opened: {error.strerror}") from None
        self._path = path
        self._waiting: Queue[Mapping[str, Any] | None] = Queue(_WAITING)
        self._failure: AuditError | None = None
        self._closing = threading.Lock()
        self._closed = False
        # Of a host that nobody closes, the thread must not keep the interpreter from ending; what
        # waits to be written is written before it does.
        self._thread = threading.Thread(
            target=self._write_all, name="orchestrator-plugin-audit", daemon=True
        )
        self._thread.start()
        atexit.register(self._finish)

    def write(self, record: Mapping[str, Any]) -> None:
        """Writes one decision soon. Raises `AuditError` once the file can't be written: what can't
        be audited does not happen."""
        with self._closing:
            self.check()
            self._waiting.put(record)

    def check(self) -> None:
        """Raises `AuditError` if nothing can be written any more."""
        if self._failure is not None:
            raise self._failure
        if self._closed:  # by whoever closed the host while a plugin was being loaded
            raise AuditError(f"the audit {self._path} has been closed, with its host")

    def close(self) -> None:
        """Returns when everything is written. Raises `AuditError` if something could not be."""
        atexit.unregister(self._finish)
        self._finish()
        os.close(self._file)
        if self._failure is not None:
            raise self._failure

    def _finish(self) -> None:
        with self._closing:
            self._closed = True
        self._waiting.put(None)
        self._thread.join(_LAST_SECONDS)

    def _write_all(self) -> None:
        while (record := self._waiting.get()) is not None:
            line = json.dumps(record, ensure_ascii=False, separators=(",", ":"), default=str)
            data = line.encode("utf-8", "backslashreplace") + b"\n"
            try:
                if self._failure is None:
                    while data:
                        data = data[os.write(self._file, data) :]
            except OSError as error:
                self._failure = AuditError(
                    f"the audit {self._path} can't be written: {error.strerror}"
                )


class PluginAudit:
    """What is written of one loaded plugin. `sink` takes each record, or there is none; `check`
    raises if it would not."""

    def __init__(
        self,
        plugin: str,
        digest: str | None,
        sink: Callable[[Mapping[str, Any]], None] | None = None,
        check: Callable[[], None] = lambda: None,
    ) -> None:
        self._plugin = plugin
        self._digest = digest
        self._sink = sink
        self.check = check

    def http(self, call: Call, facts: Mapping[str, Any], *, denied: str | None = None) -> None:
        """A request that was made, or denied."""
        shown = {name: value for name, value in facts.items() if name != "started"}
        self._write(call, "http", shown, denied)

    def files(self, call: Call, path: str, denied: str) -> None:
        """Something about a file that was denied."""
        self._write(call, "files", {"path": path[:1000]}, denied)

    def call(self, call: Call, facts: Mapping[str, Any]) -> None:
        """A call that has ended."""
        self._write(call, "call", facts, None)

    def _write(self, call: Call, kind: str, facts: Mapping[str, Any], denied: str | None) -> None:
        if self._sink is None:
            return
        self._sink(
            {
                "time": datetime.fromtimestamp(time.time(), UTC).isoformat(timespec="milliseconds"),
                "kind": kind,
                "allowed": denied is None,
                **({} if denied is None else {"reason": denied}),
                "plugin": self._plugin,
                "digest": self._digest,
                "call": call.id,
                "operation": call.operation,
                "run": call.context.run_id,
                **facts,
            }
        )
