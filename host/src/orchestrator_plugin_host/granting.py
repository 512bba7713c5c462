"""What a manifest asks for beside what a policy grants: for people to see before anything runs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from orchestrator_plugin_sdk.manifest import HttpRequirement, PluginManifest, SecretRequirement
from orchestrator_plugin_sdk.origins import OriginPattern

from .policy import FolderQuota, Policy, SecretGrant, usual_variable


@dataclass(frozen=True, slots=True)
class Asked:
    """One thing that a plugin asks for.

    `granted` says that the policy grants all of it; `missing`, of what it grants a part of, what it
    does not. `line` is what to add to the policy for what is not granted.
    """

    what: str
    granted: bool
    line: str
    missing: str | None = None


def asked_for(manifest: PluginManifest, policy: Policy) -> Iterator[Asked]:
    """Everything that a manifest asks for, in its order."""
    table = f"plugins.{manifest.name}"
    for one in manifest.http:
        yield _http(one, policy, table)
    for name, secret in manifest.secrets.items():
        yield _secret(name, secret, policy.secrets.get(name), table)
    for root in ("data", "artifacts"):
        if getattr(manifest.files, root):
            quota = FolderQuota()
            yield Asked(
                f"files: {root}",
                getattr(policy.files, root) is not None,
                f"[{table}.files]\n{root} = {{ bytes = {quota.bytes}, files = {quota.files} }}",
            )
    for folder in manifest.files.folders:
        yield Asked(
            f"files: the folder {folder}, to be read",
            folder in policy.files.folders,
            f'[{table}.files.folders]\n{folder} = "/…"',
        )


def _http(asked: HttpRequirement, policy: Policy, table: str) -> Asked:
    """A method is granted whole if one grant has it for all of the origins: of two patterns without
    the other's origins, no third one is the sum."""
    wanted = OriginPattern.parse(asked.url)
    grants = [(OriginPattern.parse(one.url), one.methods) for one in policy.http]
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
    methods = ", ".join(f'"{method}"' for method in lacking)
    return Asked(
        f"HTTP {', '.join(asked.methods)} {asked.url}",
        not lacking,
        f'[[{table}.http]]\nurl = "{asked.url}"\nmethods = [{methods}]',
        "; ".join(missing) if lacking and has_part else None,
    )


def _secret(name: str, asked: SecretRequirement, grant: SecretGrant | None, table: str) -> Asked:
    what = f"secret {name} for {', '.join(asked.urls)}"
    what += "" if asked.required else " (optional)"
    header = f"[{table}.secrets.{name}]"
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
        urls = ", ".join(f'"{url}"' for url in (*grant.urls, *lacking))
        lines += ["# in place of the urls that are there", f"urls = [{urls}]"]
        missing.append(f"it may not go to {', '.join(lacking)}")
    for kind, places, having in (
        ("headers", asked.headers, grant.headers),
        ("query", asked.query, grant.query),
        ("json", asked.json, grant.json_pointers),
    ):
        absent = [place for place in places if place not in having]
        if absent:
            named = ", ".join(f'"{place}"' for place in (*having, *absent))
            lines.append(f"{kind} = [{named}]")
            missing.append(f"it may not stand in {kind} {', '.join(absent)}")
    in_part = has_part or not lacking
    return Asked(
        what,
        not missing,
        "\n".join(lines),
        "; ".join(missing) if missing and in_part else None,
    )
