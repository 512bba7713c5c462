"""Work in pieces, none of which keeps anybody else waiting for long.

A piece of Python holds the interpreter's lock, in whichever thread it runs. What may take longer
than some milliseconds is therefore written as a generator that yields between its pieces and
returns its result: small work is run `at_once`, large work `in_turns` with the event loop's other
tasks.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TypeVar

from .timing import give_way

T = TypeVar("T")

Pieces = Generator[None, None, T]
"""Work that yields between its pieces and returns its result."""


def at_once(work: Pieces[T]) -> T:
    """Runs all pieces, one after the other. Raises what they raise."""
    try:
        while True:
            next(work)
    except StopIteration as done:
        result: T = done.value
        return result


async def in_turns(work: Pieces[T]) -> T:
    """Runs the pieces, the event loop's other tasks between them. Raises what they raise; ends
    between two pieces when the awaiting task is cancelled."""
    try:
        while True:
            next(work)
            await give_way()
    except StopIteration as done:
        result: T = done.value
        return result
    finally:
        work.close()
