"""What a caller is told of a guest that failed."""

from __future__ import annotations

from collections.abc import Mapping

from ..calls import Call
from ..errors import (
    DocumentTooLargeError,
    FuelExhaustedError,
    InvalidComponentError,
    MemoryLimitError,
    PluginError,
    PluginTrapError,
)
from ..limits import UNITS
from . import _capi
from .adapters import NO_MEMORY, TOO_LARGE

_TRAPS: Mapping[int, str] = {
    0: "stack overflow",
    1: "out-of-bounds memory access",
    2: "misaligned atomic access",
    3: "out-of-bounds table access",
    4: "indirect call to null",
    5: "indirect call of another type",
    6: "integer overflow",
    7: "integer division by zero",
    8: "invalid conversion to integer",
    9: "unreachable",
    10: "interrupted",
    11: "out of fuel",
    17: "entered while it could not be",
    23: "called an import where it must not",
    25: "invalid character",
    30: "string out of bounds",
    31: "list out of bounds",
    32: "invalid discriminant",
    33: "unaligned pointer",
}

# wasmtime's words for a store's limits, when it makes an instance.
_LIMIT_MESSAGES = (
    ("memory minimum size", "memory_bytes", "wants more memory than it may have"),
    ("memory count too high", "memories", "wants more memories than it may have"),
    ("instance count too high", "core_instances", "wants more core instances than it may have"),
    ("table count too high", "tables", "wants more tables than it may have"),
    ("table minimum size", "table_elements", "wants a larger table than it may have"),
)


def failure(call: Call, trap_code: int | None, message: str, doing: str) -> PluginError:
    """The error of a guest that failed while `doing` something, by wasmtime's words."""
    plugin, limits = call.plugin, call.limits
    if trap_code == _capi.TRAP_OUT_OF_FUEL:
        return FuelExhaustedError(plugin, "fuel", limits.fuel, UNITS["fuel"], "ran out of fuel")
    if message == TOO_LARGE:
        return DocumentTooLargeError(
            plugin,
            "document_out_bytes",
            limits.document_out_bytes,
            UNITS["document_out_bytes"],
            f"returned or passed more than twice as much at once in {doing}",
        )
    if message == NO_MEMORY:
        return MemoryLimitError(
            plugin,
            "memory_bytes",
            limits.memory_bytes,
            UNITS["memory_bytes"],
            f"has no memory for what it gets, returns or passes in {doing}",
        )
    if trap_code is None:
        if "matching implementation was not found in the linker" in message:
            first = message.strip().splitlines()[0]
            return InvalidComponentError(
                f"plugin {plugin!r} imports something of WASI with another type than it has: "
                f"{first}. Build it against WASI 0.2"
            )
        if "fuel allocated for hostcalls" in message:
            return PluginTrapError(
                f"plugin {plugin!r} passed too much at once in {doing}: 134,217,728 bytes is the "
                "most, whatever its limits are. Its instance was thrown away",
                "too much data",
            )
        if "Exited with i32 exit status" in message:
            return PluginTrapError(
                f"plugin {plugin!r} ended itself (wasi:cli/exit) in {doing}; its instance was "
                "thrown away",
                "exit",
            )
        for words, name, what in _LIMIT_MESSAGES:
            if words in message:
                return MemoryLimitError(plugin, name, getattr(limits, name), UNITS[name], what)
    trap = "broken rules of the component model"
    if trap_code is not None:
        trap = _TRAPS.get(trap_code, f"trap {trap_code}")
    cause = message.rpartition("Caused by:")[2].strip().splitlines()
    detail = f" ({cause[-1].strip()})" if trap_code is None and cause else ""
    return PluginTrapError(
        f"plugin {plugin!r} crashed in {doing}: {trap}{detail}; its instance was thrown away. "
        f"If it ran out of memory (it has {limits.memory_bytes:,} bytes), raise "
        "Limits(memory_bytes=…)",
        trap,
    )
