"""The host's end of the channel to a worker, on an event loop: nothing here blocks.

What a worker sends is bounded before it is read, and never keeps the event loop from others, even
if there is always more of it.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Sequence
from typing import Any, Final

import anyio

from ...timing import give_way
from .channel import ChannelClosedError, packed_in_parts, unpacked

_PIECE: Final = 1 << 18
_LARGE: Final = 1 << 20
_HEADER: Final = 4
_TURN_SECONDS: Final = 0.001


class Conversation:
    """Messages to a worker, and from it, one exchange at a time."""

    def __init__(self, end: socket.socket) -> None:
        """The socket stays its owner's to close, and must not block."""
        self._socket = end
        self._unsent: list[memoryview] = []
        self._received = bytearray()
        self._waited_at = time.monotonic()

    def send(self, message: Sequence[Any], data: bytes | bytearray = b"") -> None:
        """Sends a message, and bytes as they are behind it, or begins to, after what is unsent
        still: `receive` sends the rest.

        Raises `UnsendableError`, of which the worker has not heard, or `ChannelClosedError`.
        """
        parts = packed_in_parts(message)
        parts[0] = sum(map(len, parts)).to_bytes(_HEADER, "little") + parts[0]
        views = [memoryview(part) for part in (*parts, data) if part]
        del parts
        self._unsent[:0] = reversed(views)
        self._send_some()

    def _send_some(self) -> None:
        """Sends what the socket takes in one turn, from the last of what is unsent."""
        unsent = self._unsent
        until = time.monotonic() + _TURN_SECONDS
        try:
            while unsent and time.monotonic() < until:
                unsent[-1] = unsent[-1][self._socket.send(unsent[-1][:_PIECE]) :]
                if not unsent[-1]:
                    unsent.pop()
        except BlockingIOError:
            return
        except OSError:
            raise ChannelClosedError("the other side has gone") from None

    def close(self) -> None:
        """Wakes whoever waits in `receive`, who is told that the channel is closed. Before the
        socket is closed: nobody would be woken afterwards."""
        anyio.notify_closing(self._socket)

    async def receive(self, most: int) -> Any:
        """The next message, of at most `most` bytes. Raises `ChannelClosedError`."""
        try:
            return await self._next(most)
        except anyio.ClosedResourceError:
            raise ChannelClosedError("the channel has been closed") from None

    async def _next(self, most: int) -> Any:
        await self._give_way()  # there may always be a message that has come already
        while self._unsent:
            await anyio.wait_writable(self._socket)
            self._send_some()
        await self._receive(_HEADER)
        size = int.from_bytes(self._received[:_HEADER], "little")
        if size > most:
            raise ChannelClosedError(f"a message of {size:,} bytes, at most {most:,} may be")
        await self._receive(_HEADER + size)
        if size > _LARGE:
            await give_way()
        with memoryview(self._received) as received:
            message = unpacked(received[_HEADER : _HEADER + size])
        if size > _LARGE:
            await give_way()  # to give so much memory back takes its time, too
        del self._received[: _HEADER + size]
        return message

    async def _give_way(self) -> None:
        """Lets others have the event loop, if nothing was waited for in a while."""
        if time.monotonic() > self._waited_at + _TURN_SECONDS:
            await give_way()
            self._waited_at = time.monotonic()

    async def _receive(self, size: int) -> None:
        """Returns when so many bytes are there."""
        while len(self._received) < size:
            await self._give_way()
            try:
                piece = self._socket.recv(_PIECE)
            except BlockingIOError:
                await anyio.wait_readable(self._socket)
                self._waited_at = time.monotonic()
                continue
            except OSError:
                piece = b""
            if not piece:
                raise ChannelClosedError("the other side has gone")
            self._received += piece
