"""Where a request refers to secrets, and whether each may stand there and go where it goes."""

from __future__ import annotations

from typing import Final

from orchestrator_plugin_sdk.capabilities.secrets import SECRET_HEADERS

from ..secrets.bound import Place, Secrets
from .attempts import Attempt
from .rules import DeniedError
from .targets import Target

_WORDS: Final = {
    "headers": "the header",
    "query": "the parameter",
    "json": "the JSON value",
}


def in_head(attempt: Attempt, secrets: Secrets) -> list[tuple[str, Place]]:
    """The secrets that headers and query refer to, each with its place."""
    found: list[tuple[str, Place]] = []
    for header, value in attempt.headers:
        found += ((name, ("headers", header)) for name in secrets.in_text(value))
    for parameter, value in attempt.query:
        found += ((name, ("query", parameter)) for name in secrets.in_text(value))
    return found


def check_secret(plugin: str, secrets: Secrets, name: str, place: Place, target: Target) -> None:
    """Raises `DeniedError` for a secret that may not go to where a request goes, or may not stand
    in this place of it."""
    lacking = secrets.lacks_origin(name, target.origin)
    if lacking is not None:
        table = _table(plugin, secrets, name, lacking)
        raise DeniedError(
            f"secret {name} is not for this origin by the {lacking}",
            f"plugin {plugin!r} may not send the secret {name!r} to {target.origin}: the {lacking} "
            f"does not say that it is for there: add the origin to urls of {table}",
        )
    lacking = secrets.lacks_place(name, place)
    if lacking is not None:
        kind, where = place
        table = _table(plugin, secrets, name, lacking)
        usual = f"; {', '.join(SECRET_HEADERS[:2])} and the like need neither"
        raise DeniedError(
            f"secret {name} may not stand in {_WORDS[kind]} {where[:100]!r} by the {lacking}",
            f"plugin {plugin!r} may not put the secret {name!r} into {_WORDS[kind]} "
            f"{where[:100]!r}: the {lacking} does not name it: add it to {kind} of {table}"
            + (usual if kind == "headers" else ""),
        )


def _table(plugin: str, secrets: Secrets, name: str, lacking: str) -> str:
    if lacking == "policy":
        return f"[plugins.{plugin}.secrets.{name}] in the policy"
    return f"[{secrets.table_of(name)}.{name}] in plugin.toml"
