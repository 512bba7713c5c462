"""Files: what plugins have of them, in every place that they run."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest
from orchestrator_plugin_host import (
    HostSettings,
    LoadedToolExecutor,
    PluginHost,
    PluginOutputError,
    Policy,
)
from orchestrator_plugin_host.policy import FilesGrant, FolderQuota
from orchestrator_plugin_sdk import (
    Artifact,
    ErrorKind,
    PluginCallError,
    PluginType,
    ToolPolicy,
    ToolRunResult,
)
from support.processes import HANG_SECONDS
from support.waiting import until

from .conftest import Plugins

pytestmark = pytest.mark.anyio

ALL = ToolPolicy(enabled=True)
RUN = {"command": "run"}
QUOTA = FolderQuota(bytes=1_000_000, files=10)


@pytest.fixture(scope="module")
async def hosts(
    anyio_backend: str, cache_directory: Path, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[dict[bool, PluginHost]]:
    """A host for native plugins, and one for components: neither has what the other has written."""
    async with AsyncExitStack() as opened:
        yield {
            native: await opened.enter_async_context(
                PluginHost(
                    HostSettings(
                        cache_directory=cache_directory,
                        data_directory=tmp_path_factory.mktemp("data"),
                        artifacts_directory=tmp_path_factory.mktemp("artifacts"),
                    )
                )
            )
            for native in (True, False)
        }


@pytest.fixture
def host(hosts: dict[bool, PluginHost], where: str) -> PluginHost:
    """A host whose plugins' folders are those of this module's tests."""
    return hosts[where == "native"]


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    """A folder of the operator's."""
    folder = tmp_path / "docs"
    (folder / "a").mkdir(parents=True)
    (folder / "a" / "b").write_bytes(b"\0\xff" * 500_000)
    return folder


async def probe(
    plugins: Plugins, execute: Any, docs: Path, policy: Policy | None = None
) -> LoadedToolExecutor:
    """An executor with files, and a method of a test's own."""
    if policy is None:
        files = FilesGrant(data=QUOTA, artifacts=QUOTA, folders={"docs": docs})
        policy = Policy(files=files)
    loaded = await plugins.probe(
        PluginType.TOOL_EXECUTOR, execute=execute, options={"policy": policy}
    )
    assert isinstance(loaded, LoadedToolExecutor)
    return loaded


async def _uses_everything(self, request, policy, ctx):
    said = []
    for root in ("data", "artifacts"):
        await ctx.files.make_folder(f"{root}/a")
        path = f"{root}/a/żółć"
        data = bytes(range(256)) * 1000
        await ctx.files.write(path, b"something longer to begin with" * 10_000)
        await ctx.files.write(path, data)
        await ctx.files.sync(path)
        said.append(await ctx.files.read(path) == data)
        said.append(await ctx.files.read(path, 10, 3) == data[10:13])
        await ctx.files.resize(path, 3)
        await ctx.files.rename(path, f"{root}/b")
        said.append([(one.name, one.kind, one.size) for one in await ctx.files.list_folder(root)])
        await ctx.files.remove(f"{root}/a")
        said.append(await ctx.files.exists(f"{root}/a"))
        said.append((await ctx.files.stat(f"{root}/b")).size)
        await ctx.files.remove(f"{root}/b")
    said.append(len(await ctx.files.read("folders/docs/a/b")))
    said.append([one.name for one in await ctx.files.list_folder("folders")])
    return ToolRunResult(0, 0, stdout=repr(said))


async def test_everything_works_everywhere(plugins: Plugins, docs: Path) -> None:
    executor = await probe(plugins, _uses_everything, docs)
    of_a_root = [True, True, [("a", "folder", 0), ("b", "file", 3)], False, 3]
    expected = repr([*of_a_root, *of_a_root, 1_000_000, ["docs"]])
    assert (await executor.execute(RUN, ALL)).stdout == expected
    assert (await executor.execute(RUN, ALL)).stdout == expected


