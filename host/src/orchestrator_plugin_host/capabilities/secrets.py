"""Secrets: values that the host puts into requests, and that no plugin ever has.

A plugin has a *reference*, a text that means nothing to anyone else: `{{secret:NAME:…}}`, with
random digits of this load of the plugin, so that what a user or a model writes can't be taken for
one.
"""

from __future__ import annotations

import os
import re
import secrets as random_bytes
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from orchestrator_plugin_sdk.codec import pack
from orchestrator_plugin_sdk.errors import DocumentError
from orchestrator_plugin_sdk.manifest import PluginManifest
from orchestrator_plugin_sdk.origins import Origin, OriginPattern

from ..errors import PluginRefusedError, SecretError
from ..policy import Policy, SecretGrant
from .scrubbing import LEAST, Scrubber

_MOST: Final = 65_536


@dataclass(frozen=True, slots=True)
class _Secret:
    name: str
    value: str = field(repr=False)
    asked: tuple[OriginPattern, ...]
    granted: tuple[OriginPattern, ...]


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
        self.scrubber = Scrubber(one.value for one in self._secrets.values())

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

    def is_for(self, name: str, origin: Origin) -> str | None:
        """Whether a secret may go to an origin: none if so, or else which of `manifest` and
        `policy` has it not."""
        secret = self._secrets[name]
        if not any(pattern.matches(origin) for pattern in secret.asked):
            return "manifest"
        if not any(pattern.matches(origin) for pattern in secret.granted):
            return "policy"
        return None

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
        if isinstance(document, Mapping):  # whose own keys are names of fields
            return {
                key: _map_texts(value, self.scrubber.text, keys=True)
                for key, value in document.items()
            }
        return _map_texts(document, self.scrubber.text, keys=True)

    def _may_be_in(self, document: Any) -> bool:
        """Whether to look at each text of a document: in MessagePack they are as they are."""
        if isinstance(document, str):
            return True
        try:
            return self.scrubber.finds(pack(document))
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
                    f'  {name} = {{ env = "{name.upper().replace("-", "_")}" }}'
                )
            continue
        found.append(_secret(manifest.name, name, value, asked.urls, grant.urls))
    given = dict(config)
    marked = {name: one for name, one in (manifest.config or {}).items() if one.secret}
    for name, field_ in marked.items():
        if name not in given:
            continue
        value = given[name]
        if not isinstance(value, str):
            raise SecretError(f"plugin {manifest.name!r}: config.{name} is a secret: a text")
        urls = policy.secrets[name].urls if name in policy.secrets else ()
        found.append(_secret(manifest.name, name, value, field_.urls, urls))
    secrets = Secrets(manifest.name, found)
    for name in marked:
        if name in given:
            given[name] = secrets.references[name]
    return secrets, given


def _secret(
    plugin: str, name: str, value: str, asked: Sequence[str], granted: Sequence[str]
) -> _Secret:
    if not LEAST <= len(value) <= _MOST or not value.isprintable():
        raise SecretError(
            f"plugin {plugin!r}: the value of the secret {name!r} must be {LEAST} to {_MOST:,} "
            "characters that can be printed, on one line"
        )
    patterns = tuple(map(OriginPattern.parse, asked))
    if not granted and any(one.is_for_any_host for one in patterns):
        raise PluginRefusedError(
            f"plugin {plugin!r} may send the secret {name!r} to any host by its manifest: name "
            f"the hosts in the policy\n  [plugins.{plugin}.secrets.{name}]\n"
            '  urls = ["https://…"]'
        )
    return _Secret(name, value, patterns, tuple(map(OriginPattern.parse, granted)) or patterns)


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
