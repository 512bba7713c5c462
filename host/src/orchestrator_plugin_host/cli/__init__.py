"""The command `orchestrator-plugin`: builds, inspects and calls plugins, and shows them at work.

One module a command. Whatever a command says to people or to programs goes through `output`.
"""

from __future__ import annotations

import io
import os
import sys
import threading
from importlib.metadata import PackageNotFoundError, version
from typing import Annotated

import typer
from orchestrator_plugin_sdk.version import PACKAGE, PACKAGE_VERSION

from .bench import bench as _bench
from .build import build as _build
from .cache import cache as _cache
from .call import call as _call
from .data import data as _data
from .demo import demo as _demo
from .hostile import hostile as _hostile
from .inspect import inspect as _inspect
from .output import INTERRUPTED, USAGE, Output, UsageError
from .policy import policy as _policy

__all__ = ["app", "main"]

app = typer.Typer(
    name="orchestrator-plugin",
    help="Build, inspect and call plugins of LLM orchestrators, sandboxed or natively.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)
for _command in (_demo, _build, _inspect, _call, _bench, _hostile):
    app.command()(_command)
app.add_typer(_cache, name="cache")
app.add_typer(_policy, name="policy")
app.add_typer(_data, name="data")


def _show_version(wanted: bool) -> None:
    if not wanted:
        return
    try:
        own = version("orchestrator-plugin-host")
    except PackageNotFoundError:
        own = "(from source)"
    typer.echo(
        f"orchestrator-plugin {own}, contract {PACKAGE}@{PACKAGE_VERSION}, "
        f"wasmtime {version('wasmtime')}"
    )
    raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Show the version and end."
        ),
    ] = False,
) -> None:
    """Nothing but the options of the command itself."""


def main() -> None:
    """The entry point `orchestrator-plugin`."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a narrow encoding must not end a command
            stream.reconfigure(errors="backslashreplace")
    try:
        if "--json" in sys.argv:
            _run_for_programs()
        else:
            app()
    except SystemExit as ended:
        if ended.code == INTERRUPTED:
            _leave()
        raise


def _run_for_programs() -> None:
    """Runs the command; a command line that is wrong is JSON on stdout, too."""
    try:
        code = app(standalone_mode=False)
    except Exception as error:
        # Of all releases of typer, the errors of its parser alone have this.
        say = getattr(error, "format_message", None)
        if say is None:
            raise
        Output(as_json=True).error(UsageError(say()))
        sys.exit(USAGE)
    sys.exit(code if isinstance(code, int) else 0)


def _leave() -> None:
    """Ends the process now if a thread would hold it up: compiling takes seconds and can't be
    interrupted."""
    if any(
        not thread.daemon and thread is not threading.main_thread()
        for thread in threading.enumerate()
    ):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(INTERRUPTED)
