"""What a plugin is told that may not use a path: who lacks it, and the lines to add."""

from __future__ import annotations

from orchestrator_plugin_sdk.capabilities.files import FilesRequirement
from orchestrator_plugin_sdk.errors import ErrorKind, PluginCallError

from ..remedies import lacking
from .grant import FilesGrant, FolderQuota
from .paths import PluginPath
from .tables import asking, granting, granting_folders


def denial(
    path: PluginPath, plugin: str, asked: FilesRequirement, granted: FilesGrant
) -> PluginCallError:
    """The error of a root that a plugin does not have."""
    if path.root == "folders":
        name = path.names[0] if path.names else path.root
        has_asked, has_granted = name in asked.folders, name in granted.folders
        to_ask, to_grant = asking(folders=[name]), granting_folders(plugin, {name: '"…"'})
    else:
        has_asked = getattr(asked, path.root)
        has_granted = getattr(granted, path.root) is not None
        to_ask, to_grant = asking([path.root]), granting(plugin, **{path.root: FolderQuota()})
    remedy = lacking(asked=None if has_asked else to_ask, granted=None if has_granted else to_grant)
    return PluginCallError(
        ErrorKind.PERMISSION_DENIED, f"plugin {plugin!r} may not use {path}: {remedy}"
    )
