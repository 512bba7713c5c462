"""Keys and values, as a capability."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from orchestrator_plugin_sdk.capabilities.kv import KvRequirement

from ..capability import Asked, Capability, HostParts, OfHost
from .grant import KvGrant
from .tables import asking, granting

if TYPE_CHECKING:
    from orchestrator_plugin_sdk.manifest import PluginManifest

    from ..observing import Observations


class _Kv(Capability):
    totals = ("kv_read_bytes", "kv_written_bytes")

    def asked_for(
        self, plugin: str, asked: KvRequirement | None, granted: KvGrant | None
    ) -> Iterator[Asked]:
        if asked is not None:
            what = f"keys and values: {asked.description}".removesuffix(": ")
            yield Asked(what, granted is not None, granting(plugin, KvGrant()))

    def policy_lines(
        self, manifest: PluginManifest, granted: KvGrant | None, seen: Observations
    ) -> Iterator[str]:
        if seen.used("kv"):
            yield "\n" + granting(manifest.name, granted or KvGrant())

    def manifest_lines(self, manifest: PluginManifest, seen: Observations) -> Iterator[str]:
        if seen.used("kv"):
            yield asking()

    def of_host(self, parts: HostParts) -> OfHost:
        from .host import KvOfHost

        return KvOfHost(parts)


CAPABILITY: Final = _Kv()
"""As `Capability` says."""
