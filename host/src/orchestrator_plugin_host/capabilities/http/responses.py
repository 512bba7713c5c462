"""A response whose body is on its way: received, decompressed, counted, and without secrets, a
bounded piece at a time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from orchestrator_plugin_sdk.capabilities.http import HttpHead
from orchestrator_plugin_sdk.errors import ErrorKind, PluginCallError

from ..pace import Pace
from ..secrets.frames import forget_frames
from ..secrets.scrubbing import ScrubbedStream, Scrubber
from .budget import HttpBudget
from .connections import Connections
from .decoding import Decoder, DecodingError
from .messages import WireError, WireHead

if TYPE_CHECKING:
    from .wire import Wire

MAX_READ: Final = 65_536
"""Bytes that one read returns at most."""
_NOT_TOLD: Final = frozenset({b"content-encoding", b"transfer-encoding", b"connection"})


@dataclass(slots=True)
class OpenResponse:
    """A response. `scrubber` takes out the secrets that may be in it; `until` is the
    `time.monotonic()` when its time is up; `facts` are what `audit` is told when it has ended."""

    head: WireHead
    wire: Wire
    connections: Connections
    decoder: Decoder
    scrubber: Scrubber
    budget: HttpBudget
    pace: Pace
    until: float
    facts: dict[str, Any]
    audit: Callable[[dict[str, Any]], None]
    _scrubbed: ScrubbedStream = field(init=False)
    _failure: str | None = None
    _decoded: Iterator[bytes] | None = None
    _ready: bytearray = field(default_factory=bytearray)
    _over: bool = False
    _closed: bool = False
    _received: int = 0
    _pieces: int = 0
    _down: int = 0

    def __post_init__(self) -> None:
        self._scrubbed = self.scrubber.stream()

    async def read(self, most: int) -> bytes | None:
        """The next piece of the body, of at most `most` bytes, as soon as there is any; None at its
        end. Raises `PluginCallError` or `HttpLimitError`."""
        if not self._ready and not self._over:
            try:
                await self._fill()
            except BaseException as error:
                forget_frames(error)  # which have what came, as it came
                raise
        if self._ready:
            piece = bytes(self._ready[: max(1, min(most, MAX_READ))])
            del self._ready[: len(piece)]
            return piece
        if self._failure is not None:
            raise self._error(f"the response broke off before ({self._failure})")
        return None

    async def _fill(self) -> None:
        self.pace.resume()
        try:
            async with self.budget.within(self.until):
                while self._wants_more():
                    await self._more()
            return
        except (DecodingError, WireError) as error:
            failure = str(error)
        except BaseException as error:
            # Whoever asks again must not take what has come for the whole.
            self._over, self._failure = True, type(error).__name__
            raise
        finally:
            self.pace.pause()
        self._over, self._failure = True, failure
        await self.close()
        if not self._ready:
            raise self._error(failure)

    def _wants_more(self) -> bool:
        """Whether to go on before anything is returned. What has come is decompressed meanwhile."""
        if self._over:
            return False
        return not self._ready or (self._decoded is not None and len(self._ready) < MAX_READ)

    async def _more(self) -> None:
        """Takes one step: some bytes that have come, or some of what they decompress to."""
        piece = None if self._decoded is None else next(self._decoded, None)
        if piece is not None:
            self._down += len(piece)
            self.budget.count_down(len(piece))
            self.budget.count_received(0, pieces=1)
            self._ready += self._scrubbed.feed(piece)
            await self.pace.step()
            return
        self._decoded = None
        if self._ready:
            return
        received = await self.wire.piece(self.pace)
        self.budget.count_received(
            self.wire.received - self._received, self.wire.pieces - self._pieces
        )
        self._received, self._pieces = self.wire.received, self.wire.pieces
        if received is not None:
            self._decoded = self.decoder.feed(received)
            return
        self._over = True
        self.decoder.check_end()
        self._ready += self._scrubbed.end()

    def _error(self, what: str) -> PluginCallError:
        return PluginCallError(ErrorKind.UNAVAILABLE, f"{self.facts['origin']}: {what}")

    async def close(self, failure: str | None = None) -> None:
        """Gives its connection back, and tells the audit; does nothing the second time. `failure`
        is why it was closed, if nothing has failed before. Raises `AuditError`."""
        if self._closed:
            return
        self._closed = self._over = True
        self._decoded = None
        self._failure = self._failure or failure
        self.facts["ms"] = round((time.monotonic() - self.facts.pop("started")) * 1000)
        self.facts["down_bytes"] = self._down
        if self._failure is not None:
            self.facts["failed"] = self._failure
        try:
            self.audit(self.facts)
        finally:
            await self.connections.back(self.wire)


def told(number: int, head: WireHead, url: str, scrubber: Scrubber) -> HttpHead:
    """A head as a plugin is told of it, without secrets."""
    headers = tuple(
        (scrubber.data(name).decode("latin-1").lower(), scrubber.data(value).decode("latin-1"))
        for name, value in head.headers
        if name.lower() not in _NOT_TOLD
    )
    return HttpHead(number, head.status, headers, scrubber.text(url))
