"""What a loaded plugin has for its HTTP: rules, secrets, connections."""

from __future__ import annotations

import itertools

from orchestrator_plugin_sdk.manifest import PluginManifest

from ...audit import PluginAudit
from ...policy import Policy
from ..observing import Observations
from ..pace import Turns
from ..secrets.bound import Secrets
from .connections import Connections, Trusted
from .resolving import Resolver, SystemResolver
from .rules import HttpRules


class PluginHttp:
    """The HTTP of one loaded plugin."""

    def __init__(
        self,
        manifest: PluginManifest,
        policy: Policy,
        secrets: Secrets,
        audit: PluginAudit,
        resolver: Resolver | None,
        trusted: Trusted,
        turns: Turns,
        observations: Observations | None = None,
    ) -> None:
        """Without a `resolver`, the system finds addresses. `trusted` finds the certificates of
        servers; `turns` are those of the host's event loop."""
        self.plugin = manifest.name
        self.rules = HttpRules(manifest, policy, observations)
        self.secrets = secrets
        self.audit = audit
        self._system = SystemResolver()
        self.resolver: Resolver = resolver or self._system
        self.connections = Connections(trusted)
        self.turns = turns
        # Of all its calls: a plugin that closes a response of an earlier one closes no other.
        self.numbers = itertools.count(1)

    async def close(self) -> None:
        """Closes the connections, and lets threads end."""
        self._system.close()
        await self.connections.close()
