"""Guests that never end by themselves, each in its own way."""

from __future__ import annotations

from orchestrator_plugin_host import Limits
from orchestrator_plugin_host.sandbox.inprocess import INLINE_MEMORY
from orchestrator_plugin_sdk import LogEvent, PluginLogger, pack, to_document
from support.guests import DATA, Guest

EVENT = pack(to_document(LogEvent("hello")))
BYTES = 200_000_000
FOR_EVER = Limits(
    deadline_ms=600_000,
    fuel=1 << 60,
    memory_bytes=INLINE_MEMORY,
    log_events=10**9,
    log_bytes=10**12,
)
"""With them a guest may run on the event loop."""

LARGE = FOR_EVER.model_copy(update={"memory_bytes": 1 << 28})
"""With them it runs in threads alone."""

DOING: dict[str, str] = {
    "computes": "(nop)",
    "sleeps": "(call $sleep (i64.const 3600000))",
    "sleeps a little, often": "(call $sleep (i64.const 1))",
    "sleeps not at all, often": "(call $sleep (i64.const 0))",
    "asks for the time": "(drop (call $wall_now))",
    "asks for randomness": "(call $get_bytes (i32.const 4096) (i32.const 16)) (call $reset)",
    "logs": f"(call $emit (i32.const 0) (i32.const {DATA}) (i32.const {len(EVENT)}))",
    "closes what is not open": "(call $http_close (i32.const 7))",
    "asks for files that it may not have": (
        "(call $file_stat (i32.const 0) (i32.const 0) (i32.const 512)) (call $reset)"
    ),
    "fills much memory": f"(memory.fill (i32.const 0) (i32.const 7) (i32.const {BYTES}))",
    "moves much memory": (
        f"(memory.copy (i32.const 0) (i32.const 65536) (i32.const {BYTES - 65536}))"
    ),
    "recurses": "(drop (call $tree (i32.const 40)))",
}
"""What a guest does over and over. None of it ends by itself."""

NEEDS_MUCH = ("fills much memory", "moves much memory")
"""What of it needs the memory of `LARGE`."""

TREE = """(func $tree (param $depth i32) (result i32)
    (if (i32.eqz (local.get $depth)) (then (return (i32.const 1))))
    (i32.add (call $tree (i32.sub (local.get $depth) (i32.const 1)))
      (call $tree (i32.sub (local.get $depth) (i32.const 1)))))"""


def busy(doing: str) -> Guest:
    """A guest that does one of these for ever."""
    pages = BYTES // 65_536 + 1 if doing in NEEDS_MUCH else 4
    return Guest(
        functions={"generate": f"(loop $more {DOING[doing]} (br $more)) (unreachable)"},
        fields=TREE,
        data=EVENT,
        memory=str(pages),
        reaching=True,
    )


class Quiet(PluginLogger):
    """Takes no notice."""

    def emit(self, event: LogEvent) -> None:
        return
