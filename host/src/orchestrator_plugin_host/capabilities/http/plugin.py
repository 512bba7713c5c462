"""What a loaded plugin has for its HTTP: rules, secrets, connections."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from ...calls import Call
from ..capability import PluginParts
from ..pace import Turns
from ..secrets.bound import Secrets
from .connections import Connections, Trusted
from .resolving import Resolver, SystemResolver
from .rules import HttpRules

if TYPE_CHECKING:
    from .call import OpenHttp


class PluginHttp:
    """The HTTP of one loaded plugin."""

    def __init__(
        self,
        parts: PluginParts,
        resolver: Resolver | None,
        trusted: Trusted,
        turns: Turns,
    ) -> None:
        """Without a `resolver`, the system finds addresses. `trusted` finds the certificates of
        servers; `turns` are those of the host's event loop."""
        self.plugin = parts.plugin
        self.rules = HttpRules(parts.plugin, parts.asked, parts.granted, parts.observations)
        self.secrets: Secrets = parts.secrets
        self.audit = parts.audit
        self._system = SystemResolver()
        self.resolver: Resolver = resolver or self._system
        self.connections = Connections(trusted)
        self.turns = turns
        # Of all its calls: a plugin that closes a response of an earlier one closes no other.
        self.numbers = itertools.count(1)

    def open(self, call: Call) -> OpenHttp:
        """As `OfPlugin` says."""
        from .call import OpenHttp  # which needs this

        return OpenHttp(self, call)

    async def close(self) -> None:
        """Closes the connections, and lets threads end."""
        self._system.close()
        await self.connections.close()
