"""A tool executor that runs Python which somebody else wrote, as a model does.

`python` with the program on `stdin`, or `python -c PROGRAM ARGUMENT…` with whatever on `stdin`. The
program finds the request's `input_files` in its working folder, and what it leaves there comes back
as artifacts. It may do what it likes: what keeps it in is the sandbox around the whole interpreter,
and the manifest's `fresh_instances`, by which nothing of it is there for the next one.
"""

# ruff: noqa: ASYNC240  # in a component nobody else is waiting

from __future__ import annotations

import builtins
import contextlib
import gc
import io
import linecache
import os
import shutil
import sys
import tempfile
import traceback
import types
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

import interpreter_library
from interpreter_output import Output
from orchestrator_plugin_sdk import (
    Artifact,
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

COMMAND = "python"
SANDBOXED = sys.platform == "wasi"
_FILE = "<code>"
_USAGE = "usage: python < PROGRAM, or python -c PROGRAM [ARGUMENT…]\n"


class CodeInterpreter(ToolExecutorPlugin):
    """Runs programs, each in a module of its own."""

    name = "code-interpreter"
    sdk_version = SdkVersionRange(1, 1)

    async def init(self, config: PluginConfig, ctx: PluginContext) -> None:
        """Nothing to configure."""

    async def health_check(self) -> HealthCheckResult:
        return HealthCheckResult(True, f"Python {sys.version.split()[0]}")

    async def shutdown(self) -> None:
        """Nothing was taken, nothing to give back."""

    def is_allowed(self, command: str, policy: ToolPolicy) -> bool:
        return command == COMMAND

    async def execute(
        self, request: ToolRunRequest, policy: ToolPolicy, ctx: PluginContext
    ) -> ToolRunResult:
        if request.command != COMMAND:
            raise PluginCallError(
                ErrorKind.NOT_FOUND, f"there is no tool {request.command!r}, only {COMMAND!r}"
            )
        started = ctx.monotonic()
        out, err = Output(policy.max_output_bytes), Output(policy.max_output_bytes)
        artifacts: Sequence[Artifact] = ()
        if request.args and (request.args[0] != "-c" or len(request.args) < 2):
            exit_code = 2
            err.text.write(_USAGE)
        else:
            with _folder() as folder:
                _put(folder, request.input_files)
                exit_code = _run(request, out, err)
                artifacts = await _taken(folder, request.input_files, ctx)
        stdout, out_cut = out.finish()
        stderr, err_cut = err.finish()
        return ToolRunResult(
            exit_code=exit_code,
            duration_ms=round((ctx.monotonic() - started) * 1000),
            stdout=stdout,
            stderr=stderr,
            truncated=out_cut or err_cut,
            artifacts=tuple(artifacts),
        )


def create_plugin() -> CodeInterpreter:
    """The entry that `plugin.toml` names."""
    return CodeInterpreter()


# The program.


def _run(request: ToolRunRequest, out: Output, err: Output) -> int:
    """Runs the program; gives its exit code. Whatever it raises is in `err`."""
    if request.args:
        code, arguments, stdin = request.args[1], request.args[2:], request.stdin
    else:
        code, arguments, stdin = request.stdin, (), ""
    module = types.ModuleType("__main__")
    before = sys.stdin, sys.stdout, sys.stderr, sys.argv
    # What a program deletes or replaces of these, the answer still needs.
    own = _OWN or _Own()
    sys.stdin, sys.stdout, sys.stderr = io.StringIO(stdin), out.text, err.text
    sys.argv, sys.modules["__main__"] = ["-c", *arguments], module
    own.for_program.open = builtins.open  # the build replaces it after this was imported
    sys.modules["builtins"] = vars(module)["__builtins__"] = own.for_program
    linecache.cache[_FILE] = (len(code), None, code.splitlines(keepends=True), _FILE)
    interpreter_library.prepare()
    failed: BaseException | None = None
    try:
        exec(compile(code, _FILE, "exec", dont_inherit=True), vars(module))  # noqa: S102  # its job
    except BaseException as error:
        failed = error
    finally:
        own.put_back()
        sys.stdin, sys.stdout, sys.stderr, sys.argv = before
    return 0 if failed is None else _exit_code(failed, module, err)


class _Own:
    """The modules that there are, and a copy of `builtins` for a program to change."""

    def __init__(self) -> None:
        self.for_program: Any = types.ModuleType("builtins")
        vars(self.for_program).update(vars(builtins))
        self._modules = dict(sys.modules)

    def put_back(self) -> None:
        """Brings back what a program removed. In an instance that no other program gets, what it
        replaced is left: to look at a module is to write to it, and costs a page of memory."""
        sys.modules["builtins"] = builtins
        if not SANDBOXED or len(sys.modules) < len(self._modules):
            sys.modules.update(self._modules)


_OWN: _Own | None = None
"""Made when the component is built. Natively there may be other modules at each call."""


def _exit_code(error: BaseException, module: types.ModuleType, err: Output) -> int:
    """What a program ends with that raised this; the rest of it goes to `err`."""
    if isinstance(error, SystemExit):
        if error.code is None or isinstance(error.code, int):
            return (error.code or 0) & 0xFF
        err.write_text(f"{error.code}\n")
        return 1
    if isinstance(error, MemoryError):
        # What fills the memory is held by the module, and by the frames that the error has.
        lines = [line for _, line in traceback.walk_tb(error.__traceback__)]
        error.__traceback__ = error.__context__ = None
        vars(module).clear()
        gc.collect()
        err.write_text(f"MemoryError, in {_FILE}: line {lines[1] if lines[1:] else '?'}\n")
        return 1
    trace = error.__traceback__.tb_next if error.__traceback__ else None  # without this module
    try:
        err.write_text("".join(traceback.format_exception(type(error), error, trace)))
    except BaseException as fault:  # an error whose own `__str__` raises, and worse
        err.write_text(f"{type(error).__name__} (not shown: {type(fault).__name__})\n")
    return 1


# Its files.


@contextlib.contextmanager
def _folder() -> Iterator[str]:
    """The working folder. In the sandbox it is the call's own, `/artifacts`."""
    if SANDBOXED:
        yield "/artifacts"
        return
    before = os.getcwd()
    folder = tempfile.mkdtemp(prefix="code-interpreter-")
    os.chdir(folder)
    try:
        yield folder
    finally:
        os.chdir(before)
        shutil.rmtree(folder, ignore_errors=True)


def _put(folder: str, files: Mapping[str, bytes]) -> None:
    """Writes the files that the request brings. Raises `PluginCallError`."""
    for name, data in files.items():
        path = PurePosixPath(name)
        if path.is_absolute() or not path.parts or ".." in path.parts:
            raise PluginCallError(
                ErrorKind.INVALID_REQUEST, f"an input file can't have the name {name!r}"
            )
        try:
            if len(path.parts) > 1:
                os.makedirs(os.path.join(folder, *path.parts[:-1]), exist_ok=True)
            with open(os.path.join(folder, name), "wb") as file:
                file.write(data)
        except OSError as error:
            kind = ErrorKind.PERMISSION_DENIED
            if not isinstance(error, PermissionError):
                kind = ErrorKind.INVALID_REQUEST
            raise PluginCallError(kind, f"the input file {name!r}: {error.strerror}") from None


async def _taken(
    folder: str, brought: Mapping[str, bytes], ctx: PluginContext
) -> Sequence[Artifact]:
    """The files in the working folder, but for those that were brought and are as they were."""
    found: list[str] = []
    for place, folders, files in os.walk(folder):
        folders.sort()
        for name in sorted(files):
            path = os.path.join(place, name)
            shown = os.path.relpath(path, folder)
            if shown in brought and _has(path, brought[shown]):
                continue
            found.append(shown)
    if not SANDBOXED:
        found = await _copied(folder, found, ctx)
    return [Artifact(f"artifacts/{name}") for name in found]


def _has(path: str, data: bytes) -> bool:
    if os.path.getsize(path) != len(data):
        return False
    with open(path, "rb") as file:
        return file.read() == data


async def _copied(folder: str, names: Sequence[str], ctx: PluginContext) -> list[str]:
    """Puts files of the native working folder among the call's artifacts, if it may have any."""
    made = set()
    copied = []
    for name in names:
        path = os.path.join(folder, name)
        if os.path.islink(path) or not os.path.isfile(path):
            continue
        try:
            for parent in reversed(PurePosixPath(name).parents[:-1]):
                if parent not in made:
                    await ctx.files.make_folder(f"artifacts/{parent}")
                    made.add(parent)
            with open(path, "rb") as file:  # noqa: ASYNC230  # natively alone
                await ctx.files.write(f"artifacts/{name}", file.read())
        except PluginCallError as error:
            if error.kind is not ErrorKind.PERMISSION_DENIED:
                raise
            break
        copied.append(name)
    return copied


def _warm() -> None:
    """Runs a program, and another that fails, while the component is built: what Python makes and
    remembers for that, each instance begins with."""
    for program in ("print(1 + 1)", "raise ValueError('no')"):
        for _ in range(8):
            _run(ToolRunRequest(COMMAND, stdin=program), Output(1_000), Output(1_000))


if SANDBOXED:
    _OWN = _Own()
    _warm()
