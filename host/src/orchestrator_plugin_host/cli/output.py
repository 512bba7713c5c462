"""What every command says, and where: its result on stdout, all else on stderr.

With `--json`, stdout gets exactly one JSON document (of a stream: one object a line), whatever
happens. Plugins are not trusted, so their words are `visible` before they are shown, and no console
reads them as markup.
"""

from __future__ import annotations

import base64
import json
import math
import re
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from orchestrator_plugin_sdk.codec import to_document
from orchestrator_plugin_sdk.errors import PluginCallError, PluginError
from orchestrator_plugin_sdk.vectors import Vectors
from orchestrator_plugin_sdk.visible import visible, visible_json
from rich.console import Console
from rich.panel import Panel
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.text import Text

from ..errors import LimitExceededError, PluginTrapError, PluginValidationError
from ..policy import WasiLevel
from ..settings import Tier

JsonOption = Annotated[
    bool, typer.Option("--json", help="Write one JSON document to stdout, all else to stderr.")
]
TierOption = Annotated[
    Tier | None,
    typer.Option("--tier", help="Where the component runs: on a thread, or in its own process."),
]
WasiOption = Annotated[
    WasiLevel | None, typer.Option("--wasi", help="What of WASI the component may import.")
]
PolicyOption = Annotated[
    Path | None,
    typer.Option("--policy", metavar="FILE", help="What plugins are granted: a policy file."),
]
BuiltSource = Annotated[
    str,
    typer.Argument(
        metavar="FILE_OR_DIR_OR_ENTRYPOINT",
        help="A component, a built source folder, or an installed entry point.",
    ),
]
MethodName = Annotated[str, typer.Argument(metavar="METHOD", help="generate, embed_texts, …")]
RequestOption = Annotated[
    str,
    typer.Option(
        metavar="JSON|@FILE|-",
        help="The method's arguments by name, as a JSON object; for generate, stream and "
        "execute the fields of the request may stand there themselves.",
    ),
]
ConfigOption = Annotated[
    str, typer.Option(metavar="JSON|@FILE|-", help="What the plugin is configured with.")
]
NativeOption = Annotated[
    bool, typer.Option("--native", help="Run a source folder in this process, not sandboxed.")
]
CacheOption = Annotated[
    str | None,
    typer.Option(
        "--cache",
        metavar="DIR",
        help="The folder of compiled components, instead of $ORCHESTRATOR_PLUGIN_CACHE or the "
        "user's cache.",
    ),
]

FAILED: Final = 1
USAGE: Final = 2
INTERRUPTED: Final = 130
_PLAIN_WIDTH: Final = 100
"""Columns of output that goes to a file or a pipe."""


class UsageError(Exception):
    """The command line is wrong. Ends with the exit code 2."""


class Interrupted(Exception):  # noqa: N818  # not an error
    """Ctrl-C. Ends with the exit code 130."""


class Output:
    """Where one run of a command writes. `people` shows results to people, `notes` the rest."""

    def __init__(self, as_json: bool) -> None:
        self.as_json = as_json
        self.notes = _console(stderr=True)
        self.people = self.notes if as_json else _console(stderr=False)

    def document(self, document: Any) -> None:
        """Writes the result as JSON."""
        sys.stdout.write(_json(document, indent=2) + "\n")
        sys.stdout.flush()

    def line(self, document: Any) -> None:
        """Writes one object of several as a line of JSON."""
        sys.stdout.write(_json(document) + "\n")
        sys.stdout.flush()

    def pretty(self, document: Any) -> None:
        """Shows JSON to people: indented, a vector on a line."""
        text = _json(document, indent=2, ensure_ascii=False)
        text = re.sub(r"\[\n\s+([-+.\de,\s]+?)\s*\]", _on_one_line, text)
        self.people.print(text, soft_wrap=True)

    def note(self, text: str) -> None:
        """Says something that is not the result, in one line."""
        self.notes.print(Text(visible(text), style="dim"), soft_wrap=True)

    def error(self, error: BaseException) -> None:
        """Shows an error: as JSON, or as a red block."""
        if self.as_json:
            self.line({"error": error_document(error)})
            return
        body = Text(visible(str(error), lines=True) or "(no message)")
        title = Text(type(error).__name__, style="bold red")
        self.notes.print(Panel(body, title=title, title_align="left", border_style="red"))

    @contextmanager
    def waiting(self, text: str) -> Iterator[Callable[[str], None]]:
        """A spinner with the seconds gone by, for as long as the context is open.

        Gives a function that says what is being done now. Without a terminal, says it in lines.
        """
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            TimeElapsedColumn(),
        )
        with Progress(
            *columns, console=self.notes, transient=True, disable=not self.notes.is_terminal
        ) as progress:
            task = progress.add_task("", total=None)

            def say(text: str) -> None:
                progress.update(task, description=visible(text))
                if progress.disable:
                    self.note(f"{text} …")

            say(text)
            yield say

    @contextmanager
    def reporting(self) -> Iterator[None]:
        """Around a whole command: shows the error that ends it, and exits with its code."""
        try:
            yield
        except UsageError as error:
            self.error(error)
            raise typer.Exit(USAGE) from None
        except BrokenPipeError:
            raise  # whoever read the output has gone: typer ends quietly
        except (PluginError, OSError) as error:
            self.error(error)
            raise typer.Exit(FAILED) from None
        except KeyboardInterrupt:
            if self.as_json:
                self.error(Interrupted("interrupted"))
            else:
                self.note("interrupted")
            raise typer.Exit(INTERRUPTED) from None


def _console(*, stderr: bool) -> Console:
    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else _PLAIN_WIDTH
    return Console(stderr=stderr, width=width, highlight=False, markup=False, emoji=False)


def _json(document: Any, **how: Any) -> str:
    return visible_json(json.dumps(plain(document), allow_nan=False, **how))


def error_document(error: BaseException) -> dict[str, Any]:
    """An error as JSON: its class and message, and what its class knows besides."""
    document: dict[str, Any] = {"type": type(error).__name__, "message": str(error)}
    if isinstance(error, LimitExceededError):
        known: tuple[str, ...] = ("plugin", "limit", "value", "unit")
    elif isinstance(error, PluginCallError):
        known = ("kind", "retryable", "retry_after_ms")
    elif isinstance(error, PluginTrapError):
        known = ("trap",)
    elif isinstance(error, PluginValidationError):
        document["problems"] = [{"path": p.path, "message": p.message} for p in error.problems]
        known = ()
    else:
        known = ()
    return document | {name: to_document(getattr(error, name)) for name in known}


def plain(value: Any) -> Any:
    """A result as JSON can hold it: vectors as arrays of numbers, other bytes in base64, and what
    is no number in JSON (NaN, infinity) as text."""
    if isinstance(value, Vectors):
        return [[float(f"{number:.9g}") for number in row] for row in value]
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if value is None or isinstance(value, (str, int, float)):
        return to_document(value)
    return plain(to_document(value))


def milliseconds(since: float) -> float:
    """Milliseconds since a moment of `time.perf_counter()`."""
    return round((time.perf_counter() - since) * 1000, 1)


def megabytes(size: int) -> str:
    """`20.2 MB`."""
    return f"{size / 1e6:.1f} MB"


def _on_one_line(found: re.Match[str]) -> str:
    return f"[{' '.join(found[1].split())}]"
