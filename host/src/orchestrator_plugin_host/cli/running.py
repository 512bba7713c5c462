"""Running the asynchronous part of a command so that Ctrl-C always reaches it."""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
import threading
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import anyio

T = TypeVar("T")


def run(function: Callable[..., Awaitable[T]], *arguments: Any) -> T:
    """`anyio.run(function, *arguments)`, woken by every signal.

    A signal that comes in the moment before the event loop begins to wait, or to another thread,
    is noticed only when the loop wakes for something else; while a plugin spins, that is its
    deadline. So each signal writes to a socket that the loop waits for.
    """
    on_main_thread = threading.current_thread() is threading.main_thread()
    if sys.platform == "win32" or not on_main_thread:
        return anyio.run(function, *arguments)

    async def awake() -> T:
        loop = asyncio.get_running_loop()
        near, far = socket.socketpair()
        with near, far:
            near.setblocking(False)
            far.setblocking(False)
            loop.add_reader(near, near.recv, 4096)
            before = signal.set_wakeup_fd(far.fileno(), warn_on_full_buffer=False)
            try:
                return await function(*arguments)
            finally:
                signal.set_wakeup_fd(before)
                loop.remove_reader(near)

    return anyio.run(awake, backend="asyncio")
