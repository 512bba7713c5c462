"""Instances whose guests run in this process: on the event loop, or in a thread when they compute
for long."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any, Final

import anyio

from ..calls import Call
from .computing import QUANTUM_SECONDS, Computing
from .config import make_engine
from .guest import Guest, LoadedComponent, forget_resource
from .imports import ANYWHERE, import_rooms, room_for
from .instance import InlineTime, Instance, explained, store_limits
from .linking import GuestImports
from .signals import SignalGuard
from .steps import YIELDED, Asked, Done, Step
from .values import moved_bytes

INLINE_MEMORY: Final = 32 * 1024 * 1024
"""Bytes of memory up to which a guest may run on the event loop. One instruction may fill all of
its memory, and is not interrupted: for so much that the system has to give first it takes 12 ms,
and twice that beside threads that do the same."""
INLINE_BYTES: Final = 1 << 20
"""Bytes of a call's arguments, or of the answer to an import, up to which a guest may run on the
event loop. wasmtime copies and checks them before anything of the guest runs, and is not
interrupted: it takes up to 3 ms for so much. What comes out of a guest, adapters see to."""


class Sandbox:
    """What the guests of one host share: the engine, the imports, the threads."""

    def __init__(self) -> None:
        self.engine = make_engine()
        self.signals = SignalGuard()
        self.imports = GuestImports(self.engine)
        self.computing = Computing()
        self.inline_time = InlineTime()

    def close(self) -> None:
        """Ends the threads, and frees what is shared once the last guest is gone. No other can be
        made."""
        self.imports.close()
        self.computing.close()


class InProcessInstance(Instance):
    """An instance whose guest runs in this process."""

    def __init__(self, sandbox: Sandbox, loaded: LoadedComponent, call: Call) -> None:
        """Makes its store, within `call`'s limits. `InProcessInstance.made` makes it whole."""
        self._sandbox = sandbox
        self.usable = True
        self.at_rest = False
        self.inline_time = sandbox.inline_time
        self._stays_inline = call.limits.memory_bytes <= INLINE_MEMORY
        self._lock = threading.Lock()
        self._in_thread = False
        self._work: Future[Step] | None = None  # that nobody waits for just now
        self._rooms = import_rooms(call.limits)
        self._guest = Guest(sandbox.engine, sandbox.imports, loaded, store_limits(call.limits))

    @classmethod
    async def made(cls, sandbox: Sandbox, loaded: LoadedComponent, call: Call) -> Instance:
        """A new instance, made within `call`'s limits and its scope. Runs guest code.

        Raises `PluginError`.
        """
        sandbox.computing.check_process()
        sandbox.signals.check()
        call.check()
        made = cls(sandbox, loaded, call)
        limits = call.limits
        try:
            # In a thread: what a component says its memories and tables begin with takes time that
            # no fuel is counted for.
            made._work = made._begun(
                call, lambda: made._guest.instantiate(limits.fuel, made._rooms)
            )
            await made._driven(call, YIELDED)
        except BaseException as error:
            made.close()
            told = explained(call, "instantiation", error)
            if told is error:
                raise
            raise told from None
        return made

    def start(
        self, call: Call, interface: str, name: str, arguments: Sequence[Any], *, run: bool
    ) -> Step:
        """As `Instance` says."""
        self._sandbox.computing.check_process()
        self._sandbox.signals.check()
        limits = call.limits
        self.at_rest = False
        self._guest.begin(
            interface,
            name,
            arguments,
            fuel=self.fuel(call),
            room=room_for(limits.document_out_bytes),
            rooms=self._rooms,
        )
        if run and self._may_run_here(*arguments):
            return self._guest.proceed()
        return YIELDED

    def resume(self, call: Call, answer: Any, *, run: bool) -> Step:
        """As `Instance` says."""
        if run and self._may_run_here(answer):
            return self._answered(answer)
        self._work = self._begun(call, lambda: self._answered(answer))
        return YIELDED

    def _may_run_here(self, *given: Any) -> bool:
        """Whether a guest that is given these values next may run on the event loop."""
        return self._stays_inline and sum(map(moved_bytes, given)) <= INLINE_BYTES

    def _answered(self, answer: Any) -> Step:
        self._guest.answer(answer)
        return self._guest.proceed()

    async def proceed(self, call: Call) -> Step:
        """As `Instance` says: the guest computes in a thread."""
        work, self._work = self._work or self._begun(call, self._guest.proceed), None
        try:
            return await self._sandbox.computing.ended(work)
        except anyio.get_cancelled_exc_class():
            self._work = work
            raise

    def _begun(self, call: Call, first: Callable[[], Step]) -> Future[Step]:
        return self._sandbox.computing.begun(lambda: self._in_a_thread(call, first))

    def _in_a_thread(self, call: Call, first: Callable[[], Step]) -> Step:
        with self._lock:
            if not self.usable:
                return YIELDED  # nobody waits for it any more
            self._in_thread = True
        try:
            return self._computed(call, first)
        finally:
            with self._lock:
                self._in_thread = False
                given_up = not self.usable
            if given_up:
                self._guest.close()

    def _computed(self, call: Call, first: Callable[[], Step]) -> Step:
        until = time.monotonic() + QUANTUM_SECONDS
        step = first()
        while self.usable:
            if type(step) is Asked:
                function = ANYWHERE.get((step.interface, step.function))
                if function is None:
                    break
                self._guest.answer(function(call, *step.arguments))
            elif type(step) is Done:
                break
            call.check_running()
            if time.monotonic() > until:
                return YIELDED
            step = self._guest.proceed()
        return step

    def close(self) -> None:
        """As `Instance` says. Never on the event loop: the system takes its time to free a large
        memory."""
        with self._lock:
            if not self.usable:
                return
            self.usable = False
            if self._in_thread:
                return  # the thread frees it, when it comes back from its slice
        self._sandbox.computing.soon(self._guest.close)

    def forget(self, resource: int) -> None:
        """As `Instance` says."""
        forget_resource(resource)
