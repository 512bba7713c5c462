"""Messages between a host and a worker: whole, bounded, and never waited for blindly."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st
from orchestrator_plugin_host.sandbox.worker import channel as channel_module
from orchestrator_plugin_host.sandbox.worker.channel import (
    Channel,
    ChannelClosedError,
    packed_in_parts,
)

Ends = tuple[Channel, socket.socket]
MOST = 1 << 20


@pytest.fixture
def ends() -> Iterator[Ends]:
    """A channel, and the other side as it is."""
    near, far = socket.socketpair()
    channel = Channel(near, ask_ms=1)
    yield channel, far
    channel.close()
    far.close()


def framed(document: bytes) -> bytes:
    return len(document).to_bytes(4, "little") + document


@given(st.recursive(st.none() | st.integers(0, 9) | st.binary() | st.text("aé"), st.lists))
def test_what_is_sent_arrives(message: Any) -> None:
    one, other = map(Channel, socket.socketpair())
    one.send([message])
    assert other.receive(MOST) == [message]
    one.close()
    other.close()


@given(
    st.recursive(
        st.none() | st.integers(0, 9) | st.binary(max_size=40) | st.text("aé"),
        lambda inner: st.lists(inner) | st.dictionaries(st.text("ab"), inner),
    )
)
def test_large_binary_is_a_part_of_its_own(message: Any) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(channel_module, "_LARGE", 20)
        parts = packed_in_parts(message)
    assert msgpack.unpackb(b"".join(parts)) == message


def test_large_binary_is_not_copied() -> None:
    data = bytes(1 << 20)
    parts = packed_in_parts(["start", [["base64", data], 1]])
    assert [part for part in parts if len(part) > 100] == [data]
    assert any(part is data for part in parts)


def test_a_large_message_goes_in_pieces(ends: Ends) -> None:
    channel, far = ends
    data = bytes(range(256)) * 40_000
    other = Channel(far)
    received: list[Any] = []
    thread = threading.Thread(target=lambda: received.append(other.receive(1 << 25)))
    thread.start()
    channel.send(["large", data])
    thread.join()
    assert received == [["large", data]]


class EnoughError(Exception):
    pass


def asked_thrice() -> Any:
    left = [0, 0, 0]

    def go_on() -> None:
        left.pop()
        if not left:
            raise EnoughError

    return go_on


@pytest.mark.parametrize("begun", [b"", b"\x05\0", framed(b"abc")[:-1]])
def test_waiting_asks_whether_to_go_on(ends: Ends, begun: bytes) -> None:
    channel, far = ends
    far.send(begun)
    with pytest.raises(EnoughError):
        channel.receive(MOST, asked_thrice())


def test_sending_to_one_who_does_not_listen_asks_too(ends: Ends) -> None:
    channel, _ = ends
    with pytest.raises(EnoughError):
        channel.send(["large", bytes(10_000_000)], asked_thrice())


@pytest.mark.parametrize(
    "sent",
    [
        framed(b""),
        framed(b"\xc1"),
        framed(b"\x92\x01"),
        framed(msgpack.packb(1) + b"\0"),
        framed(b"\x81\x01\x02"),
        framed(b"\xa1\xff"),
        framed(b"\x91" * 5000),
        framed(b"\xdd\xff\xff\xff\xff"),
        framed(b"\xdc\x13\x89" + b"\xc0" * 5_001),
        framed(b"\xdc\x13\x00" * 300),
        framed(b"\xd6\xff\x00\x00\x00\x00"),
        framed(b"\xc6\xff\xff\xff\xff"),
        (MOST + 1).to_bytes(4, "little"),
        b"\xff\xff\xff\xff",
        b"",
        b"\x01",
        framed(b"abcdef")[:-1],
    ],
    ids=lambda sent: repr(sent[:40]),
)
def test_what_is_no_message_ends_the_channel(ends: Ends, sent: bytes) -> None:
    channel, far = ends
    far.send(sent)
    far.close()
    with pytest.raises(ChannelClosedError):
        channel.receive(MOST)


def test_texts_are_limited_and_binary_is_not() -> None:
    near, far = socket.socketpair()
    channel, other = Channel(near, max_text=10), Channel(far)
    other.send(["a" * 10, b"b" * 1_000])
    assert channel.receive(MOST) == ["a" * 10, b"b" * 1_000]
    other.send(["a" * 11])
    with pytest.raises(ChannelClosedError):
        channel.receive(MOST)
    channel.close()
    other.close()


def test_sending_to_one_who_has_gone(ends: Ends) -> None:
    channel, far = ends
    far.close()
    with pytest.raises(ChannelClosedError):
        channel.send(["anyone?"])
