"""What the plugins of one host share of HTTP: the certificates of servers, and turns."""

from __future__ import annotations

import ssl
from pathlib import Path

import anyio
import certifi

from ..capability import HostParts, PluginParts
from ..pace import Turns
from ..workers import Workers
from .messages import WireError
from .plugin import PluginHttp


class HttpOfHost:
    """As `OfHost` says."""

    def __init__(self, parts: HostParts) -> None:
        from . import call, wire  # noqa: F401  # now, so that no call waits for their import

        self._parts = parts
        self._turns = Turns()
        self._tls: ssl.SSLContext | None = None
        self._reading_tls = anyio.Lock()
        self._readers = Workers("orchestrator-plugin-certificates", 1)

    def of_plugin(self, parts: PluginParts) -> PluginHttp:
        """As `OfHost` says."""
        return PluginHttp(parts, self._parts.resolver, self._trusted, self._turns)

    def close(self) -> None:
        """As `OfHost` says."""
        self._readers.close()

    async def _trusted(self) -> ssl.SSLContext:
        """The certificates of servers that plugins may trust, read when the first is needed. Raises
        `WireError`."""
        async with self._reading_tls:
            if self._tls is None:
                self._tls = await self._readers.run(lambda go_on: _read_tls(self._parts.ca_file))
        return self._tls


def _read_tls(ca_file: Path | None) -> ssl.SSLContext:
    try:
        # Not `create_default_context`, which writes the keys of connections to the file that
        # SSLKEYLOGFILE names.
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        made.load_verify_locations(str(ca_file or certifi.where()))
    except (OSError, ssl.SSLError):
        raise WireError(
            "the host can't read the certificates that it is to trust (ca_file)",
            connecting=True,
            insecure=True,
        ) from None
    made.set_alpn_protocols(["http/1.1"])
    return made
