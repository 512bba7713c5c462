"""The table `[files]` of a policy."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final, Self

from pydantic import Field

from ...limits import MIB, Positive
from ..grant import Grant


class FolderQuota(Grant):
    """What a folder of a plugin's may hold."""

    bytes: Positive = 64 * MIB
    """Bytes of all its files together."""
    files: Positive = 1_000
    """Files and folders in it."""


_CALLS: Final = 16
"""Calls whose artifacts there is room for, if each makes as many as it may."""


class FilesGrant(Grant):
    """Files that a plugin may have, if its manifest asks for them, too."""

    data: FolderQuota | None = None
    """A folder of the plugin's own, that is there again the next time."""
    artifacts: FolderQuota | None = None
    """A folder for each call, that its caller finds: what one of them may hold."""
    artifacts_total: FolderQuota | None = None
    """What those of all calls of a loaded plugin may hold together, until it is unloaded; without
    it, sixteen times `artifacts`."""
    folders: Mapping[str, Path] = Field(default_factory=dict)
    """Folders of the operator's, to be read, by the names that the manifest asks for."""

    def relative_to(self, folder: Path) -> Self:
        """As `Grant` says."""
        if not self.folders:
            return self
        folders = {name: folder / one for name, one in self.folders.items()}
        return self.model_copy(update={"folders": folders})

    def all_artifacts(self) -> FolderQuota | None:
        """What the artifacts of all calls may hold together; `None` if there are none."""
        if self.artifacts is None:
            return None
        return self.artifacts_total or FolderQuota(
            bytes=_CALLS * self.artifacts.bytes, files=_CALLS * self.artifacts.files
        )