async def _is_refused(self, request, policy, ctx):
    said = []
    for path in request.args:
        for attempt in (ctx.files.read(path), ctx.files.write(path, b"x" * 1_000_001)):
            try:
                await attempt
            except PluginCallError as error:
                said.append(f"{error.kind}: {error.message}")
    if "data/none" in request.args:
        await ctx.files.remove("data/none")  # it was made before it was too large
    return ToolRunResult(0, 0, stdout="\n".join(said))


async def test_what_is_refused_is_the_plugins_to_handle(plugins: Plugins, docs: Path) -> None:
    executor = await probe(plugins, _is_refused, docs)
    paths = ("data/none", "data/../x", "/etc/passwd", "folders/docs/a/b", "folders/other/x")
    said = (await executor.execute({**RUN, "args": paths}, ALL)).stdout
    kinds = [line.split(":")[0] for line in said.split("\n") if ": " in line]
    assert [one for one in kinds if not one.startswith("and ")] == [
        "not-found",
        "permission-denied",  # the quota
        *["invalid-request"] * 4,
        "permission-denied",
        *["permission-denied"] * 2,
    ]
    assert 'folders = ["other"]' in said
    assert "may have 1,000,000 bytes" in said


async def test_without_a_grant_there_is_nothing(plugins: Plugins, docs: Path) -> None:
    executor = await probe(plugins, _is_refused, docs, Policy())
    paths = ("data/a", "artifacts/a", "folders/docs/a")
    said = (await executor.execute({**RUN, "args": paths}, ALL)).stdout
    assert said.count("the policy does not grant it") == 6
    assert "[plugins.probe-tool-executor.files]\n  data = {" in said


async def _counts(self, request, policy, ctx):
    calls = int(await ctx.files.read("data/calls")) if await ctx.files.exists("data/calls") else 0
    await ctx.files.write("data/new", b"%d" % (calls + 1))
    await ctx.files.rename("data/new", "data/calls")
    return ToolRunResult(0, 0, stdout=str(calls))


async def test_data_stays(
    anyio_backend: str, where: str, cache_directory: Path, tmp_path: Path, docs: Path
) -> None:
    settings = HostSettings(cache_directory=cache_directory, data_directory=tmp_path / "data")
    counted = []
    for _ in range(2):
        async with PluginHost(settings) as host:
            for _ in range(2):
                plugins = Plugins(host, where)
                executor = await probe(plugins, _counts, docs)
                counted += [(await executor.execute(RUN, ALL)).stdout for _ in range(2)]
                await plugins.close()
    assert counted == [str(i) for i in range(8)]


async def _makes(self, request, policy, ctx):
    await ctx.files.make_folder("artifacts/out")
    await ctx.files.write("artifacts/out/plot.svg", b"<svg/>")
    await ctx.files.write("artifacts/stdout.txt", b"hello")
    return ToolRunResult(
        0,
        0,
        stdout_path="artifacts/stdout.txt",
        artifacts=(Artifact("artifacts/out/plot.svg", 10**15),),
    )


async def test_artifacts_are_found_by_the_caller(plugins: Plugins, docs: Path) -> None:
    executor = await probe(plugins, _makes, docs)
    result = await executor.execute(RUN, ALL)
    (plot,) = result.artifacts
    assert await anyio.Path(plot.path).read_bytes() == b"<svg/>"
    assert plot.size == 6
    assert result.stdout_path is not None
    assert await anyio.Path(result.stdout_path).read_bytes() == b"hello"
    assert result.stderr_path is None
    assert (await executor.execute(RUN, ALL)).artifacts[0].path != plot.path


