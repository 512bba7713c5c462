"""What one loaded plugin may reach, put together from its manifest and the operator's policy."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:  # who loads no plugin that reaches anything does without all of it
    from orchestrator_plugin_sdk.payload import PayloadEncoding

    from ..admission import AdmittedPlugin
    from ..audit import PluginAudit
    from ..calls import Call
    from .files import AwaitedFiles, OpenFiles, PluginFiles
    from .http import OpenHttp
    from .http_plugin import PluginHttp
    from .secrets import Secrets

_NOTHING_USED: Final[Mapping[str, int]] = {
    "requests": 0, "up_bytes": 0, "down_bytes": 0, "read_bytes": 0, "written_bytes": 0,
}  # fmt: skip


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
    """As `reach.CallReach` says. What a call does not use is not made for it."""

    __slots__ = (
        "_awaited", "_call", "_files", "_http", "_plugin", "payload_encodings", "secrets",
    )  # fmt: skip

    def __init__(self, plugin: PluginReach, call: Call) -> None:
        self._plugin = plugin
        self._call = call
        self._http: OpenHttp | None = None
        self._files: OpenFiles | None = None
        self._awaited: AwaitedFiles | None = None
        self.payload_encodings: Collection[PayloadEncoding] = plugin.payload_encodings
        self.secrets: Mapping[str, str] = plugin.secrets.references

    @property
    def http(self) -> OpenHttp:
        """As `reach.CallReach` says."""
        if self._http is None:
            from .http import OpenHttp

            self._http = OpenHttp(self._plugin.http, self._call)
        return self._http

    @property
    def files(self) -> AwaitedFiles:
        """As `reach.CallReach` says."""
        if self._awaited is None:
            from .files import AwaitedFiles

            plugin = self._plugin
            self._files = plugin.files.open(partial(plugin.audit.files, self._call))
            self._awaited = AwaitedFiles(self._files)
        return self._awaited

    def scrub(self, document: Any) -> Any:
        """As `reach.CallReach` says."""
        return self._plugin.secrets.scrub(document)

    def beginning(self, text: str, length: int) -> str:
        """As `reach.CallReach` says."""
        return self._plugin.secrets.scrubber.beginning(text, length)

    def close_at_once(self, error: BaseException | None) -> bool:
        """As `reach.CallReach` says."""
        if self._http is not None:
            return False
        self._end(error)
        return True

    async def close(self, error: BaseException | None) -> None:
        """As `reach.CallReach` says. Waits for no server and for no disk."""
        try:
            if self._http is not None:
                await self._http.close_all()
        finally:
            self._end(error)

    def _end(self, error: BaseException | None) -> None:
        if self._files is not None:
            # What a call that failed has left, nobody knows of.
            self._files.close(keep=error is None)
        if self._plugin.audit.enabled:
            self._tell(error)

    def _tell(self, error: BaseException | None) -> None:
        times = self._call.times()
        self._plugin.audit.call(
            self._call,
            {
                "outcome": "ok" if error is None else type(error).__name__,
                **_NOTHING_USED,
                **({} if self._http is None else self._http.totals),
                **({} if self._files is None else self._files.totals),
                "queue_ms": times.queue_ms,
                "plugin_ms": times.plugin_ms,
                "host_ms": times.host_ms,
            },
        )
