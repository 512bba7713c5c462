"""Secrets: values that the host puts into requests, and that no plugin ever has.

A plugin has a *reference*, a text that means nothing to anyone else: `{{secret:NAME:…}}`, with
random digits of this load of the plugin, so that what a user or a model writes can't be taken for
one.
"""

from __future__ import annotations

import os
import re
import secrets as random_bytes
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from orchestrator_plugin_sdk.codec import pack
from orchestrator_plugin_sdk.errors import DocumentError
from orchestrator_plugin_sdk.manifest import ConfigField, PluginManifest, SecretRequirement
from orchestrator_plugin_sdk.origins import Origin, OriginPattern
from orchestrator_plugin_sdk.secret_places import SECRET_HEADERS, PlaceKind

from ..errors import PluginRefusedError, SecretError
from ..notices import warn
from ..policy import Policy, SecretGrant, usual_variable
from .scrubbing import Scrubber
from .spellings import LEAST

_MOST: Final = 65_536
_SHORT: Final = 16


Lacking = Literal["manifest", "policy"]
"""Which of the two does not allow something."""

Place = tuple[PlaceKind, str]
"""Where in a request: a header, a parameter of the query, a value of the JSON by its pointer."""

_USUAL: Final[frozenset[Place]] = frozenset(("headers", name) for name in SECRET_HEADERS)


@dataclass(frozen=True, slots=True)
class _Secret:
    name: str
    table: Literal["secrets", "config"]
    value: str = field(repr=False)
    asked: tuple[OriginPattern, ...]
    granted: tuple[OriginPattern, ...]
    asked_places: frozenset[Place]
    granted_places: frozenset[Place]


class Secrets:
    """The secrets of one loaded plugin."""

    def __init__(self, plugin: str, secrets: Iterable[_Secret]) -> None:
        self._plugin = plugin
        self._secrets = {one.name: one for one in secrets}
        nonce = random_bytes.token_hex(8)
        self.references: Mapping[str, str] = {
            name: f"{{{{secret:{name}:{nonce}}}}}" for name in self._secrets
        }
        self._names = {reference: name for name, reference in self.references.items()}
        self._lengths = frozenset(map(len, self._names))
        self._pattern = _alternatives(self._names)
        self._scrubbers: dict[frozenset[str], Scrubber] = {}

    def in_text(self, text: str) -> list[str]:
        """The names of the secrets that a text refers to."""
        if self._pattern is None:
            return []
        return [self._names[found] for found in self._pattern.findall(text)]

    def named(self, text: str) -> str | None:
        """The name of the secret that a text is a reference to, and nothing else."""
        # The length first: to look up a text of megabytes takes milliseconds.
        return self._names.get(text) if len(text) in self._lengths else None

    def size_of(self, name: str) -> int:
        """Characters of a secret's value."""
        return len(self._secrets[name].value)

    def scrubber(self, names: Iterable[str]) -> Scrubber:
        """What takes the values of these secrets out of what comes from outside."""
        wanted = frozenset(names)
        if wanted not in self._scrubbers:
            self._scrubbers[wanted] = Scrubber(self._secrets[name].value for name in wanted)
        return self._scrubbers[wanted]

    def known_at(self, origin: Origin) -> Iterator[str]:
        """The names of the secrets that may go to an origin, and so may come from there."""
        return (name for name in self._secrets if self.lacks_origin(name, origin) is None)

    def table_of(self, name: str) -> str:
        """The table of the manifest that declares a secret: `secrets` or `config`."""
        return self._secrets[name].table

    def lacks_origin(self, name: str, origin: Origin) -> Lacking | None:
        """Which of manifest and policy does not let a secret go to an origin, if one does not."""
        secret = self._secrets[name]
        if not any(pattern.matches(origin) for pattern in secret.asked):
            return "manifest"
        if not any(pattern.matches(origin) for pattern in secret.granted):
            return "policy"
        return None

    def lacks_place(self, name: str, place: Place) -> Lacking | None:
        """Which of manifest and policy does not let a secret stand there, if one does not."""
        secret = self._secrets[name]
        if place in _USUAL:
            return None
        if place not in secret.asked_places:
            return "manifest"
        return None if place in secret.granted_places else "policy"

    def into_text(self, text: str) -> str:
        """The text with the values in the place of the references."""
        if self._pattern is None:
            return text
        return self._pattern.sub(lambda found: self._value(found[0]), text)

    def into_value(self, text: str) -> str:
        """The value of the secret that a text is a reference to; any other text as it is."""
        name = self.named(text)
        return text if name is None else self._secrets[name].value

    def _value(self, reference: str) -> str:
        return self._secrets[self._names[reference]].value

    def scrub(self, document: Any) -> Any:
        """A document, or a text, without the values."""
        if not self._secrets or not self._may_be_in(document):
            return document
        clean = self.scrubber(self._secrets).text
        if isinstance(document, Mapping):  # whose own keys are names of fields
            return {key: _map_texts(value, clean, keys=True) for key, value in document.items()}
        return _map_texts(document, clean, keys=True)

    def _may_be_in(self, document: Any) -> bool:
        """Whether to look at each text of a document: in MessagePack they are as they are."""
        if isinstance(document, str):
            return True
        try:
            return self.scrubber(self._secrets).finds(pack(document))
        except DocumentError:  # of a native plugin: not all texts are Unicode
            return True

    def __repr__(self) -> str:
        return f"<Secrets {', '.join(sorted(self._secrets)) or 'none'}>"


def _alternatives(texts: Iterable[str]) -> re.Pattern[str] | None:
    ordered = sorted(texts, key=len, reverse=True)
    return re.compile("|".join(map(re.escape, ordered))) if ordered else None


def _map_texts(document: Any, change: Callable[[str], str], *, keys: bool = False) -> Any:
    """The document with its texts changed, and the keys of its maps if it is to be with `keys`."""
    if isinstance(document, str):
        return change(document)
    if isinstance(document, Mapping):
        return {
            change(key) if keys and isinstance(key, str) else key: _map_texts(
                value, change, keys=keys
            )
            for key, value in document.items()
        }
    if isinstance(document, (list, tuple)):
        return [_map_texts(value, change, keys=keys) for value in document]
    return document


def bind(
    manifest: PluginManifest, policy: Policy, config: Mapping[str, Any]
) -> tuple[Secrets, dict[str, Any]]:
    """Reads the secrets that a manifest declares from where the policy says; gives them, and the
    config with references in its secret fields.

    Raises `SecretError` for one that can't be read, `PluginRefusedError` for one that is required
    and not granted.
    """
    found: list[_Secret] = []
    for name, asked in manifest.secrets.items():
        grant = policy.secrets.get(name)
        value = None if grant is None else _read(manifest.name, name, grant)
        if grant is None or value is None:
            if asked.required:
                raise PluginRefusedError(
                    f"plugin {manifest.name!r} needs the secret {name!r}, which the policy does "
                    f"not bind: add to the policy\n  [plugins.{manifest.name}.secrets]\n"
                    f'  {name} = {{ env = "{usual_variable(name)}" }}'
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
        grant = policy.secrets.get(name, SecretGrant())
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
) -> _Secret:
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
            f"hosts that it does not name: name them in the policy\n"
            f'  [plugins.{plugin}.secrets.{name}]\n  urls = ["https://…"]'
        )
    if len(value) < _SHORT:
        warn(
            f"plugin {plugin!r}: the value of the secret {name!r} has {len(value)} characters: one "
            f"of less than {_SHORT} is easily guessed, and a server that is sent guesses tells "
            "which was right"
        )
    return _Secret(
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
