"""From a host's name to its addresses, once for each request."""

from __future__ import annotations

import ipaddress
import socket
from typing import Protocol

import anyio

from .addresses import Address


class Resolver(Protocol):
    """Finds the addresses of a host."""

    async def __call__(self, host: str, port: int) -> list[str]:
        """The addresses of a name, as text, best first. Raises `OSError` if there are none."""


async def system_resolver(host: str, port: int) -> list[str]:
    """Asks the system."""
    found = await anyio.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(address[0]) for *_, address in found]


async def addresses_of(host: str, port: int, resolver: Resolver) -> list[Address]:
    """The addresses of a host of an `Origin`, each once. Raises `OSError` if it has none."""
    try:
        return [ipaddress.ip_address(host)]
    except ValueError:
        pass
    found = await resolver(host, port)
    addresses = list(dict.fromkeys(ipaddress.ip_address(one) for one in found))
    if not addresses:
        raise OSError(f"{host} has no address")
    return addresses
