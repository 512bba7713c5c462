"""`orchestrator-plugin policy`: checks policy files, pins plugins in them, and finds out what a
plugin needs."""

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
from rich.text import Text

from ..admission import admit_component
from ..capabilities.http.addresses import Network
from ..capabilities.observing import Observations
from ..component_file import read_component
from ..discovery import PluginSource, resolve
from ..host import PluginHost
from ..limits import Limits
from ..pinning import pin_lines, unpinned, unpinned_tables
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
from .policy_file import pin_in_file
from .running import run
from .sources import to_load

policy = typer.Typer(help="Check what plugins are granted, or find out what one needs.")


@policy.command()
def check(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="A policy file.")],
    as_json: JsonOption = False,
) -> None:
    """Show what a policy file grants, and what of that to any file that has a plugin's name,
    because no digest is named; or every fault in it."""
    out = Output(as_json)
    with out.reporting():
        read = read_policy(path)
        shown = read.model_dump(mode="json", exclude_defaults=True, by_alias=True)
        tables = unpinned_tables(read)
        if as_json:
            listed = [{"table": name, "grants": granted} for name, granted in tables.items()]
            out.document(shown | {"unpinned": listed})
            return
        out.pretty(shown)
        for name, granted in tables.items():
            whom = "any plugin that is not named" if name == "default" else "any file of that name"
            text = f"✗ [{name}] names no digest: it grants {', '.join(granted)} to {whom}"
            out.people.print(Text(visible(text), style="red"), soft_wrap=True)
        if tables:
            out.note(f"to name one: orchestrator-plugin policy pin FILE --policy {path}")


@policy.command()
def pin(
    source: Annotated[
        str,
        typer.Argument(metavar="FILE_OR_DIR", help="A component, or a built source folder."),
    ],
    policy_path: Annotated[
        Path | None,
        typer.Option(
            "--policy",
            metavar="FILE",
            help="The policy file to write the digest into; else the lines are printed.",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Name the digest of a component in the policy of the plugin that it says it is, so that no
    other file gets what that grants. Nothing of the plugin runs."""
    out = Output(as_json)
    with out.reporting():
        name, digest = run(_identity, to_load(source, native=False))
        document = {"plugin": name, "digest": f"sha256:{digest}"}
        if policy_path is None:
            if as_json:
                out.document(document)
            else:
                out.people.print(pin_lines(name, digest), markup=False, soft_wrap=True)
            return
        pinned = pin_in_file(policy_path, name, digest)
        if as_json:
            out.document(document | {"before": pinned.before and f"sha256:{pinned.before}"})
            return
        out.people.print(visible(pinned.text, lines=True), soft_wrap=True)
        if pinned.lost:
            out.note(
                f"[plugins.{name}] is new: the plugin gets nothing of [default] any more, which "
                f"grants {', '.join(pinned.lost)}. Write there what it is to have"
            )


async def _identity(source: PluginSource) -> tuple[str, str]:
    """The name and the digest of a component."""
    limits = Limits()
    found = await resolve(source, limits.component_bytes)
    if isinstance(found, PluginExport):
        raise UsageError("an entry point is a native plugin, which has no digest: name a component")
    if len(found) > limits.component_bytes:
        admit_component(found, limits, Policy())  # says why not
    file = read_component(found)
    return validate_manifest(file.manifest_document).name, file.digest


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
    and an artifacts folder. Folders are those of --policy. Of a secret the value is used only if
    --policy names the origins that it may go to (urls), and goes to those alone; of any other the
    plugin has a stand-in. A digest that --policy names must be the component's. A sandboxed plugin
    runs in a process of its own.
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
    digest = None if file is None else file.digest
    told = unpinned(granted, manifest.name, digest)
    if told is not None:
        out.note(told)
    held = base.model_copy(update={"wasi": needed})

    def used() -> Suggestion:
        return suggest(manifest, base, digest, needed, seen)

    try:
        await _call(
            out, source, operation, arguments, config, held, seen, sandboxed=file is not None
        )
    except BaseException:
        if not out.as_json:  # which is one document, and that is the error
            _show(out, used(), seen)
        raise
    _show(out, used(), seen)


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


def _show(out: Output, suggestion: Suggestion, seen: Observations) -> None:
    stand_ins = sorted(seen.stand_ins)
    if out.as_json:
        out.document(
            {
                "policy": suggestion.policy,
                "manifest": suggestion.manifest,
                "stand_ins": stand_ins,
            }
        )
        return
    if stand_ins:
        out.people.print(
            f"# stand-ins, not the values, were used for: {', '.join(stand_ins)}\n"
            "# (to use a value, bind the secret in --policy and name its urls there)\n",
            style="dim",
            markup=False,
            soft_wrap=True,
        )
    out.people.print("# for the policy file", style="dim")
    out.people.print(visible(suggestion.policy, lines=True), soft_wrap=True)
    if suggestion.manifest:
        out.people.print("\n# for plugin.toml: all that it used", style="dim")
        out.people.print(visible(suggestion.manifest, lines=True), soft_wrap=True)
