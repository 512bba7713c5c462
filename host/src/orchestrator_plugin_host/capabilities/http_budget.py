"""What the HTTP of one call may use: requests, bytes, time. Whatever is used up ends the call."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import anyio
import httpx

from ..calls import Call
from ..errors import HttpLimitError
from ..limits import UNITS


class HttpBudget:
    """Counts for one call. Everything raises `HttpLimitError`."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._under_way = 0
        self._requests = 0
        self._up = 0
        self._down = 0

    @property
    def totals(self) -> dict[str, int]:
        """What was used, for the audit."""
        return {"requests": self._requests, "up_bytes": self._up, "down_bytes": self._down}

    @contextmanager
    def request(self, responses: int) -> Iterator[None]:
        """Around a request that has no response yet, beside so many `responses` that are open."""
        self._requests += 1
        if self._requests > self._call.limits.http_requests:
            raise self._limit("http_requests", "made too many HTTP requests")
        if responses + self._under_way >= self._call.limits.http_concurrent:
            raise self._limit("http_concurrent", "has too many HTTP requests under way")
        self._under_way += 1
        try:
            yield
        finally:
            self._under_way -= 1

    def count_up(self, request: httpx.Request) -> int:
        """Counts what a request sends; gives its bytes."""
        size = len(request.method) + len(request.extensions["target"]) + len(request.content)
        size += sum(len(name) + len(value) + 4 for name, value in request.headers.raw)
        self._up += size
        if self._up > self._call.limits.http_up_bytes:
            raise self._limit("http_up_bytes", "sent too much by HTTP")
        return size

    def count_down(self, size: int) -> None:
        """Counts bytes of a body, decompressed."""
        self._down += size
        if self._down > self._call.limits.http_down_bytes:
            raise self._limit("http_down_bytes", "got too much by HTTP")

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
