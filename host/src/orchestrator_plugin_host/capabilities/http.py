"""HTTP of plugins: every request is decided here, made by httpx, and bounded.

A request's name is resolved once, every address of it is checked, and the connection goes to a
checked one. No proxy, cookie, credential or setting of the environment has a part in it.
"""

from __future__ import annotations

import itertools
import ssl
import time
from collections.abc import AsyncIterator, Awaitable
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

import httpx
from orchestrator_plugin_sdk import ErrorKind, PluginCallError, PluginError, PluginManifest
from orchestrator_plugin_sdk.http import HttpHead, HttpRequest

from ..audit import PluginAudit
from ..calls import Call
from ..policy import Policy
from .addresses import Address, is_loopback
from .attempts import REDIRECTS, Attempt, attempt_of, built, redirected
from .connections import Connection, Connections, quietly
from .decoding import Decoder, DecodingError, decoder
from .http_budget import HttpBudget
from .http_rules import DeniedError, HttpRules
from .observing import Observations
from .resolving import Resolver, addresses_of
from .scrubbing import ScrubbedStream, Scrubber
from .secrets import Secrets
from .targets import Target

T = TypeVar("T")

_IDEMPOTENT: Final = frozenset({"GET", "HEAD", "PUT", "DELETE", "OPTIONS"})
_MAX_REDIRECTS: Final = 10
_MOST_READ: Final = 1024 * 1024


@dataclass(slots=True)
class _Open:
    """A response whose body is on its way."""

    response: httpx.Response
    connection: Connection
    pieces: AsyncIterator[bytes]
    decoder: Decoder
    scrubbed: ScrubbedStream
    until: float
    facts: dict[str, Any]
    decoded: Any = None
    ready: bytearray = field(default_factory=bytearray)
    ended: bool = False
    failure: str | None = None
    down: int = 0


class PluginHttp:
    """The HTTP of one loaded plugin."""

    def __init__(
        self,
        manifest: PluginManifest,
        policy: Policy,
        secrets: Secrets,
        audit: PluginAudit,
        resolver: Resolver,
        tls: ssl.SSLContext,
        observations: Observations | None = None,
    ) -> None:
        self.plugin = manifest.name
        self.rules = HttpRules(manifest, policy, observations)
        self.secrets = secrets
        self.audit = audit
        self.resolver = resolver
        self.connections = Connections(tls)
        # Of all its calls: a plugin that closes a response of an earlier one closes no other.
        self.numbers = itertools.count(1)

    def open(self, call: Call) -> OpenHttp:
        """The HTTP of one call."""
        return OpenHttp(self, call)

    async def close(self) -> None:
        """Closes the connections."""
        await self.connections.close()


