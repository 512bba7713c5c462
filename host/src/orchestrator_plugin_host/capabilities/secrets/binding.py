"""Reading secrets from where the operator's policy says that they are."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any, Final, Literal

from orchestrator_plugin_sdk.capabilities.secrets import ConfigField, PlaceKind, SecretRequirement
from orchestrator_plugin_sdk.manifest import PluginManifest
from orchestrator_plugin_sdk.origins import OriginPattern

from ...errors import PluginRefusedError, SecretError
from ...notices import warn
from ..remedies import add_to_policy
from ..remedies import table as policy_table
from .bound import Place, Secret, Secrets
from .grant import SecretGrant, usual_variable
from .spellings import LEAST

_MOST: Final = 65_536
"""Characters of a value."""
_SHORT: Final = 16
"""Characters below which a value is warned of."""


def bind(
    manifest: PluginManifest, granted: Mapping[str, SecretGrant], config: Mapping[str, Any]
) -> tuple[Secrets, dict[str, Any]]:
    """Reads the secrets that a manifest declares from where the policy says; gives them, and the
    config with references in its secret fields.

    Raises `SecretError` for one that can't be read, `PluginRefusedError` for one that is required
    and not granted.
    """
    found: list[Secret] = []
    for name, asked in manifest.secrets.items():
        grant = granted.get(name)
        value = None if grant is None else _read(manifest.name, name, grant)
        if grant is None or value is None:
            if asked.required:
                raise PluginRefusedError(
                    f"plugin {manifest.name!r} needs the secret {name!r}, which the policy does "
                    "not bind: "
                    + add_to_policy(
                        policy_table(manifest.name, "secrets"),
                        f'{name} = {{ env = "{usual_variable(name)}" }}',
                    )
                )
            continue
        found.append(_secret(manifest.name, "secrets", name, value, asked, grant))
    given = dict(config)
    marked = {name: one for name, one in (manifest.config or {}).items() if one.secret}
    for name, field_ in marked.items():
        if name not in given:
            continue
        value = given[name]
        if not isinstance(value, str):
            raise SecretError(f"plugin {manifest.name!r}: config.{name} is a secret: a text")
        grant = granted.get(name, SecretGrant())
        found.append(_secret(manifest.name, "config", name, value, field_, grant))
    secrets = Secrets(manifest.name, found)
    for name in marked:
        if name in given:
            given[name] = secrets.references[name]
    return secrets, given


def _secret(
    plugin: str,
    table: Literal["secrets", "config"],
    name: str,
    value: str,
    asked: SecretRequirement | ConfigField,
    grant: SecretGrant,
) -> Secret:
    if not LEAST <= len(value) <= _MOST or not value.isprintable():
        raise SecretError(
            f"plugin {plugin!r}: the value of the secret {name!r} must be {LEAST} to {_MOST:,} "
            "characters that can be printed, on one line"
        )
    patterns = tuple(map(OriginPattern.parse, asked.urls))
    wide = next((one for one in patterns if one.has_wildcard), None)
    if wide is not None and not grant.urls:
        raise PluginRefusedError(
            f"plugin {plugin!r} may send the secret {name!r} to {wide} by its manifest, which are "
            "hosts that it does not name: "
            + add_to_policy(policy_table(plugin, "secrets", name), 'urls = ["https://…"]')
        )
    if len(value) < _SHORT:
        warn(
            f"plugin {plugin!r}: the value of the secret {name!r} has {len(value)} characters: one "
            f"of less than {_SHORT} is easily guessed, and a server that is sent guesses tells "
            "which was right"
        )
    return Secret(
        name,
        table,
        value,
        patterns,
        tuple(map(OriginPattern.parse, grant.urls)) or patterns,
        _places(asked.headers, asked.query, asked.json),
        _places(grant.headers, grant.query, grant.json_pointers),
    )


def _places(
    headers: Iterable[str], query: Iterable[str], pointers: Iterable[str]
) -> frozenset[Place]:
    named: tuple[tuple[PlaceKind, Iterable[str]], ...] = (
        ("headers", headers), ("query", query), ("json", pointers),
    )  # fmt: skip
    return frozenset((kind, place) for kind, places in named for place in places)


def _read(plugin: str, name: str, grant: SecretGrant) -> str | None:
    what = f"plugin {plugin!r}: the secret {name!r}"
    if grant.env is not None:
        value = os.environ.get(grant.env)
        if value is None:
            raise SecretError(
                f"{what} is in the environment variable {grant.env}, which is not set"
            )
        return value
    if grant.file is not None:
        try:
            with grant.file.open(encoding="utf-8") as file:
                return file.read(_MOST + 2).removesuffix("\n").removesuffix("\r")
        except (OSError, UnicodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
            raise SecretError(f"{what} is in {grant.file}, which can't be read: {reason}") from None
    if grant.keyring is not None:
        return _from_keyring(what, *grant.keyring)
    return None


def _from_keyring(what: str, service: str, user: str) -> str:
    try:
        import keyring
    except ImportError:
        raise SecretError(
            f"{what} is in the keyring, for which the package keyring is needed: "
            "pip install 'orchestrator-plugin-host[keyring]'"
        ) from None
    try:
        value = keyring.get_password(service, user)
    except keyring.errors.KeyringError as error:
        raise SecretError(f"{what} can't be read from the keyring: {error}") from None
    if value is None:
        raise SecretError(f"{what}: the keyring has none for service {service!r}, user {user!r}")
    return str(value)
