"""What the plugins of one host share in reaching things, and how each gets what it may reach."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import anyio
from orchestrator_plugin_sdk.capabilities.registry import REACHED_BY_ACCESS, Requirements

if TYPE_CHECKING:  # importing the host does not import all of it
    from ..admission import AdmittedPlugin
    from ..audit import AuditLog, PluginAudit
    from ..capabilities.capability import OfHost, OfPlugin
    from ..capabilities.http.resolving import Resolver
    from ..capabilities.observing import Observations
    from ..capabilities.secrets.bound import Secrets
    from ..settings import HostSettings
    from .plugin import PluginReach


class SharedReach:
    """The audit of one host, and what its plugins share of each capability."""

    def __init__(
        self,
        settings: HostSettings,
        resolver: Resolver | None = None,
        observations: Observations | None = None,
    ) -> None:
        self._settings = settings
        self._resolver = resolver
        self._observations = observations
        self._making = threading.Lock()
        self._made: dict[str, OfHost] = {}
        self._audit: AuditLog | None = None

    def open(self) -> None:
        """Begins, on the event loop that runs. Raises `AuditError`."""
        if self._settings.audit_file is not None:
            from ..audit import AuditLog

            self._audit = AuditLog(self._settings.audit_file)

    async def close(self) -> None:
        """Ends, once every plugin has. Raises `AuditError`."""
        audit, self._audit = self._audit, None
        made, self._made = self._made, {}
        try:
            if audit is not None:
                await anyio.to_thread.run_sync(audit.close)
        finally:
            for one in made.values():
                await anyio.to_thread.run_sync(one.close)

    async def of(
        self, admitted: AdmittedPlugin, config: Mapping[str, Any]
    ) -> tuple[PluginReach, Mapping[str, Any]]:
        """What a plugin may reach, and its config with references in the place of secrets.

        Raises `PluginValidationError` for a config that does not fit, `PluginRefusedError`,
        `SecretError` or `FilesError`.
        """
        from ..audit import PluginAudit
        from ..capabilities.secrets.frames import forget_frames
        from ..config import check_config
        from .plugin import PluginReach

        # What is kept: not the file's bytes.
        manifest, policy, digest = admitted.manifest, admitted.policy, admitted.digest
        check_config(manifest, config)
        try:
            secrets, given = await anyio.to_thread.run_sync(self._bind, admitted, config)
        except BaseException as error:
            forget_frames(error)  # which have the values
            raise
        audit = PluginAudit(manifest.name, digest, policy.digest is not None, self._audit)
        asked = {name: getattr(manifest, name) for name in REACHED_BY_ACCESS}
        granted = {name: getattr(policy, name) for name in REACHED_BY_ACCESS}

        def make(name: str) -> OfPlugin:
            return self._of_plugin(
                name, manifest.name, asked[name], granted[name], digest, audit, secrets
            )

        reach = PluginReach(manifest.payload_encodings, secrets, audit, make)
        # Now, so that no call waits for it, and that what can't be opened is told. Native plugins
        # have a context with all of it.
        nothing = Requirements()
        everything = digest is None or self._observations is not None
        used = [
            name
            for name in REACHED_BY_ACCESS
            if everything or asked[name] != getattr(nothing, name)
        ]
        try:
            for name in used:
                await anyio.to_thread.run_sync(reach.of, name)
        except BaseException:
            with anyio.CancelScope(shield=True):
                await reach.close()
            raise
        return reach, given

    def _bind(
        self, admitted: AdmittedPlugin, config: Mapping[str, Any]
    ) -> tuple[Secrets, Mapping[str, Any]]:
        manifest, granted = admitted.manifest, admitted.policy.secrets
        if self._observations is None:
            from ..capabilities.secrets.binding import bind

            return bind(manifest, granted, config)
        from ..capabilities.secrets.stand_ins import bind_observed

        return bind_observed(self._observations, manifest, granted, config)

    def _of_plugin(
        self,
        name: str,
        plugin: str,
        asked: Any,
        granted: Any,
        digest: str | None,
        audit: PluginAudit,
        secrets: Secrets,
    ) -> OfPlugin:
        from ..capabilities.capability import PluginParts

        parts = PluginParts(plugin, asked, granted, digest, audit, secrets, self._observations)
        return self._of_host(name).of_plugin(parts)

    def _of_host(self, name: str) -> OfHost:
        from ..capabilities.capability import HostParts
        from ..capabilities.registry import capability

        with self._making:
            if name not in self._made:
                settings = self._settings
                self._made[name] = capability(name).of_host(
                    HostParts(
                        settings.data_directory,
                        settings.artifacts_directory,
                        settings.ca_file,
                        self._resolver,
                    )
                )
            return self._made[name]
