"""The things that are fuzzed, by name."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from types import MappingProxyType
from typing import Final

from ..target import Target

TARGETS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "components": "Components",
        "built": "Built",
        "compiled": "Compiled",
        "documents": "Documents",
        "tiers": "Tiers",
        "values": "Values",
        "payloads": "Payloads",
        "manifests": "Manifests",
        "messages": "Messages",
        "faults": "Faults",
    }
)
"""The class of each target, in the module of its name."""


def target_class(name: str) -> type[Target]:
    """The class of a target. Imports no other target's module."""
    module = import_module(f"{__name__}.{name}")
    found: type[Target] = getattr(module, TARGETS[name])
    return found
