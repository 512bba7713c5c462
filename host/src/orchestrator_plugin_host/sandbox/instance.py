"""Instances of a component: a guest each, one call at a time, gone after a failure.

Two kinds with one interface: `inprocess.InProcessInstance` has its guest in this process,
`processes.ProcessInstance` in a process of its own. Both speak `steps`; `Instance.run` drives
either from a call to its result.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final

import anyio
import anyio.lowlevel

from ..calls import Call
from ..errors import DocumentTooLargeError, PluginClosedError, PluginOutputError
from ..limits import UNITS, Limits
from ..timing import soon_here
from . import _capi
from .failures import failure
from .guest import DROP, StoreLimits
from .imports import answer, answer_at_once, argument_error
from .linking import BadArgumentError
from .steps import YIELDED, Asked, Done, Step
from .values import Ok, Resource, ValueMismatchError, ValueTooLargeError

INLINE_SECONDS: Final = 0.002
"""How long guests may have one pass of the event loop for themselves, all of them together."""


class InlineTime:
    """How long guests have kept one event loop since it last looked at its other tasks."""

    __slots__ = ("_seconds",)

    def __init__(self) -> None:
        self._seconds = 0.0

    @property
    def left(self) -> bool:
        """Whether a guest may run on the event loop now."""
        return self._seconds < INLINE_SECONDS

    def use(self, seconds: float) -> None:
        """Counts, until the event loop has run whatever was due by now."""
        if not self._seconds:
            soon_here(self._reset)
        self._seconds += seconds

    def _reset(self) -> None:
        self._seconds = 0.0


class Instance(ABC):
    """One instance of a component, initialised or not. Has one call at a time.

    `usable` is false once the instance must not be entered again; `at_rest` is true while its guest
    is between two calls.
    """

    usable: bool
    at_rest: bool
    inline_time: InlineTime

    # How a guest is driven. Whatever these raise, the instance is closed.

    @abstractmethod
    def start(
        self, call: Call, interface: str, name: str, arguments: Sequence[Any], *, run: bool
    ) -> Step:
        """Calls an exported function; with `run`, may run the guest briefly, and otherwise leaves
        that to `proceed`."""

    @abstractmethod
    def resume(self, call: Call, answer: Any, *, run: bool) -> Step:
        """Gives the guest the answer to what it asked for; `run` as for `start`."""

    @abstractmethod
    async def proceed(self, call: Call) -> Step:
        """Waits for the guest to be done, or to ask for something. May give up in between with
        `YIELDED`. Once cancelled, it can be called again, and goes on waiting."""

    @abstractmethod
    def close(self) -> None:
        """Frees the instance, in the middle of a call, too. Its guest runs no more."""

    def fuel(self, call: Call) -> int | None:
        """The fuel that a call begins with here; `None` to go on with what is left of it, as a
        stream does from event to event."""
        if call.fuelled is self:
            return None
        call.fuelled = self
        return call.limits.fuel

    # What it is driven for.

    async def run(self, call: Call, interface: str, name: str, *arguments: Any) -> Any:
        """Calls an exported function; returns the result as in `values`.

        Raises `PluginError`, or whatever answering an import raised. Afterwards the instance is
        closed, unless its guest is at rest: the call was not begun, or the guest stopped by itself
        when the call was given up. One that was closed before, or meanwhile, raises
        `PluginClosedError`.
        """
        try:
            self._check_usable(call)
            if not self.at_rest:
                raise RuntimeError("the guest is in a call")
            call.check()
            inline = self.inline_time
            began = time.monotonic()
            step = self.start(call, interface, name, arguments, run=inline.left)
            inline.use(time.monotonic() - began)
            if type(step) is Done:
                if not inline.left:
                    await anyio.lowlevel.cancel_shielded_checkpoint()
                self.at_rest = True
                return step.value
            with call.scope():
                return await self._driven(call, step)
        except BaseException as error:
            if not self.at_rest:
                self.close()
            told = explained(call, name, error)
            if told is error:
                raise
            raise told from None

    async def _driven(self, call: Call, step: Step) -> Any:
        """Drives a guest that has begun to its result."""
        inline = self.inline_time
        while True:
            if type(step) is Asked:
                began = time.monotonic()
                has_answer, value = answer_at_once(call, step)
                if not has_answer:
                    value = await answer(call, step)
                    if not inline.left:  # it may not have waited for anything
                        await anyio.lowlevel.checkpoint()
                    self._check_usable(call)
                    began = time.monotonic()
                step = self.resume(call, value, run=inline.left)
                inline.use(time.monotonic() - began)
            elif step is YIELDED:
                try:
                    step = await self.proceed(call)
                except anyio.get_cancelled_exc_class():
                    await self._stopping(call)
                    raise
                self._check_usable(call)
            else:
                assert type(step) is Done
                self.at_rest = True
                return step.value

    async def _stopping(self, call: Call) -> None:
        """Lets a guest that computes, and whose call is given up, stop by itself for a moment: it
        may ask whether to. What it returns is nobody's."""
        with anyio.move_on_after(call.grace, shield=True), suppress(Exception):
            step: Step = YIELDED
            while type(step) is not Done:
                if type(step) is Asked:
                    has_answer, value = answer_at_once(call, step)
                    if not has_answer:
                        return
                    step = self.resume(call, value, run=False)
                step = await self.proceed(call)
            value = step.value
            if isinstance(value, Ok) and isinstance(value.value, Resource):
                self.forget(value.value)  # its guest still has it: that goes, too
            else:
                self.at_rest = True

    def _check_usable(self, call: Call) -> None:
        if not self.usable:
            raise PluginClosedError(f"the instance of plugin {call.plugin!r} has been closed")

    async def drop(self, call: Call, resource: int) -> None:
        """Drops a resource that a function returned, which runs its destructor in the guest.
        Raises as `run` does."""
        try:
            await self.run(call, *DROP, resource)
        finally:
            self.forget(resource)

    @abstractmethod
    def forget(self, resource: int) -> None:
        """Frees what the host has of a resource, of an instance that is closed: its destructor does
        not run."""


class InstanceSource(ABC):
    """Makes the instances of one loaded plugin."""

    @abstractmethod
    async def instance(self, call: Call) -> Instance:
        """A new instance, made within `call`'s limits and its scope. Runs guest code.

        Raises `PluginError`.
        """

    async def close(self) -> None:
        """Frees what was held ready. No instance is made afterwards."""
        return


def explained(call: Call, doing: str, error: BaseException) -> BaseException:
    """What the caller is told when `error` was raised while a guest was `doing` something."""
    if isinstance(error, _capi.CapiError):
        return failure(call, error.trap_code, str(error), doing)
    if isinstance(error, BadArgumentError):
        return argument_error(call, error)
    if isinstance(error, ValueTooLargeError):
        return too_large(call, error.size)
    if isinstance(error, (ValueMismatchError, UnicodeDecodeError)):
        return output_error(call, doing, error)
    return error


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
        f"returned a value of {size:,} bytes",
    )
