"""What a plugin gets besides its arguments: a logger, an abort signal, time and randomness, HTTP,
files and references to secrets.

Plugins take all of it from here, so that one source runs natively and in a sandbox.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from .capabilities.registry import Reached
from .errors import ErrorKind, PluginCallError
from .log import NullLogger, PluginLogger


class AbortSignal:
    """Tells whether the caller has given up. Thread-safe; made by an `AbortController`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._reason: str | None = None
        self._listeners: dict[int, Callable[[], None]] = {}
        self._next_listener = 0

    @property
    def aborted(self) -> bool:
        """Whether it has been aborted."""
        return self._reason is not None

    @property
    def reason(self) -> str | None:
        """Why, once it has been."""
        return self._reason

    def throw_if_aborted(self) -> None:
        """Raises `PluginCallError` of kind `aborted` if it has been aborted."""
        if self.aborted:
            raise PluginCallError(ErrorKind.ABORTED, self.reason or "aborted")

    def add_listener(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Calls `listener` once on abort, from the aborting thread; at once if it has happened.

        Returns a function that takes the listener away again.
        """
        with self._lock:
            if self._reason is None:
                key = self._next_listener
                self._next_listener += 1
                self._listeners[key] = listener
                return lambda: self._forget(key)
        listener()
        return lambda: None

    def _forget(self, key: int) -> None:
        with self._lock:
            self._listeners.pop(key, None)

    def _abort(self, reason: str) -> None:
        with self._lock:
            if self._reason is not None:
                return
            self._reason = reason
            listeners = list(self._listeners.values())
            self._listeners.clear()
        faults: list[Exception] = []
        for listener in listeners:
            try:
                listener()
            except Exception as error:
                faults.append(error)
        if faults:
            raise ExceptionGroup("listeners of an abort failed; all were called", faults)


class AbortController:
    """Holds a `signal` and aborts it, from any thread."""

    def __init__(self) -> None:
        self.signal = AbortSignal()

    def abort(self, reason: str = "aborted by the caller") -> None:
        """Aborts the signal. The first reason stays.

        Calls every listener; raises `ExceptionGroup` of what listeners raised.
        """
        self.signal._abort(reason)


class Services(Protocol):
    """Time and randomness, as the side of the boundary that the plugin runs on provides them."""

    async def sleep(self, seconds: float) -> None:
        """Waits; ends early with an error when the call is aborted or out of time."""

    def wall_time(self) -> float:
        """Seconds since 1970-01-01T00:00:00Z."""

    def monotonic(self) -> float:
        """Seconds since an arbitrary moment, never going back."""

    def random_bytes(self, length: int) -> bytes:
        """Cryptographically secure random bytes."""


class NativeServices:
    """`Services` of the process itself, under asyncio or trio.

    A host ends a wait when its call is aborted or out of time. Without one, a wait lasts as long as
    it was asked to, and an abort meanwhile is noticed after it.
    """

    async def sleep(self, seconds: float) -> None:
        """Waits without blocking the event loop."""
        trio: Any = sys.modules.get("trio")  # loaded, if it is what runs
        if trio is not None and trio.lowlevel.in_trio_run():
            await trio.sleep(seconds)
        else:
            import asyncio  # loaded, since it runs; otherwise it takes long, and is not needed

            await asyncio.sleep(seconds)

    def wall_time(self) -> float:
        """`time.time()`."""
        return time.time()

    def monotonic(self) -> float:
        """`time.monotonic()`."""
        return time.monotonic()

    def random_bytes(self, length: int) -> bytes:
        """`os.urandom(length)`."""
        return os.urandom(length)


@dataclass(frozen=True, slots=True)
class PluginContext(Reached):
    """The surroundings of one call, or of a plugin's `init`; what it may reach is in the fields of
    `Reached`.

    `deadline_ms` is what the call may still take when it begins, in milliseconds, if it is bounded.
    """

    run_id: str | None = None
    logger: PluginLogger = field(default_factory=NullLogger)
    abort_signal: AbortSignal = field(default_factory=AbortSignal)
    deadline_ms: int | None = None
    services: Services = field(default_factory=NativeServices, repr=False)

    def secret(self, name: str) -> str:
        """A reference to a secret that the manifest declares: what a request has in its place. The
        host puts the value in on the way out; a plugin never has it.

        Raises `PluginCallError` of the kind `unauthenticated` if the operator has not bound it.
        """
        if name not in self.secrets:
            raise PluginCallError(
                ErrorKind.UNAUTHENTICATED,
                f"there is no secret {name!r}: the manifest must declare it ([secrets.{name}]), "
                f"and the policy bind it",
            )
        return self.secrets[name]

    async def sleep(self, seconds: float) -> None:
        """Waits for `seconds`; ends early with an error when the call is aborted or out of time."""
        if seconds < 0:
            raise ValueError("sleep length must be non-negative")
        self.abort_signal.throw_if_aborted()
        await self.services.sleep(seconds)
        self.abort_signal.throw_if_aborted()

    def wall_time(self) -> float:
        """Seconds since 1970-01-01T00:00:00Z."""
        return self.services.wall_time()

    def monotonic(self) -> float:
        """Seconds since an arbitrary moment, never going back."""
        return self.services.monotonic()

    def random_bytes(self, length: int) -> bytes:
        """Cryptographically secure random bytes."""
        return self.services.random_bytes(length)

    def with_(
        self,
        *,
        logger: PluginLogger | None = None,
        abort_signal: AbortSignal | None = None,
        deadline_ms: int | None = None,
        services: Services | None = None,
        **reached: Any,
    ) -> PluginContext:
        """A copy with some parts replaced; `reached` are fields of `Reached`."""
        return replace(
            self,
            logger=self.logger if logger is None else logger,
            abort_signal=self.abort_signal if abort_signal is None else abort_signal,
            deadline_ms=self.deadline_ms if deadline_ms is None else deadline_ms,
            services=self.services if services is None else services,
            **reached,
        )


@dataclass(frozen=True, slots=True)
class CallContext:
    """The part of a `PluginContext` that travels in a document. `secrets` are references by the
    names of the secrets."""

    run_id: str | None = None
    deadline_ms: int | None = None
    secrets: Mapping[str, str] = field(default_factory=dict)
