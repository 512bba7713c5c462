"""`orchestrator-plugin policy`: checks policy files, and finds out what a plugin needs."""

from __future__ import annotations

import inspect
import ipaddress
import tempfile
from contextlib import aclosing
from pathlib import Path
from typing import Annotated, Any

import typer
from orchestrator_plugin_sdk.context import PluginContext
from orchestrator_plugin_sdk.contract import Operation
from orchestrator_plugin_sdk.manifest import validate_manifest
from orchestrator_plugin_sdk.plugin import PluginExport
from orchestrator_plugin_sdk.visible import visible

from ..capabilities.addresses import Network
from ..capabilities.observing import Observations
from ..component_file import read_component
from ..discovery import PluginSource, resolve
from ..host import PluginHost
from ..limits import Limits
from ..policy import Policy, PolicyFile, read_policy
from ..settings import HostSettings, Tier
from ..suggesting import Suggestion, suggest
from .arguments import arguments_of, method_named, read_json
from .call import NoteLogger
from .output import (
    BuiltSource,
    ConfigOption,
    JsonOption,
    MethodName,
    NativeOption,
    Output,
    PolicyOption,
    RequestOption,
    UsageError,
)
from .running import run
from .sources import to_load

policy = typer.Typer(help="Check what plugins are granted, or find out what one needs.")


@policy.command()
def check(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="A policy file.")],
    as_json: JsonOption = False,
) -> None:
    """Show what a policy file grants, or every fault in it."""
    out = Output(as_json)
    with out.reporting():
        read = read_policy(path).model_dump(mode="json", exclude_defaults=True)
        if as_json:
            out.document(read)
        else:
            out.pretty(read)


@policy.command("suggest")
def suggest_policy(
    source: BuiltSource,
    method: MethodName,
    request: RequestOption = "{}",
    config: ConfigOption = "{}",
    policy_path: PolicyOption = None,
    address: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NETWORK",
            help="A loopback or private address that may be reached, like 127.0.0.1. Repeatable.",
        ),
    ] = None,
    native: NativeOption = False,
    as_json: JsonOption = False,
) -> None:
    """Run one method in audit mode and print the least policy and manifest that it used.

    In audit mode a plugin may make any request to the public internet, and has an empty data folder
    and an artifacts folder. Secrets and folders are those of --policy. A sandboxed plugin runs in
    a process of its own.
    """
    out = Output(as_json)
    with out.reporting():
        operation = method_named(method)
        arguments = arguments_of(operation, read_json(request, "--request"))
        configured = read_json(config, "--config")
        granted = PolicyFile() if policy_path is None else read_policy(policy_path)
        seen = Observations([_network(one) for one in address or []])
        found = to_load(source, native=native)
        run(_run, out, found, operation, arguments, configured, granted, seen)


def _network(text: str) -> Network:
    try:
        return ipaddress.ip_network(text)
    except ValueError as error:
        raise UsageError(f"--address: {error}") from None


async def _run(
    out: Output,
    source: PluginSource,
    operation: Operation,
    arguments: dict[str, Any],
    config: dict[str, Any],
    granted: PolicyFile,
    seen: Observations,
) -> None:
    found = await resolve(source, Limits().component_bytes)
    if isinstance(found, PluginExport):
        file, manifest = None, validate_manifest(found.manifest)
    else:
        file = read_component(found)
        manifest = validate_manifest(file.manifest_document)
    base = granted.of(manifest.name)
    levels = [Policy().level_of(name) for name, _ in file.imports] if file else []
    needed = max((one for one in levels if one is not None), key=len, default="none")
    held = base.model_copy(update={"wasi": needed, "digest": None})
    digest = None if file is None else file.digest

    def used() -> Suggestion:
        return suggest(manifest, base, digest, needed, seen)

    try:
        await _call(
            out, source, operation, arguments, config, held, seen, sandboxed=file is not None
        )
    except BaseException:
        if not out.as_json:  # which is one document, and that is the error
            _show(out, used())
        raise
    _show(out, used())


async def _call(
    out: Output,
    source: PluginSource,
    operation: Operation,
    arguments: dict[str, Any],
    config: dict[str, Any],
    held: Policy,
    seen: Observations,
    *,
    sandboxed: bool,
) -> None:
    """Calls the method once, in audit mode."""
    context = PluginContext(logger=NoteLogger(out))
    tier: Tier | None = "process" if sandboxed else None
    with tempfile.TemporaryDirectory(prefix="orchestrator-plugin-audit-") as scratch:
        settings = HostSettings(policy=held, data_directory=Path(scratch))
        async with PluginHost(settings, observations=seen) as host:
            with out.waiting("running in audit mode"):
                plugin = await host.load(source, config, context, tier=tier)
                asked = getattr(plugin, operation.method)(**arguments)
                if operation.form == "stream":
                    async with aclosing(asked) as events:
                        async for _ in events:
                            pass
                elif inspect.isawaitable(asked):
                    await asked


def _show(out: Output, suggestion: Suggestion) -> None:
    if out.as_json:
        out.document({"policy": suggestion.policy, "manifest": suggestion.manifest})
        return
    out.people.print("# for the policy file", style="dim")
    out.people.print(visible(suggestion.policy, lines=True), soft_wrap=True)
    if suggestion.manifest:
        out.people.print("\n# for plugin.toml: all that it used", style="dim")
        out.people.print(visible(suggestion.manifest, lines=True), soft_wrap=True)
