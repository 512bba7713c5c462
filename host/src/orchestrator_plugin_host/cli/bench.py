"""`orchestrator-plugin bench`: how long a plugin takes, in each place that it runs in."""

from __future__ import annotations

import inspect
import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import typer
from orchestrator_plugin_sdk.contract import (
    EMBED_TEXTS,
    EXECUTE,
    GENERATE,
    HEALTH_CHECK,
    QUERY,
    Operation,
)
from orchestrator_plugin_sdk.naming import PluginType
from orchestrator_plugin_sdk.visible import visible
from rich import box
from rich.table import Table

from ..discovery import PluginSource
from ..handles import LoadedPlugin
from ..host import PluginHost
from ..policy import Policy, read_policy
from ..settings import HostSettings, Tier
from .arguments import arguments_of, limits_from, method_named, read_json
from .output import (
    BuiltSource,
    ConfigOption,
    JsonOption,
    NativeOption,
    Output,
    PolicyOption,
    UsageError,
)
from .running import run
from .sources import is_fresh, to_load

__all__ = ["bench"]

Place = Literal["native", "in-process", "process"]
Say = Callable[[str], None]

_QUANTILES: Final = {"p50": 0.50, "p95": 0.95, "p99": 0.99}
_OPERATIONS: Final[Mapping[PluginType, Operation]] = {
    PluginType.PROVIDER: GENERATE,
    PluginType.EMBEDDER: EMBED_TEXTS,
    PluginType.VECTOR_MEMORY_BACKEND: QUERY,
    PluginType.TOOL_EXECUTOR: EXECUTE,
}
"""What `--request` is for, unless a method is named."""
_WARM_UP: Final = 3
"""Calls before those that count."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """What is measured: how many loads and calls, and of what besides `health_check`. `method` is
    `None` for the main operation of the plugin's kind, `request` for no operation at all."""

    loads: int
    calls: int
    method: Operation | None
    request: dict[str, Any] | None
    config: dict[str, Any]


def bench(
    source: BuiltSource,
    method: Annotated[
        str | None,
        typer.Argument(
            metavar="[METHOD]",
            help="What --request is for, if not generate, embed_texts, query or execute.",
        ),
    ] = None,
    request: Annotated[
        str | None,
        typer.Option(
            metavar="JSON|@FILE|-",
            help="The arguments of one operation by name, which is measured, too; as for `call`.",
        ),
    ] = None,
    config: ConfigOption = "{}",
    calls: Annotated[int, typer.Option(min=1, metavar="N", help="Calls of each kind.")] = 200,
    loads: Annotated[int, typer.Option(min=1, metavar="N", help="Loads, from the cache.")] = 10,
    tier: Annotated[
        Literal["in-process", "process", "both"], typer.Option(help="Where the component runs.")
    ] = "both",
    limit: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="A limit, like fuel=1000000000. Repeatable."),
    ] = None,
    policy: PolicyOption = None,
    native: NativeOption = False,
    as_json: JsonOption = False,
) -> None:
    """Measure how long a plugin takes to load, to answer health_check, and with --request to answer
    one operation: 50th, 95th and 99th percentile, in milliseconds, one call after another.

    Whatever the plugin does to the world, it does as often as it is called.
    """
    out = Output(as_json)
    with out.reporting():
        if method is not None and request is None:
            raise UsageError(f"what should {method} be called with? Pass --request")
        operation = None if method is None else method_named(method)
        if operation == HEALTH_CHECK:
            raise UsageError("health_check is measured anyway: name another method")
        document = None if request is None else read_json(request, "--request")
        if operation is not None and document is not None:
            arguments_of(operation, document)  # what is wrong is said before anything is loaded
        asked = _Asked(loads, calls, operation, document, read_json(config, "--config"))
        found = to_load(source, native=native)
        if isinstance(found, Path) and not is_fresh(Path(source), found):
            out.note(f"{found} is older than what it was built from: build it again to see changes")
        granted = Policy() if policy is None else read_policy(policy)
        settings = HostSettings(limits=limits_from(limit or []), policy=granted)
        with out.waiting("loading (the first time, compiling takes seconds)") as say:
            result = run(_measured, found, _places(tier, native), asked, settings, say)
        if as_json:
            out.document(result)
        else:
            out.people.print(_table(result))
            out.note(f"milliseconds, of {calls} calls one after another and {loads} loads")


