"""HTTP of plugins: every request is decided here, made by the host, and bounded."""

from __future__ import annotations

import time
from collections.abc import Awaitable
from typing import Final, TypeVar

from orchestrator_plugin_sdk.capabilities.http import HttpHead, HttpRequest
from orchestrator_plugin_sdk.errors import ErrorKind, PluginCallError, PluginError

from ...calls import Call
from .attempts import REDIRECTS, asked_target, attempt_of, head_bytes, redirected
from .budget import HttpBudget
from .exchanges import Exchanges
from .plugin import PluginHttp
from .responses import OpenResponse, told
from .rules import DeniedError

T = TypeVar("T")

_MAX_REDIRECTS: Final = 10


class OpenHttp:
    """The HTTP of one call: as `HttpTransport` of the SDK says."""

    __slots__ = ("_budget", "_call", "_closed", "_exchanges", "_open", "_plugin")

    def __init__(self, plugin: PluginHttp, call: Call) -> None:
        self._plugin = plugin
        self._call = call
        self._open: dict[int, OpenResponse] = {}
        self._closed = False
        self._budget = HttpBudget(call)
        self._exchanges = Exchanges(plugin, call, self._budget)

    @property
    def totals(self) -> dict[str, int]:
        """What the call has done, for the audit."""
        return self._budget.totals

    def announce(self, document_bytes: int) -> None:
        """To be called with the size of a request's document before any of it is read: counts the
        request, so that one that is no request is counted, too. The next `send` is of it.

        Raises `HttpLimitError` or `DocumentTooLargeError`.
        """
        self._budget.announce()
        self._call.check_document_out(document_bytes)

    async def send(self, request: HttpRequest) -> HttpHead:
        """As `HttpTransport` says. Besides what that raises: `HttpLimitError`."""
        return await self._done_for_plugin(self._send(request))

    async def _done_for_plugin(self, work: Awaitable[T]) -> T:
        """What the host does for the plugin: timed, and no error of it leads to a secret."""
        try:
            with self._call.hosting():
                return await work
        except PluginCallError as error:
            said = error
        # Outside, so that what is raised has no context that knows more.
        raise PluginCallError(
            said.kind,
            said.message,
            retryable=said.retryable,
            retry_after_ms=said.retry_after_ms,
        )

    async def _send(self, request: HttpRequest) -> HttpHead:
        self._check_open()
        self._budget.count_request()
        until = time.monotonic() + self._call.limits.http_ms / 1000
        self._budget.check_head(head_bytes(request, self._call.limits.http_head_bytes))
        target = asked_target(request)
        self._exchanges.check(request.method, target)
        attempt = attempt_of(request, target)
        for hop in range(_MAX_REDIRECTS + 1):
            if hop:
                self._budget.count_request()
            with self._budget.under_way(len(self._open)):
                response = await self._exchanges.response(attempt, until)
            if self._closed:  # nobody would close it
                await response.close("the call has ended")
                self._check_open()
            head = response.head
            location = head.value(b"location")
            if not (request.follow_redirects and head.status in REDIRECTS and location):
                number = next(self._plugin.numbers)
                self._open[number] = response
                return told(number, head, str(attempt.target), response.scrubber)
            await response.close()
            try:
                attempt = redirected(
                    attempt, head.status, location, self._plugin.secrets, response.scrubber
                )
            except DeniedError as denied:
                failure = self._exchanges.denied(attempt.method, attempt.target, denied)
                raise failure from None
        raise PluginCallError(
            ErrorKind.UNAVAILABLE, f"{attempt.target.origin} redirects too often", retryable=False
        )

    def _check_open(self) -> None:
        if self._closed:  # a native plugin may have left a task behind
            raise PluginCallError(
                ErrorKind.PERMISSION_DENIED, "the call that this HTTP was for has ended"
            )

    async def read(self, response: int, most: int) -> bytes | None:
        """As `HttpTransport` says. Besides what that raises: `HttpLimitError`."""
        return await self._done_for_plugin(self._read(response, most))

    async def _read(self, response: int, most: int) -> bytes | None:
        opened = self._open.get(response)
        if opened is None:
            return None
        piece = await opened.read(most)
        if piece is None:
            await self.close(response)
        return piece

    async def close(self, response: int) -> None:
        """As `HttpTransport` says."""
        opened = self._open.pop(response, None)
        if opened is not None:
            await opened.close()

    def end_at_once(self, *, failed: bool) -> bool:
        """As `OfCall` says: if no response is open."""
        self._closed = True
        return not self._open

    async def end(self, *, failed: bool) -> None:
        """As `OfCall` says: closes every response. There are no more from now on."""
        self._closed = True
        failure: PluginError | None = None
        while self._open:
            try:
                await self.close(next(iter(self._open)))
            except PluginError as error:  # the audit's: the others are closed all the same
                failure = error
        if failure is not None:
            raise failure
