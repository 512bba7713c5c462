"""HTTP of plugins."""

from __future__ import annotations

from orchestrator_plugin_sdk import ErrorKind, PluginCallError
from orchestrator_plugin_sdk.http import HttpHead, HttpRequest

from ..calls import Call


class PluginHttp:
    """The HTTP of one loaded plugin."""

    def open(self, call: Call) -> OpenHttp:
        """The HTTP of one call."""
        return OpenHttp()

    async def close(self) -> None:
        """Closes the connections."""


class OpenHttp:
    """The HTTP of one call: as `HttpTransport` of the SDK says."""

    async def send(self, request: HttpRequest) -> HttpHead:
        """As `HttpTransport` says."""
        raise PluginCallError(ErrorKind.PERMISSION_DENIED, "there is no HTTP yet")

    async def read(self, response: int, most: int) -> bytes | None:
        """As `HttpTransport` says."""
        return None

    async def close(self, response: int) -> None:
        """As `HttpTransport` says."""

    async def close_all(self) -> None:
        """Closes every response."""
