"""Whether wasmtime still gets the signals that it learns of traps by.

A guest's trap is a signal. If another part of the process takes those signals after wasmtime did
(`faulthandler.enable()`, late, does), the next trap ends the process instead of the call. There is
no repairing that without taking something away from whoever did it, so calls are refused, and the
error says what to do.
"""

from __future__ import annotations

import ctypes
import signal
import sys
from ctypes import POINTER, Structure, addressof, byref, c_char_p, c_int, c_void_p
from typing import Final

from ..errors import SignalsTakenError

_SIGNALS: Final = ("SIGSEGV", "SIGILL", "SIGFPE")
_STRUCT_SIZE: Final = 256
"""More than any system's `struct sigaction`, whose first word is the handler."""


class _DlInfo(Structure):
    _fields_ = (
        ("file", c_char_p),
        ("base", c_void_p),
        ("name", c_char_p),
        ("address", c_void_p),
    )


class SignalGuard:
    """Looks the handlers up, before each call: on one event loop. Only on Linux: elsewhere wasmtime
    does not depend on them alone."""

    def __init__(self) -> None:
        self._numbers: list[tuple[str, int]] = []
        if sys.platform != "linux":
            return
        libc = ctypes.PyDLL(None)  # quick calls, that keep the GIL
        self._sigaction = libc.sigaction
        self._sigaction.argtypes = [c_int, c_void_p, c_void_p]
        self._dladdr = libc.dladdr
        self._dladdr.argtypes = [c_void_p, POINTER(_DlInfo)]
        self._numbers = [(name, int(getattr(signal, name))) for name in _SIGNALS]
        self._found = (ctypes.c_char * _STRUCT_SIZE)()
        self._handler = c_void_p.from_buffer(self._found)
        self._found_at = addressof(self._found)
        self._wasmtimes: frozenset[int] = frozenset()

    def check(self) -> None:
        """Raises `SignalsTakenError` if a trap would not reach wasmtime."""
        sigaction, at, found = self._sigaction, self._found_at, self._handler
        for name, number in self._numbers:
            sigaction(number, None, at)
            handler = found.value or 0
            if handler not in self._wasmtimes:
                self._learn(name, handler)

    def _learn(self, name: str, handler: int) -> None:
        info = _DlInfo()
        if not self._dladdr(handler, byref(info)) or b"wasmtime" not in (info.file or b""):
            raise SignalsTakenError(
                f"something in this process has taken {name} from wasmtime, so a plugin's trap "
                "would end the process. If it is faulthandler, enable it before the first "
                "sandboxed plugin is loaded, and do not disable it"
            )
        self._wasmtimes |= {handler}
