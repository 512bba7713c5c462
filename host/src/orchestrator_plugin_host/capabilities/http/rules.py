"""Whether a plugin may make a request: what its manifest asks for and the operator's policy grants.

Pure: knows no network, and decides the same for the first request and for each redirect.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from orchestrator_plugin_sdk.capabilities.http import HttpRequirement
from orchestrator_plugin_sdk.origins import METHODS, Origin, OriginPattern, is_address

from ..observing import Observations
from ..remedies import not_asked, not_granted
from ..secrets.bound import Place
from .addresses import Address, Network, is_granted, special
from .grant import HttpGrant
from .tables import asking, granting

_OVERRIDES: Final = frozenset(
    ("x-http-method", "x-http-method-override", "x-method-override", "x-original-method")
)
"""Headers that servers take a method from, in the place of the request's."""


class DeniedError(Exception):
    """A plugin may not do this. `reason` is in a word or two; the message says which of manifest
    and policy lacks it, and the line to add."""

    def __init__(self, reason: str, message: str) -> None:
        self.reason = reason
        super().__init__(message)


@dataclass(frozen=True, slots=True)
class _Asked:
    pattern: OriginPattern
    methods: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Granted:
    pattern: OriginPattern
    methods: tuple[str, ...]
    networks: tuple[Network, ...]


def _granted(grant: HttpGrant) -> _Granted:
    pattern = OriginPattern.parse(grant.url)
    networks = [ipaddress.ip_network(one) for one in grant.addresses]
    if is_address(pattern.host):
        networks.append(ipaddress.ip_network(pattern.host))
    return _Granted(pattern, grant.methods, tuple(networks))


class HttpRules:
    """What one plugin may request."""

    def __init__(
        self,
        plugin: str,
        asked: Iterable[HttpRequirement],
        granted: Iterable[HttpGrant],
        observations: Observations | None = None,
    ) -> None:
        """With `observations`, everything is asked for and granted but special addresses, and is
        noted there."""
        self._plugin = plugin
        self._observations = observations
        self._asked = [_Asked(OriginPattern.parse(one.url), one.methods) for one in asked]
        self._granted = [_granted(one) for one in granted]

    def check(self, method: str, origin: Origin) -> tuple[Network, ...]:
        """The networks of special addresses that the request may go to.

        Raises `DeniedError` for a request that is not asked for and granted.
        """
        if self._observations is not None:
            if method not in METHODS:
                raise DeniedError(
                    "no such method", f"{method[:20]!r} is none of {', '.join(METHODS)}"
                )
            return self._observations.addresses
        self._check(
            method,
            origin,
            [(one.pattern, one.methods) for one in self._asked],
            not_asked(asking(str(origin), [method])),
            "manifest",
        )
        self._check(
            method,
            origin,
            [(one.pattern, one.methods) for one in self._granted],
            not_granted(granting(self._plugin, str(origin), [method])),
            "policy",
        )
        return tuple(
            network
            for one in self._granted
            if one.pattern.matches(origin) and method in one.methods
            for network in one.networks
        )

    def check_overrides(self, headers: Iterable[tuple[str, str]], origin: Origin) -> None:
        """Raises `DeniedError` for a header that has a server take the request for one of another
        method, which is not asked for and granted."""
        for name, value in headers:
            if name not in _OVERRIDES:
                continue
            method = value.strip().upper()
            if method not in METHODS:
                raise DeniedError(
                    "method override",
                    f"plugin {self._plugin!r} may not send the header {name} with "
                    f"{value[:20]!r}, which is none of {', '.join(METHODS)}",
                )
            self.check(method, origin)

    def _check(
        self,
        method: str,
        origin: Origin,
        rules: Sequence[tuple[OriginPattern, Sequence[str]]],
        remedy: str,
        lacking: str,
    ) -> None:
        methods = {one for pattern, some in rules if pattern.matches(origin) for one in some}
        if method in methods:
            return
        reason = f"method not in {lacking}" if methods else f"origin not in {lacking}"
        raise DeniedError(reason, f"plugin {self._plugin!r} may not {method} {origin}: {remedy}")

    def check_addresses(
        self, origin: Origin, addresses: Sequence[Address], networks: Sequence[Network]
    ) -> None:
        """Raises `DeniedError` if any of the addresses that a host has is special and not granted:
        a name that has a public and a private one is on its way to the private one."""
        for address in addresses:
            what = special(address)
            if what is not None and not is_granted(address, networks):
                raise DeniedError(
                    f"address is {what}",
                    f"plugin {self._plugin!r} may not reach {origin}: its address is {what}, not "
                    "of the public internet, and the policy does not grant it: if that is meant, "
                    "add the address to the grant, like\n"
                    f'  [[plugins.{self._plugin}.http]]\n  url = "{origin}"\n'
                    '  addresses = ["ADDRESS"]',
                )

    def made(
        self, method: str, origin: Origin, address: Address, secrets: Collection[tuple[str, Place]]
    ) -> None:
        """Notes a request that is made, with secrets in these places, if they are observed."""
        if self._observations is not None:
            where = None if special(address) is None else address
            self._observations.note(method, origin, where, secrets)
