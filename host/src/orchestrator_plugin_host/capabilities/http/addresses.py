"""Which IP addresses are of the public internet, and which are not, and why.

The registries of special-purpose addresses (https://www.iana.org/assignments/iana-ipv4-special-registry
and https://www.iana.org/assignments/iana-ipv6-special-registry) as of 2026, written out, so that it
does not depend on the version of Python which addresses a plugin may reach; besides, addresses
under which clouds tell a machine its credentials.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import Final

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_SPECIAL: Final[Sequence[tuple[str, str]]] = (
    # The first that has an address says what it is.
    ("169.254.169.254/32", "a cloud's metadata"),
    ("169.254.170.2/32", "a cloud's metadata"),
    ("169.254.170.23/32", "a cloud's metadata"),
    ("100.100.100.200/32", "a cloud's metadata"),
    ("168.63.129.16/32", "a cloud's metadata"),
    ("192.0.0.192/32", "a cloud's metadata"),
    ("0.0.0.0/8", "this network"),
    ("10.0.0.0/8", "private"),
    ("100.64.0.0/10", "shared by a provider's customers"),
    ("127.0.0.0/8", "loopback"),
    ("169.254.0.0/16", "link-local"),
    ("172.16.0.0/12", "private"),
    ("192.0.0.0/24", "reserved"),
    ("192.0.2.0/24", "for documentation"),
    ("192.88.99.0/24", "reserved"),
    ("192.168.0.0/16", "private"),
    ("198.18.0.0/15", "for benchmarks"),
    ("198.51.100.0/24", "for documentation"),
    ("203.0.113.0/24", "for documentation"),
    ("224.0.0.0/4", "multicast"),
    ("255.255.255.255/32", "broadcast"),
    ("240.0.0.0/4", "reserved"),
    ("fd00:ec2::254/128", "a cloud's metadata"),
    ("fd20:ce::254/128", "a cloud's metadata"),
    ("::/128", "unspecified"),
    ("::1/128", "loopback"),
    ("64:ff9b:1::/48", "private"),
    ("100::/64", "reserved"),
    ("2001::/23", "reserved"),
    ("2001:db8::/32", "for documentation"),
    ("3fff::/20", "for documentation"),
    ("5f00::/16", "reserved"),
    ("fc00::/7", "private"),
    ("fe80::/10", "link-local"),
    ("fec0::/10", "private"),
    ("ff00::/8", "multicast"),
)
_NETWORKS: Final = tuple((ipaddress.ip_network(text), what) for text, what in _SPECIAL)
_PUBLIC_IPV6: Final = ipaddress.IPv6Network("2000::/3")

# Addresses of IPv6 that stand for one of IPv4: its first bit, from the lowest.
_EMBEDDED: Final = (
    (ipaddress.IPv6Network("::ffff:0:0/96"), 0),
    (ipaddress.IPv6Network("::/96"), 0),
    (ipaddress.IPv6Network("64:ff9b::/96"), 0),
    (ipaddress.IPv6Network("2002::/16"), 80),
)


def _of_ipv4(address: Address) -> ipaddress.IPv4Address | None:
    if isinstance(address, ipaddress.IPv6Address) and int(address) > 1:
        for network, shift in _EMBEDDED:
            if address in network:
                return ipaddress.IPv4Address(int(address) >> shift & 0xFFFFFFFF)
    return None


def special(address: Address) -> str | None:
    """What kind of address it is, in a word or two; none if it is of the public internet."""
    if isinstance(address, ipaddress.IPv6Address) and address.scope_id is not None:
        return "link-local"
    inner = _of_ipv4(address)
    if inner is not None:
        found = special(inner)
        return None if found is None else f"{found}, written as IPv6"
    for network, what in _NETWORKS:
        if address.version == network.version and address in network:
            return what
    if isinstance(address, ipaddress.IPv6Address) and address not in _PUBLIC_IPV6:
        return "reserved"
    return None


def is_loopback(address: Address) -> bool:
    """Whether it never leaves this machine. Of the addresses of IPv6 that stand for one of IPv4,
    that is those that are written so; the others are of networks that translate."""
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback


def is_granted(address: Address, networks: Sequence[Network]) -> bool:
    """Whether an address lies in one of the networks, as it is written or as the address of IPv4
    that it stands for."""
    inner = _of_ipv4(address)
    return any(
        one.version == network.version and one in network
        for one in (address, inner)
        if one is not None
        for network in networks
    )
