"""A tool executor with small text tools: `text.count`, `text.grep`, `text.sort` and more.

A tool reads the request's `stdin` and `args` and answers on `stdout`. Exit codes are those of the
UNIX tools: 0 for done, 1 for "no match", "differs" or bad input, 2 for a usage error. Nothing
outside the request is read or changed, so `cwd` and `env` have no meaning here.

Lines end with a line feed and nothing else, as for the UNIX tools; `str.splitlines` knows ten more
line ends. `io.StringIO` gives such lines with their ends.
"""

from __future__ import annotations

import difflib
import hashlib
import io
import itertools
import json
import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from types import MappingProxyType
from typing import Any

from orchestrator_plugin_sdk import (
    ErrorKind,
    HealthCheckResult,
    PluginCallError,
    PluginConfig,
    PluginContext,
    SdkVersionRange,
    ToolExecutorPlugin,
    ToolPolicy,
    ToolRunRequest,
    ToolRunResult,
)

HASHES = ("sha256", "sha512", "sha1", "md5", "blake2b")
MAX_JSON_DEPTH = 100
_Output = tuple[int, str]  # exit code and stdout


class _ToolError(Exception):
    """A tool's way to end with a message on stderr."""

    def __init__(self, exit_code: int, message: str) -> None:
        self.exit_code = exit_code
        super().__init__(message)


@dataclass(frozen=True, slots=True)
class _Tool:
    """A tool: `run(flags, args, stdin)`, the flags it knows, how many arguments it takes."""

    run: Callable[[str, Sequence[str], str], _Output]
    flags: str
    arguments: range
    usage: str
    summary: str

    def start(self, args: Sequence[str], stdin: str) -> _Output:
        """Sorts flags (`-i -n`, `-in`) from arguments and runs the tool.

        Whatever comes after `--` is an argument, and so is everything for a tool without flags.
        """
        flags, rest = "", list[str]()
        remaining = iter(args)
        for arg in remaining:
            if not self.flags or not arg.startswith("-") or arg == "-":
                rest.append(arg)
            elif arg == "--":
                rest.extend(remaining)
            else:
                flags += arg[1:]
        unknown = flags.lstrip(self.flags)
        if unknown or len(rest) not in self.arguments:
            what = f"unknown option -{unknown[0]}" if unknown else "wrong number of arguments"
            raise _ToolError(2, f"{what}; usage: {self.usage}")
        return self.run(flags, rest, stdin)


class TextTools(ToolExecutorPlugin):
    """Runs the tools of `TOOLS`. The host keeps the tool policy."""

    name = "text-tools"
    sdk_version = SdkVersionRange(1, 1)

    async def init(self, config: PluginConfig, ctx: PluginContext) -> None:
        """Nothing to configure."""

    async def health_check(self) -> HealthCheckResult:
        return HealthCheckResult(True, f"{len(TOOLS)} tools", {"tools": list(TOOLS)})

    async def shutdown(self) -> None:
        """Nothing was taken, nothing to give back."""

    def is_allowed(self, command: str, policy: ToolPolicy) -> bool:
        return command in TOOLS

    async def execute(
        self, request: ToolRunRequest, policy: ToolPolicy, ctx: PluginContext
    ) -> ToolRunResult:
        ctx.abort_signal.throw_if_aborted()
        tool = TOOLS.get(request.command)
        if tool is None:
            raise PluginCallError(
                ErrorKind.NOT_FOUND,
                f"there is no tool {request.command!r}; text.help lists those there are",
            )
        started = ctx.monotonic()
        stderr = ""
        try:
            exit_code, stdout = tool.start(request.args, request.stdin)
        except _ToolError as error:
            exit_code, stdout, stderr = error.exit_code, "", f"{request.command}: {error}\n"
        out, out_cut = _fit(stdout, policy.max_output_bytes)
        err, err_cut = _fit(stderr, policy.max_output_bytes)
        return ToolRunResult(
            exit_code=exit_code,
            duration_ms=round((ctx.monotonic() - started) * 1000),
            stdout=out,
            stderr=err,
            truncated=out_cut or err_cut,
        )


def create_plugin() -> TextTools:
    """The entry that `plugin.toml` names."""
    return TextTools()


def _fit(text: str, limit: int) -> tuple[str, bool]:
    """The text in at most `limit` bytes of UTF-8, and whether it was cut. Never cuts within a
    character, whose bytes alone would not be UTF-8."""
    encoded = text.encode("utf-8", "replace")  # a JSON escape can make a lone surrogate
    cut = encoded[: max(limit, 0)]
    return cut.decode("utf-8", "ignore"), len(cut) < len(encoded)


def _lines(text: str) -> list[str]:
    """The lines without their ends."""
    return [line.removesuffix("\n") for line in io.StringIO(text)]


