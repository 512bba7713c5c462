"""Worker processes on the host's side: started, made ready, kept for the next guest."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Final

from ..errors import WorkerLostError
from ..limits import Limits
from ..wit import World
from .code import Code
from .worker.channel import ChannelClosedError
from .worker.conversation import Conversation
from .worker.spawn import Worker, WorkerGoneError

_WORKER_BYTES: Final = 256 * 1024 * 1024
"""Data that a worker may hold besides its guest's memories and the documents on their way."""
START_SECONDS: Final = 60.0
"""How long a worker may take to be ready, on however busy a machine: it runs nothing of its guest's
before. One that takes longer hangs, and is not kept for the next call to wait for."""


@dataclass
class StoredCode:
    """A component's compiled code, for worker processes."""

    world: World
    wasi: frozenset[str]
    memories: int
    code: Code = field(repr=False)

    def worker(self) -> Worker:
        """A new worker, that has the code's file. Raises `WorkerGoneError`."""
        return Worker(self.code.descriptor)


class ReadyWorker:
    """A worker that was told which component it is to run, and is on its way, or has had a guest
    and may have another.

    `confined` names what the system let be taken from it, once it has said so.
    """

    def __init__(self, stored: StoredCode, plugin: str, limits: Limits) -> None:
        """Starts it, for the memory that the limits allow, which takes some milliseconds. What it
        does not take at once is sent while its first message is waited for. Raises
        `WorkerLostError`."""
        self.world = stored.world
        self.confined: tuple[str, ...] | None = None
        memory = (
            limits.memory_bytes
            + 4 * (limits.document_in_bytes + limits.document_out_bytes)
            + _WORKER_BYTES
        )
        self._ready_by = time.monotonic() + START_SECONDS
        try:
            self.worker = stored.worker()
            self.conversation = Conversation(self.worker.socket)
            run = ["run", stored.world.name, sorted(stored.wasi), stored.memories, memory]
            try:
                self.conversation.send(run)
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
        return self.confined is None and time.monotonic() > self._ready_by


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
