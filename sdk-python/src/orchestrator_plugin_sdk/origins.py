"""Where a request may go: patterns of origins, as manifests ask for them and policies grant them.

::

    https://api.example.com        this host, at the scheme's own port
    https://*.example.com          hosts below it, at any depth; not example.com itself
    http://127.0.0.1:8080          this address
    https://*                      any host
    http://*:*                     any host at any port
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Final, Literal, cast

from .visible import quoted

Scheme = Literal["http", "https"]
"""What a request speaks."""

DEFAULT_PORTS: Final = {"http": 80, "https": 443}
"""The port of a scheme, where none is named."""

METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
"""The methods that there are."""

_PATTERN = re.compile(
    r"(?P<scheme>https?)://(?P<host>\[[0-9a-f:.]+\]|[^/:@?#\[\]]+)(?::(?P<port>\*|[0-9]{1,5}))?/?",
    re.ASCII,
)
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Origin:
    """Scheme, host and port: `host` is a name in lower case (as `xn--…` where it is not ASCII), or
    an address as `ipaddress` spells it, without brackets."""

    scheme: Scheme
    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port == DEFAULT_PORTS[self.scheme] else f":{self.port}"
        return f"{self.scheme}://{host}{port}"


@dataclass(frozen=True, slots=True)
class OriginPattern:
    """Origins: `host` may begin with `*.` or be `*`, and without a `port` it is any."""

    scheme: Scheme
    host: str
    port: int | None

    @classmethod
    def parse(cls, text: str) -> OriginPattern:
        """Reads a pattern. Raises `ValueError` that says what is wrong with it."""
        found = _PATTERN.fullmatch(text)
        if found is None:
            raise ValueError(
                f"expected an origin like https://api.example.com or https://*.example.com, "
                f"got {quoted(text, 100)}"
            )
        scheme = cast("Scheme", found["scheme"])
        port = found["port"]
        if port is not None and port != "*" and not 1 <= int(port) <= 65_535:
            raise ValueError(f"a port is 1 to 65535, got {port}")
        number = DEFAULT_PORTS[scheme] if port is None else None if port == "*" else int(port)
        return cls(scheme, _host(found["host"]), number)

    @property
    def has_wildcard(self) -> bool:
        """Whether it is for hosts that it does not name."""
        return self.host.startswith("*")

    def matches(self, origin: Origin) -> bool:
        """Whether this origin is one of them."""
        return (
            self.scheme == origin.scheme
            and self.port in (None, origin.port)
            and self._matches_host(origin.host)
        )

    def _matches_host(self, host: str) -> bool:
        if self.host == "*":
            return True
        if self.host.startswith("*."):
            # An address has no labels: 1.2.3.4 is not below 3.4.
            return host.endswith(self.host[1:]) and not is_address(host)
        return host == self.host

    def covers(self, other: OriginPattern) -> bool:
        """Whether all origins of another pattern are of this one, too."""
        return (
            self.scheme == other.scheme
            and self.port in (None, other.port)
            and _covers(self.host, other.host)
        )

    def overlaps(self, other: OriginPattern) -> bool:
        """Whether an origin can be one of both."""
        return (
            self.scheme == other.scheme
            and (None in (self.port, other.port) or self.port == other.port)
            and (_covers(self.host, other.host) or _covers(other.host, self.host))
        )

    def __str__(self) -> str:
        port = ":*" if self.port is None else ""
        return f"{Origin(self.scheme, self.host, self.port or DEFAULT_PORTS[self.scheme])}{port}"


def _covers(wide: str, narrow: str) -> bool:
    """Whether the host of one pattern covers all that the host of another does."""
    if wide in ("*", narrow):
        return True
    return wide.startswith("*.") and narrow.endswith(wide[1:]) and not is_address(narrow)


def is_address(host: str) -> bool:
    """Whether a host is an IP address, not a name."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def check_name(host: str) -> None:
    """Raises `ValueError` unless a host is a name in lower case, ASCII, that can be no address."""
    labels = host.split(".")
    if len(host) > 253 or not all(map(_LABEL.fullmatch, labels)):
        raise ValueError(
            f"expected a host name in lower case, of letters, digits and dashes (as xn--… where "
            f"it is not ASCII), got {quoted(host, 100)}"
        )
    if labels[-1].isdigit() or labels[-1].startswith("0x"):
        # Resolvers read 127.1, 0177.0.0.1 and 2130706433 as addresses.
        raise ValueError(
            f"{quoted(host, 100)} ends in a number: write an address as four numbers, 127.0.0.1"
        )


def _host(text: str) -> str:
    if text.startswith("["):
        try:
            return str(ipaddress.IPv6Address(text[1:-1]))
        except ValueError:
            raise ValueError(f"{quoted(text, 100)} is no address of IPv6") from None
    if text == "*" or is_address(text):
        return text
    check_name(text.removeprefix("*."))
    return text
