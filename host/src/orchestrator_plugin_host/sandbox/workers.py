"""Worker processes on the host's side: started, made ready, kept for the next guest."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from ..errors import WorkerLostError
from ..limits import Limits
from ..wit import World
from .code import Code
from .worker.conversation import Conversation
from .worker.spawn import Worker, WorkerGoneError

_WORKER_BYTES: Final = 256 * 1024 * 1024
"""Data that a worker may hold besides its guest's memories and the documents on their way."""


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
        """Starts it, for the memory that the limits allow. Blocks. Raises `WorkerLostError`."""
        self.world = stored.world
        self.confined: tuple[str, ...] | None = None
        memory = (
            limits.memory_bytes
            + 4 * (limits.document_in_bytes + limits.document_out_bytes)
            + _WORKER_BYTES
        )
        try:
            self.worker = stored.worker()
            run = ["run", stored.world.name, sorted(stored.wasi), stored.memories, memory]
            try:
                self.worker.send(run, _go_on)
                if stored.code.descriptor is None:
                    code = stored.code.read()
                    self.worker.send(["code", len(code)], _go_on)
                    self.worker.send_bytes(code, _go_on)
            except BaseException:
                self.worker.close()
                raise
        except WorkerGoneError as error:
            raise worker_lost(plugin, limits, error, "instantiation") from None
        self.conversation = Conversation(self.worker.socket)


def _go_on() -> None:
    """A worker that starts is waited for: it reads what it is sent, or ends."""


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
