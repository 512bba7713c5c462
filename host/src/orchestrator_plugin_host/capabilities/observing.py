"""What a plugin uses, noted while it runs: what the least policy for it is made of."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from orchestrator_plugin_sdk.origins import Origin


@dataclass(slots=True)
class ObservedOrigin:
    """Requests to one origin: their methods, and the special addresses they went to."""

    methods: set[str] = field(default_factory=set)
    addresses: set[IPv4Address | IPv6Address] = field(default_factory=set)


class Observations:
    """What the plugins of a host that observes have used. Thread-safe.

    `addresses` are the special ones that may be reached meanwhile: not even a plugin that is
    observed gets to those that nobody has named.
    """

    def __init__(self, addresses: Sequence[IPv4Network | IPv6Network] = ()) -> None:
        self.addresses = tuple(addresses)
        self.origins: dict[Origin, ObservedOrigin] = {}
        self.secrets: dict[str, set[Origin]] = {}
        self.places: dict[str, set[tuple[str, str]]] = {}
        self.stand_ins: set[str] = set()
        self._used: dict[str, set[str]] = {}
        self._lock = threading.Lock()

    def note(
        self,
        method: str,
        origin: Origin,
        address: IPv4Address | IPv6Address | None,
        secrets: Collection[tuple[str, tuple[str, str]]],
    ) -> None:
        """A request that is made, to a special `address` or a public one, with `secrets` each in
        its place."""
        with self._lock:
            found = self.origins.setdefault(origin, ObservedOrigin())
            found.methods.add(method)
            if address is not None:
                found.addresses.add(address)
            for name, place in secrets:
                self.secrets.setdefault(name, set()).add(origin)
                self.places.setdefault(name, set()).add(place)

    def note_used(self, capability: str, what: str) -> None:
        """Something of a capability that is used: of files, a root or `folders/NAME`."""
        with self._lock:
            self._used.setdefault(capability, set()).add(what)

    def used(self, capability: str) -> Collection[str]:
        """What was noted of a capability."""
        with self._lock:
            return frozenset(self._used.get(capability, ()))

    def note_stand_ins(self, names: Iterable[str]) -> None:
        """Secrets of which a plugin has references to stand-ins, not to their values."""
        with self._lock:
            self.stand_ins.update(names)
