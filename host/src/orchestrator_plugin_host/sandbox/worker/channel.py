"""Messages between a host and a worker: MessagePack documents over a pair of sockets.

Each message is its length in 4 bytes, little-endian, and the document. The host trusts nothing
that a worker sends: sizes are bounded, and whoever reads a value checks it.
"""

from __future__ import annotations

import select
import socket
from collections.abc import Callable
from struct import Struct
from struct import error as struct_error
from typing import Any, Final, cast

import msgpack
from orchestrator_plugin_sdk.errors import DocumentError

from ...document_scan import scan

_PIECE: Final = 1 << 20
_LARGE: Final = 1 << 18
_BINARY: Final = Struct(">BI")
"""How binary of any size begins in MessagePack."""
_MAX_VALUES: Final = 5_000
"""Values of a message: none that is meant has so many. They are counted before any is built, since
msgpack makes a list as long as its header says before it has read an item, and since a few bytes
can cost a hundred times as many in Python."""


class ChannelClosedError(Exception):
    """The other side has gone, or sends what is no message."""


class UnsendableError(ValueError):
    """What is to be sent is no message. Nothing of it was sent."""


def _nothing() -> None:
    return


def packed(message: Any) -> bytes:
    """A message as it is sent. Raises `UnsendableError`."""
    try:
        return cast("bytes", msgpack.packb(message, use_bin_type=True))
    except (ValueError, TypeError, OverflowError) as error:
        raise UnsendableError(str(error)) from None


def packed_in_parts(message: Any) -> list[bytes]:
    """A message as it is sent, in parts: large binary in it is a part itself, and not copied.
    Raises `UnsendableError`."""
    if not _is_large(message):
        return [packed(message)]
    parts: list[bytes] = []
    packer = msgpack.Packer(use_bin_type=True, autoreset=False)

    def add(value: Any) -> None:
        if not _is_large(value):
            packer.pack(value)
        elif isinstance(value, bytes):
            parts.append(packer.bytes() + _BINARY.pack(0xC6, len(value)))
            parts.append(value)
            packer.reset()
        else:
            packer.pack_array_header(len(value))
            for one in value:
                add(one)

    try:
        add(message)
    except (ValueError, TypeError, OverflowError, struct_error) as error:
        raise UnsendableError(str(error)) from None
    return [*parts, packer.bytes()]


def _is_large(value: Any) -> bool:
    if isinstance(value, bytes):
        return len(value) >= _LARGE
    return isinstance(value, (list, tuple)) and any(map(_is_large, value))


def unpacked(document: bytes | bytearray | memoryview, max_text: int | None = None) -> Any:
    """A message that was received, no text of which may have more bytes than `max_text`: decoding
    text takes time, while binary is only copied. Raises `ChannelClosedError`."""
    size = len(document)
    try:
        scan(document, _MAX_VALUES)
        return msgpack.unpackb(
            document,
            max_array_len=size,
            max_map_len=size,
            max_str_len=size if max_text is None else max_text,
        )
    except (DocumentError, ValueError, TypeError, OverflowError, MemoryError):
        raise ChannelClosedError("what came is not a message") from None


class Channel:
    """One end. With `ask_ms`, asks whether to go on after so many milliseconds of waiting.

    With `max_text`, texts of messages that come have at most so many bytes: decoding them takes
    time, while binary is only copied.
    """

    def __init__(
        self, end: socket.socket, ask_ms: int | None = None, max_text: int | None = None
    ) -> None:
        end.setblocking(False)
        self._max_text = max_text
        self._ask_ms = ask_ms
        self._socket = end
        self._poll = select.poll()

    def fileno(self) -> int:
        """The socket's descriptor."""
        return self._socket.fileno()

    def send(self, message: Any, go_on: Callable[[], None] = _nothing) -> None:
        """Sends a message. `go_on` is called while it waits; what it raises ends the sending, and
        with it the use of the channel. Raises `ChannelClosedError`."""
        document = packed(message)
        self.send_bytes(len(document).to_bytes(4, "little"), go_on)
        self.send_bytes(document, go_on)

    def send_bytes(self, data: bytes | bytearray, go_on: Callable[[], None] = _nothing) -> None:
        """Sends bytes as they are, after a message that says how many: what is large is not copied
        into one. `go_on` as for `send`. Raises `ChannelClosedError`."""
        left = memoryview(data)
        while left:
            try:
                left = left[self._socket.send(left[:_PIECE]) :]
            except BlockingIOError:
                self._wait(select.POLLOUT, go_on)
            except OSError:
                raise ChannelClosedError("the other side has gone") from None

    def receive(self, most: int, go_on: Callable[[], None] = _nothing) -> Any:
        """The next message, of at most `most` bytes. `go_on` as for `send`.

        Raises `ChannelClosedError`.
        """
        size = int.from_bytes(self.receive_bytes(4, go_on), "little")
        if size > most:
            raise ChannelClosedError(f"a message of {size:,} bytes, at most {most:,} may be")
        return unpacked(self.receive_bytes(size, go_on), self._max_text)

    def receive_bytes(self, size: int, go_on: Callable[[], None] = _nothing) -> bytearray:
        """The next `size` bytes: what `send_bytes` sends. Takes memory as they come. `go_on` as for
        `send`. Raises `ChannelClosedError`."""
        data = bytearray()
        while len(data) < size:
            try:
                piece = self._socket.recv(min(size - len(data), _PIECE))
            except BlockingIOError:
                self._wait(select.POLLIN, go_on)
                continue
            except OSError:
                piece = b""
            if not piece:
                raise ChannelClosedError("the other side has gone")
            data += piece
        return data

    def _wait(self, events: int, go_on: Callable[[], None]) -> None:
        go_on()
        self._poll.register(self._socket, events)
        self._poll.poll(self._ask_ms)

    def close(self) -> None:
        """Closes this end."""
        self._socket.close()
