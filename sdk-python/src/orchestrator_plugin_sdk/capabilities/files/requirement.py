"""The table `[files]` of a manifest."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ...errors import Problem
from ..checking import problems_of_folder


@dataclass(frozen=True, slots=True)
class FilesRequirement:
    """Files that a plugin uses: a `data` folder of its own, an `artifacts` folder for each call,
    and folders of the operator's, to be read, by the names the operator grants them under."""

    data: bool = False
    artifacts: bool = False
    folders: tuple[str, ...] = ()

    def problems(self, path: str) -> Iterator[Problem]:
        """What is not valid of it, at this path of the manifest."""
        for i, folder in enumerate(self.folders):
            yield from problems_of_folder(f"{path}.folders[{i}]", folder)
