"""What a worker does that compiles one component."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Final

from wasmtime import Engine
from wasmtime.component import Component

from ...component_file import without_names
from ...errors import InvalidComponentError
from ...wit import read_contract
from .. import _capi
from ..adapters.outer import with_adapters
from ..typecheck import ComponentTypeError, check_component
from . import confine, starting
from .channel import Channel

_MAX_WORDS: Final = 4096
"""Characters of what is said of a component that is not compiled."""
_ADDRESSES: Final = 1 << 30
"""Bytes of addresses for the worker itself."""
_THREAD_ADDRESSES: Final = 1 << 28
"""The same for each thread that compiles: its stack, and what the C library reserves for it."""


def compiling(
    channel: Channel,
    engine: Engine,
    size: int,
    world_name: str,
    wasi: list[str],
    memory_bytes: int,
    code_bytes: int,
) -> Callable[[], None]:
    """Confines the worker; what its thread does, which is to compile the component that comes
    then."""
    world = read_contract().worlds[world_name]
    memory = memory_bytes + 2 * size  # the component is received, and copied once
    threads = os.cpu_count() or 1
    held = confine.enclose(memory, memory + _ADDRESSES + threads * _THREAD_ADDRESSES)

    def compiled(data: bytes) -> Component:
        guest = without_names(data)
        try:
            component = _capi.compile_component(engine, with_adapters(engine, guest, world))
        except (_capi.CapiError, InvalidComponentError):
            # The guest's own types say better what is wrong.
            check_component(engine, _capi.compile_component(engine, guest), world, wasi)
            raise
        check_component(engine, component, world, wasi)
        return component

    def work() -> None:
        starting.start_compiling(engine)
        channel.send(["confined", held + confine.seal()])
        try:
            component = compiled(bytes(channel.receive_bytes(size)))
        except (_capi.CapiError, InvalidComponentError) as error:
            channel.send(["invalid", str(error)[:_MAX_WORDS]])
        except ComponentTypeError as error:
            channel.send(["types", str(error)[:_MAX_WORDS]])
        else:
            code = bytes(component.serialize())
            # A few bytes of data, far apart, make megabytes of a memory's beginning.
            if len(code) > code_bytes:
                channel.send(["large", len(code)])
            else:
                channel.send(["compiled", len(code)])
                channel.send_bytes(code)

    return work
