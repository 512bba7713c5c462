"""One connection to a server, and HTTP/1.1 on it by h11: whatever the server sends, bounded.

A head is found, measured and counted before h11 sees any of it. A body is passed to h11 a few
kilobytes at a time where it is in chunks, since each may have one byte, and what follows the last
may be lines without end.
"""

from __future__ import annotations

import re
import select
import ssl
from contextlib import suppress
from typing import Final

import anyio
import h11
from anyio.abc import ByteStream, SocketAttribute
from anyio.streams.tls import TLSStream
from orchestrator_plugin_sdk.origins import Origin

from ..pace import Pace
from .addresses import Address
from .messages import WireError, WireHead, WireRequest

MAX_HEAD_LINES: Final = 100
"""Lines of all heads of one response together."""
MAX_INTERIM: Final = 4
"""Responses before the response: `103 Early Hints` and the like."""
CONNECT_SECONDS: Final = 10.0
"""How long connecting to one address may take, TLS included."""
_READ: Final = 65_536
_SENT_AT_ONCE: Final = 65_536
_CHUNKED: Final = 4096
"""Bytes of a body in chunks that h11 gets at once, and the most that one of its lines may have."""
_EVENTS: Final = 32
"""Events of h11 between two looks at the clock."""
_HTTP: Final = b"HTTP/"
_END_OF_HEAD: Final = re.compile(rb"\n\r?\n")


