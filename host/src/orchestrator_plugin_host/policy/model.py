"""A policy, and a file of them."""

import re
from collections.abc import Mapping
from typing import Annotated, Final, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator

from ..capabilities.registry import Grants
from ..limits import Limits
from .wasi import WASI_INTERFACES, WASI_NAME, WasiLevel

_PLUGIN_NAME: Final = re.compile("[a-z0-9]+(-[a-z0-9]+)*")


def read_digest(text: str) -> str:
    """The hexadecimal digits of a SHA-256, in lower case. Raises `ValueError`."""
    plain = text.removeprefix("sha256:").lower()
    if not re.fullmatch("[0-9a-f]{64}", plain):
        raise ValueError("expected a SHA-256: 64 hexadecimal digits, as `inspect` shows them")
    return plain


Digest = Annotated[str, AfterValidator(read_digest)]
"""A SHA-256, with or without `sha256:` before it."""


class Policy(Grants):
    """What the operator grants to plugins: `Grants`, and what else holds for them."""

    wasi: WasiLevel = "none"
    """WASI 0.2 interfaces that a component may import.

    `core` is clocks, randomness, and standard streams that lead nowhere, with an empty environment
    and no arguments; `core+filesystem` adds the interfaces of files, with no folder granted. A
    guest can block in WASI, where fuel and epochs do not reach it: prefer the `process` tier.
    """
    digest: Digest | None = None
    """The SHA-256 of the component that this is for, in hexadecimal: another is refused."""
    limits: Limits | None = None
    """Limits that take the place of the host's, those that are named."""

    @property
    def grants(self) -> tuple[str, ...]:
        """The kinds of things that it grants: names of capabilities, and `wasi`."""
        return (*self.granted(), *(() if self.wasi == "none" else ("wasi",)))

    def of(self, plugin: str) -> Self:
        """The policy of a plugin: this one."""
        return self

    def admits(self, name: str) -> bool:
        """Whether a component may import this interface of WASI."""
        found = WASI_NAME.fullmatch(name)
        return found is not None and found[1] in WASI_INTERFACES[self.wasi]

    def level_of(self, name: str) -> WasiLevel | None:
        """The lowest level that has this interface of WASI; none if no level has."""
        for level in WASI_INTERFACES:
            if Policy(wasi=level).admits(name):
                return level
        return None


class PolicyFile(BaseModel):
    """What a policy file says: a policy for each plugin by its name, and one for all others."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    default: Policy = Field(default_factory=Policy)
    """For plugins that are not named."""
    plugins: Mapping[str, Policy] = Field(default_factory=dict)
    """By the name in the manifest. A component may call itself what it likes: `digest` says
    which one is meant."""

    @field_validator("plugins")
    @classmethod
    def _names(cls, plugins: Mapping[str, Policy]) -> Mapping[str, Policy]:
        for name in plugins:
            if not _PLUGIN_NAME.fullmatch(name):  # the default would hold instead, unnoticed
                raise ValueError(f"no plugin can have the name {name!r}: lower case and hyphens")
        return plugins

    def of(self, plugin: str) -> Policy:
        """The policy of a plugin."""
        return self.plugins.get(plugin, self.default)
