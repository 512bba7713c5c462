"""`orchestrator-plugin call`: one method of a plugin, called once."""

from __future__ import annotations

import inspect
import sys
import time
from contextlib import aclosing
from pathlib import Path
from typing import Annotated, Any

import typer
from orchestrator_plugin_sdk.context import PluginContext
from orchestrator_plugin_sdk.contract import KINDS, Operation
from orchestrator_plugin_sdk.log import LogEvent, PluginLogger
from orchestrator_plugin_sdk.provider import StreamEnd, StreamEvent, StreamTextDelta, StreamUsage
from orchestrator_plugin_sdk.visible import visible

from ..discovery import PluginSource
from ..handles import HANDLES, LoadedPlugin
from ..host import PluginHost
from ..policy import Policy, read_policy
from ..settings import HostSettings, Tier
from .arguments import arguments_of, limits_from, method_named, read_json
from .output import (
    BuiltSource,
    ConfigOption,
    JsonOption,
    MethodName,
    NativeOption,
    Output,
    PolicyOption,
    RequestOption,
    TierOption,
    UsageError,
    WasiOption,
    milliseconds,
)
from .running import run
from .sources import is_fresh, to_load


def call(
    source: BuiltSource,
    method: MethodName,
    request: RequestOption = "{}",
    config: ConfigOption = "{}",
    limit: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="A limit, like fuel=1000000000. Repeatable."),
    ] = None,
    tier: TierOption = None,
    wasi: WasiOption = None,
    policy: PolicyOption = None,
    native: NativeOption = False,
    as_json: JsonOption = False,
) -> None:
    """Call one method of a plugin. What the plugin logs goes to stderr."""
    out = Output(as_json)
    with out.reporting():
        operation = method_named(method)
        arguments = arguments_of(operation, read_json(request, "--request"))
        configured = read_json(config, "--config")
        limits = limits_from(limit or [])
        if policy is not None and wasi is not None:
            raise UsageError("--policy and --wasi: say wasi = … in the policy file")
        if native and tier is not None:
            raise UsageError("--native and --tier: a native plugin is not sandboxed, in no tier")
        found = to_load(source, native=native)
        if isinstance(found, Path) and not is_fresh(Path(source), found):
            out.note(f"{found} is older than what it was built from: build it again to see changes")
        granted = Policy(wasi=wasi or "none") if policy is None else read_policy(policy)
        settings = HostSettings(limits=limits, policy=granted)
        run(_run, out, found, operation, arguments, configured, settings, tier)


async def _run(
    out: Output,
    source: PluginSource,
    operation: Operation,
    arguments: dict[str, Any],
    config: dict[str, Any],
    settings: HostSettings,
    tier: Tier | None,
) -> None:
    context = PluginContext(logger=NoteLogger(out))
    async with PluginHost(settings) as host:
        with out.waiting("loading (the first time, compiling takes seconds)"):
            kind = _handle_with(operation)
            plugin = await host.load(source, config, context, expect=kind, tier=tier)
        started = time.perf_counter()
        asked = getattr(plugin, operation.method)(**arguments)
        if operation.form == "stream":
            async with aclosing(asked) as events:
                async for event in events:
                    _show_event(out, event)
        else:
            _show(out, operation, await asked if inspect.isawaitable(asked) else asked)
        how = f"sandboxed ({plugin.tier} tier)" if plugin.tier else "natively, not sandboxed"
        out.note(f"{plugin.name} {how}, {milliseconds(started)} ms")


def _handle_with(operation: Operation) -> type[LoadedPlugin]:
    """The one kind of plugins that has this method, if it is one."""
    having = [HANDLES[type_] for type_, kind in KINDS.items() if operation in kind.operations]
    return having[0] if len(having) == 1 else LoadedPlugin


def _show(out: Output, operation: Operation, result: Any) -> None:
    if out.as_json:
        out.document(result)
    elif operation.form == "nothing":
        out.note("done")
    else:
        out.pretty(result)


def _show_event(out: Output, event: StreamEvent) -> None:
    """An event as it comes: for people, the text alone flows."""
    if out.as_json:
        out.line(event)
    elif isinstance(event, StreamTextDelta):
        sys.stdout.write(visible(event.text, lines=True))
        sys.stdout.flush()
    elif isinstance(event, StreamEnd):
        sys.stdout.write("\n")
        sys.stdout.flush()
        out.note(f"finish reason: {event.finish_reason}")
    elif isinstance(event, StreamUsage):
        return
    else:
        out.line(event)


class NoteLogger(PluginLogger):
    """Shows what a plugin logs."""

    def __init__(self, out: Output) -> None:
        self._out = out

    def emit(self, event: LogEvent) -> None:
        """Shows one event."""
        fields = " ".join(f"{name}={value!r}" for name, value in event.fields.items())
        self._out.note(f"{event.level}: {event.message} {fields}".rstrip())
