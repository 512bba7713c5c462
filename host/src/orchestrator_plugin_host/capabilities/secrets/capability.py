"""Secrets, as a capability: what people see of them. No guest imports them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final

from orchestrator_plugin_sdk.capabilities.secrets import SECRET_HEADERS, SecretRequirement
from orchestrator_plugin_sdk.origins import OriginPattern

from ..capability import Asked, Capability
from ..remedies import table, toml_list, toml_text
from .grant import SecretGrant, usual_variable

if TYPE_CHECKING:
    from orchestrator_plugin_sdk.manifest import PluginManifest
    from orchestrator_plugin_sdk.origins import Origin

    from ..observing import Observations


class _Secrets(Capability):
    def asked_for(
        self,
        plugin: str,
        asked: Mapping[str, SecretRequirement],
        granted: Mapping[str, SecretGrant],
    ) -> Iterator[Asked]:
        for name, one in asked.items():
            yield _asked_for(plugin, name, one, granted.get(name))

    def policy_lines(
        self, manifest: PluginManifest, granted: Mapping[str, SecretGrant], seen: Observations
    ) -> Iterator[str]:
        for secret, origins in sorted(seen.secrets.items()):
            yield "\n" + table(manifest.name, "secrets", secret)
            grant = granted.get(secret, SecretGrant())
            if secret in manifest.secrets and not grant.has_source:
                grant = SecretGrant(env=usual_variable(secret))
            yield from _source(grant)
            yield f"urls = {_urls(origins)}"
            yield from _places(secret, seen)

    def manifest_lines(self, manifest: PluginManifest, seen: Observations) -> Iterator[str]:
        for secret, origins in sorted(seen.secrets.items()):
            in_config = secret not in manifest.secrets
            yield f"[{'config' if in_config else 'secrets'}.{secret}]"
            if in_config:
                yield 'type = "text"\nsecret = true'
            yield f"urls = {_urls(origins)}"
            yield from _places(secret, seen)
            yield ""


def _asked_for(
    plugin: str, name: str, asked: SecretRequirement, grant: SecretGrant | None
) -> Asked:
    what = f"secret {name} for {', '.join(asked.urls)}"
    what += "" if asked.required else " (optional)"
    header = table(plugin, "secrets", name)
    if grant is None:
        return Asked(what, False, f'{header}\nenv = "{usual_variable(name)}"')
    granted = [OriginPattern.parse(one) for one in grant.urls]
    wanted = {url: OriginPattern.parse(url) for url in asked.urls}
    lacking = [
        url
        for url, pattern in wanted.items()
        if granted and not any(one.covers(pattern) for one in granted)
    ]
    has_part = any(one.overlaps(pattern) for one in granted for pattern in wanted.values())
    lines, missing = [header], []
    if lacking:
        urls = toml_list((*grant.urls, *lacking))
        lines += ["# in place of the urls that are there", f"urls = {urls}"]
        missing.append(f"it may not go to {', '.join(lacking)}")
    for kind, places, having in (
        ("headers", asked.headers, grant.headers),
        ("query", asked.query, grant.query),
        ("json", asked.json, grant.json_pointers),
    ):
        absent = [place for place in places if place not in having]
        if absent:
            lines.append(f"{kind} = {toml_list((*having, *absent))}")
            missing.append(f"it may not stand in {kind} {', '.join(absent)}")
    in_part = has_part or not lacking
    return Asked(
        what,
        not missing,
        "\n".join(lines),
        "; ".join(missing) if missing and in_part else None,
    )


def _places(secret: str, seen: Observations) -> Iterator[str]:
    """The places of a secret besides headers for credentials, which both must name."""
    for kind in ("headers", "query", "json"):
        used = {place for one, place in seen.places[secret] if one == kind}
        named = used.difference(SECRET_HEADERS if kind == "headers" else ())
        if named:
            yield f"{kind} = {toml_list(sorted(named))}"


def _source(grant: SecretGrant) -> Iterator[str]:
    if grant.env is not None:
        yield f"env = {toml_text(grant.env)}"
    if grant.file is not None:
        yield f"file = {toml_text(str(grant.file))}"
    if grant.keyring is not None:
        yield f"keyring = {toml_list(grant.keyring)}"


def _urls(origins: set[Origin]) -> str:
    return toml_list(sorted(map(str, origins)))


CAPABILITY: Final = _Secrets()
"""As `Capability` says."""
