"""HTTP for plugins: `ctx.http`. The host makes the requests, and decides which it makes.

::

    async with ctx.http.stream("POST", url, headers=…, json=…) as response:
        async for event in response.server_sent_events():
            …

    response = await ctx.http.request("GET", url)
    response.raise_for_status()
    document = response.json()
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final, Protocol, Union

from ...errors import ErrorKind, PluginCallError
from ...json_text import read_json
from .event_stream import EventDecoder, Flow, LineDecoder, ServerSentEvent
from .retrying import retry_after_ms

_PIECE: Final = 65_536

Pairs = Union[Mapping[str, str], Iterable[tuple[str, str]]]
"""Headers, or the parameters of a query: a name may be there several times."""


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A request, as it crosses the boundary.

    `json` is a body, too, and sets the content type; `body` goes as it is. A reference to a secret
    (`ctx.secret`) may stand in the value of a header or of a `query` parameter, or be the whole of
    a text in `json`.
    """

    method: str
    url: str
    headers: tuple[tuple[str, ...], ...] = ()
    query: tuple[tuple[str, ...], ...] = ()
    body: bytes | None = None
    json: Any = None
    follow_redirects: bool = False


@dataclass(frozen=True, slots=True)
class HttpHead:
    """The head of a response. `response` is its number, `url` where it came from in the end."""

    response: int
    status: int
    headers: tuple[tuple[str, ...], ...] = ()
    url: str = ""


class HttpTransport(Protocol):
    """Makes requests, on the side of the boundary that the plugin runs on."""

    async def send(self, request: HttpRequest) -> HttpHead:
        """Sends a request, and gives the head of its response."""

    async def read(self, response: int, most: int) -> bytes | None:
        """The next piece of a body, as soon as there is any; none at its end."""

    async def close(self, response: int) -> None:
        """Closes a response, if it is open."""


class NoHttp:
    """`HttpTransport` of a plugin that no host has loaded: it makes none."""

    async def send(self, request: HttpRequest) -> HttpHead:
        """Raises `PluginCallError`."""
        raise PluginCallError(
            ErrorKind.PERMISSION_DENIED,
            "there is no HTTP without a host: load the plugin with a PluginHost",
        )

    async def read(self, response: int, most: int) -> bytes | None:
        """Gives none: there are no responses."""
        return None

    async def close(self, response: int) -> None:
        """Does nothing."""


class HttpResponse:
    """A response whose body is still on its way. Header names are in lower case."""

    def __init__(self, head: HttpHead, transport: HttpTransport) -> None:
        self.status = head.status
        self.url = head.url
        self.headers: dict[str, str] = {}
        for name, value in head.headers:
            before = self.headers.get(name.lower())
            self.headers[name.lower()] = value if before is None else f"{before}, {value}"
        self._number = head.response
        self._transport = transport
        self.content = b""

    @property
    def ok(self) -> bool:
        """Whether the status says that all is well: 200 to 299."""
        return 200 <= self.status < 300

    @property
    def text(self) -> str:
        """The body that was read, as UTF-8."""
        return self.content.decode("utf-8", "replace")

    def json(self) -> Any:
        """The body that was read, as JSON. Raises `ValueError`, also for what nests too deep or is
        too much for a document (`read_json`)."""
        return read_json(self.content)

    def raise_for_status(self) -> None:
        """Raises `PluginCallError` for a status of 400 or more, of the kind that it suggests."""
        if self.status >= 400:
            raise PluginCallError(
                kind_of_status(self.status),
                f"{self.url} answered {self.status}",
                retryable=self.status in _RETRYABLE,
                retry_after_ms=self.retry_after_ms,
            )

    @property
    def retry_after_ms(self) -> int | None:
        """What `Retry-After` says, in seconds or as a date, or `Retry-After-Ms`: milliseconds."""
        return retry_after_ms(self.headers)

    async def read(self, most: int | None = None) -> bytes:
        """The body, which is kept as `content`: the whole of it, or what comes until there are
        `most` bytes."""
        pieces, left = [self.content], most
        while left is None or left > 0:
            piece = await self._read(_PIECE if left is None else min(left, _PIECE))
            if piece is None:
                break
            pieces.append(piece)
            left = None if left is None else left - len(piece)
        self.content = b"".join(pieces)
        return self.content

    def pieces(self, most: int = _PIECE) -> AsyncIterator[bytes]:
        """The body as it comes, at most `most` bytes at a time."""
        return Flow(lambda: self._read(most), lambda piece: iter((piece,)))

    def lines(self) -> AsyncIterator[str]:
        """The body's lines as they come, without their ends. Raises `PluginCallError` for a line
        of more than 4 MiB."""
        decoder = LineDecoder(self.url)
        return Flow(lambda: self._read(_PIECE), decoder.feed, decoder.end)

    def server_sent_events(self) -> AsyncIterator[ServerSentEvent]:
        """The body's events as they come. An event that its end cuts off is not given. Raises
        `PluginCallError` for one of more than 4 MiB."""
        decoder = EventDecoder(self.url)
        return Flow(lambda: self._read(_PIECE), decoder.feed, decoder.end)

    async def _read(self, most: int) -> bytes | None:
        return await self._transport.read(self._number, most)

    async def close(self) -> None:
        """Closes the response: the rest of its body does not come."""
        await self._transport.close(self._number)


@dataclass(frozen=True, slots=True)
class Http:
    """Makes requests to where the manifest asks to go and the operator lets the plugin go.

    Raises `PluginCallError`: `permission-denied` for what is not granted, `unavailable` for what
    could not be reached, `timeout`, `invalid-request`.
    """

    transport: HttpTransport = NoHttp()  # noqa: RUF009  # it has no state

    @asynccontextmanager
    async def stream(
        self,
        method: str,
        url: str,
        *,
        headers: Pairs = (),
        query: Pairs = (),
        body: bytes | str | None = None,
        json: Any = None,
        follow_redirects: bool = False,
    ) -> AsyncIterator[HttpResponse]:
        """A response whose body comes piece by piece; closed when the context is left."""
        request = HttpRequest(
            method,
            url,
            _pairs(headers),
            _pairs(query),
            body.encode() if isinstance(body, str) else body,
            json,
            follow_redirects,
        )
        response = HttpResponse(await self.transport.send(request), self.transport)
        try:
            yield response
        finally:
            await response.close()

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Pairs = (),
        query: Pairs = (),
        body: bytes | str | None = None,
        json: Any = None,
        follow_redirects: bool = False,
    ) -> HttpResponse:
        """A response with its whole body read."""
        async with self.stream(
            method,
            url,
            headers=headers,
            query=query,
            body=body,
            json=json,
            follow_redirects=follow_redirects,
        ) as response:
            await response.read()
            return response


def _pairs(given: Pairs) -> tuple[tuple[str, str], ...]:
    items = given.items() if isinstance(given, Mapping) else given
    return tuple((name, value) for name, value in items)


_KINDS: Final = {
    401: ErrorKind.UNAUTHENTICATED,
    403: ErrorKind.PERMISSION_DENIED,
    404: ErrorKind.NOT_FOUND,
    408: ErrorKind.TIMEOUT,
    410: ErrorKind.NOT_FOUND,
    429: ErrorKind.RATE_LIMITED,
    504: ErrorKind.TIMEOUT,
}
_RETRYABLE: Final = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})


def kind_of_status(status: int) -> ErrorKind:
    """The kind of error that a status of 400 or more suggests."""
    return _KINDS.get(status, ErrorKind.INVALID_REQUEST if status < 500 else ErrorKind.UNAVAILABLE)
