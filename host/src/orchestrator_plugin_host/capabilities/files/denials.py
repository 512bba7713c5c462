"""What a plugin is told that may not use a path: who lacks it, and the line to add."""

from __future__ import annotations

from typing import Final

from orchestrator_plugin_sdk.errors import ErrorKind, PluginCallError
from orchestrator_plugin_sdk.manifest import FilesRequirement

from ...policy import FilesGrant, FolderQuota
from .paths import PluginPath, Root

_LINES: Final = {
    "manifest": {"data": "data = true", "artifacts": "artifacts = true"},
    "policy": {
        "data": "data = {{ bytes = {0.bytes}, files = {0.files} }}".format(FolderQuota()),
        "artifacts": "artifacts = {{ bytes = {0.bytes}, files = {0.files} }}".format(FolderQuota()),
    },
}


def denial(
    path: PluginPath, plugin: str, asked: FilesRequirement, granted: FilesGrant
) -> PluginCallError:
    """The error of a root that a plugin does not have."""
    name = path.names[0] if path.root == "folders" and path.names else path.root
    has_asked, has_granted = _has(path.root, name, asked, granted)
    lacking = []
    if not has_asked:
        line = _LINES["manifest"].get(path.root, f'folders = ["{name}"]')
        lacking.append(
            f"its manifest does not ask for it; to do so, add to plugin.toml\n  [files]\n  {line}"
        )
    if not has_granted:
        if path.root == "folders":
            line = f'  [plugins.{plugin}.files.folders]\n  {name} = "…"'
        else:
            line = f"  [plugins.{plugin}.files]\n  {_LINES['policy'][path.root]}"
        lacking.append(f"the policy does not grant it; to do so, add to the policy\n{line}")
    return PluginCallError(
        ErrorKind.PERMISSION_DENIED,
        f"plugin {plugin!r} may not use {path}: " + "\nand ".join(lacking),
    )


def _has(root: Root, name: str, asked: FilesRequirement, granted: FilesGrant) -> tuple[bool, bool]:
    """Whether the manifest asks for a root, and whether the policy grants it."""
    if root == "folders":
        return name in asked.folders, name in granted.folders
    return getattr(asked, root), getattr(granted, root) is not None
