"""Loading a plugin that is Python in this process: trusted, and not sandboxed.

`load_plugin` gives the plugin object itself. A host adds limits, and the same interface for
sandboxed plugins.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Any, Generic

from .context import PluginContext
from .contract import KINDS
from .errors import PluginValidationError, Problem
from .manifest import PluginManifest, check_version, validate_manifest
from .plugin import PluginConfig, PluginExport, PluginT
from .version import SdkVersionRange


def check_export(export: PluginExport[Any]) -> PluginManifest:
    """The manifest of an export, checked, before any of the plugin runs.

    Raises `PluginValidationError` or `PluginVersionMismatchError`.
    """
    if not isinstance(export, PluginExport):
        raise PluginValidationError(
            f"expected a PluginExport, got {type(export).__name__}: export "
            "PluginExport(manifest=…, create_plugin=…)"
        )
    manifest = validate_manifest(export.manifest)
    check_version(manifest)
    if not callable(export.create_plugin):
        raise PluginValidationError(
            f"the export of plugin {manifest.name!r} is not valid:",
            [Problem("create_plugin", "expected something to call that makes the plugin")],
        )
    return manifest


def create_plugin(export: PluginExport[PluginT], manifest: PluginManifest) -> PluginT:
    """Makes the plugin and checks that it is what its manifest says.

    Raises `PluginValidationError`, also for whatever `create_plugin` raises.
    """
    try:
        plugin = export.create_plugin()
    except Exception as error:
        raise PluginValidationError(
            f"plugin {manifest.name!r} could not be made: {type(error).__name__}: {error}"
        ) from error
    problems = []
    if getattr(plugin, "name", None) != manifest.name:
        problems.append(
            Problem(
                "name",
                f"the manifest says {manifest.name!r}, "
                f"the plugin {getattr(plugin, 'name', None)!r}",
            )
        )
    if not isinstance(getattr(plugin, "sdk_version", None), SdkVersionRange):
        problems.append(Problem("sdk_version", "expected an SdkVersionRange on the plugin"))
    kind = KINDS[manifest.type]
    for operation in kind.operations:
        if not callable(getattr(plugin, operation.method, None)):
            problems.append(
                Problem(operation.method, f"missing; a {kind.interface.__name__} has it")
            )
    if problems:
        raise PluginValidationError(
            f"plugin {manifest.name!r} is not what its manifest says:", problems
        )
    return plugin


async def load_plugin(
    export: PluginExport[PluginT],
    config: PluginConfig | None = None,
    context: PluginContext | None = None,
) -> PluginT:
    """Checks the export, makes the plugin and calls its `init`.

    Raises `PluginValidationError`, `PluginVersionMismatchError`, or what `init` raises.
    """
    plugin = create_plugin(export, check_export(export))
    done = plugin.init(dict(config or {}), context or PluginContext())
    if inspect.isawaitable(done):
        await done
    return plugin


@dataclass(frozen=True, slots=True)
class SafeLoadResult(Generic[PluginT]):
    """What became of a `safe_load_plugin`: a plugin, or an error.

    `manifest` is there as soon as it was found valid, even when loading failed later.
    """

    success: bool
    plugin: PluginT | None = None
    manifest: PluginManifest | None = None
    error: Exception | None = None


async def safe_load_plugin(
    export: PluginExport[PluginT],
    config: PluginConfig | None = None,
    context: PluginContext | None = None,
) -> SafeLoadResult[PluginT]:
    """`load_plugin`, with the error in the result rather than raised."""
    manifest: PluginManifest | None = None
    try:
        manifest = validate_manifest(export.manifest) if isinstance(export, PluginExport) else None
        plugin = await load_plugin(export, config, context)
    except Exception as error:
        return SafeLoadResult(False, manifest=manifest, error=error)
    return SafeLoadResult(True, plugin=plugin, manifest=manifest)
