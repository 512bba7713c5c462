"""What the HTTP of one call may use: requests, bytes, time. Whatever is used up ends the call."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Final

import anyio
from orchestrator_plugin_sdk.origins import is_address

from ...calls import Call
from ...errors import HttpLimitError
from ...limits import UNITS

_RECEIVED_TIMES: Final = 2
_RECEIVED_MORE: Final = 1024 * 1024
PIECE_BYTES: Final = 256
"""What a piece of a body counts for besides its bytes: a chunk, a member of gzip."""


class HttpBudget:
    """Counts for one call. Everything raises `HttpLimitError`."""

    __slots__ = (
        "_announced", "_call", "_down", "_names", "_received", "_requests", "_under_way", "_up",
    )  # fmt: skip

    def __init__(self, call: Call) -> None:
        self._call = call
        self._announced = False
        self._under_way = 0
        self._requests = 0
        self._up = 0
        self._down = 0
        self._received = 0
        self._names: set[str] = set()

    @property
    def totals(self) -> dict[str, int]:
        """What was used, for the audit."""
        return {"requests": self._requests, "up_bytes": self._up, "down_bytes": self._down}

    def announce(self) -> None:
        """Counts a request before anything of it is known: the next `count_request` is of it."""
        self._announced = False
        self.count_request()
        self._announced = True

    def count_request(self) -> None:
        """Counts a request, whatever becomes of it."""
        if self._announced:
            self._announced = False
            return
        self._requests += 1
        if self._requests > self._call.limits.http_requests:
            raise self._limit("http_requests", "made too many HTTP requests")

    def count_name(self, host: str) -> None:
        """Counts the host of a request, if it is a name that was not looked up before."""
        if not is_address(host):
            self._names.add(host)
            if len(self._names) > self._call.limits.http_names:
                raise self._limit("http_names", "looked up too many names of hosts")

    @contextmanager
    def under_way(self, responses: int) -> Iterator[None]:
        """Around a request that has no response yet, beside so many `responses` that are open."""
        if responses + self._under_way >= self._call.limits.http_concurrent:
            raise self._limit("http_concurrent", "has too many HTTP requests under way")
        self._under_way += 1
        try:
            yield
        finally:
            self._under_way -= 1

    def check_head(self, size: int) -> None:
        """Raises for a request whose headers and query have so many bytes, if it is too many."""
        if size > self._call.limits.http_head_bytes:
            raise self._limit("http_head_bytes", f"sent a head of {size:,} bytes or more by HTTP")

    def check_up(self, size: int) -> None:
        """Raises for a request that sends so many bytes, if it is too many."""
        if self._up + size > self._call.limits.http_up_bytes:
            raise self._limit("http_up_bytes", "sent too much by HTTP")

    def count_up(self, size: int) -> None:
        """Counts bytes that a request sends."""
        self.check_up(size)
        self._up += size

    def count_down(self, size: int) -> None:
        """Counts bytes of a body, decompressed."""
        self._down += size
        if self._down > self._call.limits.http_down_bytes:
            raise self._limit("http_down_bytes", "got too much by HTTP")

    def count_received(self, size: int, pieces: int = 0) -> None:
        """Counts bytes as they come, compressed and in chunks, and the pieces they come in. There
        may be twice as many as of bodies: of chunks of one byte, most is not body."""
        self._received += size + pieces * PIECE_BYTES
        most = self._call.limits.http_down_bytes * _RECEIVED_TIMES + _RECEIVED_MORE
        if self._received > most:
            raise self._limit("http_down_bytes", "got too much by HTTP, most of it no body")

    @asynccontextmanager
    async def within(self, until: float) -> AsyncIterator[None]:
        """A piece of a request, which ends when its time is up: at this `time.monotonic()`."""
        with anyio.move_on_after(max(until - time.monotonic(), 0)) as scope:
            yield
        if scope.cancelled_caught:
            raise self._limit("http_ms", "made an HTTP request that took too long")

    def _limit(self, name: str, what: str) -> HttpLimitError:
        call = self._call
        error = HttpLimitError(call.plugin, name, getattr(call.limits, name), UNITS[name], what)
        call.host_error = error
        return error
