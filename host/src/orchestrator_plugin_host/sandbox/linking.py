"""What a component may import, linked: every function of the contract, through one guard.

Whatever is raised in an import, `BaseException` included, is kept for whoever made the call and
ends it; it never reaches wasmtime, where it would end the process, nor another thread.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any, Protocol

from wasmtime import Engine

from ..wit import Function, full_name, read_contract
from . import _capi
from .lowering import lowerer
from .values import lifter

INTERFACES = ("log", "abort", "clock", "random", "http", "files")


def import_function(interface: str, name: str) -> Function | None:
    """A function of the contract that guests may import; none if there is no such."""
    if interface not in INTERFACES:
        return None
    return read_contract().interfaces[full_name(interface)].functions.get(name)


class Imports(Protocol):
    """Who answers when a guest calls an import. A guest is told by its store's context."""

    def room(self, context: int, interface: str) -> int:
        """How many bytes a string or list that the guest passes to one may have."""

    def answer(self, context: int, interface: str, function: str, values: list[Any]) -> Any:
        """The result of an import. Whatever it raises ends the guest's call."""

    def failed(self, context: int, interface: str, error: BaseException) -> None:
        """Keeps what was raised."""


def _guarded(imports: Imports, interface: str, name: str, function: Function) -> Callable[..., int]:
    lifts = [lifter(one) for _, one in function.params]
    lower = None if function.result is None else lowerer(function.result)

    def callback(
        data: Any, context: int, kind: Any, arguments: int, count: int, results: int, n: int
    ) -> int:
        try:
            room = imports.room(context, interface) if lifts else 0
            values = [lift(arguments + i * _capi.VAL_SIZE, room) for i, lift in enumerate(lifts)]
            result = imports.answer(context, interface, name, values)
            if lower is not None:
                # Of the slot wasmtime has set the kind alone: an address that a value lacks must
                # not be what was there before.
                ctypes.memset(results, 0, _capi.VAL_SIZE)
                lower(result, results)
        except BaseException as error:
            imports.failed(context, interface, error)
            return _capi.error_new("the host ended the call")
        return 0

    return callback


def make_linker(engine: Engine, imports: Imports, *, wasi: bool) -> _capi.Linker:
    """A linker with every import of the contract, and with WASI for components that import it."""
    linker = _capi.Linker(engine)
    interfaces = read_contract().interfaces
    for name in INTERFACES:
        interface = interfaces[full_name(name)]
        linker.define(
            interface.name,
            {
                function: _guarded(imports, name, function, one)
                for function, one in interface.functions.items()
            },
        )
    # Types alone; components name it because the other interfaces use it.
    linker.define(full_name("types"), {})
    if wasi:
        linker.define_wasi()
    return linker
