"""The tables `[[http]]` of a manifest."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ...errors import Problem
from ...origins import METHODS
from ...visible import quoted
from ..checking import problems_of_urls


@dataclass(frozen=True, slots=True)
class HttpRequirement:
    """Requests that a plugin makes: to the origins of a pattern (`OriginPattern`), by these
    methods."""

    url: str
    methods: tuple[str, ...] = ("GET",)

    def problems(self, path: str) -> Iterator[Problem]:
        """What is not valid of it, at this path of the manifest."""
        yield from problems_of_urls(f"{path}.url", [self.url])
        for i, method in enumerate(self.methods):
            if method not in METHODS:
                words = f"expected one of {', '.join(METHODS)}, got {quoted(method)}"
                yield Problem(f"{path}.methods[{i}]", words)
