"""Instances without a host around them, for tests of one call at a time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from orchestrator_plugin_host import Limits, read_component
from orchestrator_plugin_host.admission import world_of
from orchestrator_plugin_host.calls import Call
from orchestrator_plugin_host.sandbox.instance import Instance, Sandbox
from orchestrator_plugin_host.sandbox.loader import ComponentLoader, InstanceSource, Template
from orchestrator_plugin_host.settings import Tier
from orchestrator_plugin_sdk import PluginContext
from orchestrator_plugin_sdk.contract import KINDS
from support.guests import Guest

Compile = Callable[[Guest], Template]
Make = Callable[..., Instance]


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """An engine and its imports."""
    one = Sandbox()
    yield one
    one.close()


@pytest.fixture(params=["in-process", "process"])
def tier(request: pytest.FixtureRequest) -> Tier:
    """Where guests run."""
    return request.param


@pytest.fixture
def compiled(sandbox: Sandbox, cache_directory: Path, tier: Tier) -> Compile:
    """Compiles a `Guest` and compares it with its world."""
    loader = ComponentLoader(sandbox, cache_directory, 1 << 40)

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
def make(compiled: Compile) -> Iterator[Make]:
    """Makes an instance of a `Guest`: `make(guest, limits=…, context=…)`."""
    made: list[Instance] = []
    sources: list[InstanceSource] = []

    def make_one(
        guest: Guest, *, limits: Limits | None = None, context: PluginContext | None = None
    ) -> Instance:
        call = Call("wat-guest", limits or Limits(), context or PluginContext())
        source = compiled(guest).source()
        sources.append(source)
        made.append(source.instance(call))
        return made[-1]

    yield make_one
    for instance in made:
        instance.close()
    for source in sources:
        source.close()


def ask(instance: Instance, function: str = "generate", *arguments: Any) -> Any:
    """Calls one of a provider's functions, by default with an empty payload."""
    instance.begin(instance.call)
    return instance.invoke(
        "orchestrator:plugin/provider@1.0.0", function, *(arguments or (("bytes", b""),))
    )
