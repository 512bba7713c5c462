"""What every plugin has, whatever its kind."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from .context import PluginContext
    from .manifest import PluginManifest
    from .version import SdkVersionRange

PluginConfig = Mapping[str, Any]
"""What the operator configures a plugin with: JSON-like values by name."""


@dataclass(frozen=True, slots=True)
class HealthCheckResult:
    """Whether a plugin can work, with a sentence and data for a person."""

    healthy: bool
    message: str | None = None
    details: Mapping[str, Any] = field(default_factory=dict)


class Plugin(ABC):
    """The life of a plugin. Implement one of the four subclasses, not this.

    `name` is the manifest's, and checked against it; `sdk_version` is there for whoever holds the
    plugin, while the manifest's alone decides whether it is loaded.
    """

    name: str
    sdk_version: SdkVersionRange

    @abstractmethod
    async def init(self, config: PluginConfig, ctx: PluginContext) -> None:
        """Called once, before anything else. Raise to refuse."""

    @abstractmethod
    async def health_check(self) -> HealthCheckResult:
        """Whether the plugin can work. Light: no call that costs money."""

    @abstractmethod
    async def shutdown(self) -> None:
        """Called once, at the end. Give back what `init` took."""


PluginT = TypeVar("PluginT", bound=Plugin)
PluginT_co = TypeVar("PluginT_co", bound=Plugin, covariant=True)


@dataclass(frozen=True, slots=True)
class PluginExport(Generic[PluginT_co]):
    """What a plugin's module offers to a host: its manifest and a way to make it.

    `manifest` may be a `PluginManifest` or a mapping that is checked when the plugin is loaded.
    """

    manifest: PluginManifest | Mapping[str, Any]
    create_plugin: Callable[[], PluginT_co]
