"""What a component may call: the host's side of `log`, `abort`, `clock` and `random`.

Every import goes through one guard. Whatever is raised in it, `BaseException` included, is kept
with the instance and ends the guest's call; it never reaches wasmtime, where it would end the
process, nor another thread.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from orchestrator_plugin_sdk import DocumentError, LogEvent, unpack
from orchestrator_plugin_sdk.payload import from_text

from ..calls import Call
from ..documents import validate
from ..errors import PluginOutputError
from ..wit import Function, full_name, read_contract
from . import _capi
from .values import lifter, lowerer

if TYPE_CHECKING:
    from .instance import Instance

_MAX_RANDOM_BYTES = 65_536


def payload_bytes(payload: tuple[str, Any]) -> bytes:
    """The document of a payload, whichever form it came in. Raises `DocumentError`."""
    form, value = payload
    if form == "bytes":
        return bytes(value)
    return from_text("latin1" if form == "latin1" else "base64", value)


def _emit(call: Call, payload: tuple[str, Any]) -> None:
    call.check_log_bytes(len(payload[1]) * 3 // 4)
    try:
        event = validate(LogEvent, unpack(payload_bytes(payload)), "the event")
    except DocumentError as error:
        raise PluginOutputError(
            f"plugin {call.plugin!r} logged what is no log event: {error}"
        ) from None
    call.context.logger.emit(event)


def _is_aborted(call: Call) -> bool:
    return call.interrupted


def _wall_now(call: Call) -> int:
    return time.time_ns()


def _monotonic_now(call: Call) -> int:
    return time.monotonic_ns()


def _sleep(call: Call, duration_ms: int) -> None:
    # More than any deadline is as good as for ever, and fits a float.
    call.wait(min(duration_ms, 1 << 40) / 1000)


def _get_bytes(call: Call, length: int) -> bytes:
    if length > _MAX_RANDOM_BYTES:
        raise PluginOutputError(
            f"plugin {call.plugin!r} asked random.get-bytes for {length:,} bytes, "
            f"it gives at most {_MAX_RANDOM_BYTES:,} a call"
        )
    return os.urandom(length)


_HANDLERS: Mapping[str, Mapping[str, Callable[..., Any]]] = {
    "log": {"emit": _emit},
    "abort": {"is-aborted": _is_aborted},
    "clock": {"wall-now": _wall_now, "monotonic-now": _monotonic_now, "sleep": _sleep},
    "random": {"get-bytes": _get_bytes},
}


def _guarded(
    handler: Callable[..., Any], function: Function, instances: Mapping[int, Instance]
) -> Callable[..., int]:
    always = handler is _is_aborted  # a guest that asks is to get its answer
    lifts = [lifter(one) for _, one in function.params]
    lower = None if function.result is None else lowerer(function.result)

    def callback(
        data: Any, context: int, kind: Any, arguments: int, count: int, results: int, n: int
    ) -> int:
        instance = None
        try:
            instance = instances[context]
            if not always:
                instance.call.check_running()
            values = [lift(arguments + i * _capi.VAL_SIZE) for i, lift in enumerate(lifts)]
            result = handler(instance.call, *values)
            if lower is not None:
                lower(result, results)
        except BaseException as error:
            if instance is not None:
                instance.pending = error
            return _capi.error_new("the host ended the call")
        return 0

    return callback


def make_linker(engine: Any, instances: Mapping[int, Instance]) -> _capi.Linker:
    """A linker with every import of the contract, for the instances that the mapping holds, by
    the address of their store's context."""
    linker = _capi.Linker(engine)
    interfaces = read_contract().interfaces
    for name, handlers in _HANDLERS.items():
        interface = interfaces[full_name(name)]
        linker.define(
            interface.name,
            {
                function: _guarded(handlers[function], interface.functions[function], instances)
                for function in interface.functions
            },
        )
    # Types alone; components name it because the other interfaces use it.
    linker.define(full_name("types"), {})
    return linker
