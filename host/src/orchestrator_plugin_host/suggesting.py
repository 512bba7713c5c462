"""From what a plugin was seen to use to the least policy, and the least manifest, that allow it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from orchestrator_plugin_sdk.manifest import PluginManifest
from orchestrator_plugin_sdk.origins import Origin
from orchestrator_plugin_sdk.secret_places import SECRET_HEADERS

from .capabilities.observing import Observations
from .pinning import digest_line
from .policy import FilesGrant, FolderQuota, Policy, SecretGrant, usual_variable

_BARE: Final = re.compile("[A-Za-z0-9_-]+")


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
    return Suggestion(
        "\n".join(_policy(manifest, policy, digest, wasi, seen)),
        "\n".join(_manifest(manifest, seen)),
    )


def _policy(
    manifest: PluginManifest, policy: Policy, digest: str | None, wasi: str, seen: Observations
) -> Iterator[str]:
    name = manifest.name
    yield f"[plugins.{name}]"
    if digest is not None:
        yield digest_line(digest)
    if wasi != "none":
        yield f'wasi = "{wasi}"'
    for origin, used in sorted(seen.origins.items(), key=lambda one: str(one[0])):
        yield f"\n[[plugins.{name}.http]]"
        yield f"url = {_text(str(origin))}"
        yield f"methods = {_list(sorted(used.methods))}"
        by_itself = {one for one in used.addresses if str(one) == origin.host}
        if used.addresses - by_itself:
            yield f"addresses = {_list(sorted(map(str, used.addresses)))}"
    for secret, origins in sorted(seen.secrets.items()):
        yield f"\n[plugins.{name}.secrets.{secret}]"
        grant = policy.secrets.get(secret, SecretGrant())
        if secret in manifest.secrets and not grant.has_source:
            grant = SecretGrant(env=usual_variable(secret))
        yield from _source(grant)
        yield f"urls = {_list(_urls(origins))}"
        yield from _places(secret, seen)
    yield from _files(name, policy.files, seen)


def _places(secret: str, seen: Observations) -> Iterator[str]:
    """The places of a secret besides headers for credentials, which both must name."""
    for kind in ("headers", "query", "json"):
        used = {place for one, place in seen.places[secret] if one == kind}
        named = used.difference(SECRET_HEADERS if kind == "headers" else ())
        if named:
            yield f"{kind} = {_list(sorted(named))}"


def _source(grant: SecretGrant) -> Iterator[str]:
    if grant.env is not None:
        yield f"env = {_text(grant.env)}"
    if grant.file is not None:
        yield f"file = {_text(str(grant.file))}"
    if grant.keyring is not None:
        yield f"keyring = {_list(list(grant.keyring))}"


def _files(name: str, granted: FilesGrant, seen: Observations) -> Iterator[str]:
    roots = [root for root in ("data", "artifacts") if root in seen.roots]
    if roots:
        yield f"\n[plugins.{name}.files]"
    for root in roots:
        quota: FolderQuota = getattr(granted, root) or FolderQuota()
        yield f"{root} = {{ bytes = {quota.bytes}, files = {quota.files} }}"
    total = granted.artifacts_total
    if "artifacts" in roots and total is not None:
        yield f"artifacts_total = {{ bytes = {total.bytes}, files = {total.files} }}"
    folders = [one for one in sorted(granted.folders) if f"folders/{one}" in seen.roots]
    if folders:
        yield f"\n[plugins.{name}.files.folders]"
    for folder in folders:
        yield f"{_key(folder)} = {_text(str(granted.folders[folder]))}"


def _manifest(manifest: PluginManifest, seen: Observations) -> Iterator[str]:
    for origin, used in sorted(seen.origins.items(), key=lambda one: str(one[0])):
        yield "[[http]]"
        yield f"url = {_text(str(origin))}"
        yield f"methods = {_list(sorted(used.methods))}\n"
    for secret, origins in sorted(seen.secrets.items()):
        table = "secrets" if secret in manifest.secrets else "config"
        yield f"[{table}.{secret}]"
        if table == "config":
            yield 'type = "text"\nsecret = true'
        yield f"urls = {_list(_urls(origins))}"
        yield from _places(secret, seen)
        yield ""
    if seen.roots:
        yield "[files]"
    for root in ("data", "artifacts"):
        if root in seen.roots:
            yield f"{root} = true"
    folders = sorted(one.partition("/")[2] for one in seen.roots if one.startswith("folders/"))
    if folders:
        yield f"folders = {_list(folders)}"


def _urls(origins: set[Origin]) -> list[str]:
    return sorted(map(str, origins))


def _text(value: str) -> str:
    """A basic string of TOML, which is what JSON's is but for one character."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _key(name: str) -> str:
    """A key of TOML: whatever is in it, it is one, and opens no table of its own."""
    return name if _BARE.fullmatch(name) else _text(name)


def _list(values: list[str]) -> str:
    return f"[{', '.join(map(_text, values))}]"
