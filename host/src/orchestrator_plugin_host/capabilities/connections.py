"""Connections of one plugin: to addresses that were checked, kept for its next request.

A pool for each origin and address. One pool for all would take a connection for one name for
another's request when both have the same address, and its certificate was checked for the first.
"""

from __future__ import annotations

import logging
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import Final

import anyio
import httpx
from orchestrator_plugin_sdk.origins import Origin

from .addresses import Address

_KEPT: Final = 16
_CONNECT_SECONDS: Final = 10.0
_CLOSE_SECONDS: Final = 1.0
_LOGGERS: Final = ("httpcore.connection", "httpcore.http11", "httpcore.proxy")

_ours: ContextVar[bool] = ContextVar("a request of a plugin", default=False)


class _Quiet(logging.Filter):
    """Keeps what the client logs of plugins' requests out of the application's log: at the level
    `debug` it logs headers, and in those may be what no log is to have."""

    def filter(self, record: logging.LogRecord) -> bool:
        return not _ours.get()


@contextmanager
def quietly() -> Iterator[None]:
    """Around what the client does for a plugin: nothing of it is logged."""
    token = _ours.set(True)
    try:
        yield
    finally:
        _ours.reset(token)


class QuietLogs:
    """While it is open, the HTTP client logs nothing of plugins' requests."""

    def __init__(self) -> None:
        self._filter = _Quiet()

    def open(self) -> None:
        """Begins."""
        for name in _LOGGERS:
            logging.getLogger(name).addFilter(self._filter)

    def close(self) -> None:
        """Ends."""
        for name in _LOGGERS:
            logging.getLogger(name).removeFilter(self._filter)


class Connection:
    """The connections to one address of one origin."""

    def __init__(self, origin: Origin, address: Address, tls: ssl.SSLContext) -> None:
        self._origin = origin
        self._address = str(address)
        self.users = 0
        self.used = False
        self._transport = httpx.AsyncHTTPTransport(
            verify=tls,
            trust_env=False,
            http2=False,
            retries=0,
            limits=httpx.Limits(
                max_connections=None, max_keepalive_connections=1, keepalive_expiry=15.0
            ),
        )

    async def send(self, request: httpx.Request) -> httpx.Response:
        """Sends a request; gives the response when its head is there. Raises what httpx does."""
        pinned = httpx.Request(
            request.method,
            request.url.copy_with(host=self._address),
            headers=request.headers,
            stream=request.stream,
            extensions={
                "target": request.extensions["target"],
                "sni_hostname": self._origin.host,
                "timeout": {"connect": _CONNECT_SECONDS},
            },
        )
        with quietly():
            response = await self._transport.handle_async_request(pinned)
        self.used = True
        return response

    async def finished(self, response: httpx.Response, pieces: AsyncIterator[bytes]) -> None:
        """Gives a response back, wherever in its body `pieces` is, and with it the connection."""
        self.unused()
        with anyio.move_on_after(_CLOSE_SECONDS, shield=True), quietly():
            with suppress(Exception):
                await response.aclose()
            # httpx reads a body by generators within generators. Each must end by itself, or an
            # event loop complains of those that it finds: now that the connection is closed, what
            # was received already comes, and then an error.
            with suppress(Exception):
                async for _ in pieces:
                    pass

    def unused(self) -> None:
        """Gives back what `Connections.to` gave."""
        self.users -= 1

    async def close(self) -> None:
        """Closes them all."""
        with anyio.move_on_after(_CLOSE_SECONDS, shield=True), suppress(OSError), quietly():
            await self._transport.aclose()


class Connections:
    """All of a plugin's."""

    def __init__(self, tls: ssl.SSLContext) -> None:
        self._tls = tls
        self._kept: dict[tuple[Origin, Address], Connection] = {}

    async def to(self, origin: Origin, address: Address) -> Connection:
        """Those to this address, for this origin: not closed before they are given back, by
        `finished` or `unused`."""
        key = (origin, address)
        found = self._kept.pop(key, None) or Connection(origin, address, self._tls)
        self._kept[key] = found  # now the last: the first is who was not used for longest
        found.users += 1
        idle = [one for one in self._kept if self._kept[one].users == 0]
        # Before anything is waited for: meanwhile another may be given one of them.
        surplus = [self._kept.pop(one) for one in idle[:-_KEPT]]
        try:
            while surplus:
                await surplus.pop().close()
        except BaseException:
            found.unused()
            raise
        return found

    async def close(self) -> None:
        """Closes all."""
        while self._kept:
            _, connection = self._kept.popitem()
            await connection.close()
