"""A body that comes in pieces, as lines and as server-sent events.

The decoders know no transport: bytes go in as they come, and what is whole comes out. However the
bytes are cut, the same comes out.
"""

from __future__ import annotations

import codecs
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from ...errors import ErrorKind, PluginCallError

T = TypeVar("T")

MAX_LINE: Final = 4 * 1024 * 1024
"""Characters of a line, and of an event's data."""


@dataclass(frozen=True, slots=True)
class ServerSentEvent:
    """One event of a `text/event-stream`."""

    data: str
    event: str = "message"
    id: str | None = None


class LineDecoder:
    """Bytes in UTF-8 as lines, which end with CR, LF or both. `source` is named in errors."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._rest: list[str] = []
        self._length = 0
        self._skip_newline = False

    def feed(self, piece: bytes) -> Iterator[str]:
        """The lines that this piece ends. Raises `PluginCallError` for one that is too long."""
        text = self._decoder.decode(piece)
        if not text:
            return
        if self._skip_newline:  # the second half of a \r\n
            text = text.removeprefix("\n")
        self._skip_newline = text.endswith("\r")
        first, *others = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
        self._add(first)
        for line in others:
            # Joined once: a long line in many small pieces costs no more than its length.
            yield self._take()
            self._add(line)

    def end(self) -> Iterator[str]:
        """What came after the last line's end, if anything did."""
        self._add(self._decoder.decode(b"", final=True))
        if self._length:
            yield self._take()

    def _add(self, text: str) -> None:
        self._length += len(text)
        if self._length > MAX_LINE:
            raise PluginCallError(ErrorKind.UNAVAILABLE, f"{self._source} sent a line without end")
        if text:
            self._rest.append(text)

    def _take(self) -> str:
        line = "".join(self._rest)
        self._rest, self._length = [], 0
        return line


class EventDecoder:
    """Bytes as server-sent events. An event that the end cuts off is none.

    Source: https://html.spec.whatwg.org/multipage/server-sent-events.html
    """

    def __init__(self, source: str) -> None:
        self._source = source
        self._lines = LineDecoder(source)
        self._first = True
        self._data: list[str] = []
        self._size = 0
        self._event = ""
        self._id: str | None = None

    def feed(self, piece: bytes) -> Iterator[ServerSentEvent]:
        """The events that this piece ends. Raises `PluginCallError` for one that is too long."""
        for line in self._lines.feed(piece):
            if self._first:
                line, self._first = line.removeprefix("\ufeff"), False
            if line:
                self._take(line)
                continue
            if self._data:
                yield ServerSentEvent("\n".join(self._data), self._event or "message", self._id)
            self._data, self._event, self._size = [], "", 0

    def end(self) -> Iterator[ServerSentEvent]:
        """Nothing: only an empty line ends an event."""
        return iter(())

    def _take(self, line: str) -> None:
        name, _, value = line.partition(":")  # a comment is a field without a name
        value = value.removeprefix(" ")
        if name == "data":
            self._data.append(value)
            self._size += len(value) + 1
            if self._size > MAX_LINE:
                raise PluginCallError(
                    ErrorKind.UNAVAILABLE, f"{self._source} sent an event without end"
                )
        elif name == "event":
            self._event = value
        elif name == "id" and "\0" not in value:
            self._id = value


class Flow(AsyncIterator[T], Generic[T]):
    """What a decoder makes of pieces, as they come.

    No generator: whoever has seen enough leaves it as it is, with nothing to be closed.
    """

    def __init__(
        self,
        read: Callable[[], Awaitable[bytes | None]],
        feed: Callable[[bytes], Iterator[T]],
        end: Callable[[], Iterator[T]] = lambda: iter(()),
    ) -> None:
        self._read, self._feed, self._end = read, feed, end
        self._ready: Iterator[T] = iter(())
        self._ended = False

    async def __anext__(self) -> T:
        while True:
            for item in self._ready:
                return item
            if self._ended:
                raise StopAsyncIteration
            piece = await self._read()
            self._ended = piece is None
            self._ready = self._end() if piece is None else self._feed(piece)
