"""The host's own configuration."""

import os
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from .limits import MIB, Limits, Positive
from .policy import Policy, PolicyFile

Tier = Literal["in-process", "process"]


class PoolSettings(BaseModel):
    """How many instances of a sandboxed plugin there are.

    A plugin that keeps state has one, whatever this says, and its calls wait for each other.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    instances: Positive = 4
    """Instances at most: how many calls of a plugin run at once."""
    idle: Annotated[int, Field(ge=0, strict=True)] = 4
    """Instances kept for later calls."""


def default_cache_directory() -> Path:
    """The folder in the environment variable `ORCHESTRATOR_PLUGIN_CACHE`, or the user's cache."""
    configured = os.environ.get("ORCHESTRATOR_PLUGIN_CACHE")
    if configured:
        return Path(configured)
    import platformdirs

    return platformdirs.user_cache_path("orchestrator-plugins") / "components"


def default_data_directory() -> Path:
    """The folder in the environment variable `ORCHESTRATOR_PLUGIN_DATA`, or the user's data."""
    configured = os.environ.get("ORCHESTRATOR_PLUGIN_DATA")
    if configured:
        return Path(configured)
    import platformdirs

    return platformdirs.user_data_path("orchestrator-plugins") / "plugins"


class HostSettings(BaseModel):
    """What a `PluginHost` is configured with."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    limits: Limits = Field(default_factory=Limits)
    """The limits of every plugin, unless `load` is given others."""
    pool: PoolSettings = Field(default_factory=PoolSettings)
    """The pool of every sandboxed plugin, unless `load` is given another."""
    cache_directory: Path = Field(default_factory=default_cache_directory)
    """Where compiled components are kept: a private folder of this user's."""
    policy: Policy | PolicyFile = Field(default_factory=Policy)
    """What every plugin may reach, or each by its name (`read_policy`), unless `load` is given
    another policy."""
    require_digest: bool = False
    """Whether a plugin is refused whose policy grants it anything without naming its digest
    (`Policy.digest`). A native plugin has none: it is refused whenever its policy grants anything.
    """
    tier: Tier = "in-process"
    """Where sandboxed plugins run, unless `load` is told otherwise: `in-process`, in this
    process, or `process`, each instance in a worker process of its own."""
    require_confinement: bool = False
    """Whether a sandboxed plugin is refused (`ConfinementError`) where the system does not let its
    worker process be confined completely. Otherwise what does not hold is logged as a warning, once
    for each host, by the logger `orchestrator_plugins`. Needs the tier `process`."""
    data_directory: Path = Field(default_factory=default_data_directory)
    """Where the data folders of plugins are, one for each name of a plugin, and the record of which
    component, by its digest, has written each."""
    artifacts_directory: Path | None = None
    """Where calls get their artifacts folders, which are then kept: the caller removes them, each
    folder as a whole. Without it, they end when their plugin is unloaded, or the host closed."""
    audit_file: Path | None = None
    """Where every decision about what plugins reach is written, a line of JSON each."""
    ca_file: Path | None = None
    """Certificates (PEM) that plugins' requests trust, instead of the usual ones."""
    cache_bytes: Positive = 4096 * MIB
    """Bytes of compiled components that are kept; what was not used for longest goes first."""
    init_deadline_ms: Positive = 30_000
    """Milliseconds that a plugin's `init` may take, on each new instance."""

    @model_validator(mode="after")
    def _confinement_is_of_workers(self) -> Self:
        if self.require_confinement and self.tier != "process":
            raise ValueError(
                "require_confinement is about worker processes, and tier='in-process' runs plugins "
                "in this one: set tier='process'"
            )
        return self