async def test_artifacts_are_found_without_the_applications_threads(
    plugins: Plugins, docs: Path
) -> None:
    executor = await probe(plugins, _makes, docs)
    threads = anyio.to_thread.current_default_thread_limiter()
    holders = [object() for _ in range(int(threads.total_tokens))]
    for one in holders:
        threads.acquire_on_behalf_of_nowait(one)
    try:
        with anyio.fail_after(HANG_SECONDS):
            result = await executor.execute(RUN, ALL)
    finally:
        for one in holders:
            threads.release_on_behalf_of(one)
    assert [one.size for one in result.artifacts] == [6]


async def _lies(self, request, policy, ctx):
    await ctx.files.write("data/mine", b"x")
    await ctx.files.write("artifacts/mine", b"x")
    field, path = request.args
    if field == "artifact":
        return ToolRunResult(0, 0, artifacts=(Artifact(path),))
    return ToolRunResult(0, 0, **{field: path})


@pytest.mark.parametrize("field", ["artifact", "stdout_path", "stderr_path"])
async def test_a_path_that_is_no_artifact_is_no_answer(
    plugins: Plugins, docs: Path, field: str
) -> None:
    executor = await probe(plugins, _lies, docs)
    for path in ("/etc/passwd", "artifacts/none", "data/mine", "folders/docs/a/b", "artifacts", ""):
        with pytest.raises(PluginOutputError, match="that is not a file of this call"):
            await executor.execute({**RUN, "args": [field, path]}, ALL)
    assert (await executor.execute({**RUN, "args": [field, "artifacts/mine"]}, ALL)).exit_code == 0


async def _writes_much(self, request, policy, ctx):
    await ctx.files.write("artifacts/out", b"x" * 100)
    return {"exit_code": 0, "duration_ms": 0, request.args[0]: "artifacts/out"}


@pytest.mark.parametrize("field", ["stdout_path", "stderr_path"])
async def test_output_in_files_is_held_to_the_tool_policy(
    plugins: Plugins, docs: Path, field: str
) -> None:
    executor = await probe(plugins, _writes_much, docs)
    request = {**RUN, "args": [field]}
    path = getattr(await executor.execute(request, ToolPolicy(True, max_output_bytes=100)), field)
    assert len(await anyio.Path(path).read_bytes()) == 100
    with pytest.raises(PluginOutputError) as caught:
        await executor.execute(request, ToolPolicy(True, max_output_bytes=99))
    assert f"returned 100 bytes of {field} from execute" in str(caught.value)
    assert "max_output_bytes of the tool policy is 99" in str(caught.value)


async def _fails(self, request, policy, ctx):
    await ctx.files.write("artifacts/mine", b"x")
    raise PluginCallError("unavailable", "no")


async def test_a_call_that_fails_leaves_nothing(plugins: Plugins, docs: Path) -> None:
    executor = await probe(plugins, _fails, docs)
    root = plugins.host.settings.artifacts_directory
    assert root is not None
    before = set(_folders(root))
    with pytest.raises(PluginCallError) as caught:
        await executor.execute(RUN, ALL)
    assert caught.value.kind is ErrorKind.UNAVAILABLE
    # Nobody's call waits for it, so it takes a moment.
    await until(lambda: set(_folders(root)) - before <= {"probe-tool-executor"})


def _folders(root: Path) -> list[str]:
    return [name for _, folders, _ in os.walk(root) for name in folders]


# Python's own way. What is written here runs in a component.
# ruff: noqa: SIM115