class OpenHttp:
    """The HTTP of one call: as `HttpTransport` of the SDK says."""

    def __init__(self, plugin: PluginHttp, call: Call) -> None:
        self._plugin = plugin
        self._call = call
        self._open: dict[int, _Open] = {}
        self._closed = False
        self._budget = HttpBudget(call)

    @property
    def totals(self) -> dict[str, int]:
        """What the call has done, for the audit."""
        return self._budget.totals

    async def send(self, request: HttpRequest) -> HttpHead:
        """As `HttpTransport` says. Besides what that raises: `HttpLimitError`."""
        return await self._done_for_plugin(self._send(request))

    async def _done_for_plugin(self, work: Awaitable[T]) -> T:
        """What the host does for the plugin: timed, and no error of it has a secret."""
        try:
            with self._call.hosting():
                return await work
        except PluginCallError as error:
            said = error
        # Outside, so that what is raised has no context that knows more.
        raise PluginCallError(
            said.kind,
            self._plugin.secrets.scrub(said.message),
            retryable=said.retryable,
            retry_after_ms=said.retry_after_ms,
        )

    async def _send(self, request: HttpRequest) -> HttpHead:
        self._check_open()
        until = time.monotonic() + self._call.limits.http_ms / 1000
        attempt = attempt_of(request)
        for _ in range(_MAX_REDIRECTS + 1):
            with self._budget.request(len(self._open)):
                opened = await self._attempt(attempt, until)
            if self._closed:  # nobody would close it
                opened.failure = "the call has ended"
                await self._end(opened)
                self._check_open()
            response = opened.response
            location = response.headers.get("location")
            if not (request.follow_redirects and response.status_code in REDIRECTS and location):
                number = next(self._plugin.numbers)
                self._open[number] = opened
                return self._head(number, response, attempt)
            await self._end(opened)
            try:
                attempt = redirected(attempt, response.status_code, location, self._plugin.secrets)
            except DeniedError as denied:
                facts = {"method": attempt.method, "origin": str(attempt.target.origin)}
                self._plugin.audit.http(self._call, facts, denied=denied.reason)
                raise PluginCallError(ErrorKind.PERMISSION_DENIED, str(denied)) from None
        raise PluginCallError(
            ErrorKind.UNAVAILABLE, f"{attempt.target.origin} redirects too often", retryable=False
        )

    def _check_open(self) -> None:
        if self._closed:  # a native plugin may have left a task behind
            raise PluginCallError(
                ErrorKind.PERMISSION_DENIED, "the call that this HTTP was for has ended"
            )

    # One attempt.

    async def _attempt(self, attempt: Attempt, until: float) -> _Open:
        facts: dict[str, Any] = {"method": attempt.method, "origin": str(attempt.target.origin)}
        self._plugin.audit.check()
        try:
            networks = self._plugin.rules.check(attempt.method, attempt.target.origin)
            attempt.secrets = tuple(self._check_secrets(attempt))
            async with self._budget.within(until):
                addresses = await self._addresses(attempt.target)
            self._plugin.rules.check_addresses(attempt.target.origin, addresses, networks)
            self._check_secret_is_safe(attempt, addresses)
        except DeniedError as denied:
            self._plugin.audit.http(self._call, facts, denied=denied.reason)
            raise PluginCallError(ErrorKind.PERMISSION_DENIED, str(denied)) from None
        request = built(attempt, self._plugin.secrets)
        facts["secrets"] = list(attempt.secrets)
        facts["up_bytes"] = self._budget.count_up(request)
        facts["started"] = time.monotonic()
        try:
            async with self._budget.within(until):
                connection, response = await self._connected(attempt, request, addresses)
        except BaseException as error:
            # It may have gone out, secrets and all, before it failed or was given up.
            self._failed(facts, error)
            raise
        facts["status"] = response.status_code
        try:
            has_body = attempt.method != "HEAD" and response.status_code not in (204, 304)
            made = decoder(response.headers.get("content-encoding", "") if has_body else "")
        except DecodingError as error:
            await connection.finished(response, response.aiter_raw())
            self._failed(facts, error)
            raise PluginCallError(
                ErrorKind.UNAVAILABLE, f"{attempt.target.origin}: {error}", retryable=False
            ) from None
        return _Open(
            response,
            connection,
            response.aiter_raw(),
            made,
            self._plugin.secrets.scrubber.stream(),
            until,
            facts,
        )

    def _failed(self, facts: dict[str, Any], error: BaseException) -> None:
        facts["ms"] = round((time.monotonic() - facts["started"]) * 1000)
        facts["failed"] = (
            error.message if isinstance(error, PluginCallError) else type(error).__name__
        )
        self._plugin.audit.http(self._call, facts)

    def _check_secrets(self, attempt: Attempt) -> set[str]:
        secrets = self._plugin.secrets
        names = {name for _, value in attempt.headers for name in secrets.in_text(value)}
        names |= {name for _, value in attempt.query for name in secrets.in_text(value)}
        names |= set(secrets.in_json(attempt.json))
        for name in sorted(names):
            lacking = secrets.is_for(name, attempt.target.origin)
            if lacking is not None:
                raise DeniedError(
                    f"secret {name} is not for this origin by the {lacking}",
                    f"plugin {self._plugin.plugin!r} may not send the secret {name!r} to "
                    f"{attempt.target.origin}: the {lacking} does not say that it is for there: "
                    f"add the origin to urls of [secrets.{name}]"
                    + (f" of [plugins.{self._plugin.plugin}]" if lacking == "policy" else ""),
                )
        return names

    def _check_secret_is_safe(self, attempt: Attempt, addresses: list[Address]) -> None:
        if (
            attempt.secrets
            and attempt.target.origin.scheme != "https"
            and not all(map(is_loopback, addresses))
        ):
            raise DeniedError(
                "secret without TLS",
                f"plugin {self._plugin.plugin!r} may not send the secret {attempt.secrets[0]!r} to "
                f"{attempt.target.origin} without TLS: use https",
            )

    async def _addresses(self, target: Target) -> list[Address]:
        origin = target.origin
        try:
            return await addresses_of(origin.host, origin.port, self._plugin.resolver)
        except (OSError, ValueError, UnicodeError):
            pass
        raise PluginCallError(ErrorKind.UNAVAILABLE, f"{origin.host} is not known")

    async def _connected(
        self, attempt: Attempt, request: httpx.Request, addresses: list[Address]
    ) -> tuple[Connection, httpx.Response]:
        failure = ""
        for address in addresses:
            self._plugin.rules.made(attempt.method, attempt.target.origin, address, attempt.secrets)
            connection = await self._plugin.connections.to(attempt.target.origin, address)
            response = None
            try:
                response = await self._sent(attempt, request, connection)
                return connection, response
            except httpx.ConnectError as error:
                failure = "its certificate is not valid" if _is_tls(error) else "no connection"
            except httpx.ConnectTimeout:
                failure = "no connection in time"
            except (httpx.HTTPError, httpx.StreamError, ValueError) as error:
                # The error itself may repeat what was sent, or what came back.
                failure = f"the exchange failed ({type(error).__name__})"
                break
            finally:
                if response is None:
                    connection.unused()
        raise PluginCallError(
            ErrorKind.UNAVAILABLE,
            f"{attempt.target.origin}: {failure}",
            retryable="certificate" not in failure,
        )

    async def _sent(
        self, attempt: Attempt, request: httpx.Request, connection: Connection
    ) -> httpx.Response:
        """Sends it; once more if a connection that was kept turns out to be closed, and sending
        twice does no more than once would (RFC 9110, section 9.2.2)."""
        kept = connection.used
        try:
            return await connection.send(request)
        except (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError):
            if not kept or attempt.method not in _IDEMPOTENT:
                raise
        return await connection.send(request)

    # The body.

    async def read(self, response: int, most: int) -> bytes | None:
        """As `HttpTransport` says. Besides what that raises: `HttpLimitError`."""
        return await self._done_for_plugin(self._read(response, most))

    async def _read(self, response: int, most: int) -> bytes | None:
        opened = self._open.get(response)
        if opened is None:
            return None
        most = max(1, min(most, _MOST_READ))
        while not opened.ready and not opened.ended:
            try:
                async with self._budget.within(opened.until):
                    await self._more(opened)
            except BaseException as error:
                # Whoever asks again must not take what has come for the whole.
                opened.ended = True
                opened.failure = opened.failure or type(error).__name__
                raise
        if opened.failure is not None and not opened.ready:
            raise PluginCallError(
                ErrorKind.UNAVAILABLE,
                f"{opened.facts['origin']}: the response broke off before ({opened.failure})",
            )
        if not opened.ready:
            await self.close(response)
            return None
        piece = bytes(opened.ready[:most])
        del opened.ready[:most]
        return piece

    async def _more(self, opened: _Open) -> None:
        failure = ""
        try:
            if opened.decoded is not None:
                for piece in opened.decoded:
                    opened.ready += opened.scrubbed.feed(self._counted_down(opened, piece))
                    return
                opened.decoded = None
            with quietly():
                piece = await anext(opened.pieces)
            opened.decoded = opened.decoder.feed(piece)
            return
        except StopAsyncIteration:
            opened.ended = True
            try:
                opened.decoder.check_end()
                opened.ready += opened.scrubbed.end()
                return
            except DecodingError as error:
                failure = str(error)
        except DecodingError as error:
            failure = str(error)
        except (httpx.HTTPError, httpx.StreamError) as error:
            failure = f"the response was cut off ({type(error).__name__})"
        opened.ended, opened.failure = True, failure
        await self._end(opened)
        raise PluginCallError(ErrorKind.UNAVAILABLE, f"{opened.facts['origin']}: {failure}")

    def _counted_down(self, opened: _Open, piece: bytes) -> bytes:
        opened.down += len(piece)
        self._budget.count_down(len(piece))
        return piece

    async def close(self, response: int) -> None:
        """As `HttpTransport` says."""
        opened = self._open.pop(response, None)
        if opened is not None:
            await self._end(opened)

    async def _end(self, opened: _Open) -> None:
        started = opened.facts.pop("started", None)
        if started is None:
            return
        opened.facts["ms"] = round((time.monotonic() - started) * 1000)
        opened.facts["down_bytes"] = opened.down
        if opened.failure is not None:
            opened.facts["failed"] = opened.failure
        try:
            self._plugin.audit.http(self._call, opened.facts)
        finally:
            await opened.connection.finished(opened.response, opened.pieces)

    async def close_all(self) -> None:
        """Closes every response. There are no more from now on."""
        self._closed = True
        failure: PluginError | None = None
        while self._open:
            try:
                await self.close(next(iter(self._open)))
            except PluginError as error:  # the audit's: the others are closed all the same
                failure = error
        if failure is not None:
            raise failure

    def _head(self, number: int, response: httpx.Response, attempt: Attempt) -> HttpHead:
        scrub: Scrubber = self._plugin.secrets.scrubber
        headers = tuple(
            (
                scrub.data(name).decode("latin-1").lower(),
                scrub.data(value).decode("latin-1"),
            )
            for name, value in response.headers.raw
            if name.lower() not in (b"content-encoding", b"transfer-encoding", b"connection")
        )
        return HttpHead(number, response.status_code, headers, scrub.text(str(attempt.target)))


def _is_tls(error: Exception) -> bool:
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, ssl.SSLError):
            return True
        seen = seen.__cause__ or seen.__context__
    return False
