"""Threads for what may block: never more than there may be, and nobody who gave up waits."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import anyio
import pytest
from orchestrator_plugin_host.capabilities.workers import GivenUpError, GoOn, Workers
from support.waiting import until

pytestmark = pytest.mark.anyio


@pytest.fixture
def stop() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()


async def test_what_is_returned_and_raised_comes_back(anyio_backend: str) -> None:
    workers = Workers("test", 2)

    def fails(go_on: GoOn) -> None:
        raise KeyError("as it does")

    assert await workers.run(lambda go_on: 7) == 7
    with pytest.raises(KeyError, match="as it does"):
        await workers.run(fails)

    def ends(go_on: GoOn) -> None:
        raise SystemExit

    with pytest.raises(RuntimeError, match="SystemExit"):
        await workers.run(ends)
    assert await workers.run(lambda go_on: 8) == 8
    workers.close()
    await until(lambda: not workers.threads)
    assert await workers.run(lambda go_on: 9) == 9  # whoever comes late is served
    await until(lambda: not workers.threads)


async def test_there_are_no_more_threads_than_there_may_be(
    anyio_backend: str, stop: threading.Event
) -> None:
    workers = Workers("test-bounded", 3)
    begun: list[int] = []

    def blocks(number: int) -> Callable[[GoOn], None]:
        def work(go_on: GoOn) -> None:
            begun.append(number)
            stop.wait(30)

        return work

    async def give_up(number: int) -> None:
        with anyio.move_on_after(0.05):
            await workers.run(blocks(number))

    for round_ in range(3):
        async with anyio.create_task_group() as tasks:
            for i in range(20):
                tasks.start_soon(give_up, round_ * 20 + i)
    names = [one.name for one in threading.enumerate()]
    assert workers.threads == names.count("test-bounded") == 3
    assert len(begun) == 3
    stop.set()
    assert await workers.run(lambda go_on: 1) == 1
    assert len(begun) == 3  # nothing begins for those who have gone
    workers.close()
    await until(lambda: not workers.threads)


async def test_work_is_told_that_nobody_waits(anyio_backend: str) -> None:
    workers = Workers("test", 1)
    begun, ended = threading.Event(), threading.Event()

    def endless(go_on: GoOn) -> None:
        begun.set()
        try:
            while True:
                go_on()
        except GivenUpError:
            ended.set()
            raise

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(workers.run, endless)
        await until(begun.is_set)
        tasks.cancel_scope.cancel()
    await until(ended.is_set)
    workers.close()
    await until(lambda: not workers.threads)


async def test_several_may_wait_for_one_piece_of_work(
    anyio_backend: str, stop: threading.Event
) -> None:
    workers = Workers("test", 1)
    await workers.room()
    errand = workers.start(lambda go_on: (stop.wait(30), go_on())[0])
    found: list[bool] = []

    async def wait() -> None:
        found.append(await errand.outcome())

    async with anyio.create_task_group() as tasks:
        for _ in range(3):
            tasks.start_soon(wait)
        with anyio.move_on_after(0.02):
            await errand.outcome()
        assert not errand.given_up
        stop.set()
    assert found == [True] * 3
    workers.close()
    await until(lambda: not workers.threads)


async def test_a_thousand_at_once(anyio_backend: str) -> None:
    workers = Workers("test", 4)
    found: list[int] = []

    async def one(i: int) -> None:
        found.append(await workers.run(lambda go_on: i))

    async with anyio.create_task_group() as tasks:
        for i in range(1_000):
            tasks.start_soon(one, i)
    assert sorted(found) == list(range(1_000))
    assert workers.threads <= 4
    workers.close()
    await until(lambda: not workers.threads)
