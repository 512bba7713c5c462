"""Guests without an instance around them: the pieces of tests that go step by step."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from typing import Any

from orchestrator_plugin_host.admission import world_of
from orchestrator_plugin_host.component_file import without_names
from orchestrator_plugin_host.sandbox import _capi
from orchestrator_plugin_host.sandbox.adapters.outer import with_adapters
from orchestrator_plugin_host.sandbox.guest import Guest, LoadedComponent, StoreLimits
from orchestrator_plugin_host.sandbox.steps import YIELDED, Done, Step
from orchestrator_plugin_host.wit import full_name, host_imports
from orchestrator_plugin_sdk.contract import KINDS
from support.guests import Guest as Text
from wasmtime import Engine
from wasmtime.component import Component

ECHO = "(call $ok_payload (local.get 0) (local.get 1) (local.get 2))"
SPIN = "(loop $spin (br $spin)) (unreachable)"
WAIT = f"(call $sleep (i64.const 7)) {ECHO}"
FORGET = {"(local.set $at": "(global.set $top (i32.const 65536)) (local.set $at"}
"""An allocator that returns the same place every time: a guest that can be called for ever."""

EMPTY = ("latin1", b"")
FUEL = 1 << 50
ROOM = 1 << 24
ROOMS = dict.fromkeys(host_imports(), ROOM)
LIMITS = StoreLimits(1 << 25, 4, 16, 8, 10_000)


def in_base64(data: bytes) -> tuple[str, bytes]:
    """What comes of the bytes that a guest returns, or passes to an import."""
    return "base64", base64.b64encode(data)


def as_bytes(data: bytes) -> tuple[str, bytes]:
    """What a guest gets as bytes."""
    return "base64", b"=" + base64.b64encode(data)


Made = Callable[[Text | LoadedComponent], Guest]
"""Makes a guest whose instance is there, of a text or of what was loaded before."""


def component_of(engine: Engine, text: Text) -> Component:
    """A component of this text, compiled as a worker compiles it."""
    world = world_of(KINDS[text.kind])
    prepared = with_adapters(engine, without_names(text.core()), world)
    return _capi.compile_component(engine, prepared)


def loaded(engine: Engine, text: Text) -> LoadedComponent:
    """What guests of this text are made of."""
    return LoadedComponent.of(
        component_of(engine, text), world_of(KINDS[text.kind]), memories=1, wasi=False
    )


def start(
    one: Guest,
    name: str = "generate",
    *arguments: Any,
    fuel: int = FUEL,
    room: int = ROOM,
    rooms: Mapping[str, int] = ROOMS,
) -> Step:
    """Calls a function of a provider, by default with an empty payload."""
    return one.start(
        full_name("provider"), name, arguments or (EMPTY,), fuel=fuel, room=room, rooms=rooms
    )


def ended(one: Guest, step: Step) -> Any:
    """The result of a guest that asks for nothing."""
    while step is YIELDED:
        step = one.proceed()
    assert isinstance(step, Done)
    return step.value
