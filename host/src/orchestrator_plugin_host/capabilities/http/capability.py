"""Requests over HTTP, as a capability."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from orchestrator_plugin_sdk.capabilities.http import HttpRequirement
from orchestrator_plugin_sdk.origins import OriginPattern

from ..capability import Asked, Capability, HostParts, OfHost
from .grant import HttpGrant
from .tables import asking, granting

if TYPE_CHECKING:
    from orchestrator_plugin_sdk.manifest import PluginManifest

    from ..observing import Observations


class _Http(Capability):
    totals = ("requests", "up_bytes", "down_bytes")

    def asked_for(
        self, plugin: str, asked: Sequence[HttpRequirement], granted: Sequence[HttpGrant]
    ) -> Iterator[Asked]:
        grants = [(OriginPattern.parse(one.url), one.methods) for one in granted]
        for one in asked:
            yield _asked_for(plugin, one, grants)

    def policy_lines(
        self, manifest: PluginManifest, granted: Sequence[HttpGrant], seen: Observations
    ) -> Iterator[str]:
        for origin, used in sorted(seen.origins.items(), key=lambda one: str(one[0])):
            by_itself = {one for one in used.addresses if str(one) == origin.host}
            # If all that it was sent to is the address in the URL, that grants it.
            addresses = map(str, used.addresses) if used.addresses - by_itself else ()
            yield "\n" + granting(manifest.name, str(origin), sorted(used.methods), addresses)

    def manifest_lines(self, manifest: PluginManifest, seen: Observations) -> Iterator[str]:
        for origin, used in sorted(seen.origins.items(), key=lambda one: str(one[0])):
            yield asking(str(origin), sorted(used.methods)) + "\n"

    def of_host(self, parts: HostParts) -> OfHost:
        from .host import HttpOfHost

        return HttpOfHost(parts)


def _asked_for(
    plugin: str, asked: HttpRequirement, grants: Sequence[tuple[OriginPattern, Sequence[str]]]
) -> Asked:
    """A method is granted whole if one grant has it for all of the origins: of two patterns without
    the other's origins, no third one is the sum."""
    wanted = OriginPattern.parse(asked.url)
    lacking, missing, has_part = [], [], False
    for method in dict.fromkeys(asked.methods):
        having = [pattern for pattern, methods in grants if method in methods]
        if any(pattern.covers(wanted) for pattern in having):
            has_part = True
            continue
        lacking.append(method)
        parts = [str(pattern) for pattern in having if pattern.overlaps(wanted)]
        has_part = has_part or bool(parts)
        beyond = f"{method} but for {', '.join(parts)}" if parts else method
        missing.append(f"{beyond} ({asked.url})")
    return Asked(
        f"HTTP {', '.join(asked.methods)} {asked.url}",
        not lacking,
        granting(plugin, asked.url, lacking),
        "; ".join(missing) if lacking and has_part else None,
    )


CAPABILITY: Final = _Http()
"""As `Capability` says."""
