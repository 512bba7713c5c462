"""Worker processes on the host's side: started, made ready, kept for the next guest."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any, Final

from ..errors import WorkerLostError
from ..limits import Limits
from ..wit import World
from .adapters import MEMORIES
from .code import Code
from .config import MEMORY_ADDRESSES
from .confinement import Confinement
from .worker.channel import ChannelClosedError
from .worker.conversation import Conversation
from .worker.spawn import Worker, WorkerGoneError

WORKER_BYTES: Final = 256 * 1024 * 1024
"""Data that a worker may hold besides its guest's memories and the documents on their way."""
START_SECONDS: Final = 60.0
"""How long a worker may take to be ready, on however busy a machine: it runs nothing of its guest's
before. One that takes longer hangs, and is not kept for the next call to wait for."""


@dataclass
class StoredCode:
    """A component's compiled code, for the worker processes of one host."""

    world: World
    wasi: frozenset[str]
    memories: int
    code: Code = field(repr=False)
    confinement: Confinement = field(default_factory=Confinement, repr=False)

    def address_bytes(self, limits: Limits) -> int:
        """Addresses that a worker needs for the memories of one guest, its adapters' included."""
        return (min(max(self.memories, 1), limits.memories) + MEMORIES) * MEMORY_ADDRESSES

    def to_run(self, limits: Limits) -> list[Any]:
        """The message that tells a worker to run it, with what it may hold."""
        memory = (
            limits.memory_bytes
            + 4 * (limits.document_in_bytes + limits.document_out_bytes)
            + WORKER_BYTES
        )
        addresses = memory + self.address_bytes(limits)
        return ["run", self.world.name, sorted(self.wasi), self.memories, memory, addresses]

    def worker(self) -> Worker:
        """A new worker, that has the code's file. Raises `WorkerGoneError`."""
        return Worker(self.code.descriptor)


class ReadyWorker:
    """A worker that was told which component it is to run, and is on its way, or has had a guest
    and may have another.

    `confined` is whether it said so, and what it said was accepted.
    """

    def __init__(self, stored: StoredCode, plugin: str, limits: Limits) -> None:
        """Starts it, for the memory that the limits allow, which takes some milliseconds. What it
        does not take at once is sent while its first message is waited for. Raises
        `WorkerLostError`."""
        self.world = stored.world
        self.confinement = stored.confinement
        self.confined = False
        self._ready_by = time.monotonic() + START_SECONDS
        try:
            self.worker = stored.worker()
            self.conversation = Conversation(self.worker.socket)
            try:
                self.conversation.send(stored.to_run(limits))
                if stored.code.descriptor is None:
                    code = stored.code.read()
                    self.conversation.send(["code", len(code)], code)
            except ChannelClosedError as error:
                raise self.worker.ended(str(error)) from None
            except BaseException:
                self.worker.close()
                raise
        except WorkerGoneError as error:
            raise worker_lost(plugin, limits, error, "instantiation") from None

    @property
    def hangs(self) -> bool:
        """Whether it should have been ready long ago."""
        return not self.confined and time.monotonic() > self._ready_by


def worker_lost(plugin: str, limits: Limits, error: WorkerGoneError, doing: str) -> WorkerLostError:
    """The error of a call whose worker ended."""
    advice = (
        f". If the plugin needs more memory than {limits.memory_bytes:,} bytes, "
        "raise Limits(memory_bytes=…)"
        if error.out_of_memory
        else ""
    )
    return WorkerLostError(
        f"plugin {plugin!r} lost its worker process in {doing}: {error}{advice}; "
        "the next call gets another"
    )
