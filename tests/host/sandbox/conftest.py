"""Instances without a host around them, for tests of one call at a time."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, Final

import anyio.to_thread
import pytest
from orchestrator_plugin_host import Limits, read_component
from orchestrator_plugin_host.admission import world_of
from orchestrator_plugin_host.calls import Call
from orchestrator_plugin_host.sandbox.guest import Guest as Stepped
from orchestrator_plugin_host.sandbox.guest import LoadedComponent
from orchestrator_plugin_host.sandbox.inprocess import INLINE_MEMORY, Sandbox
from orchestrator_plugin_host.sandbox.instance import Instance, InstanceSource
from orchestrator_plugin_host.sandbox.loader import ComponentLoader
from orchestrator_plugin_host.sandbox.steps import Done
from orchestrator_plugin_host.sandbox.templates import Template
from orchestrator_plugin_host.settings import Tier
from orchestrator_plugin_host.wit import full_name
from orchestrator_plugin_sdk import PluginContext
from orchestrator_plugin_sdk.contract import KINDS
from support.guests import Guest
from support.processes import wait_until

from .stepping import FUEL, LIMITS, ROOMS, Made, loaded

SMALL: Final = Limits(memory_bytes=INLINE_MEMORY)
"""Limits with which a guest may run on the event loop."""

Compile = Callable[[Guest], Template]
Make = Callable[..., Awaitable[Instance]]


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """An engine, its imports and its threads."""
    one = Sandbox()
    yield one
    one.close()


@pytest.fixture
def guest(sandbox: Sandbox) -> Iterator[Made]:
    """Makes guests to go through step by step."""
    made: list[Stepped] = []

    def make_one(of: Guest | LoadedComponent) -> Stepped:
        component = loaded(sandbox.engine, of) if isinstance(of, Guest) else of
        made.append(Stepped(sandbox.engine, sandbox.imports, component, LIMITS))
        assert made[-1].instantiate(FUEL, ROOMS) == Done(None)
        return made[-1]

    yield make_one
    for one in made:
        one.close()
    assert sandbox.imports.guests == {}


@pytest.fixture(params=["in-process", "process"])
def tier(request: pytest.FixtureRequest) -> Tier:
    """Where guests run."""
    return request.param


@pytest.fixture
def compiled(sandbox: Sandbox, cache_directory: Path, tier: Tier) -> Compile:
    """Compiles a `Guest` and compares it with its world."""
    loader = ComponentLoader(lambda: sandbox, cache_directory, 1 << 40)

    def compile_one(guest: Guest) -> Template:
        return loader.load(
            "wat-guest",
            read_component(guest.core()),
            world_of(KINDS[guest.kind]),
            frozenset(),
            Limits(),
            tier,
            threading.Event(),
        )

    return compile_one


@pytest.fixture
async def make(compiled: Compile, sandbox: Sandbox, anyio_backend: str) -> AsyncIterator[Make]:
    """Makes an instance of a `Guest`: `await make(guest, limits=…, context=…)`."""
    made: list[Instance] = []
    sources: list[InstanceSource] = []

    async def make_one(
        guest: Guest, *, limits: Limits | None = None, context: PluginContext | None = None
    ) -> Instance:
        call = one_call(limits, context)
        source = (await anyio.to_thread.run_sync(compiled, guest)).source()
        sources.append(source)
        with call.scope():
            made.append(await source.instance(call))
        return made[-1]

    yield make_one
    for instance in made:
        instance.close()
    for source in sources:
        await source.close()
    nothing_is_left(sandbox)


def one_call(limits: Limits | None = None, context: PluginContext | None = None) -> Call:
    """A call, whose clock runs."""
    return Call("wat-guest", limits or SMALL, context or PluginContext())


async def ask(
    instance: Instance,
    function: str = "generate",
    *arguments: Any,
    limits: Limits | None = None,
    context: PluginContext | None = None,
    interface: str = "provider",
) -> Any:
    """Calls one of a provider's functions, by default with an empty payload."""
    return await instance.run(
        one_call(limits, context),
        full_name(interface),
        function,
        *(arguments or (("latin1", b""),)),
    )


def nothing_is_left(sandbox: Sandbox) -> None:
    """Waits until the guests that are closed are freed, in a thread. No other may be left."""
    wait_until(lambda: not sandbox.imports.guests, "the end of every guest")
