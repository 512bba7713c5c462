"""The tables `[[http]]` of a policy."""

import ipaddress

from orchestrator_plugin_sdk.origins import METHODS
from pydantic import field_validator

from ..grant import Grant, OriginText


class HttpGrant(Grant):
    """Requests that a plugin may make, if its manifest asks for them, too."""

    url: OriginText
    """Scheme, host and port: `https://api.example.com`, `https://*.example.com`."""
    methods: tuple[str, ...] = ("GET",)
    """The methods of such requests."""
    addresses: tuple[str, ...] = ()
    """Networks of loopback, private and other special addresses (`127.0.0.1`, `10.0.0.0/8`) that
    such a request may go to. Without any it may go to public addresses alone. A `url` that is an
    address grants that address by itself."""

    @field_validator("methods")
    @classmethod
    def _known_methods(cls, methods: tuple[str, ...]) -> tuple[str, ...]:
        for method in methods:
            if method not in METHODS:
                raise ValueError(f"expected methods of {', '.join(METHODS)}, got {method!r}")
        return methods

    @field_validator("addresses")
    @classmethod
    def _networks(cls, addresses: tuple[str, ...]) -> tuple[str, ...]:
        for address in addresses:
            ipaddress.ip_network(address)
        return addresses
