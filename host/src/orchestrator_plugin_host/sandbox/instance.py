"""Instances of a component: a store each, one user at a time, gone after a trap.

Two kinds with one interface: `ThreadInstance` runs its guest on the calling thread of this process,
`processes.ProcessInstance` in a process of its own.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from ctypes import c_uint64
from typing import Any

from ..calls import Call
from ..errors import DocumentTooLargeError, PluginClosedError, PluginOutputError
from ..limits import UNITS, Limits
from . import _capi
from .engine import SandboxEngine
from .failures import failure
from .guest import Guest, LoadedComponent, StoreLimits
from .imports import answer_import, import_error, import_room, room_for
from .linking import make_linker
from .values import ValueMismatchError, ValueTooLargeError


class Instance(ABC):
    """One instance of a component, initialised or not. Used by one thread at a time.

    `call` is whose limits hold and who gets the log. `usable` is false once the instance must not
    be entered again.
    """

    call: Call
    usable: bool

    @abstractmethod
    def begin(self, call: Call) -> None:
        """Makes `call` the one whose limits hold and who gets the log, with its whole fuel."""

    @abstractmethod
    def invoke(self, interface: str, name: str, *arguments: Any) -> Any:
        """Calls an exported function; gives the result as in `values`.

        Raises `PluginError`, or whatever an import raised. After either the instance is not usable.
        """

    @abstractmethod
    def drop(self, resource: int) -> None:
        """Drops a resource that a function gave, running its destructor if the store is usable."""

    @abstractmethod
    def close(self) -> None:
        """Frees the instance: at once, or when its guest, which can't be stopped, comes back."""


def in_use() -> RuntimeError:
    """The error of a second user of an instance."""
    return RuntimeError("an instance can't be entered while its guest runs, nor once it is closed")


def store_limits(limits: Limits) -> StoreLimits:
    """What the limits allow a store to hold."""
    return StoreLimits(
        limits.memory_bytes,
        limits.memories,
        limits.core_instances,
        limits.tables,
        limits.table_elements,
    )


def output_error(call: Call, name: str, error: Exception) -> PluginOutputError:
    """The error of an answer that is not of the contract."""
    return PluginOutputError(
        f"plugin {call.plugin!r} answered {name} with a value that is not of the contract: {error}"
    )


def too_large(call: Call, size: int) -> DocumentTooLargeError:
    """The error of an answer that is too large even to be copied."""
    return DocumentTooLargeError(
        call.plugin,
        "document_out_bytes",
        call.limits.document_out_bytes,
        UNITS["document_out_bytes"],
        f"gave a value of {size:,} bytes",
    )


class Sandbox:
    """The engine, the imports, and the instances that are alive: one for each host.

    Answers the imports of the instances in this process, by the address of their store's context.
    """

    def __init__(self) -> None:
        self.engine = SandboxEngine()
        self.instances: dict[int, ThreadInstance] = {}
        self._lock = threading.Lock()
        self._linkers: dict[bool, _capi.Linker] = {}
        self._closing = False

    def entered(self, context: int, instance: ThreadInstance, *, wasi: bool) -> _capi.Linker:
        """The imports, with WASI or without, for an instance that is there from now on.

        Raises `PluginClosedError`.
        """
        with self._lock:
            if self._closing:  # of a thread that was given up before it came to this
                raise PluginClosedError("the host has been closed")
            self.instances[context] = instance
            if wasi not in self._linkers:
                self._linkers[wasi] = make_linker(self.engine.engine, self, wasi=wasi)
            return self._linkers[wasi]

    def room(self, context: int, interface: str) -> int:
        """As `linking.Imports` says."""
        return import_room(self.instances[context].call.limits, interface)

    def answer(self, context: int, interface: str, function: str, values: list[Any]) -> Any:
        """As `linking.Imports` says."""
        return answer_import(self.instances[context].call, interface, function, values)

    def failed(self, context: int, interface: str, error: BaseException) -> None:
        """As `linking.Imports` says."""
        instance = self.instances.get(context)
        if instance is not None:
            instance.pending = import_error(instance.call, interface, error)

    def left(self, context: int, instance: ThreadInstance) -> None:
        """An instance is gone, from this address: another may lie there by now."""
        with self._lock:
            if self.instances.get(context) is instance:
                del self.instances[context]
        self._free_if_done()

    def close(self) -> None:
        """Frees what is shared, once the last instance is gone. No other can be made."""
        with self._lock:
            self._closing = True
        self._free_if_done()

    def _free_if_done(self) -> None:
        with self._lock:
            if not self._closing or self.instances:
                return
            linkers, self._linkers = self._linkers, {}
        self.engine.close()
        for linker in linkers.values():
            linker.close()


