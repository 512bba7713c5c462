"""The tables `[secrets.NAME]` of a manifest, and the secret fields of its `[config]`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from ...errors import Problem
from ..checking import problems_of_urls
from .places import PlaceKind, check_place


@dataclass(frozen=True, slots=True)
class SecretRequirement:
    """A secret that a plugin refers to, and the origins (`OriginPattern`) that it is for.

    It may stand in headers that are made for credentials (`SECRET_HEADERS`). What else is needed is
    in `headers`, `query` (names of parameters) and `json` (pointers, like `/auth/key`), and needs
    the same in the operator's policy.
    """

    urls: tuple[str, ...]
    description: str = ""
    required: bool = True
    headers: tuple[str, ...] = ()
    query: tuple[str, ...] = ()
    json: tuple[str, ...] = ()

    def problems(self, path: str) -> Iterator[Problem]:
        """What is not valid of it, at this path of the manifest."""
        yield from problems_of_urls(f"{path}.urls", self.urls)
        yield from _problems_of_places(path, self)
        if not self.urls:
            yield Problem(f"{path}.urls", "expected an origin or more: what it is for")


@dataclass(frozen=True, slots=True)
class ConfigField:
    """A field of the plugin's config. Of a `secret` one the plugin gets a reference, which it may
    use in requests to `urls`; the value stays with the host. `headers`, `query` and `json` as of
    `SecretRequirement`."""

    type: Literal["text", "integer", "number", "boolean", "list", "map", "any"] = "any"
    description: str = ""
    required: bool = False
    secret: bool = False
    urls: tuple[str, ...] = ()
    headers: tuple[str, ...] = ()
    query: tuple[str, ...] = ()
    json: tuple[str, ...] = ()

    def problems(self, path: str) -> Iterator[Problem]:
        """What is not valid of it, at this path of the manifest."""
        yield from problems_of_urls(f"{path}.urls", self.urls)
        yield from _problems_of_places(path, self)
        if not self.secret and (self.headers or self.query or self.json):
            yield Problem(path, "headers, query and json are for secret fields")
        if self.secret != bool(self.urls):
            yield Problem(
                f"{path}.urls", "a secret field has the origins that it is for; no other has"
            )
        if self.secret and self.type != "text":
            yield Problem(f"{path}.type", "a secret field is of the type 'text'")


def _problems_of_places(path: str, asked: SecretRequirement | ConfigField) -> Iterator[Problem]:
    kinds: tuple[PlaceKind, ...] = ("headers", "query", "json")
    for kind in kinds:
        for i, place in enumerate(getattr(asked, kind)):
            try:
                check_place(kind, place)
            except ValueError as error:
                yield Problem(f"{path}.{kind}[{i}]", str(error))
