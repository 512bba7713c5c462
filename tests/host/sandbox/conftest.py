"""Instances without a host around them, for tests of one call at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from orchestrator_plugin_host import Limits, read_component
from orchestrator_plugin_host.admission import world_of
from orchestrator_plugin_host.calls import Call
from orchestrator_plugin_host.sandbox.instance import Instance, LoadedComponent, Sandbox
from orchestrator_plugin_host.sandbox.loader import ComponentLoader
from orchestrator_plugin_sdk import PluginContext
from orchestrator_plugin_sdk.contract import KINDS
from support.guests import Guest

Compile = Callable[[Guest], LoadedComponent]
Make = Callable[..., Instance]


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """An engine and its imports."""
    one = Sandbox()
    yield one
    one.close()


@pytest.fixture
def compiled(sandbox: Sandbox, cache_directory: Path) -> Compile:
    """Compiles a `Guest` and compares it with its world."""
    loader = ComponentLoader(sandbox.engine, cache_directory)

    def compile_one(guest: Guest) -> LoadedComponent:
        return loader.load("wat-guest", read_component(guest.core()), world_of(KINDS[guest.kind]))

    return compile_one


@pytest.fixture
def make(sandbox: Sandbox, compiled: Compile) -> Iterator[Make]:
    """Makes an instance of a `Guest`: `make(guest, limits=…, context=…)`."""
    made: list[Instance] = []

    def make_one(
        guest: Guest, *, limits: Limits | None = None, context: PluginContext | None = None
    ) -> Instance:
        call = Call("wat-guest", limits or Limits(), context or PluginContext())
        made.append(Instance(sandbox, compiled(guest), call))
        return made[-1]

    yield make_one
    for instance in made:
        instance.close()


def ask(instance: Instance, function: str = "generate", *arguments: Any) -> Any:
    """Calls one of a provider's functions, by default with an empty payload."""
    instance.begin(instance.call)
    return instance.invoke(
        "orchestrator:plugin/provider@1.0.0", function, *(arguments or (("bytes", b""),))
    )
