"""What a component may import, linked: every function of the contract suspends the guest.

A callback runs on the guest's stack, of which little may be left, in the middle of wasmtime. So it
does nothing but take what the guest passed, and note where the answer goes; whoever drives the
guest answers outside. Whatever is raised in a callback, `BaseException` included, is kept for them;
it never reaches wasmtime, where it would end the process.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable, Mapping
from typing import Any

from wasmtime import Engine

from ..errors import PluginClosedError
from ..wit import Function, Primitive, full_name, host_imports
from . import _capi
from .adapters import ROOM_FUNCTION, ROOM_INTERFACE
from .lowering import Lower, lowerer
from .steps import Asked
from .store import Linker
from .values import Lift, ValueMismatchError, ValueTooLargeError, lifter

_MOST_ROOM = 1 << 30
"""Bytes that an adapter can have room for."""


class BadArgumentError(Exception):
    """What a guest passed to an import of `interface` is not of the contract, or too large: `why`
    says which."""

    def __init__(
        self, interface: str, why: ValueMismatchError | ValueTooLargeError | UnicodeDecodeError
    ) -> None:
        self.interface = interface
        self.why = why
        super().__init__(interface, why)


def import_function(interface: str, name: str) -> Function | None:
    """A function of the contract that guests may import; `None` if there is no such."""
    found = host_imports().get(interface)
    return None if found is None else found.functions.get(name)


class SuspendedImport:
    """The import that one guest waits in, if it does."""

    __slots__ = ("_lower", "_results", "asked", "failure", "rooms")

    def __init__(self) -> None:
        self.rooms: Mapping[str, int] = {}
        self.asked: Asked | None = None
        self.failure: BaseException | None = None
        """What was raised instead: the call fails by it."""
        self._lower: Lower | None = None
        self._results = 0

    def suspend(self, asked: Asked, lower: Lower | None, results: int) -> None:
        """Notes what the guest asks for, and where the answer goes."""
        self.asked, self._lower, self._results = asked, lower, results

    def answer(self, value: Any) -> None:
        """Puts the answer there: the guest goes on when it is polled next.

        Raises `RuntimeError` if the guest waits for none.
        """
        if self.asked is None:  # the place of the answer may be gone
            raise RuntimeError("the guest waits for no answer")
        if self._lower is not None:
            # Of the slot wasmtime has set the kind alone: an address that a value lacks must not
            # be what was there before.
            ctypes.memset(self._results, 0, _capi.VAL_SIZE)
            self._lower(value, self._results)
        self.asked = None


class GuestImports:
    """All imports of the contract, for the guests of one engine, in one process.

    Owns the callbacks, which must live as long as any guest.
    """

    def __init__(self, engine: Engine, *, wasi: bool = False) -> None:
        """With `wasi`, for guests that import it: only in a process of their own."""
        self.guests: dict[int, SuspendedImport] = {}
        """The guests that may call an import, by their stores' contexts."""
        self._lock = threading.Lock()
        self._alive = 0
        self._closing = False
        self._may_go_on = _capi.ContinuationCallback(self._is_answered)
        self._may_go_on_at = ctypes.cast(self._may_go_on, ctypes.c_void_p).value or 0
        self.linker = Linker(engine)
        self._lower_room = lowerer(Primitive("u32"))
        for name, interface in host_imports().items():
            self.linker.define(
                interface.name,
                {
                    function: self._callback(name, function, one)
                    for function, one in interface.functions.items()
                },
            )
        self.linker.define(ROOM_INTERFACE, {ROOM_FUNCTION: self._room})
        # Types alone; components name it because the other interfaces use it.
        self.linker.define(full_name("types"), {})
        if wasi:
            self.linker.define_wasi()

    def entered(self, context: int) -> SuspendedImport:
        """A guest is there from now on, in the store with this context.

        Raises `PluginClosedError` after `close`.
        """
        made = SuspendedImport()
        with self._lock:
            if self._closing:
                raise PluginClosedError("the host has been closed")
            self._alive += 1
            self.guests[context] = made
        return made

    def leaves(self, context: int) -> None:
        """A guest calls no import any more. Before its store is freed: the next may lie at the same
        address, in another thread at once."""
        del self.guests[context]

    def left(self) -> None:
        """A guest that has left is freed."""
        with self._lock:
            self._alive -= 1
            self._free_if_done()

    def close(self) -> None:
        """Frees the linker, once the last guest is freed. No guest can be made afterwards."""
        with self._lock:
            self._closing = True
            self._free_if_done()

    def _free_if_done(self) -> None:
        if self._closing and not self._alive:
            self.linker.close()

    def _room(
        self,
        data: Any,
        context: int,
        kind: Any,
        arguments: int,
        count: int,
        results: int,
        n: int,
        error: Any,
        continuation: Any,
    ) -> None:
        """The most that may come out of a guest in one call. For the adapters around a guest, as
        they are made: answered here, since there is nothing to wait for."""
        guest = self.guests.get(context)
        if guest is None:
            error[0] = _capi.error_new(b"no guest is there any more")
            return
        try:
            room = min(max(guest.rooms.values(), default=0), _MOST_ROOM)
            ctypes.memset(results, 0, _capi.VAL_SIZE)
            self._lower_room(room, results)
            to = continuation.contents
            to.callback, to.env = self._may_go_on_at, context
        except BaseException as raised:
            guest.failure = raised
            error[0] = _capi.error_new(b"the host ended the call")

    def _is_answered(self, context: int) -> bool:
        guest = self.guests.get(context)
        return guest is None or guest.asked is None

    def _callback(self, interface: str, name: str, function: Function) -> Callable[..., None]:
        lifts: list[Lift] = [lifter(one) for _, one in function.params]
        lower = None if function.result is None else lowerer(function.result)
        guests, may_go_on = self.guests, self._may_go_on_at

        def callback(
            data: Any,
            context: int,
            kind: Any,
            arguments: int,
            count: int,
            results: int,
            n: int,
            error: Any,
            continuation: Any,
        ) -> None:
            guest = guests.get(context)
            if guest is None:
                error[0] = _capi.error_new(b"no guest is there any more")
                return
            try:
                room = guest.rooms.get(interface, 0)
                values = [
                    lift(arguments + i * _capi.VAL_SIZE, room) for i, lift in enumerate(lifts)
                ]
                guest.suspend(Asked(interface, name, values), lower, results)
                to = continuation.contents
                to.callback, to.env = may_go_on, context
            except (ValueMismatchError, ValueTooLargeError, UnicodeDecodeError) as why:
                guest.failure = BadArgumentError(interface, why)
                error[0] = _capi.error_new(b"the host ended the call")
            except BaseException as raised:
                guest.failure = raised
                error[0] = _capi.error_new(b"the host ended the call")

        return callback