def _opens(self, request, policy, ctx):
    import glob
    import os
    import pathlib

    said = []
    for name in os.listdir("/data"):  # of the tests before
        os.remove(f"/data/{name}")
    with open("/data/a", "w") as file:
        said.append(file.write("żółć\n" * 10_000))
    with open("/data/a") as file:
        said += [len(file.readlines()), file.seek(0), file.readline()]
    with open("/data/a", "r+b") as file:
        said += [file.seek(-3, os.SEEK_END), file.read(), file.seek(0), file.write(b"J")]
    with open("/data/a", "a") as file:
        file.write("end")
    open("/data/b", "w").write("nobody closes it")
    said += [pathlib.Path("/data/b").read_text(), os.path.getsize("/data/a")]
    os.makedirs("x/y", exist_ok=True)
    path = pathlib.Path("x", "y", "f.bin")
    path.write_bytes(b"\0\xff")
    said += [path.read_bytes(), str(path.resolve()), path.exists(), path.is_dir()]
    said += [sorted(glob.glob("**/*", recursive=True)), next(iter(os.walk("x")))]
    os.rename("x/y/f.bin", "g")
    os.removedirs("x/y")
    said += [os.listdir(), os.getcwd(), os.listdir("/"), os.listdir("/folders")]
    said.append([entry.stat().st_size for entry in os.scandir("/folders/docs/a")])
    number = os.open("t", os.O_RDWR | os.O_CREAT | os.O_EXCL)
    said += [os.write(number, b"abc"), os.lseek(number, 0, 0), os.read(number, 9)]
    os.fsync(number)
    os.close(number)
    os.chdir("/data")
    said.append(sorted(os.listdir()))
    for name in os.listdir():
        os.remove(name)
    return ToolRunResult(0, 0, stdout=repr(said))


_OPENED = [
    *(50_000, 10_000, 0, "żółć\n"),
    *(89_997, b"\xc4\x87\n", 0, 1),
    *("nobody closes it", 90_003),
    *(b"\0\xff", "/artifacts/x/y/f.bin", True, False),
    *(["x", "x/y", "x/y/f.bin"], ("x", ["y"], [])),
    *(["g"], "/artifacts", ["data", "artifacts", "folders"], ["docs"]),
    [1_000_000],
    *(3, 0, b"abc"),
    ["a", "b"],
]


@pytest.mark.parametrize("where", ["in-process", "process"])
async def test_python_opens_them(plugins: Plugins, docs: Path) -> None:
    executor = await probe(plugins, _opens, docs)
    assert (await executor.execute(RUN, ALL)).stdout == repr(_OPENED)


def _fails_to(self, request, policy, ctx):
    import errno
    import os

    os.mkdir("folder")
    open("folder/file", "w").close()

    def fill():
        with open("full", "wb") as file:
            while True:
                file.write(b"x" * 10_000)

    said = []
    for attempt in (
        lambda: open("none"),
        lambda: open("/etc/passwd"),
        lambda: open("/etc/mine", "w"),
        lambda: open("/folders/other/a"),
        lambda: open("/folders/docs/a/b", "a"),
        lambda: open("folder"),
        lambda: open("folder/file/x"),
        lambda: open("folder/file", "x"),
        lambda: open(9),
        lambda: os.mkdir("folder"),
        lambda: os.rmdir("folder"),
        lambda: os.remove("folder"),
        lambda: os.listdir("folder/file"),
        lambda: os.rename("folder", "/data/folder"),
        lambda: os.symlink("a", "b"),
        lambda: open("a\\b", "w"),
        fill,
    ):
        try:
            said.append(repr(attempt()))
        except OSError as error:
            said.append(f"{type(error).__name__} {errno.errorcode.get(error.errno)}")
    return ToolRunResult(0, 0, stdout="\n".join(said))


_FAILED = """\
FileNotFoundError ENOENT
FileNotFoundError ENOENT
PermissionError EACCES
PermissionError EACCES
PermissionError EACCES
IsADirectoryError EISDIR
NotADirectoryError ENOTDIR
FileExistsError EEXIST
OSError EBADF
FileExistsError EEXIST
OSError ENOTEMPTY
IsADirectoryError EISDIR
NotADirectoryError ENOTDIR
OSError EXDEV
PermissionError None
OSError EINVAL
OSError ENOSPC"""


@pytest.mark.parametrize("where", ["in-process", "process"])
async def test_python_is_told_as_it_is_used_to(plugins: Plugins, docs: Path) -> None:
    executor = await probe(plugins, _fails_to, docs)
    assert (await executor.execute(RUN, ALL)).stdout.split("\n") == _FAILED.split("\n")
