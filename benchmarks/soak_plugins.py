"""What the soak calls: plugins, good and bad, how often each, and what each must end with."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from typing import Any, Final

import anyio
from orchestrator_plugin_host import Limits
from orchestrator_plugin_sdk import (
    AbortController,
    LogEvent,
    PluginContext,
    PluginLogger,
    PluginType,
    pack,
    to_document,
)
from support.guests import DATA, Guest

REQUEST: Final[dict[str, Any]] = {"messages": [{"role": "user", "content": "Hi"}]}
VECTOR: Final = [1.0, 0.0]
_LOGGED: Final = pack(to_document(LogEvent("hello", fields={"n": 1})))
_EVENT: Final = pack({"type": "text_delta", "text": "x" * 50})
_EMIT: Final = f"(call $emit (i32.const 0) (i32.const {DATA}) (i32.const {len(_LOGGED)}))"
_SPIN: Final = "(loop $spin (br $spin)) (unreachable)"
_NEXT: Final = "[method]event-stream.next"

_SMALL: Final = Limits(memory_bytes=32 * 1024 * 1024)
"""Limits with which a guest may run on the event loop: those of others run in threads."""

_AROUND: Final = """(if (i32.gt_u (global.get $top) (i32.const 131072))
  (then (global.set $top (i32.const 65536))))"""
"""What a guest's allocator begins with, which frees nothing else: or an instance that lives long
would take more memory with each call."""

_GUESTS: Final[dict[str, tuple[Guest, Limits]]] = {
    **{str(kind): (Guest(kind), Limits()) for kind in PluginType},
    "small": (Guest(), _SMALL),
    "stream": (
        Guest(
            functions={_NEXT: f"(call $ok_some (i32.const {DATA}) (i32.const {len(_EVENT)}))"},
            data=_EVENT,
        ),
        _SMALL,
    ),
    "log": (
        Guest(functions={"generate": f"{_EMIT * 3} $document_2096"}, data=_LOGGED),
        _SMALL,
    ),
    "trap": (Guest(functions={"generate": "(unreachable)"}), _SMALL),
    "bounds": (
        Guest(
            PluginType.EMBEDDER,
            functions={"embed-texts": "(drop (i32.load (i32.const -8))) (unreachable)"},
        ),
        Limits(),
    ),
    "fuel": (Guest(functions={"generate": _SPIN}), Limits(fuel=100_000)),
    "deadline": (
        Guest(PluginType.TOOL_EXECUTOR, functions={"execute": _SPIN}),
        Limits(deadline_ms=15),
    ),
    "memory": (
        Guest(
            functions={
                "generate": "(if (i32.eq (i32.const -1) (memory.grow (i32.const 4096))) (then"
                " (return (call $err (i32.const 9) (i32.const 4096) (i32.const 0)))))"
                " $document_2096"
            }
        ),
        Limits(memory_bytes=4 * 1024 * 1024),
    ),
    "log limit": (
        Guest(functions={"generate": f"(loop $l {_EMIT} (br $l)) (unreachable)"}, data=_LOGGED),
        Limits(log_events=20),
    ),
    "abort": (
        Guest(functions={"generate": "(call $sleep (i64.const 600000)) $document_2096"}),
        Limits(),
    ),
    "cancel": (Guest(functions={"generate": _SPIN}), _SMALL),
    "cancel a while": (
        Guest(
            functions={
                "generate": "(loop $l (call $sleep (i64.const 1)) (br_if $l (i32.eqz"
                " (call $is_aborted)))) (call $err (i32.const 0) (i32.const 0) (i32.const 0))"
            }
        ),
        Limits(),
    ),
    "nonsense": (
        Guest(functions={"generate": f"(call $ok_bytes (i32.const {DATA}) (i32.const 4))"}),
        Limits(),
    ),
}
GUESTS: Final = {
    name: (guest.but(realloc=_AROUND), limits) for name, (guest, limits) in _GUESTS.items()
}
"""The plugins, and the limits that each is loaded with."""

MIX: Final[dict[str, tuple[int, str]]] = {
    "provider": (15, ""),
    "small": (15, ""),
    "embedder": (20, ""),
    "vector_memory_backend": (20, ""),
    "tool_executor": (20, ""),
    "stream": (10, ""),
    "log": (20, ""),
    "trap": (8, "PluginTrapError"),
    "bounds": (8, "PluginTrapError"),
    "fuel": (8, "FuelExhaustedError"),
    "deadline": (2, "DeadlineExceededError"),
    "memory": (8, "MemoryLimitError"),
    "log limit": (4, "LogLimitError"),
    "abort": (2, "PluginAbortedError"),
    "cancel": (2, ""),
    "cancel a while": (2, ""),
    "nonsense": (4, "PluginOutputError"),
    "raising logger": (6, "MineError"),
    "no component": (2, "InvalidComponentError"),
    "load and unload": (1, ""),
}
"""How often each happens, in parts, and the error that it must end with."""


class MineError(Exception):
    """What a caller's logger raises."""


class _Raising(PluginLogger):
    def emit(self, event: LogEvent) -> None:
        raise MineError


async def generate(plugin: Any, chance: random.Random) -> None:
    """Asks a provider for an answer."""
    await plugin.generate(REQUEST)


async def _embed(plugin: Any, chance: random.Random) -> None:
    await plugin.embed_texts(["one"])


async def _memory(plugin: Any, chance: random.Random) -> None:
    if chance.random() < 0.5:
        await plugin.query("repo", VECTOR, 3)
    else:
        await plugin.delete_by_ids("repo", ["a"])


async def _execute(plugin: Any, chance: random.Random) -> None:
    await plugin.execute({"command": "ls"}, {"enabled": True})


async def _raising(plugin: Any, chance: random.Random) -> None:
    await plugin.generate(REQUEST, PluginContext(logger=_Raising()))


async def _stream(plugin: Any, chance: random.Random) -> None:
    async with aclosing(plugin.stream(REQUEST)) as events:
        for _ in range(chance.randrange(4)):  # and leaves it early
            await anext(events)


async def _abort(plugin: Any, chance: random.Random) -> None:
    controller = AbortController()
    async with anyio.create_task_group() as group:

        async def soon() -> None:
            await anyio.sleep(chance.random() * 0.01)
            controller.abort("soak")

        group.start_soon(soon)
        try:
            await plugin.generate(REQUEST, PluginContext(abort_signal=controller.signal))
        except Exception as error:
            raised: Exception | None = error
        else:
            raised = None
    if raised is not None:
        raise raised


async def _cancel(plugin: Any, chance: random.Random) -> None:
    with anyio.move_on_after(chance.random() * 0.01):
        await plugin.generate(REQUEST)


OPERATIONS: Final[dict[str, Callable[[Any, random.Random], Awaitable[None]]]] = {
    "embedder": _embed,
    "bounds": _embed,
    "vector_memory_backend": _memory,
    "tool_executor": _execute,
    "deadline": _execute,
    "stream": _stream,
    "abort": _abort,
    "cancel": _cancel,
    "cancel a while": _cancel,
    "raising logger": _raising,
}
"""What is done with a plugin, where it is not `generate`."""
