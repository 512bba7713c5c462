"""From what a plugin was seen to use to the least policy, and the least manifest, that allow it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from orchestrator_plugin_sdk.manifest import PluginManifest

from .capabilities.observing import Observations
from .capabilities.registry import NAMES, capability
from .capabilities.remedies import table
from .pinning import digest_line
from .policy import Policy


@dataclass(frozen=True, slots=True)
class Suggestion:
    """Two pieces of TOML: for the policy file, and for `plugin.toml`."""

    policy: str
    manifest: str


def suggest(
    manifest: PluginManifest, policy: Policy, digest: str | None, wasi: str, seen: Observations
) -> Suggestion:
    """What to write. `policy` is the one that held meanwhile: where secrets and folders are is
    taken from there, or else from the usual environment variable; `wasi` is the level that the
    component's imports need."""
    of_manifest = (
        line for name in NAMES for line in capability(name).manifest_lines(manifest, seen)
    )
    return Suggestion(
        "\n".join(_policy(manifest, policy, digest, wasi, seen)), "\n".join(of_manifest)
    )


def _policy(
    manifest: PluginManifest, policy: Policy, digest: str | None, wasi: str, seen: Observations
) -> Iterator[str]:
    yield table(manifest.name)
    if digest is not None:
        yield digest_line(digest)
    if wasi != "none":
        yield f'wasi = "{wasi}"'
    for name in NAMES:
        yield from capability(name).policy_lines(manifest, getattr(policy, name), seen)
