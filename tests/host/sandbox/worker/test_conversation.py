"""The host's end of the channel to a worker: it never blocks, and never keeps the event loop."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from typing import Any

import anyio
import anyio.lowlevel
import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st
from orchestrator_plugin_host.sandbox.worker.channel import (
    Channel,
    ChannelClosedError,
    UnsendableError,
)
from orchestrator_plugin_host.sandbox.worker.conversation import Conversation
from support.heartbeat import unhindered
from support.processes import HANG_SECONDS

pytestmark = pytest.mark.anyio

MOST = 1 << 20
Ends = tuple[Conversation, socket.socket]


@pytest.fixture
def ends() -> Iterator[Ends]:
    """A conversation, and the other side as it is."""
    near, far = socket.socketpair()
    near.setblocking(False)
    yield Conversation(near), far
    near.close()
    far.close()


def framed(document: bytes) -> bytes:
    return len(document).to_bytes(4, "little") + document


async def test_an_exchange(ends: Ends) -> None:
    conversation, far = ends
    other = Channel(far)
    for i in range(20):
        conversation.send(["number", i])
        assert other.receive(MOST) == ["number", i]
        other.send(["answer", i])
        assert await conversation.receive(MOST) == ["answer", i]


@given(st.recursive(st.none() | st.integers(0, 9) | st.binary() | st.text("aé"), st.lists))
def test_what_is_sent_arrives(message: Any) -> None:
    near, far = socket.socketpair()
    near.setblocking(False)
    with near, far:
        Conversation(near).send([message])
        assert Channel(far).receive(MOST) == [message]


async def test_several_messages_in_one_piece(ends: Ends) -> None:
    conversation, far = ends
    far.sendall(b"".join(framed(msgpack.packb([i])) for i in range(100)) + b"\2")
    for i in range(100):
        assert await conversation.receive(MOST) == [i]
    far.sendall(b"\0\0\0\x91\7")
    assert await conversation.receive(MOST) == [7]


async def test_a_message_byte_by_byte(ends: Ends) -> None:
    conversation, far = ends

    async def trickle() -> None:
        for byte in framed(msgpack.packb(["slow", b"x" * 50])):
            far.sendall(bytes([byte]))
            await anyio.lowlevel.checkpoint()

    async with anyio.create_task_group() as group:
        group.start_soon(trickle)
        assert await conversation.receive(MOST) == ["slow", b"x" * 50]


async def test_large_messages_both_ways(ends: Ends) -> None:
    # More than any buffer takes: what is sent goes on as the other side takes it.
    conversation, far = ends
    data = bytes(range(256)) * 100_000

    def serve() -> None:
        other = Channel(far)
        for _ in range(3):
            other.send(["back", other.receive(1 << 26)[1]])

    thread = threading.Thread(target=serve)
    thread.start()
    async with unhindered():
        for _ in range(3):
            conversation.send(["large", data])
            assert await conversation.receive(1 << 26) == ["back", data]
    thread.join()


# --- what is no message --------------------------------------------------------------------------


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
        framed(b"\xc6\xff\xff\xff\xff"),
        (MOST + 1).to_bytes(4, "little"),
        b"\xff\xff\xff\xff",
        b"",
        b"\x01",
        framed(b"abcdef")[:-1],
    ],
    ids=repr,
)
async def test_what_is_no_message(ends: Ends, sent: bytes) -> None:
    conversation, far = ends
    far.send(sent)
    far.close()
    with pytest.raises(ChannelClosedError):
        await conversation.receive(MOST)


async def test_a_size_is_refused_before_its_bytes_come(ends: Ends) -> None:
    conversation, far = ends
    far.sendall((MOST + 1).to_bytes(4, "little"))
    with anyio.fail_after(HANG_SECONDS), pytest.raises(ChannelClosedError, match="1,048,577 bytes"):
        await conversation.receive(MOST)


async def test_a_message_of_just_the_size_it_may_have(ends: Ends) -> None:
    conversation, far = ends
    data = msgpack.packb([b"x" * (MOST - 6)])
    assert len(data) == MOST
    thread = threading.Thread(target=far.sendall, args=(framed(data),))
    thread.start()
    assert await conversation.receive(MOST) == [b"x" * (MOST - 6)]
    thread.join()


async def test_the_other_side_has_gone(ends: Ends) -> None:
    conversation, far = ends
    far.close()
    with pytest.raises(ChannelClosedError):
        conversation.send(["anyone?"])
    with pytest.raises(ChannelClosedError):
        await conversation.receive(MOST)


async def test_the_other_side_goes_while_much_is_sent(ends: Ends) -> None:
    conversation, far = ends
    conversation.send(["large", bytes(50_000_000)])

    async def leave() -> None:
        await anyio.sleep(0.05)
        far.close()

    async with anyio.create_task_group() as group:
        group.start_soon(leave)
        with anyio.fail_after(HANG_SECONDS), pytest.raises(ChannelClosedError):
            await conversation.receive(MOST)


@pytest.mark.parametrize(
    "message", [[object()], [1 << 64], ["\ud800"]], ids=["object", "large", "half"]
)
async def test_what_can_not_be_sent_is_not_begun(ends: Ends, message: list[Any]) -> None:
    conversation, far = ends
    with pytest.raises(UnsendableError):
        conversation.send(message)
    conversation.send(["next"])
    assert Channel(far).receive(MOST) == ["next"]


# --- waiting -------------------------------------------------------------------------------------


async def test_giving_up_in_the_middle_loses_nothing(ends: Ends) -> None:
    conversation, far = ends
    whole = framed(msgpack.packb(["late", b"x" * 10_000]))
    for end in (0, 2, 4, 5_000):
        far.sendall(whole[:end])
        with anyio.move_on_after(0.01) as scope:
            await conversation.receive(MOST)
        assert scope.cancelled_caught
        whole = whole[end:]
    far.sendall(whole)
    assert await conversation.receive(MOST) == ["late", b"x" * 10_000]


async def test_whoever_waits_is_told_that_it_is_closed(ends: Ends) -> None:
    conversation, _ = ends

    async def close() -> None:
        await anyio.sleep(0.02)
        conversation.close()

    async with anyio.create_task_group() as group:
        group.start_soon(close)
        with anyio.fail_after(HANG_SECONDS), pytest.raises(ChannelClosedError):
            await conversation.receive(MOST)


async def test_waiting_leaves_the_event_loop_alone(ends: Ends) -> None:
    conversation, _ = ends
    async with unhindered() as heart:
        with anyio.move_on_after(0.1):
            await conversation.receive(MOST)
        conversation.send(["large", bytes(50_000_000)])  # which nobody takes
        with anyio.move_on_after(0.1):
            await conversation.receive(MOST)
    assert heart.beats > 20


# --- a flood -------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 100, 60_000])
@pytest.mark.parametrize("answered", [False, True])
async def test_a_flood_does_not_keep_the_event_loop(ends: Ends, size: int, answered: bool) -> None:
    # There is always a message to be received, and its reader waits for nothing else.
    conversation, far = ends
    flood = framed(msgpack.packb(["asked", bytes(size)])) * max(1, 200_000 // (size + 20))
    over = threading.Event()

    def pour() -> None:
        far.setblocking(False)
        left = memoryview(flood)
        while not over.is_set():
            try:
                left = left[far.send(left) :] or memoryview(flood)
            except BlockingIOError:
                over.wait(0.0001)
            try:
                far.recv(1 << 20)
            except BlockingIOError:
                continue

    thread = threading.Thread(target=pour)
    thread.start()
    received = 0
    try:
        async with unhindered() as heart:
            with anyio.move_on_after(1):
                while True:
                    await conversation.receive(MOST)
                    received += 1
                    if answered:
                        conversation.send(["answer", b""])
    finally:
        over.set()
        thread.join()
    assert received > 20
    assert heart.beats > 20
