"""How wasmtime is configured for untrusted guests, wherever they run or are compiled."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from wasmtime import Engine

MAX_WASM_STACK: Final = 512 * 1024
"""Bytes of stack that a guest may use."""

ASYNC_STACK: Final = MAX_WASM_STACK + 1536 * 1024
"""Bytes of the stack that a guest runs on, in addresses: what is not touched takes no memory. The
rest is for wasmtime, and for the callbacks of imports, which run there, too."""

FUEL_SLICE: Final = 5_000_000
"""Units of fuel after which a guest hands control back: a fraction of a millisecond."""

MEMORY_ADDRESSES: Final = (4 << 30) + 2 * (32 << 20)
"""Addresses that wasmtime reserves for each linear memory, however small it is, with those before
and after it that nothing may use: so that compiled code needs few checks of bounds."""

SETTINGS: Final = {
    "consume_fuel": True,
    "epoch_interruption": False,
    "max_wasm_stack": MAX_WASM_STACK,
    "wasm_threads": False,
    "shared_memory": False,
    "wasm_memory64": False,
    "wasm_exceptions": False,
    "wasm_function_references": False,
    "wasm_gc": False,
    "gc_support": False,
    "wasm_stack_switching": False,
    "wasm_wide_arithmetic": False,
    "wasm_custom_page_sizes": False,
    "wasm_relaxed_simd": False,
    "wasm_multi_memory": True,
    "strategy": "cranelift",
}
"""What `wasmtime.Config` is told."""


def make_engine(*, compiles_in_parallel: bool = False) -> Engine:
    """An engine with the settings that untrusted guests need.

    Compiling in parallel is for processes that do nothing else: wasmtime does it in threads that
    are the whole process's, and a process that was forked from one that has them waits for ever
    for its own.

    Raises `RuntimeError` if this wasmtime is not the one that the host was built for.
    """
    from wasmtime import Config, Engine  # here, since what else is in this module needs no wasmtime

    from . import _capi

    _capi.check_layout()
    config = Config()
    for name, value in SETTINGS.items():
        setattr(config, name, value)
    config.parallel_compilation = compiles_in_parallel
    _capi.configure(config, ASYNC_STACK)
    return Engine(config)
