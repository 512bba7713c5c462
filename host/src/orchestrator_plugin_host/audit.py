"""The audit: every decision about what a plugin reaches, one line of JSON each, appended to a file.

A line is written by a thread of its own, so that no call waits for a disk; whoever is denied
something does not wait either. Nothing is dropped: when the disk can't keep up, requests wait, and
in the end calls fail.
"""

from __future__ import annotations

import atexit
import json
import os
import threading
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Final

import anyio
from orchestrator_plugin_sdk.visible import visible_json

from .calls import Call
from .errors import AuditError

_MAX_BEHIND: Final = 10_000
"""Lines that may wait to be written before requests wait for them."""
_MAX_WAITING: Final = 20_000
"""Lines that may wait to be written at all."""
_LOOK_SECONDS: Final = 0.01
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
        self._waiting: SimpleQueue[Mapping[str, Any] | None] = SimpleQueue()
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
        """Writes one decision soon, and never waits. Raises `AuditError` once the file can't be
        written, or not fast enough: what can't be audited does not happen."""
        with self._closing:
            self.check()
            if self._waiting.qsize() >= _MAX_WAITING:
                raise AuditError(
                    f"the audit {self._path} is written too slowly: {_MAX_WAITING:,} lines wait"
                )
            self._waiting.put(record)

    @property
    def behind(self) -> bool:
        """Whether so many lines wait to be written that nothing should be begun that writes
        more."""
        return self._waiting.qsize() >= _MAX_BEHIND

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
            data = visible_json(line).encode() + b"\n"
            try:
                if self._failure is None:
                    while data:
                        data = data[os.write(self._file, data) :]
            except OSError as error:
                self._failure = AuditError(
                    f"the audit {self._path} can't be written: {error.strerror}"
                )


class PluginAudit:
    """What is written of one loaded plugin, into `log` if there is one."""

    def __init__(
        self, plugin: str, digest: str | None, pinned: bool, log: AuditLog | None = None
    ) -> None:
        """`digest` is that of the component, None for a native plugin; `pinned` says whether the
        policy names it."""
        self._plugin = plugin
        self._digest = digest
        self._pinned = pinned
        self._log = log
        self._sink = None if log is None else log.write

    @property
    def enabled(self) -> bool:
        """Whether anything is written."""
        return self._sink is not None

    async def room(self) -> None:
        """Waits until what was written before has got to the disk, nearly. Raises `AuditError`."""
        if self._log is None:
            return
        self._log.check()
        while self._log.behind:
            await anyio.sleep(_LOOK_SECONDS)
            self._log.check()

    def reached(
        self, call: Call, capability: str, facts: Mapping[str, Any], *, denied: str | None = None
    ) -> None:
        """What a call did with a capability, or was denied."""
        self._write(call, capability, facts, denied)

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
                "pinned": self._pinned,
                "call": call.id,
                "operation": call.operation,
                "run": call.context.run_id,
                **facts,
            }
        )
