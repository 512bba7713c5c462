"""`orchestrator-plugin build`: a plugin's folder to a component."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any

import typer
from orchestrator_plugin_sdk.codec import to_document
from orchestrator_plugin_sdk.visible import visible

from .. import build as builder
from ..component_file import read_component
from .output import JsonOption, Output, megabytes, milliseconds


def build(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="A folder with a plugin.toml.")],
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="FILE", help="Instead of DIR/build/NAME.wasm."),
    ] = None,
    component: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="A component or core module that another toolchain made.",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Build a plugin's folder to a component with its manifest in it."""
    out = Output(as_json)
    with out.reporting():
        started = time.perf_counter()
        with out.waiting("starting") as say:
            if component is None:
                target = builder.build(directory, output, say)
            else:
                say("adding the manifest")
                target = builder.embed_manifest(directory, component, output)
        _report(out, target, milliseconds(started))


def _report(out: Output, target: Path, took_ms: float) -> None:
    file = read_component(target.read_bytes())
    if out.as_json:
        document: dict[str, Any] = {
            "component": str(target),
            "size": len(file.data),
            "digest": f"sha256:{file.digest}",
            "milliseconds": took_ms,
            "manifest": to_document(file.manifest_document),
        }
        out.document(document)
        return
    out.people.print(visible(str(target)), soft_wrap=True)
    out.note(f"{megabytes(len(file.data))}, sha256:{file.digest[:12]}…, {took_ms / 1000:.1f} s")
