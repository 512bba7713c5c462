"""What one loaded plugin may reach, put together from its manifest and the operator's policy."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import partial
from typing import Any

import anyio
from orchestrator_plugin_sdk import PayloadEncoding

from ..admission import AdmittedPlugin
from ..audit import PluginAudit
from ..calls import Call
from .files import OpenFiles, PluginFiles
from .http import OpenHttp, PluginHttp
from .secrets import Secrets


class PluginReach:
    """As `Reach` says, for as long as the plugin is loaded."""

    def __init__(
        self,
        admitted: AdmittedPlugin,
        http: PluginHttp,
        files: PluginFiles,
        secrets: Secrets,
        audit: PluginAudit,
    ) -> None:
        self.payload_encodings = admitted.manifest.payload_encodings
        self.http = http
        self.files = files
        self.secrets = secrets
        self.audit = audit

    def open(self, call: Call) -> CallReach:
        """As `Reach` says."""
        return CallReach(self, call)

    async def close(self) -> None:
        """Gives up what the plugin held."""
        try:
            await self.http.close()
        finally:
            self.files.close()


class CallReach:
    """As `reach.CallReach` says."""

    def __init__(self, plugin: PluginReach, call: Call) -> None:
        self._plugin = plugin
        self._call = call
        self.payload_encodings: Collection[PayloadEncoding] = plugin.payload_encodings
        self.secrets: Mapping[str, str] = plugin.secrets.references
        self.http: OpenHttp = plugin.http.open(call)
        self.files: OpenFiles = plugin.files.open(partial(plugin.audit.files, call))

    def scrub(self, document: Any) -> Any:
        """As `reach.CallReach` says."""
        return self._plugin.secrets.scrub(document)

    async def close(self, error: BaseException | None) -> None:
        """As `reach.CallReach` says."""
        try:
            await self.http.close_all()
        finally:
            # What a call that failed has left, nobody knows of.
            close = partial(self.files.close, keep=error is None)
            if self.files.has_artifacts:
                await anyio.to_thread.run_sync(close)
            else:
                close()
            times = self._call.times()
            self._plugin.audit.call(
                self._call,
                {
                    "outcome": "ok" if error is None else type(error).__name__,
                    **self.http.totals,
                    **self.files.totals,
                    "queue_ms": times.queue_ms,
                    "plugin_ms": times.plugin_ms,
                    "host_ms": times.host_ms,
                },
            )