def _joined(lines: Sequence[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def _compiled(pattern: str, flags: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern, re.IGNORECASE if "i" in flags else 0)
    except (re.error, OverflowError, RecursionError) as error:
        raise _ToolError(2, f"bad pattern: {error}") from None


def _count(flags: str, args: Sequence[str], stdin: str) -> _Output:
    counts = {
        "l": stdin.count("\n"),
        "w": len(stdin.split()),
        "m": len(stdin),
        "c": len(stdin.encode("utf-8", "replace")),
    }
    shown = [str(counts[flag]) for flag in counts if flag in (flags or "lwc")]
    return 0, " ".join(shown) + "\n"


def _grep(flags: str, args: Sequence[str], stdin: str) -> _Output:
    pattern = _compiled(args[0], flags)
    numbered = enumerate(_lines(stdin), 1)
    found = [(n, line) for n, line in numbered if bool(pattern.search(line)) != ("v" in flags)]
    shown = [f"{n}:{line}" if "n" in flags else line for n, line in found]
    return (0 if found else 1), _joined(shown)


def _replace(flags: str, args: Sequence[str], stdin: str) -> _Output:
    pattern = _compiled(args[0], flags)
    try:
        # Without the ends, `$` and `\s` stay within a line.
        lines = [pattern.sub(args[1], line) for line in _lines(stdin)]
    except (re.error, IndexError) as error:
        raise _ToolError(2, f"bad replacement: {error}") from None
    text = "\n".join(lines)
    return 0, text + "\n" if stdin.endswith("\n") else text


def _sort(flags: str, args: Sequence[str], stdin: str) -> _Output:
    def key(line: str) -> Any:
        """The line; with -n the number it begins with, or 0."""
        if "n" not in flags:
            return line
        number = re.match(r"\s*(-?[0-9]+(\.[0-9]+)?)", line)
        return Decimal(number[1]) if number else Decimal(0)

    lines = sorted(_lines(stdin), key=key, reverse="r" in flags)
    if "u" in flags:
        lines = [next(group) for _, group in itertools.groupby(lines, key)]
    return 0, _joined(lines)


def _json(flags: str, args: Sequence[str], stdin: str) -> _Output:
    _check_depth(stdin)
    try:
        value = json.loads(stdin, parse_constant=_refuse_constant)
    except ValueError as error:
        raise _ToolError(1, f"not JSON: {error}") from None
    try:
        for step in args[0].split(".") if args else ():
            value = value[int(step)] if isinstance(value, list) else value[step]
    except (LookupError, TypeError, ValueError):
        raise _ToolError(1, f"there is no {args[0]!r} in it") from None
    if "r" in flags and isinstance(value, str):
        return 0, f"{value}\n"
    return 0, json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def _check_depth(text: str) -> None:
    """Refuses what `json` would go into too deep: its C code can use up the stack of a sandbox,
    and that ends the instance, where a Python function would raise `RecursionError`."""
    depth = 0
    for token in re.finditer(r'"[^"\\]*(?:\\.[^"\\]*)*"?|[\[\]{}]', text, re.DOTALL):
        depth += (token[0] in "[{") - (token[0] in "]}")
        if depth > MAX_JSON_DEPTH:
            raise _ToolError(1, "nested too deeply")


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is a constant of JavaScript")  # which json.loads would let pass


def _diff(flags: str, args: Sequence[str], stdin: str) -> _Output:
    one, other = (list(io.StringIO(text)) for text in args)
    lines = difflib.unified_diff(one, other, "a", "b")
    ended = (x if x.endswith("\n") else f"{x}\n\\ No newline at end of file\n" for x in lines)
    shown = "".join(ended)
    return (1 if shown else 0), shown


def _hash(flags: str, args: Sequence[str], stdin: str) -> _Output:
    algorithm = args[0] if args else HASHES[0]
    if algorithm not in HASHES:
        raise _ToolError(2, f"unknown algorithm {algorithm!r}; there are {', '.join(HASHES)}")
    data = stdin.encode("utf-8", "replace")
    return 0, hashlib.new(algorithm, data, usedforsecurity=False).hexdigest() + "\n"


def _slug(flags: str, args: Sequence[str], stdin: str) -> _Output:
    def slug(line: str) -> str:
        """`Crème brûlée!` as `creme-brulee`: NFKD parts a letter from its accents."""
        letters = unicodedata.normalize("NFKD", line.casefold())
        plain = "".join(c for c in letters if not unicodedata.combining(c))
        return re.sub(r"[\W_]+", "-", unicodedata.normalize("NFC", plain)).strip("-")

    return 0, _joined([slug(line) for line in _lines(stdin)])


def _help(flags: str, args: Sequence[str], stdin: str) -> _Output:
    return 0, _joined([f"{tool.usage:<39} {tool.summary}" for tool in TOOLS.values()])


TOOLS: Mapping[str, _Tool] = MappingProxyType(
    {
        tool.usage.split()[0]: tool
        for tool in (
            _Tool(
                _count, "lwmc", range(1), "text.count [-lwmc]", "lines, words, characters, bytes"
            ),
            _Tool(_grep, "ivn", range(1, 2), "text.grep [-ivn] PATTERN", "the lines that match"),
            _Tool(
                _replace,
                "i",
                range(2, 3),
                "text.replace [-i] PATTERN REPLACEMENT",
                "every match replaced; \\1 is a group",
            ),
            _Tool(_sort, "run", range(1), "text.sort [-run]", "lines: reverse, unique, by number"),
            _Tool(_json, "r", range(2), "text.json [-r] [PATH]", "indented; a.0.b goes inside"),
            _Tool(_diff, "", range(2, 3), "text.diff OLD NEW", "unified diff of two texts"),
            _Tool(_hash, "", range(2), "text.hash [ALGORITHM]", f"digest: {', '.join(HASHES)}"),
            _Tool(_slug, "", range(1), "text.slug", "each line as a part of a URL"),
            _Tool(_help, "", range(1), "text.help", "this list"),
        )
    }
)