class ThreadInstance(Instance):
    """An instance whose guest runs on the threads that call it.

    `pending` is what was raised in an import, to be raised again where the call was made.
    """

    def __init__(self, sandbox: Sandbox, loaded: LoadedComponent, call: Call) -> None:
        """Makes the instance, within `call`'s limits. Runs guest code; raises `PluginError`."""
        self._sandbox = sandbox
        self.call = call
        self.pending: BaseException | None = None
        self.usable = True
        self._lock = threading.Lock()
        self._busy = False
        self._closed = False
        self._forgotten: list[int] = []
        limits = store_limits(call.limits)
        self._guest = Guest(sandbox.engine.engine, loaded, limits, self._on_epoch)
        try:
            linker = sandbox.entered(self._guest.context, self, wasi=loaded.wasi)
            call.check()
            self.begin(call)
            with self._entered():
                self._guest.instantiate(linker)
        except _capi.CapiError as error:
            self.close()
            raise self._failure(error, "instantiation") from None
        except BaseException:
            self.close()
            raise

    def begin(self, call: Call) -> None:
        """As `Instance` says."""
        with self._lock:
            if self._busy or self._closed:
                raise in_use()
            self.call = call
            self._guest.set_fuel(call.limits.fuel)

    def invoke(self, interface: str, name: str, *arguments: Any) -> Any:
        """As `Instance` says."""
        self.call.check()
        room = room_for(self.call.limits.document_out_bytes)
        try:
            with self._entered():
                return self._guest.invoke(interface, name, arguments, room)
        except _capi.CapiError as error:
            self.usable = False
            raise self._failure(error, name) from None
        except ValueTooLargeError as error:
            self.usable = False
            raise too_large(self.call, error.size) from None
        except (ValueMismatchError, UnicodeDecodeError) as error:
            self.usable = False
            raise output_error(self.call, name, error) from None

    def drop(self, resource: int) -> None:
        """As `Instance` says."""
        if not self.usable:
            with self._lock:
                if self._busy:  # whoever was left behind in there may yet pass it to the guest
                    self._forgotten.append(resource)
                    return
            _capi.forget_resource(resource)
            return
        try:
            with self._entered():
                self._guest.drop(resource)
        except _capi.CapiError as error:
            self.usable = False
            raise self._failure(error, "a resource's destructor") from None

    def close(self) -> None:
        """As `Instance` says."""
        with self._lock:
            self.usable = False
            if self._closed:
                return
            self._closed = True
            if self._busy:
                return
        self._free()

    def _free(self) -> None:
        context = self._guest.context
        while self._forgotten:
            _capi.forget_resource(self._forgotten.pop())
        self._guest.close()
        self._sandbox.left(context, self)

    @contextmanager
    def _entered(self) -> Iterator[None]:
        """Around whatever runs the guest: one user at a time, and the clock runs."""
        with self._lock:
            if self._busy or self._closed:
                raise in_use()
            self._busy = True
        try:
            with self._sandbox.engine.running():
                self._guest.set_epoch_deadline(1)
                yield
        finally:
            with self._lock:
                self._busy = False
                closed = self._closed
            if closed:
                self._free()

    def _on_epoch(self, ticks: int) -> int:
        try:
            self.call.check_running()
            c_uint64.from_address(ticks).value = 1
        except BaseException as error:
            self.pending = error
            return _capi.error_new("the host ended the call")
        return 0

    def _failure(self, error: _capi.CapiError, doing: str) -> BaseException:
        """What the caller is told of an error from wasmtime."""
        pending, self.pending = self.pending, None
        if pending is not None:
            return pending
        return failure(self.call, error.trap_code, str(error), doing)
