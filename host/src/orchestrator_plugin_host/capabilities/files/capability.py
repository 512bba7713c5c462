"""Files, as a capability."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from orchestrator_plugin_sdk.capabilities.files import FilesRequirement

from ..capability import Asked, Capability, HostParts, OfHost
from ..remedies import toml_text
from .grant import FilesGrant, FolderQuota
from .tables import asking, granting, granting_folders

if TYPE_CHECKING:
    from orchestrator_plugin_sdk.manifest import PluginManifest

    from ..observing import Observations

_OWNED: Final = ("data", "artifacts")


class _Files(Capability):
    totals = ("read_bytes", "written_bytes")

    def asked_for(
        self, plugin: str, asked: FilesRequirement, granted: FilesGrant
    ) -> Iterator[Asked]:
        for root in _OWNED:
            if getattr(asked, root):
                yield Asked(
                    f"files: {root}",
                    getattr(granted, root) is not None,
                    granting(plugin, **{root: FolderQuota()}),
                )
        for folder in asked.folders:
            yield Asked(
                f"files: the folder {folder}, to be read",
                folder in granted.folders,
                granting_folders(plugin, {folder: '"/…"'}),
            )

    def policy_lines(
        self, manifest: PluginManifest, granted: FilesGrant, seen: Observations
    ) -> Iterator[str]:
        used = seen.used("files")
        quotas = {root: getattr(granted, root) or FolderQuota() for root in _OWNED if root in used}
        if "artifacts" in quotas and granted.artifacts_total is not None:
            quotas["artifacts_total"] = granted.artifacts_total
        if quotas:
            yield "\n" + granting(manifest.name, **quotas)
        folders = {
            name: toml_text(str(granted.folders[name]))
            for name in sorted(granted.folders)
            if f"folders/{name}" in used
        }
        if folders:
            yield "\n" + granting_folders(manifest.name, folders)

    def manifest_lines(self, manifest: PluginManifest, seen: Observations) -> Iterator[str]:
        used = seen.used("files")
        if used:
            yield asking(
                [root for root in _OWNED if root in used],
                sorted(one.partition("/")[2] for one in used if one.startswith("folders/")),
            )

    def of_host(self, parts: HostParts) -> OfHost:
        from .host import FilesOfHost

        return FilesOfHost(parts)


CAPABILITY: Final = _Files()
"""As `Capability` says."""