class Wire:
    """A connection. One exchange at a time: `send`, `head`, `piece` until there is none."""

    def __init__(self, stream: ByteStream, origin: Origin, address: Address) -> None:
        self.origin = origin
        self.address = address
        self.used = False
        """Whether there was a whole exchange on it before."""
        self.received = 0
        """Bytes that have come for this response, of its head and framing too."""
        self.pieces = 0
        """Pieces that its body has come in."""
        self.idle_since = 0.0
        self._stream = stream
        self._h11 = h11.Connection(h11.CLIENT, max_incomplete_event_size=_CHUNKED)
        self._waiting = bytearray()
        self._at_once = _READ
        self._ended = False

    async def send(self, request: WireRequest) -> None:
        """Sends a request. Raises `WireError`."""
        content = memoryview(request.content)
        try:
            head = self._h11.send(
                h11.Request(method=request.method, target=request.target, headers=request.headers)
            )
            first = content[:_SENT_AT_ONCE]
            await self._send([head or b"", *self._data(first)])
            for start in range(len(first), len(content), _SENT_AT_ONCE):
                await self._send(self._data(content[start : start + _SENT_AT_ONCE]))
            self._h11.send(h11.EndOfMessage())
        except h11.LocalProtocolError:  # which may repeat what was to be sent
            failure = "the request is no HTTP"
        except (anyio.BrokenResourceError, anyio.ClosedResourceError, ssl.SSLError, OSError):
            return  # a server may answer before it has everything, and close: that comes first
        else:
            return
        raise WireError(failure)

    def _data(self, piece: memoryview) -> list[bytes]:
        if not piece:
            return []
        return list(self._h11.send_with_data_passthrough(h11.Data(data=piece)) or ())  # type: ignore[arg-type]

    async def _send(self, parts: list[bytes]) -> None:
        await self._stream.send(b"".join(parts))

    async def _receive(self, pace: Pace) -> bytes:
        """What has come; nothing at the end. Raises `WireError`."""
        pace.pause()
        try:
            data = await self._stream.receive(_READ)
        except anyio.EndOfStream:
            data = b""
        except (anyio.BrokenResourceError, anyio.ClosedResourceError, ssl.SSLError, OSError):
            raise WireError("the connection broke off", unanswered=not self.received) from None
        finally:
            pace.resume()
        self.received += len(data)
        return data

    async def head(self, pace: Pace, max_bytes: int) -> WireHead:
        """The head of the response, if it and those before it have at most `max_bytes`. Raises
        `WireError`."""
        self.received = self.pieces = 0
        size = lines = 0
        for _ in range(MAX_INTERIM + 1):
            head = await self._next_head(pace, max_bytes - size)
            size += len(head)
            lines += head.count(b"\n")
            if lines > MAX_HEAD_LINES:
                raise WireError(f"the head of its response has more than {MAX_HEAD_LINES} lines")
            try:
                self._h11.receive_data(head)
                event = self._h11.next_event()
            except h11.RemoteProtocolError:
                raise WireError("the head of its response is no HTTP") from None
            await pace.step()
            if isinstance(event, h11.Response):
                found = WireHead(event.status_code, event.headers.raw_items())
                if found.value(b"transfer-encoding") is not None:
                    self._at_once = _CHUNKED
                return found
            if not isinstance(event, h11.InformationalResponse):
                raise WireError("the head of its response is no HTTP")
        raise WireError(f"it sends more than {MAX_INTERIM} heads before that of its response")

    async def _next_head(self, pace: Pace, max_bytes: int) -> bytes:
        looked_at = 0
        while True:
            found = _END_OF_HEAD.search(self._waiting, max(looked_at - 2, 0))
            end = len(self._waiting) if found is None else found.end()
            if end > max_bytes:
                raise WireError(
                    f"the head of its response has more than the {max_bytes:,} bytes that "
                    "http_head_bytes leaves it"
                )
            if found is not None:
                head = bytes(self._waiting[:end])
                del self._waiting[:end]
                return head
            looked_at = len(self._waiting)
            data = await self._receive(pace)
            if not data:
                unanswered = not self.received
                how = "without a response" if unanswered else "within the head of its response"
                raise WireError(f"it closed the connection {how}", unanswered=unanswered)
            self._waiting += data
            if not self._waiting.startswith(_HTTP[: len(self._waiting)]):
                raise WireError("its response is no HTTP")

    async def piece(self, pace: Pace) -> bytes | None:
        """What has come of the body, without its framing; None at its end. Raises `WireError`.

        Cancelled, it has lost what had come.
        """
        made, events = bytearray(), 0
        try:
            while not self._ended:
                event = self._h11.next_event()
                if isinstance(event, h11.Data):
                    made += event.data
                    self.pieces += 1
                elif isinstance(event, h11.EndOfMessage):
                    self._ended = True
                elif event is not h11.NEED_DATA:
                    raise WireError("its response is no HTTP")
                elif self._waiting:
                    self._h11.receive_data(bytes(self._waiting[: self._at_once]))
                    del self._waiting[: self._at_once]
                elif made:
                    break
                else:
                    data = await self._receive(pace)
                    self._waiting += data
                    if not data:
                        self._h11.receive_data(b"")
                events += 1
                if events % _EVENTS == 0:
                    await pace.step()
        except h11.RemoteProtocolError:
            raise WireError("its response was cut off, or is no HTTP") from None
        return bytes(made) if made else None

    def ended(self) -> bool:
        """Whether the exchange has ended, and another may begin."""
        states = (self._h11.our_state, self._h11.their_state)
        if self._waiting or self._h11.trailing_data[0] or states != (h11.DONE, h11.DONE):
            return False
        self._h11.start_next_cycle()
        self.used = True
        self._at_once, self._ended = _READ, False
        return True

    def is_gone(self) -> bool:
        """Whether an idle connection has ended, or has something that nobody asked for."""
        poll = select.poll()
        try:
            poll.register(self._stream.extra(SocketAttribute.raw_socket), select.POLLIN)  # noqa: S610  # of anyio
            return bool(poll.poll(0))
        except (anyio.TypedAttributeLookupError, OSError, ValueError):  # it is closed on this side
            return True

    async def close(self) -> None:
        """Closes it at once, whatever is under way."""
        with anyio.CancelScope(shield=True), suppress(OSError):
            await self._stream.aclose()


async def connected(origin: Origin, address: Address, tls: ssl.SSLContext | None) -> Wire:
    """A connection to an address of an origin, with TLS if there is a context for it. Raises
    `WireError`."""
    stream: ByteStream | None = None
    wire: Wire | None = None
    insecure, failure = False, "no connection in time"
    try:
        with anyio.move_on_after(CONNECT_SECONDS):
            stream = await anyio.connect_tcp(address, origin.port)
            if tls is not None:
                # Without the handshake at the end, which a server may never answer.
                stream = await TLSStream.wrap(
                    stream, hostname=origin.host, ssl_context=tls, standard_compatible=False
                )
            wire = Wire(stream, origin, address)
            return wire
    except ssl.SSLCertVerificationError:
        insecure, failure = True, "its certificate is not valid"
    except ssl.SSLError:
        insecure, failure = True, "no TLS connection"
    except (OSError, anyio.EndOfStream, anyio.BrokenResourceError):
        failure = "no connection"
    finally:
        if wire is None and stream is not None:
            with anyio.CancelScope(shield=True), suppress(OSError):
                await stream.aclose()
    raise WireError(failure, connecting=True, insecure=insecure)
