"""Compiling a component, in a process of its own that is bounded in time and memory.

Compiling is work that an attacker chooses, on bytes that an attacker wrote. What comes back is
native code, compared with its world already.
"""

from __future__ import annotations

import threading
import time
from typing import Final

from ..component_file import ComponentFile
from ..errors import (
    CompileLimitError,
    CompilerLostError,
    InvalidComponentError,
    PluginAbortedError,
    PluginOutputError,
)
from ..limits import UNITS, Limits
from ..wit import World
from .confinement import Confinement
from .worker.spawn import Worker, WorkerGoneError

_ENVELOPE_BYTES: Final = 65_536
"""What a message of a compiler may have."""
_MAX_WORDS: Final = 4096
"""Characters of what the compiler says that an error repeats."""


def type_error(plugin: str, world: World, difference: str) -> InvalidComponentError:
    """The error of a component that is not of its world, type for type."""
    return InvalidComponentError(
        f"plugin {plugin!r} is not of the world {world.name!r}: {difference}. Build it against "
        "the WIT files of this version of the host"
    )


def compile_component(
    plugin: str,
    file: ComponentFile,
    world: World,
    wasi: frozenset[str],
    limits: Limits,
    given_up: threading.Event,
    confinement: Confinement,
) -> bytearray:
    """The code of a component, for an engine of `config.make_engine`.

    `given_up` ends it. The component's bytes go to a process that `confinement` accepts alone.
    Raises `InvalidComponentError`, `CompileLimitError`, `CompilerLostError`, `ConfinementError` or
    `PluginAbortedError`.
    """
    until = time.monotonic() + limits.compile_ms / 1000

    def limit_error(name: str, what: str) -> CompileLimitError:
        return CompileLimitError(plugin, name, getattr(limits, name), UNITS[name], what)

    def unexpected() -> PluginOutputError:
        return PluginOutputError(f"the compiler of plugin {plugin!r} sent an unexpected message")

    def go_on() -> None:
        if given_up.is_set():
            raise PluginAbortedError(f"plugin {plugin!r}: loading was cancelled")
        if time.monotonic() > until:
            raise limit_error("compile_ms", "took too long to compile")

    try:
        with Worker() as worker:
            data, memory = file.data, limits.compile_memory_bytes
            most = limits.code_bytes
            worker.send(["compile", len(data), world.name, sorted(wasi), memory, most], go_on)
            match worker.receive(_ENVELOPE_BYTES, go_on):
                case ["confined", list(held)]:
                    confinement.check(plugin, map(str, held))
                case _:
                    raise unexpected()
            worker.send_bytes(data, go_on)
            match worker.receive(_ENVELOPE_BYTES, go_on):
                case ["compiled", int(size)] if 0 <= size <= most:
                    return worker.receive_bytes(size, go_on)
                case ["large", int(size)]:
                    raise limit_error("code_bytes", f"is compiled to {size:,} bytes")
                case ["invalid", str(why)]:
                    raise InvalidComponentError(
                        f"plugin {plugin!r} is not a valid component for this host: "
                        f"{why[:_MAX_WORDS]}"
                    )
                case ["types", str(why)]:
                    raise type_error(plugin, world, why[:_MAX_WORDS])
                case _:
                    raise unexpected()
    except WorkerGoneError as error:
        if error.out_of_memory:
            raise limit_error(
                "compile_memory_bytes", "needs too much memory to be compiled"
            ) from None
        raise CompilerLostError(
            f"plugin {plugin!r} could not be compiled, its compiler ended: {error}. Nothing was "
            "stored; loading it again tries again"
        ) from None
