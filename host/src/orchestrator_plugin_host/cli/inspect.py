"""`orchestrator-plugin inspect`: what a plugin is, without running or compiling it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from orchestrator_plugin_sdk.codec import to_document
from orchestrator_plugin_sdk.contract import KINDS
from orchestrator_plugin_sdk.errors import PluginError
from orchestrator_plugin_sdk.manifest import PluginManifest, check_version, validate_manifest
from orchestrator_plugin_sdk.plugin import PluginExport
from orchestrator_plugin_sdk.project import read_manifest
from orchestrator_plugin_sdk.visible import visible
from rich.table import Table
from rich.text import Text

from ..admission import admit_component, admit_export, limits_of
from ..component_file import ComponentFile, read_component
from ..discovery import resolve
from ..granting import asked_for
from ..limits import UNITS, Limits, effective_limits
from ..pinning import unpinned
from ..policy import PolicyFile, read_policy
from .output import JsonOption, Output, PolicyOption, error_document, megabytes
from .running import run
from .sources import component_of


def inspect(
    source: Annotated[
        str,
        typer.Argument(
            metavar="FILE_OR_DIR_OR_ENTRYPOINT",
            help="A component, a folder with a plugin.toml, or an installed entry point.",
        ),
    ],
    policy: PolicyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what a plugin is, what it asks for, and whether a host would take it, without running or
    compiling it. With --policy, that is for a host with this policy.

    Of an entry point, its module is imported, since that is where its manifest is.
    """
    out = Output(as_json)
    with out.reporting():
        granted = PolicyFile() if policy is None else read_policy(policy)
        folder = Path(source)
        facts = _of_folder(folder, granted) if folder.is_dir() else run(_of, source, granted)
        if as_json:
            out.document(facts)
        else:
            out.people.print(_table(facts))


async def _of(source: str, granted: PolicyFile) -> dict[str, Any]:
    limits = Limits()
    found = await resolve(source, limits.component_bytes)
    if isinstance(found, PluginExport):
        facts = {"source": source, "form": "entry point"}
        facts |= _described(validate_manifest(found.manifest), granted)
        return facts | _admission(lambda: admit_export(found, limits, granted))
    return {"source": source, "form": "component"} | _of_component(found, limits, granted)


def _of_folder(directory: Path, granted: PolicyFile) -> dict[str, Any]:
    """A source folder: its component if it is built, else what its `plugin.toml` says."""
    manifest = read_manifest(directory)
    component = component_of(directory)
    facts = {"source": str(directory), "form": "folder"}
    if component.is_file():
        limits = Limits()
        with component.open("rb") as file:
            data = file.read(limits.component_bytes + 1)
        return facts | {"component": str(component)} | _of_component(data, limits, granted)

    def admit() -> None:
        check_version(manifest)
        effective_limits(limits_of(granted.of(manifest.name), Limits()), manifest)

    described = _described(manifest, granted, built=False)
    return facts | {"component": None} | described | _admission(admit)


def _of_component(data: bytes, limits: Limits, granted: PolicyFile) -> dict[str, Any]:
    """Raises `InvalidComponentError` for what isn't a component, `ComponentTooLargeError`."""
    if len(data) > limits.component_bytes:
        admit_component(data, limits, granted)  # says why not
    file = read_component(data)
    try:
        facts = _described(validate_manifest(file.manifest_document), granted, file.digest)
    except PluginError:
        facts = {"manifest": None}  # admission tells what is wrong with it
    return facts | _contents(file) | _admission(lambda: admit_component(data, limits, granted))


def _described(
    manifest: PluginManifest,
    granted: PolicyFile,
    digest: str | None = None,
    *,
    built: bool = True,
) -> dict[str, Any]:
    policy = granted.of(manifest.name)
    return {
        "manifest": to_document(manifest),
        "world": KINDS[manifest.type].world,
        "asks_for": [asdict(one) for one in asked_for(manifest, policy)],
        "policy": {
            "grants": policy.grants,
            "pinned": policy.digest is not None,
            "unpinned": unpinned(granted, manifest.name, digest, built=built),
        },
    }


