"""What the operator configures a plugin with, compared with what its manifest says of that."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from orchestrator_plugin_sdk.errors import PluginValidationError, Problem
from orchestrator_plugin_sdk.manifest import PluginManifest

_TYPES: Final[Mapping[str, tuple[type, ...]]] = {
    "text": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "list": (list, tuple),
    "map": (Mapping,),
    "any": (object,),
}


def check_config(manifest: PluginManifest, config: Mapping[str, Any]) -> None:
    """Raises `PluginValidationError` that lists what is wrong with a config. One whose manifest
    says nothing of it may be anything."""
    if manifest.config is None:
        return
    problems = [
        Problem(f"config.{name}", f"unknown key; known are {', '.join(manifest.config) or 'none'}")
        for name in config.keys() - manifest.config.keys()
    ]
    for name, wanted in manifest.config.items():
        if name not in config:
            if wanted.required:
                problems.append(Problem(f"config.{name}", "missing"))
            continue
        value = config[name]
        if not isinstance(value, _TYPES[wanted.type]) or (
            isinstance(value, bool) and wanted.type in ("integer", "number")
        ):
            # The value may be a secret in the wrong place.
            problems.append(
                Problem(f"config.{name}", f"expected {wanted.type}, got a {type(value).__name__}")
            )
    if problems:
        raise PluginValidationError(
            f"the config of plugin {manifest.name!r} is not what its manifest says:", problems
        )
