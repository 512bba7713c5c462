"""The table `[kv]` of a manifest."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ...errors import Problem


@dataclass(frozen=True, slots=True)
class KvRequirement:
    """Keys and values that a plugin keeps: `description` tells the operator which and why."""

    description: str = ""

    def problems(self, path: str) -> Iterator[Problem]:
        """What is not valid of it, at this path of the manifest: nothing can be."""
        yield from ()
