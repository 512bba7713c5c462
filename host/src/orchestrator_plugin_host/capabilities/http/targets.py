"""The URL of a request, read strictly: what two programs could read in two ways is refused."""

from __future__ import annotations

import ipaddress
import re
import urllib.parse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, cast

from orchestrator_plugin_sdk.origins import DEFAULT_PORTS, Origin, Scheme, check_name

_MAX_URL: Final = 8192
_MAX_HOST: Final = 253
_URL = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*):(?P<slashes>/*)(?P<authority>[^/?#]*)"
    r"(?P<path>[^?#]*)(?:\?(?P<query>[^#]*))?(?:#.*)?",
    re.DOTALL,
)
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_FORBIDDEN = re.compile(r"[\x00-\x20\x7f\\]")
_PORT = re.compile(r"[1-9][0-9]{0,4}", re.ASCII)
_SAFE: Final = "!$%&'()*+,/:;=?@-._~"


class TargetError(ValueError):
    """A URL is not one that a request may have. Says why."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where a request goes: `path` and `query` are as they are sent, percent-encoded."""

    origin: Origin
    path: str
    query: str | None = None

    @property
    def selector(self) -> str:
        """Path and query, as in the first line of a request."""
        return self.path if self.query is None else f"{self.path}?{self.query}"

    def with_query(self, pairs: Sequence[tuple[str, str]]) -> Target:
        """The same, with these parameters after those that are there."""
        if not pairs:
            return self
        added = urllib.parse.urlencode(pairs, quote_via=urllib.parse.quote)
        return replace(self, query=f"{self.query}&{added}" if self.query else added)

    def __str__(self) -> str:
        return f"{self.origin}{self.selector}"


def read_target(url: str) -> Target:
    """Reads a URL. Raises `TargetError`."""
    if len(url) > _MAX_URL:
        raise TargetError(f"the URL has {len(url):,} characters, it may have {_MAX_URL:,}")
    if _FORBIDDEN.search(url) is not None:
        raise TargetError("the URL has a space, a control character or a backslash in it")
    found = _URL.fullmatch(url)
    if found is None:
        raise TargetError("the URL is not absolute: it begins with https://")
    scheme = found["scheme"].lower()
    if scheme not in DEFAULT_PORTS:
        raise TargetError(f"the scheme {scheme[:20]!r} is not http or https")
    if found["slashes"] != "//":
        raise TargetError("the URL has not exactly two slashes after its scheme")
    authority = found["authority"]
    if "@" in authority:
        raise TargetError("the URL has a user name in it: credentials go into a header")
    host, port = _split(authority)
    origin = Origin(cast("Scheme", scheme), read_host(host), _port(port, DEFAULT_PORTS[scheme]))
    query = found["query"]
    return Target(
        origin,
        urllib.parse.quote(found["path"] or "/", safe=_SAFE),
        None if query is None else urllib.parse.quote(query, safe=_SAFE),
    )


def redirect_target(before: Target, location: str) -> Target:
    """Where a `Location` leads, from where it was sent. Read by the same rules, and by no other
    parser before. Raises `TargetError`."""
    if len(location) > _MAX_URL:
        raise TargetError(f"the URL has {len(location):,} characters, it may have {_MAX_URL:,}")
    if _SCHEME.match(location):
        return read_target(location)
    if location.startswith("//"):
        return read_target(f"{before.origin.scheme}:{location}")
    if not location.startswith("/"):
        if location.startswith(("?", "#")) or not location:
            location = before.path + location
        else:
            location = urllib.parse.urljoin(before.path, f"./{location}")
    return read_target(f"{before.origin}{location}")


def _split(authority: str) -> tuple[str, str | None]:
    if authority.startswith("["):
        host, bracket, rest = authority.partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise TargetError("the URL's address of IPv6 is not in brackets")
        return host + bracket, rest[1:] if rest else None
    host, colon, port = authority.partition(":")
    return host, port if colon else None


def _port(text: str | None, default: int) -> int:
    if text is None:
        return default
    if not _PORT.fullmatch(text) or int(text) > 65_535:
        raise TargetError(f"the URL's port is not a number from 1 to 65535: {text[:20]!r}")
    return int(text)


def read_host(text: str) -> str:
    """A host as `Origin` has it. Raises `TargetError` for one that is spelled in any other way
    than names and addresses usually are."""
    if not text:
        raise TargetError("the URL names no host")
    if "%" in text:
        raise TargetError("the URL's host has a percent sign in it")
    if text.startswith("["):
        try:
            return str(ipaddress.IPv6Address(text[1:-1]))
        except ValueError:
            raise TargetError(f"{text[:50]} is no address of IPv6") from None
    if text.endswith("."):
        raise TargetError("the URL's host ends in a dot: write it without")
    try:
        return str(ipaddress.IPv4Address(text))
    except ValueError:
        pass
    if len(text) > _MAX_HOST:
        raise TargetError(
            f"the URL's host has {len(text):,} characters, expected a host name of "
            f"{_MAX_HOST} at most"
        )
    try:
        name = text.lower() if text.isascii() else _in_ascii(text)
        check_name(name)
    except UnicodeError:
        raise TargetError("the URL's host is no name of IDNA") from None
    except ValueError as error:
        raise TargetError(f"the URL's host: {error}") from None
    return name


def _in_ascii(name: str) -> str:
    import idna  # whose tables take time to read, for names that are rare

    return idna.encode(name, uts46=True).decode()
