"""What all grants of a policy are."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Self

from orchestrator_plugin_sdk.origins import OriginPattern
from pydantic import AfterValidator, BaseModel, ConfigDict


def _origin(text: str) -> str:
    OriginPattern.parse(text)
    return text


OriginText = Annotated[str, AfterValidator(_origin)]
"""The text of an `OriginPattern`."""


class Grant(BaseModel):
    """A table of a policy."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    def relative_to(self, folder: Path) -> Self:
        """The same, with the paths in it taken from `folder`."""
        return self
