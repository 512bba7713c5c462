"""From a host's name to its addresses, once for each request.

The system may take minutes over a name, and can't be interrupted meanwhile. So each plugin has a
few threads for its lookups, and whoever waits for one can give up at any moment.
"""

from __future__ import annotations

import ipaddress
import socket
from typing import TYPE_CHECKING, Final, Protocol

import anyio

from ..workers import Errand, Workers

if TYPE_CHECKING:
    from .addresses import Address

MAX_ADDRESSES: Final = 64
"""Addresses that a name may have: each is checked."""
LOOKUP_SECONDS: Final = 10.0
"""How long finding the addresses of a name may take."""
_LOOKUPS: Final = 4


class Resolver(Protocol):
    """Finds the addresses of a host."""

    async def __call__(self, host: str, port: int) -> list[str]:
        """The addresses of a name, as text, best first. Raises `OSError` if there are none."""


class SystemResolver:
    """Asks the system, for one plugin. Requests that look up the same name at once share the
    answer."""

    def __init__(self) -> None:
        self._workers = Workers("orchestrator-plugin-lookup", _LOOKUPS)
        self._under_way: dict[tuple[str, int], Errand[list[str]]] = {}

    async def __call__(self, host: str, port: int) -> list[str]:
        """As `Resolver` says."""
        key = (host, port)
        errand = self._found(key)
        if errand is None:
            await self._workers.room()
            errand = self._found(key)
            if errand is not None:  # meanwhile another has begun
                self._workers.leave()
            else:
                errand = self._workers.start(lambda go_on: _look(host, port))
                self._under_way[key] = errand
        return await errand.outcome()

    def _found(self, key: tuple[str, int]) -> Errand[list[str]] | None:
        """The lookup of a name that is under way."""
        self._under_way = {
            key: one for key, one in self._under_way.items() if not (one.finished or one.given_up)
        }
        return self._under_way.get(key)

    def close(self) -> None:
        """Lets its threads end."""
        self._workers.close()


def _look(host: str, port: int) -> list[str]:
    # As bytes: a text would go through a codec that knows an older IDNA.
    found = socket.getaddrinfo(host.encode("ascii"), port, type=socket.SOCK_STREAM)
    return [str(address[0]) for *_, address in found]


async def addresses_of(host: str, port: int, resolver: Resolver) -> list[Address]:
    """The addresses of a host of an `Origin`, each once. Raises `OSError` if it has none, has more
    than `MAX_ADDRESSES`, or they are not found in `LOOKUP_SECONDS`."""
    try:
        return [ipaddress.ip_address(host)]
    except ValueError:
        pass
    found: list[str] | None = None
    with anyio.move_on_after(LOOKUP_SECONDS):
        found = await resolver(host, port)
    if found is None:
        raise TimeoutError(f"{host} was not found in {LOOKUP_SECONDS:.0f} s")
    if len(found) > MAX_ADDRESSES:
        raise OSError(f"{host} has {len(found):,} addresses, it may have {MAX_ADDRESSES}")
    addresses = list(dict.fromkeys(ipaddress.ip_address(one) for one in found))
    if not addresses:
        raise OSError(f"{host} has no address")
    return addresses
