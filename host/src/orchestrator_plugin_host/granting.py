"""What a manifest asks for beside what a policy grants: for people to see before anything runs."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator_plugin_sdk.manifest import PluginManifest

from .capabilities.capability import Asked
from .capabilities.registry import NAMES, capability
from .policy import Policy


def asked_for(manifest: PluginManifest, policy: Policy) -> Iterator[Asked]:
    """Everything that a manifest asks for."""
    for name in NAMES:
        asked, granted = getattr(manifest, name), getattr(policy, name)
        yield from capability(name).asked_for(manifest.name, asked, granted)
