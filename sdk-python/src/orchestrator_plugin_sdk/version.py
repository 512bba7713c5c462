"""The SDK's version and the ranges of it that plugins ask for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

SDK_VERSION: Final = 1
"""The version of this SDK: one integer, the major version of the WIT package."""


PACKAGE: Final = "orchestrator:plugin"
"""The WIT package."""
PACKAGE_VERSION: Final = "1.0.0"
"""The version of the WIT package; its major is `SDK_VERSION`."""


@dataclass(frozen=True, slots=True)
class SdkVersionRange:
    """The SDK versions a plugin works with: `min_version` to `max_version`, both included.

    Without `max_version` there is no upper end.
    """

    min_version: int
    max_version: int | None = None

    def includes(self, version: int) -> bool:
        """Whether `version` lies in the range."""
        return self.min_version <= version and (
            self.max_version is None or version <= self.max_version
        )

    def __str__(self) -> str:
        if self.max_version is None:
            return f">= {self.min_version}"
        if self.max_version == self.min_version:
            return str(self.min_version)
        return f"{self.min_version} to {self.max_version}"