def _places(tier: Literal["in-process", "process", "both"], native: bool) -> tuple[Place, ...]:
    if native:
        if tier != "both":
            raise UsageError("--native and --tier: a native plugin is not sandboxed, in no tier")
        return ("native",)
    return ("in-process", "process") if tier == "both" else (tier,)


async def _measured(
    source: PluginSource,
    places: Sequence[Place],
    asked: _Asked,
    settings: HostSettings,
    say: Say,
) -> dict[str, Any]:
    """The plugin's name and, by place and what was measured, the quantiles in milliseconds."""
    measured: dict[str, Any] = {}
    async with PluginHost(settings) as host:
        for place in places:
            tier: Tier | None = None if place == "native" else place
            say(f"{place}: load")
            plugin = await host.load(source, asked.config, tier=tier)  # which may compile it
            operations = _operations(plugin, asked)
            took = []
            for _ in range(asked.loads):
                await plugin.shutdown()
                started = time.perf_counter()
                plugin = await host.load(source, asked.config, tier=tier)
                took.append(_since(started))
            found = {"load": _summary(took)}
            for operation, arguments in operations:
                say(f"{place}: {operation.method}")
                found |= await _calls(plugin, operation, arguments, asked.calls)
            measured[place] = found
            name = plugin.name
            await plugin.shutdown()
    return {"plugin": name, "calls": asked.calls, "loads": asked.loads, "places": measured}


async def _calls(
    plugin: LoadedPlugin, operation: Operation, arguments: Mapping[str, Any], calls: int
) -> dict[str, dict[str, float]]:
    """What calls of one operation took; of a stream, also its first event."""
    took: list[float] = []
    first_events: list[float] = []
    for number in range(-_WARM_UP, calls):
        started = time.perf_counter()
        first = await _call(plugin, operation, arguments)
        if number >= 0:
            took.append(_since(started))
            if first is not None:
                first_events.append((first - started) * 1000)
    found = {operation.method: _summary(took)}
    if first_events:
        found["first event"] = _summary(first_events)
    return found


def _operations(plugin: LoadedPlugin, asked: _Asked) -> list[tuple[Operation, dict[str, Any]]]:
    operations: list[tuple[Operation, dict[str, Any]]] = [(HEALTH_CHECK, {})]
    if asked.request is not None:
        operation = asked.method or _OPERATIONS[plugin.plugin_type]
        if not hasattr(plugin, operation.method):
            raise UsageError(
                f"{plugin.name} is of the type {plugin.plugin_type}: it has no {operation.method}"
            )
        operations.append((operation, arguments_of(operation, asked.request)))
    return operations


async def _call(
    plugin: LoadedPlugin, operation: Operation, arguments: Mapping[str, Any]
) -> float | None:
    """Makes one call; of a stream, returns when its first event was there."""
    answer = getattr(plugin, operation.method)(**arguments)
    if operation.form != "stream":
        if inspect.isawaitable(answer):
            await answer
        return None
    first = None
    async with aclosing(answer) as events:
        async for _ in events:
            first = first or time.perf_counter()
    return first


def _since(started: float) -> float:
    return (time.perf_counter() - started) * 1000


def _summary(milliseconds: Sequence[float]) -> dict[str, float]:
    ordered = sorted(milliseconds)
    return {
        name: round(ordered[math.ceil(share * len(ordered)) - 1], 4)
        for name, share in _QUANTILES.items()
    }


def _table(result: Mapping[str, Any]) -> Table:
    table = Table(
        title=visible(result["plugin"]), title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False
    )
    table.add_column("", style="cyan")
    table.add_column("where")
    for name in _QUANTILES:
        table.add_column(name, justify="right")
    places = result["places"]
    for what in next(iter(places.values())):
        for number, (place, measured) in enumerate(places.items()):
            shown = (_shown(measured[what][name]) for name in _QUANTILES)
            table.add_row("" if number else what, place, *shown)
        table.add_section()
    return table


def _shown(milliseconds: float) -> str:
    return f"{milliseconds:,.0f}" if milliseconds >= 100 else f"{milliseconds:.3g}"
