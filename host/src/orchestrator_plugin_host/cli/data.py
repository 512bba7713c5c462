"""`orchestrator-plugin data`: the data folders of plugins, and whose each is."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from orchestrator_plugin_sdk.visible import visible
from rich.table import Table
from rich.text import Text

from ..capabilities.owned.folders import data_folders, take_over
from ..capabilities.owned.owners import NATIVE, owner_of
from ..policy import read_digest
from ..settings import default_data_directory
from .output import JsonOption, Output, UsageError

DataOption = Annotated[
    Path | None,
    typer.Option(
        "--data",
        metavar="DIR",
        help="The directory of all data folders, instead of $ORCHESTRATOR_PLUGIN_DATA or the "
        "user's.",
    ),
]

data = typer.Typer(help="List the data folders of plugins, or give one to another version.")


@data.command("list")
def list_folders(directory: DataOption = None, as_json: JsonOption = False) -> None:
    """Show the data folders, and the digest of the component that each belongs to."""
    out = Output(as_json)
    with out.reporting():
        found = data_folders(directory or default_data_directory())
        if as_json:
            out.document([{"plugin": name, "owner": owner} for name, owner in found.items()])
            return
        table = Table(box=None, pad_edge=False, header_style="dim")
        table.add_column("plugin")
        table.add_column("belongs to", overflow="fold")
        for name, owner in found.items():
            whose = "whoever uses it first" if owner is None else owner
            table.add_row(Text(visible(name)), Text(visible(whose)))
        out.people.print(table)


@data.command("take-over")
def take_over_folder(
    plugin: Annotated[str, typer.Argument(metavar="NAME", help="The plugin's name.")],
    digest: Annotated[
        str | None,
        typer.Option(metavar="SHA256", help="The component that may have the data from now on."),
    ] = None,
    native: Annotated[
        bool, typer.Option("--native", help="A native plugin may have the data from now on.")
    ] = False,
    directory: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Give a plugin's data folder to another version of it. The one that had it is refused from
    now on. No host may be using the folder."""
    out = Output(as_json)
    with out.reporting():
        owner = _owner(digest, native=native)
        before = take_over(directory or default_data_directory(), plugin, owner)
        if as_json:
            out.document({"plugin": plugin, "before": before, "owner": owner})
            return
        text = f"{plugin}: {'nobody' if before is None else before} → {owner}"
        out.people.print(visible(text), soft_wrap=True)


def _owner(digest: str | None, *, native: bool) -> str:
    if (digest is None) is not native:
        raise UsageError("name the one that may have the data: --digest SHA256, or --native")
    if digest is None:
        return NATIVE
    try:
        return owner_of(read_digest(digest))
    except ValueError as error:
        raise UsageError(f"--digest: {error}") from None
