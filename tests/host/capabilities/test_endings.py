"""A call's end is heard in time, whatever servers, names and disks do; and what it leaves behind is
bounded, and goes away."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest
from orchestrator_plugin_host import (
    AuditError,
    DeadlineExceededError,
    HostSettings,
    Limits,
    LoadedProvider,
    PluginHost,
    Policy,
)
from orchestrator_plugin_host.capabilities.files import writing
from orchestrator_plugin_host.policy import FilesGrant, FolderQuota
from orchestrator_plugin_sdk import (
    ErrorKind,
    FilesRequirement,
    HttpRequirement,
    ModelRequest,
    ModelResponse,
    PluginCallError,
    PluginContext,
    PluginExport,
)
from sdk.plugins import SmallProvider
from support import flooding as flooding_server
from support.guests import manifest_of
from support.heartbeat import MAX_GAP_SECONDS, MAX_LATE_SECONDS, lateness, undisturbed
from support.servers import Exchange, Server
from support.waiting import until

pytestmark = pytest.mark.anyio

DEADLINE_MS = 300
SOON = Limits(deadline_ms=DEADLINE_MS)

Work = Callable[[PluginContext, str], Awaitable[object]]


class Working(SmallProvider):
    """Does what a test says, with the URL that a request names."""

    def __init__(self, name: str, work: Work) -> None:
        self.name = name
        self._work = work

    async def generate(self, req: ModelRequest, ctx: PluginContext) -> ModelResponse:
        return ModelResponse(repr(await self._work(ctx, str(req.model))))


MANIFEST = manifest_of(
    http=(HttpRequirement("http://*:*", ("GET", "POST")),),
    files=FilesRequirement(data=True, artifacts=True),
)


async def load(host: PluginHost, work: Work, name: str = "p", **options: Any) -> LoadedProvider:
    """A plugin with a name of its own, and with files."""
    export = PluginExport(replace(MANIFEST, name=name), lambda: Working(name, work))
    return await host.load(export, expect=LoadedProvider, **options)


def granting(url: str) -> Policy:
    return Policy(http=[{"url": url, "methods": ["GET", "POST"], "addresses": ["127.0.0.1"]}])


FILES = Policy(
    files=FilesGrant(
        data=FolderQuota(bytes=1 << 30, files=100_000),
        artifacts=FolderQuota(bytes=1 << 30, files=100_000),
    )
)


async def ends_in_time(plugin: LoadedProvider, url: str = "") -> None:
    """The caller hears of the deadline when it is due."""

    async def call() -> None:
        with pytest.raises(DeadlineExceededError):
            await plugin.generate({"messages": [], "model": url})

    assert await lateness(DEADLINE_MS / 1000, call) < MAX_LATE_SECONDS


# Servers.


async def opens_eight(ctx: PluginContext, url: str) -> object:
    """Opens eight responses at once, reads of each, and waits."""
    async with AsyncExitStack() as stack:
        for _ in range(8):
            response = await stack.enter_async_context(ctx.http.stream("GET", url))
            await response.read(1)
        await anyio.sleep_forever()
    return None


async def reads_eight(ctx: PluginContext, url: str) -> object:
    """Reads eight responses at once, to their ends."""
    async with anyio.create_task_group() as tasks:
        for _ in range(8):
            tasks.start_soon(gets, ctx, url)
    return None


async def posts(ctx: PluginContext, url: str) -> object:
    """Sends much to a server."""
    return await ctx.http.request("POST", url, body=bytes(12_000_000))


async def gets(ctx: PluginContext, url: str) -> object:
    return (await ctx.http.request("GET", url)).text


@pytest.fixture
def stop() -> Iterator[threading.Event]:
    """Set when the test is over."""
    event = threading.Event()
    yield event
    event.set()


def waits(stop: threading.Event) -> Callable[[Exchange], None]:
    def answer(exchange: Exchange) -> None:
        exchange.begin()
        exchange.chunk(b"a")
        stop.wait(30)

    return answer


def drips(stop: threading.Event) -> Callable[[Exchange], None]:
    def answer(exchange: Exchange) -> None:
        exchange.wfile.write(b"HTTP/1.1 200 OK\r\nA: ")
        while not stop.wait(0.01):
            exchange.wfile.write(b"a")

    return answer


def floods(stop: threading.Event) -> Callable[[Exchange], None]:
    def answer(exchange: Exchange) -> None:
        exchange.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while not stop.is_set():
            exchange.wfile.write(b"1\r\na\r\n" * 40_000)

    return answer


SERVERS: dict[str, tuple[Callable[[threading.Event], Callable[[Exchange], None]], Work]] = {
    "eight that wait": (waits, opens_eight),
    "eight that flood": (floods, reads_eight),
    "one that drips its head": (drips, gets),
}


@pytest.mark.parametrize("case", SERVERS)
async def test_the_deadline_is_heard_whatever_servers_do(
    host: PluginHost, server: Server, stop: threading.Event, case: str
) -> None:
    answer, work = SERVERS[case]
    server.answers["/"] = answer(stop)
    server.answers["/good"] = lambda exchange: exchange.answer(200, b"good")
    plugin = await load(host, work, policy=granting(server.origin), limits=SOON)
    await ends_in_time(plugin, f"{server.origin}/")

    async def again() -> None:
        with pytest.raises(DeadlineExceededError):
            await plugin.generate({"messages": [], "model": f"{server.origin}/"})

    assert (await undisturbed(again)).gap < MAX_GAP_SECONDS


@pytest.fixture
def flooding() -> Iterator[str]:
    """Where a server is that floods, in a process of its own: this one has enough to do."""
    program = Path(flooding_server.__file__)
    with subprocess.Popen(
        [sys.executable, program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        process.kill()


async def test_many_who_flood_leave_room_for_others(host: PluginHost, flooding: str) -> None:
    """Sixty-four calls with a flood each: a pass of the event loop has a slice or two of theirs."""
    plugin = await load(host, gets, policy=granting(flooding), limits=SOON)

    async def one() -> None:
        with pytest.raises(DeadlineExceededError):
            await plugin.generate({"messages": [], "model": f"{flooding}/"})

    async def many() -> None:
        async with anyio.create_task_group() as tasks:
            for _ in range(64):
                tasks.start_soon(one)

    # So many want the machine that the time on the clock says little.
    assert (await undisturbed(many)).busy < MAX_GAP_SECONDS / 2


async def test_the_deadline_is_heard_when_nobody_reads(host: PluginHost) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        for work in (posts, gets):
            plugin = await load(host, work, policy=granting(url), limits=SOON)
            await ends_in_time(plugin, url)


async def test_no_connection_is_left(
    host: PluginHost, server: Server, stop: threading.Event
) -> None:
    server.answers["/"] = waits(stop)
    plugin = await load(host, opens_eight, policy=granting(server.origin), limits=SOON)
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(DeadlineExceededError):
        await plugin.generate({"messages": [], "model": f"{server.origin}/"})
    stop.set()
    await until(lambda: len(os.listdir("/proc/self/fd")) <= before)


# Names.


@pytest.fixture
def hanging(monkeypatch: pytest.MonkeyPatch, stop: threading.Event) -> list[str]:
    """Names that end in `.hangs.test` are looked up until the test is over. Those that are."""
    asked: list[str] = []
    real = socket.getaddrinfo

    def look_up(host: Any, *more: Any, **options: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host
        if not name.endswith(".hangs.test"):
            return real(host, *more, **options)
        asked.append(name)
        stop.wait(60)
        raise socket.gaierror("no such name")

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    return asked


@pytest.fixture
async def resolving_host(tmp_path: Path, cache_directory: Path, anyio_backend: str) -> Any:
    """A host that asks the system for names."""
    settings = HostSettings(
        cache_directory=cache_directory,
        data_directory=tmp_path / "data",
        artifacts_directory=tmp_path / "artifacts",
    )
    async with PluginHost(settings) as opened:
        yield opened


def lookup_threads() -> int:
    return sum(one.name == "orchestrator-plugin-lookup" for one in threading.enumerate())


async def test_names_that_hang_keep_nobody_else(
    resolving_host: PluginHost, server: Server, hanging: list[str], stop: threading.Event
) -> None:
    host = resolving_host
    server.answers["/"] = lambda exchange: exchange.answer(200, b"here")
    policy = Policy(http=[{"url": "http://*.hangs.test", "methods": ["GET"]}])
    plugin = await load(host, gets, policy=policy, limits=SOON)
    await ends_in_time(plugin, "http://one.hangs.test/")

    async def one(i: int) -> None:
        with pytest.raises(DeadlineExceededError):
            await plugin.generate({"messages": [], "model": f"http://n{i}.hangs.test/"})

    other = await load(host, gets, "other", policy=granting(f"http://localhost:{server.port}"))
    async with anyio.create_task_group() as tasks:
        for i in range(50):
            tasks.start_soon(one, i)
        await anyio.sleep(0.05)
        # Another plugin's names are found, and the application's threads are free.
        url = f"http://localhost:{server.port}/"
        assert "here" in (await other.generate({"messages": [], "model": url})).text
        assert await anyio.to_thread.run_sync(lambda: "free") == "free"
    assert len(hanging) <= 4
    assert lookup_threads() <= 5
    stop.set()
    await host.close()
    await until(lambda: not lookup_threads())


async def test_those_who_look_up_the_same_name_share_the_answer(
    resolving_host: PluginHost, hanging: list[str], stop: threading.Event
) -> None:
    policy = Policy(http=[{"url": "http://*.hangs.test", "methods": ["GET"]}])
    plugin = await load(resolving_host, gets, policy=policy)
    outcomes: list[str] = []

    async def one() -> None:
        with pytest.raises(PluginCallError) as caught:
            await plugin.generate({"messages": [], "model": "http://one.hangs.test/"})
        outcomes.append(caught.value.message)

    async with anyio.create_task_group() as tasks:
        for _ in range(20):
            tasks.start_soon(one)
        await until(lambda: hanging)
        stop.set()
    assert outcomes == ["one.hangs.test is not known"] * 20
    assert len(hanging) == 1


async def test_a_name_with_thousands_of_addresses_is_refused(host: PluginHost, names: Any) -> None:
    names.answers["many.test"] = [[f"127.0.{i // 250}.{i % 250 + 1}" for i in range(5_000)]]
    plugin = await load(host, gets, policy=granting("http://many.test"))

    async def attack() -> None:
        with pytest.raises(PluginCallError, match="not known"):
            await plugin.generate({"messages": [], "model": "http://many.test/"})

    assert (await undisturbed(attack)).gap < MAX_GAP_SECONDS


# Disks.


async def test_a_disk_that_hangs_keeps_nobody_else(
    resolving_host: PluginHost, monkeypatch: pytest.MonkeyPatch, stop: threading.Event
) -> None:
    host = resolving_host
    real = writing._allocate

    def slow(file: int, offset: int, length: int) -> None:
        if length == 13:
            stop.wait(60)
        if real is not None:
            real(file, offset, length)

    async def hangs(ctx: PluginContext, url: str) -> object:
        return await ctx.files.write("data/a", b"x" * 13)

    async def works(ctx: PluginContext, url: str) -> object:
        await ctx.files.write("data/a", b"x" * 12)
        return await ctx.files.read("data/a")

    monkeypatch.setattr(writing, "_allocate", slow)
    plugin = await load(host, hangs, policy=FILES, limits=SOON)
    other = await load(host, works, "other", policy=FILES)
    await ends_in_time(plugin)

    async def one() -> None:
        with pytest.raises(DeadlineExceededError):
            await plugin.generate({"messages": []})

    async with anyio.create_task_group() as tasks:
        for _ in range(20):
            tasks.start_soon(one)
        await anyio.sleep(0.05)
        assert "x" * 12 in (await other.generate({"messages": []})).text
        assert await anyio.to_thread.run_sync(lambda: "free") == "free"
    names = [one.name for one in threading.enumerate()]
    assert names.count("orchestrator-plugin-files") <= 5
    stop.set()


async def test_removing_many_artifacts_keeps_nobody(resolving_host: PluginHost) -> None:
    """Thousands of files of a call that fails: the caller hears of it, and they are removed."""
    host = resolving_host
    root = host.settings.artifacts_directory
    assert root is not None
    many = 15_000

    async def makes(ctx: PluginContext, url: str) -> object:
        files: Any = ctx.files.access

        def make(go_on: Callable[[], None]) -> None:  # without a hop to a thread for each
            for i in range(many):
                files._files.write(f"artifacts/{i}", 0, b"")

        await files._run(make)
        failed.append(anyio.current_time())
        raise PluginCallError(ErrorKind.UNAVAILABLE, "as it does")

    failed: list[float] = []
    late: list[float] = []
    limits = Limits(deadline_ms=300_000)
    plugin = await load(host, makes, policy=FILES, limits=limits)

    async def attack() -> None:
        with pytest.raises(PluginCallError):
            await plugin.generate({"messages": []})
        late.append(anyio.current_time() - failed[-1])
        await until(lambda: not any((root / "p").iterdir()), 60)

    assert (await undisturbed(attack)).gap < MAX_GAP_SECONDS
    assert min(late) < MAX_LATE_SECONDS


@pytest.mark.parametrize("kept", [False, True])
async def test_artifacts_end_with_their_plugin_unless_they_are_kept(
    tmp_path: Path,
    cache_directory: Path,
    anyio_backend: str,
    monkeypatch: pytest.MonkeyPatch,
    kept: bool,
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    async def works(ctx: PluginContext, url: str) -> object:
        return await ctx.files.write("artifacts/made", b"x")

    def made() -> list[Path]:
        return [*tmp_path.rglob("made")]

    settings = HostSettings(
        cache_directory=cache_directory,
        data_directory=tmp_path / "data",
        artifacts_directory=tmp_path / "artifacts" if kept else None,
    )
    async with PluginHost(settings) as host:
        plugin = await load(host, works, policy=FILES)
        other = await load(host, works, "other", policy=FILES)
        for one in (plugin, plugin, other):
            await one.generate({"messages": []})
        assert len(made()) == 3
        await plugin.shutdown()
        await until(lambda: len(made()) == (3 if kept else 1))
    await until(lambda: not [*tmp_path.glob("orchestrator-plugins-*")])
    assert len(made()) == (3 if kept else 0)


async def test_what_waits_to_be_removed_is_bounded(
    resolving_host: PluginHost, monkeypatch: pytest.MonkeyPatch, stop: threading.Event
) -> None:
    from orchestrator_plugin_host.capabilities.files import artifacts, removals

    real = artifacts.PluginArtifacts._remove

    def slow(self: Any, name: str, tree: Any) -> None:
        stop.wait(60)
        real(self, name, tree)

    async def fails(ctx: PluginContext, url: str) -> object:
        await ctx.files.write("artifacts/a", b"")
        raise PluginCallError(ErrorKind.INTERNAL, "as it does")

    monkeypatch.setattr(artifacts.PluginArtifacts, "_remove", slow)
    monkeypatch.setattr(removals, "MAX_WAITING", 3)
    plugin = await load(resolving_host, fails, policy=FILES)
    outcomes = []
    for _ in range(6):
        with pytest.raises(PluginCallError) as caught:
            await plugin.generate({"messages": []})
        outcomes.append(caught.value.kind)
    assert outcomes == [ErrorKind.INTERNAL] * 4 + [ErrorKind.UNAVAILABLE] * 2
    stop.set()
    with anyio.fail_after(30):
        while caught.value.kind is not ErrorKind.INTERNAL:
            with pytest.raises(PluginCallError) as caught:
                await plugin.generate({"messages": []})


async def test_long_work_on_files_is_given_up(resolving_host: PluginHost) -> None:
    """A folder with thousands of others in it is renamed: each is looked at, and none after the
    caller has gone."""
    host = resolving_host
    root = host.settings.data_directory

    async def renames(ctx: PluginContext, url: str) -> object:
        while True:  # the last one, which was cut off, may have been done or not
            for source, target in (("data/a", "data/b"), ("data/b", "data/a")):
                with suppress(PluginCallError):
                    await ctx.files.rename(source, target)

    async def lists(ctx: PluginContext, url: str) -> object:
        while True:
            for name in ("a", "b"):
                with suppress(PluginCallError):
                    assert len(await ctx.files.list_folder(f"data/{name}")) == 16_000

    plugin = await load(host, renames, policy=FILES, limits=SOON)
    folder = root / "p" / "a"
    folder.mkdir()
    for i in range(16_000):
        (folder / str(i)).touch()
    await ends_in_time(plugin)
    listing = await load(host, lists, policy=FILES, limits=SOON)

    async def attack() -> None:
        for one in (plugin, listing):
            with pytest.raises(DeadlineExceededError):
                await one.generate({"messages": []})

    assert (await undisturbed(attack)).gap < MAX_GAP_SECONDS


# The audit.


async def test_an_audit_that_nobody_writes_down_keeps_nobody(
    tmp_path: Path, cache_directory: Path, anyio_backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its file is a pipe that nobody reads from: lines wait, then requests, then calls fail."""
    from orchestrator_plugin_host import audit

    monkeypatch.setattr(audit, "_MAX_BEHIND", 1_000)
    monkeypatch.setattr(audit, "_MAX_WAITING", 2_000)
    pipe = tmp_path / "audit"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        async with PluginHost(
            HostSettings(cache_directory=cache_directory, audit_file=pipe)
        ) as host:

            async def denied(ctx: PluginContext, url: str) -> object:
                for _ in range(90):
                    with suppress(PluginCallError):
                        await ctx.http.request("GET", "http://not.granted/")
                return None

            plugin = await load(host, denied)

            async def attack() -> None:
                with suppress(AuditError):
                    for _ in range(40):
                        await plugin.generate({"messages": []})

            assert (await undisturbed(attack)).gap < MAX_GAP_SECONDS
            with pytest.raises(AuditError, match="too slowly"):
                for _ in range(40):  # the pipe may still take a few lines
                    await plugin.generate({"messages": []})
            drained = threading.Thread(target=_drain, args=(reader,))
            drained.start()
            with anyio.fail_after(30):
                while True:
                    with suppress(AuditError):
                        await plugin.generate({"messages": []})
                        break
                    await anyio.sleep(0.01)
    finally:
        drained.join(30)
        os.close(reader)


def _drain(reader: int) -> None:
    os.set_blocking(reader, True)
    while os.read(reader, 1 << 20):
        pass
