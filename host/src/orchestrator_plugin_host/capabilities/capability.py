"""What each capability is to the rest of the host. One of a folder: `http`, `files`, …"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

if TYPE_CHECKING:
    from orchestrator_plugin_sdk.manifest import PluginManifest

    from ..audit import PluginAudit
    from ..calls import Call
    from .observing import Observations

Answer = Callable[..., Awaitable[Any]]
"""Answers a function that guests import: gets the call, what the call has of the capability, and
what the guest passes. Raises `PluginCallError` or `DocumentError` for what is refused, or what ends
the call."""


class OfCall(Protocol):
    """What one call has of a capability."""

    @property
    def totals(self) -> Mapping[str, int]:
        """What the call has done with it, for the audit: by the names in `Capability.totals`."""

    def end_at_once(self, *, failed: bool) -> bool:
        """Ends what the call has open, if nothing is to be awaited for that; whether it did, else
        `end` it. `failed` says how the call ended. May be called again."""

    async def end(self, *, failed: bool) -> None:
        """Ends what the call has open. Waits for no server and for no disk."""


class OfPlugin(Protocol):
    """What one loaded plugin has of a capability."""

    def open(self, call: Call) -> Any:
        """What one call of it has: an `OfCall`."""

    async def close(self) -> None:
        """Gives up what the plugin held."""


@dataclass(frozen=True, slots=True)
class PluginParts:
    """What there is to know of a plugin that is loaded. `asked` and `granted` are those of the
    capability, from manifest and policy; `digest` is None for a native plugin; `secrets` are the
    plugin's `Secrets`. With `observations`, what the plugin does is granted and noted there."""

    plugin: str
    asked: Any
    granted: Any
    digest: str | None
    audit: PluginAudit
    secrets: Any
    observations: Observations | None


class OfHost(Protocol):
    """What the plugins of one host share of a capability. Made for the first of them."""

    def of_plugin(self, parts: PluginParts) -> OfPlugin:
        """What a plugin has. Not on the event loop. Raises what refuses the plugin."""

    def close(self) -> None:
        """Gives up what the host held, once every plugin has. Not on the event loop."""


@dataclass(frozen=True, slots=True)
class HostParts:
    """What there is to know of a host. `resolver` finds the addresses of names; without one, the
    system does."""

    data_directory: Path
    artifacts_directory: Path | None
    ca_file: Path | None
    resolver: Any = None


@dataclass(frozen=True, slots=True)
class Asked:
    """One thing that a plugin asks for.

    `granted` says that the policy grants all of it; `missing`, of what it grants a part of, what it
    does not. `line` is what to add to the policy for what is not granted.
    """

    what: str
    granted: bool
    line: str
    missing: str | None = None


class Capability(ABC):
    """One capability, of no host."""

    totals: ClassVar[tuple[str, ...]] = ()
    """The names of what it counts of a call, for the audit."""

    @abstractmethod
    def asked_for(self, plugin: str, asked: Any, granted: Any) -> Iterator[Asked]:
        """Each thing that a manifest asks for, beside what the policy grants."""

    @abstractmethod
    def policy_lines(
        self, manifest: PluginManifest, granted: Any, seen: Observations
    ) -> Iterator[str]:
        """The tables of TOML of the least policy that allows what was `seen`. `granted` is what
        held meanwhile: what can't be seen is taken from there."""

    @abstractmethod
    def manifest_lines(self, manifest: PluginManifest, seen: Observations) -> Iterator[str]:
        """The tables of TOML of the least manifest that asks for what was `seen`."""

    def of_host(self, parts: HostParts) -> OfHost:
        """What the plugins of a host share. Only of a capability that guests import."""
        raise NotImplementedError
