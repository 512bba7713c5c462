"""Secrets: values that the host puts into requests, and that no plugin ever has.

A plugin has a *reference*, a text that means nothing to anyone else: `{{secret:NAME:…}}`, with
random digits of this load of the plugin, so that what a user or a model writes can't be taken for
one.
"""

from __future__ import annotations

import re
import secrets as random_bytes
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from orchestrator_plugin_sdk.capabilities.secrets import SECRET_HEADERS, PlaceKind
from orchestrator_plugin_sdk.codec import pack
from orchestrator_plugin_sdk.errors import DocumentError
from orchestrator_plugin_sdk.origins import Origin, OriginPattern

from .scrubbing import Scrubber

Lacking = Literal["manifest", "policy"]
"""Which of the two does not allow something."""

Place = tuple[PlaceKind, str]
"""Where in a request: a header, a parameter of the query, a value of the JSON by its pointer."""

_USUAL: Final[frozenset[Place]] = frozenset(("headers", name) for name in SECRET_HEADERS)


@dataclass(frozen=True, slots=True)
class Secret:
    """A secret: its value, and where it may go and stand by the manifest, and by the policy."""

    name: str
    table: Literal["secrets", "config"]
    value: str = field(repr=False)
    asked: tuple[OriginPattern, ...]
    granted: tuple[OriginPattern, ...]
    asked_places: frozenset[Place]
    granted_places: frozenset[Place]


class Secrets:
    """The secrets of one loaded plugin."""

    def __init__(self, plugin: str, secrets: Iterable[Secret]) -> None:
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
