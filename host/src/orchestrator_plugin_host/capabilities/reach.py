"""What one loaded plugin may reach, put together from its manifest and the operator's policy."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AsyncExitStack
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Final

from .registry import answers_of

if TYPE_CHECKING:  # who loads no plugin that reaches anything does without all of it
    from orchestrator_plugin_sdk.payload import PayloadEncoding

    from ..admission import AdmittedPlugin
    from ..audit import PluginAudit
    from ..calls import Call
    from .files import AwaitedFiles, OpenFiles, PluginFiles
    from .http.call import OpenHttp
    from .http.plugin import PluginHttp
    from .secrets.bound import Secrets

_NOTHING_USED: Final[Mapping[str, int]] = {
    "requests": 0, "up_bytes": 0, "down_bytes": 0, "read_bytes": 0, "written_bytes": 0,
}  # fmt: skip


class PluginReach:
    """As `Reach` says, for as long as the plugin is loaded."""

    def __init__(
        self,
        admitted: AdmittedPlugin,
        http: Callable[[], PluginHttp],
        files: Callable[[], PluginFiles],
        secrets: Secrets,
        audit: PluginAudit,
    ) -> None:
        """`http` and `files` are made when they are first used: most plugins ask for neither."""
        self.payload_encodings = admitted.manifest.payload_encodings
        self.secrets = secrets
        self.audit = audit
        self._make_http = http
        self._make_files = files
        self._closing = AsyncExitStack()

    @cached_property
    def http(self) -> PluginHttp:
        """Its HTTP."""
        made = self._make_http()
        self._closing.push_async_callback(made.close)
        return made

    @cached_property
    def files(self) -> PluginFiles:
        """Its files. Raises `FilesError`, if it asks for any."""
        made = self._make_files()
        self._closing.callback(made.close)
        return made

    def open(self, call: Call) -> CallReach:
        """As `Reach` says."""
        return CallReach(self, call)

    async def close(self) -> None:
        """Gives up what the plugin held."""
        await self._closing.aclose()


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
            from .http.call import OpenHttp

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

    async def answer(self, interface: str, function: str, arguments: Sequence[Any]) -> Any:
        """As `reach.CallReach` says."""
        return await answers_of(interface)[function](self._call, *arguments)

    def scrub(self, document: Any) -> Any:
        """As `reach.CallReach` says."""
        return self._plugin.secrets.scrub(document)

    def close_at_once(self, error: BaseException | None) -> bool:
        """As `reach.CallReach` says."""
        if self._http is not None and not self._http.close_at_once():
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
