"""`orchestrator-plugin cache`: the compiled components on this machine."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import typer
from orchestrator_plugin_sdk.visible import visible
from rich.table import Table

from ..sandbox.cache import CacheEntry, ComponentCache
from ..settings import default_cache_directory
from .output import CacheOption, JsonOption, Output, megabytes

cache = typer.Typer(help="List or delete the compiled components kept on this machine.")


@cache.command("list")
def list_entries(directory: CacheOption = None, as_json: JsonOption = False) -> None:
    """Show the compiled components, most recently used first."""
    out = Output(as_json)
    with out.reporting():
        folder, found = _open(directory)
        entries = found.entries() if found else []
        size = sum(entry.size for entry in entries)
        if as_json:
            out.document(
                {"directory": str(folder), "size": size, "entries": [*map(_document, entries)]}
            )
            return
        if entries:
            out.people.print(_table(entries))
        count = f"{len(entries)} component{'' if len(entries) == 1 else 's'}"
        out.people.print(visible(f"{count}, {megabytes(size)} in {folder}"), soft_wrap=True)


@cache.command()
def clear(directory: CacheOption = None, as_json: JsonOption = False) -> None:
    """Delete the compiled components. Each is compiled again when it is next loaded."""
    out = Output(as_json)
    with out.reporting():
        folder, found = _open(directory)
        count = len(found.entries()) if found else 0
        freed = found.clear() if found else 0
        if as_json:
            out.document({"directory": str(folder), "removed": count, "freed": freed})
            return
        told = f"deleted {count}, freed {megabytes(freed)} in {folder}"
        out.people.print(visible(told), soft_wrap=True)


def _open(directory: str | None) -> tuple[Path, ComponentCache | None]:
    """The cache, if there is one. Opening it makes the folder and closes it to other users: not
    to be done to a folder that was never a cache."""
    folder = Path(directory) if directory else default_cache_directory()
    is_one = (folder / "secret.key").is_file()
    return folder, ComponentCache(folder) if is_one else None


def _document(entry: CacheEntry) -> dict[str, object]:
    return {
        "file": entry.path.name,
        "size": entry.size,
        "used_at": datetime.fromtimestamp(entry.used_at, UTC).isoformat("T", "seconds"),
    }


def _table(entries: list[CacheEntry]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("component")
    table.add_column("size", justify="right")
    table.add_column("last used")
    for entry in entries:
        used = datetime.fromtimestamp(entry.used_at).astimezone()
        table.add_row(
            f"{entry.path.stem[:16]}…", megabytes(entry.size), used.strftime("%Y-%m-%d %H:%M")
        )
    return table