def _contents(file: ComponentFile) -> dict[str, Any]:
    return {
        "size": len(file.data),
        "digest": f"sha256:{file.digest}",
        "imports": [name for name, _ in file.imports],
        "exports": [name for name, _ in file.exports],
        "custom_sections": [{"name": n, "size": len(body)} for n, body in file.custom_sections],
        "contents": asdict(file.contents),
    }


def _admission(admit: Any) -> dict[str, Any]:
    """Whether a host with its default limits would go on to load it."""
    try:
        admit()
    except PluginError as error:
        return {"admission": {"admitted": False, "error": error_document(error)}}
    return {"admission": {"admitted": True}}


def _table(facts: Mapping[str, Any]) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in _rows(facts):
        shown = value if isinstance(value, Text) else Text("\n".join(map(visible, value)))
        table.add_row(name, shown)
    return table


def _asked(asked: list[Mapping[str, Any]]) -> Text:
    """What is granted, what is missing of what is not, and the line to add for that."""
    made = Text()
    for one in asked:
        mark, style = _mark(one)
        made.append(f"{mark} {visible(one['what'])}\n", style)
        if one["missing"]:
            made.append(f"    partly granted; missing: {visible(one['missing'])}\n", style)
        if not one["granted"]:
            lines = visible(one["line"], lines=True).replace("\n", "\n    ")
            made.append(f"    {lines}\n", "dim")
    made.rstrip()
    return made if asked else Text("nothing")


def _mark(asked: Mapping[str, Any]) -> tuple[str, str]:
    """How it is marked, and in which colour: granted whole, partly, or not at all."""
    if asked["granted"]:
        return "✓", "green"
    return ("◐", "yellow") if asked["missing"] else ("✗", "red")


def _rows(facts: Mapping[str, Any]) -> Iterator[tuple[str, list[str] | Text]]:
    """The rows of the table: a name, and lines. A plugin's words are in one line each."""
    manifest = facts["manifest"]
    if manifest:
        yield "plugin", Text(f"{manifest['name']} {manifest['version']}", style="bold")
        yield "", [manifest["description"]]
        yield "kind", [f"{manifest['type']}, world {facts['world']}"]
        yield "SDK", [str(validate_manifest(manifest).sdk_version)]
        for key in ("author", "license", "homepage"):
            if manifest[key]:
                yield key, [manifest[key]]
        yield "stateful", ["yes" if validate_manifest(manifest).keeps_state else "no"]
        yield "payloads", [", ".join(manifest["payload_encodings"])]
        asked = {name: value for name, value in manifest["limits"].items() if value is not None}
        lines = [f"{name} = {value:,} {UNITS[name]}" for name, value in asked.items()]
        yield "limits", lines or ["none of its own"]
    if manifest:
        yield "asks for", _asked(facts["asks_for"])
        told = facts["policy"]["unpinned"]
        if told is not None:
            yield "pinned", Text(visible(f"✗ {told}", lines=True), style="red")
        elif facts["policy"]["pinned"]:
            yield "pinned", ["by the digest that the policy names"]
    if facts.get("component", "") is None:
        yield "component", ["not built yet"]
    if "digest" in facts:
        yield "component", [facts.get("component") or facts["source"]]
        yield "size", [f"{megabytes(facts['size'])} ({facts['size']:,} bytes)"]
        yield "digest", [facts["digest"]]
        yield "imports", facts["imports"] or ["none"]
        yield "exports", facts["exports"] or ["none"]
        sections = [f"{one['name']} ({one['size']:,} bytes)" for one in facts["custom_sections"]]
        yield "sections", sections or ["none"]
    if facts["admission"]["admitted"]:
        yield "admission", Text("✓ would be admitted", style="green")
    else:
        error = facts["admission"]["error"]
        text = visible(f"✗ refused: {error['type']}: {error['message']}", lines=True)
        yield "admission", Text(text, style="red")
