"""What a manifest asks for beside what a policy grants: for people to see before anything runs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from orchestrator_plugin_sdk.manifest import PluginManifest
from orchestrator_plugin_sdk.origins import OriginPattern

from .policy import Policy, usual_variable


@dataclass(frozen=True, slots=True)
class Asked:
    """One thing that a plugin asks for. `line` is what to add to the policy if it lacks it."""

    what: str
    granted: bool
    line: str


def asked_for(manifest: PluginManifest, policy: Policy) -> Iterator[Asked]:
    """Everything that a manifest asks for, in its order."""
    table = f"plugins.{manifest.name}"
    for one in manifest.http:
        wanted = OriginPattern.parse(one.url)
        granted = {
            method
            for grant in policy.http
            if OriginPattern.parse(grant.url).overlaps(wanted)
            for method in grant.methods
        }
        methods = ", ".join(f'"{method}"' for method in one.methods)
        yield Asked(
            f"HTTP {', '.join(one.methods)} {one.url}",
            granted >= set(one.methods),
            f'[[{table}.http]]\nurl = "{one.url}"\nmethods = [{methods}]',
        )
    for name, secret in manifest.secrets.items():
        yield Asked(
            f"secret {name} for {', '.join(secret.urls)}"
            + ("" if secret.required else " (optional)"),
            name in policy.secrets,
            f'[{table}.secrets.{name}]\nenv = "{usual_variable(name)}"',
        )
    for root in ("data", "artifacts"):
        if getattr(manifest.files, root):
            yield Asked(
                f"files: {root}",
                getattr(policy.files, root) is not None,
                f"[{table}.files]\n{root} = {{ bytes = 67108864, files = 1000 }}",
            )
    for folder in manifest.files.folders:
        yield Asked(
            f"files: the folder {folder}, to be read",
            folder in policy.files.folders,
            f'[{table}.files.folders]\n{folder} = "/…"',
        )
