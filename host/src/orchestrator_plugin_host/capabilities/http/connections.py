"""Connections of one plugin: to addresses that were checked, kept for its next request.

A connection serves the origin it was made for, and no other: its certificate was checked for that
one, whichever others have the same address.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

from orchestrator_plugin_sdk.origins import Origin

from .addresses import Address

if TYPE_CHECKING:
    import ssl

    from .wire import Wire

MAX_KEPT: Final = 16
"""Connections that are kept for later."""
_KEPT_SECONDS: Final = 15.0

Trusted = Callable[[], Awaitable["ssl.SSLContext"]]
"""The certificates of servers that plugins may trust."""


class Connections:
    """All of a plugin's that are not in use."""

    def __init__(self, trusted: Trusted) -> None:
        self._trusted = trusted
        self._idle: list[Wire] = []
        self._closed = False

    async def to(self, origin: Origin, address: Address, *, fresh: bool = False) -> Wire:
        """A connection, of the caller's alone until it is given `back`; a `fresh` one was not kept.
        Raises `WireError`."""
        # Here, so that a host whose plugins make no requests does without them.
        from .wire import connected

        found = None if fresh else await self._kept(origin, address)
        if found is not None:
            return found
        return await connected(
            origin, address, await self._trusted() if origin.scheme == "https" else None
        )

    async def _kept(self, origin: Origin, address: Address) -> Wire | None:
        fresh = time.monotonic() - _KEPT_SECONDS
        for wire in reversed(self._idle):
            if (wire.origin, wire.address) == (origin, address):
                self._idle.remove(wire)
                if wire.idle_since >= fresh and not wire.is_gone():
                    return wire
                await wire.close()
                return await self._kept(origin, address)
        return None

    async def back(self, wire: Wire) -> None:
        """Gives a connection back: kept if its exchange has ended, closed if not."""
        if self._closed or not wire.ended():
            await wire.close()
            return
        wire.idle_since = time.monotonic()
        self._idle.append(wire)
        while len(self._idle) > MAX_KEPT:
            await self._idle.pop(0).close()

    async def close(self) -> None:
        """Closes those that are kept, and from now on each that is given back."""
        self._closed = True
        while self._idle:
            await self._idle.pop().close()
