"""Secrets of a plugin that is observed, which may make any request: values that mean nothing stand
in for all but those whose origins the policy itself names.
"""

from __future__ import annotations

import secrets as random_bytes
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from orchestrator_plugin_sdk.capabilities.secrets import ConfigField, SecretRequirement
from orchestrator_plugin_sdk.manifest import PluginManifest

from ..observing import Observations
from .binding import bind
from .bound import Secrets
from .grant import SecretGrant

_ANYWHERE: Final = ("https://*:*", "http://*:*")


def bind_observed(
    seen: Observations,
    manifest: PluginManifest,
    granted: Mapping[str, SecretGrant],
    config: Mapping[str, Any],
) -> tuple[Secrets, dict[str, Any]]:
    """As `bind`, with references to every secret that the manifest declares. What one stands for is
    the secret's value if the policy binds it and names its origins (`urls`), and goes to those
    alone; or else it is a random text, which may go anywhere. Raises as `bind` does.
    """
    fields = manifest.config or {}
    in_config = {name for name, one in fields.items() if one.secret and name in config}
    standing = {
        name
        for name in {*manifest.secrets, *in_config}
        if not _is_bound(granted.get(name), has_value=name in in_config)
    }
    seen.note_stand_ins(standing)
    # A secret field of the config is a secret whose value comes with it.
    asked = {name: manifest.secrets.get(name) or fields[name] for name in standing}
    secrets, given = bind(
        replace(
            manifest,
            secrets={name: one for name, one in manifest.secrets.items() if name not in standing},
            config={**fields, **{name: _field(one) for name, one in asked.items()}},
        ),
        {**granted, **{name: _grant(one) for name, one in asked.items()}},
        {**config, **{name: f"stand-in-{random_bytes.token_hex(16)}" for name in standing}},
    )
    return secrets, {
        name: given[name] if name in in_config else value for name, value in config.items()
    }


def _field(asked: SecretRequirement | ConfigField) -> ConfigField:
    return ConfigField(
        "text",
        secret=True,
        urls=_ANYWHERE,
        headers=asked.headers,
        query=asked.query,
        json=asked.json,
    )


def _grant(asked: SecretRequirement | ConfigField) -> SecretGrant:
    return SecretGrant(urls=_ANYWHERE, headers=asked.headers, query=asked.query, json=asked.json)


def _is_bound(grant: SecretGrant | None, *, has_value: bool) -> bool:
    return grant is not None and bool(grant.urls) and (has_value or grant.has_source)
