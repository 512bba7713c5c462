"""Work in pieces: all at once, or in turns with the event loop's other tasks."""

from __future__ import annotations

import anyio
import pytest
from anyio.lowlevel import checkpoint
from orchestrator_plugin_host.pieces import Pieces, at_once, in_turns


def count(pieces: int, done: list[int]) -> Pieces[int]:
    for number in range(pieces):
        done.append(number)
        yield
    return pieces


def fail() -> Pieces[int]:
    yield
    raise ValueError("no")


def test_at_once() -> None:
    done: list[int] = []
    assert at_once(count(3, done)) == 3
    assert done == [0, 1, 2]
    assert at_once(count(0, done)) == 0
    with pytest.raises(ValueError, match="no"):
        at_once(fail())


@pytest.mark.anyio
async def test_in_turns() -> None:
    done: list[int] = []
    seen: list[int] = []

    async def watch() -> None:
        while len(done) < 5:
            seen.append(len(done))
            await checkpoint()

    async with anyio.create_task_group() as group:
        group.start_soon(watch)
        assert await in_turns(count(5, done)) == 5
    assert len(set(seen)) > 1
    with pytest.raises(ValueError, match="no"):
        await in_turns(fail())


@pytest.mark.anyio
async def test_cancellation_ends_it_between_two_pieces() -> None:
    done: list[int] = []
    with anyio.CancelScope() as scope:
        scope.cancel()
        await in_turns(count(5, done))
    assert done == [0]
