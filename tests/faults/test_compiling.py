"""The process that compiles: it is ended, is too slow or too large, or not wanted any more."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from orchestrator_plugin_host import (
    CompileLimitError,
    CompilerLostError,
    HostSettings,
    Limits,
    PluginHost,
)
from orchestrator_plugin_host.sandbox.cache import ComponentCache
from support.guests import Guest
from support.processes import HANG_SECONDS, alive, children, end, start, wait_until

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

STEP = "(local.set 0 (i32.add (local.get 0) (i32.const 1)))"
FAR_APART = Guest(
    edits={
        "  (core instance $libc (instantiate $libc))": (
            '(core module (memory 256) (data (i32.const 0) "a") (data (i32.const 0xfffff8) "b"))'
            * 20
            + "  (core instance $libc (instantiate $libc))"
        )
    }
)
"""Modules that are never made, whose memories begin with 16 MiB each: 320 MiB from 6 kB."""

LARGE = Guest(fields=f"(func (param i32) (result i32) {STEP * 40} (local.get 0))" * 2400)
"""About 680 kB of functions: enough for compiling to take a while."""


@pytest.fixture
def anyio_backend() -> str:
    """One: what happens here happens in threads and processes."""
    return "asyncio"


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("large") / "large.wasm"
    path.write_bytes(LARGE.build())
    return path


@pytest.fixture
def empty(tmp_path: Path) -> HostSettings:
    """Settings whose cache has nothing."""
    return HostSettings(cache_directory=tmp_path / "cache")


class Compilers(threading.Thread):
    """Does something to each process that is started meanwhile, after a while."""

    def __init__(self, act: Callable[[int], None], seconds: float) -> None:
        super().__init__(daemon=True)
        self._act, self._seconds = act, seconds
        self._before, self._over = children(os.getpid()), threading.Event()
        self.seen: set[int] = set()

    def run(self) -> None:
        while not self._over.is_set():
            for found in children(os.getpid()) - self._before - self.seen:
                self.seen.add(found)
                self._over.wait(self._seconds)
                if not self._over.is_set():
                    self._act(found)
            self._over.wait(0.001)

    def __enter__(self) -> Compilers:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self.join()


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT])
@pytest.mark.parametrize("seed", range(2))
async def test_a_compiler_that_is_ended(
    empty: HostSettings, large: Path, ending: signal.Signals, seed: int
) -> None:
    moment = random.Random(seed * 100 + ending).uniform(0.0, 0.3)
    async with PluginHost(empty) as host:
        compilers = Compilers(lambda pid: end(pid, ending), moment)
        with compilers, pytest.raises(CompilerLostError, match="its compiler ended"):
            await host.load(large)
        assert len(compilers.seen) == 1
        assert ComponentCache(empty.cache_directory).entries() == []
        assert (await (await host.load(large)).health_check()).healthy
    wait_until(lambda: not children(os.getpid()) & compilers.seen, "its end")


@pytest.mark.parametrize("megabytes", [0.1, 1, 4, 9])
async def test_too_little_memory(empty: HostSettings, large: Path, megabytes: float) -> None:
    async with PluginHost(empty) as host:
        limits = Limits(compile_memory_bytes=int(megabytes * 1_000_000))
        with pytest.raises(CompileLimitError) as caught:
            await host.load(large, limits=limits)
        assert caught.value.limit == "compile_memory_bytes"


@pytest.mark.parametrize("milliseconds", [1, 30])
async def test_too_little_time(empty: HostSettings, large: Path, milliseconds: int) -> None:
    async with PluginHost(empty) as host:
        before = children(os.getpid())
        with pytest.raises(CompileLimitError) as caught:
            await host.load(large, limits=Limits(compile_ms=milliseconds))
        assert caught.value.limit == "compile_ms"
        wait_until(lambda: children(os.getpid()) <= before, "the compiler's end")


async def test_a_stopped_compiler_is_too_slow(empty: HostSettings, large: Path) -> None:
    async with PluginHost(empty) as host:
        compilers = Compilers(lambda pid: os.kill(pid, signal.SIGSTOP), 0.1)
        with compilers, pytest.raises(CompileLimitError):
            await host.load(large, limits=Limits(compile_ms=500))
        wait_until(lambda: not any(map(alive, compilers.seen)), "the compiler's end")


async def test_cancelled_while_compiling(empty: HostSettings, large: Path) -> None:
    async with PluginHost(empty) as host:
        before = children(os.getpid())
        with anyio.move_on_after(0.2) as scope:
            await host.load(large)
        assert scope.cancelled_caught
        wait_until(lambda: children(os.getpid()) <= before, "the compiler's end")
        assert (await (await host.load(large)).health_check()).healthy


async def test_one_of_two_who_load_gives_up(empty: HostSettings, large: Path) -> None:
    done = anyio.Event()
    loaded: list[Any] = []

    async def load() -> None:
        loaded.append(await host.load(large))
        done.set()

    async with PluginHost(empty) as host, anyio.create_task_group() as group:
        first = anyio.CancelScope()

        async def gives_up() -> None:
            with first:
                await host.load(large)

        group.start_soon(gives_up)
        await anyio.sleep(0.1)
        group.start_soon(load)
        await anyio.sleep(0.1)
        first.cancel()
        with anyio.fail_after(HANG_SECONDS):
            await done.wait()
        assert (await loaded[0].health_check()).healthy


# --- the cache's disk ----------------------------------------------------------------------------

LOAD = """
import sys
from pathlib import Path
import anyio
from orchestrator_plugin_host import HostSettings, PluginHost

async def main():
    async with PluginHost(HostSettings(cache_directory=Path(sys.argv[2]))) as host:
        plugin = await host.load(sys.argv[1])
        print((await plugin.health_check()).healthy, flush=True)

print("ready", flush=True)
sys.stdin.readline()
anyio.run(main)
"""


def loaded_in_a_process(file: Path, cache: Path) -> str:
    said, errors = start(LOAD, file, cache).communicate("\n", timeout=HANG_SECONDS)
    assert errors == ""
    return said


@pytest.fixture(params=["64k"])
def disk(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    """A folder on a disk of its own, by default of 64 kB."""
    folder = tmp_path / "disk"
    folder.mkdir(mode=0o700)
    options = f"size={request.param},mode=700"
    mount = ["mount", "-t", "tmpfs", "-o", options, "none", str(folder)]
    if subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("this user can't mount a disk: test_cache.py limits the size of files instead")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk(disk: Path, large: Path) -> None:
    for _ in range(2):
        assert loaded_in_a_process(large, disk) == "ready\nTrue\n"
        assert [one.name for one in disk.iterdir()] == ["secret.key"]


@pytest.mark.parametrize("disk", ["4m"], indirect=True)
async def test_a_disk_that_can_not_be_written_any_more(disk: Path, tmp_path: Path) -> None:
    file = tmp_path / "guest.wasm"
    file.write_bytes(Guest().build())
    cache = ComponentCache(disk)
    async with PluginHost(HostSettings(cache_directory=disk)) as host:
        await host.load(file)
        (entry,) = cache.entries()
        entry.path.write_bytes(b"damaged")
    await anyio.run_process(["mount", "-o", "remount,ro", str(disk)])
    async with PluginHost(HostSettings(cache_directory=disk)) as host:
        assert (await (await host.load(file)).health_check()).healthy


async def test_a_cache_folder_that_vanishes(empty: HostSettings, tmp_path: Path) -> None:
    async with PluginHost(empty) as host:
        for number in range(2):
            file = tmp_path / f"{number}.wasm"
            file.write_bytes(Guest(data=bytes([number])).build())
            assert (await (await host.load(file)).health_check()).healthy
            shutil.rmtree(empty.cache_directory, ignore_errors=True)


def test_two_hosts_compile_the_same_at_once(tmp_path: Path, large: Path) -> None:
    hosts = [start(LOAD, large, tmp_path / "cache") for _ in range(2)]
    for one in hosts:
        assert one.stdout is not None
        assert one.stdout.readline() == "ready\n"
    for one in hosts:
        assert one.stdin is not None
        one.stdin.write("\n")
        one.stdin.flush()
    said = [one.communicate(timeout=HANG_SECONDS) for one in hosts]
    assert said == [("True\n", "")] * 2
    cache = ComponentCache(tmp_path / "cache")
    assert len(cache.entries()) == 1
    assert list(cache.directory.glob(".writing-*")) == []


KILLED_WHILE_WRITING = """
import os, signal, sys
sync = os.fsync
def fsync(descriptor):
    if os.fstat(descriptor).st_size > 1000:  # not the key
        os.truncate(descriptor, 500)
        sync(descriptor)
        os.kill(os.getpid(), signal.SIGKILL)
    sync(descriptor)
os.fsync = fsync
"""


def test_a_host_that_is_killed_while_it_writes(tmp_path: Path, large: Path) -> None:
    cache = tmp_path / "cache"
    killed = start(KILLED_WHILE_WRITING + LOAD, large, cache)
    said, _ = killed.communicate("\n", timeout=HANG_SECONDS)
    assert (said, killed.returncode) == ("ready\n", -signal.SIGKILL)
    assert len(list(cache.glob(".writing-*"))) == 1
    assert ComponentCache(cache).entries() == []
    assert loaded_in_a_process(large, cache) == "ready\nTrue\n"
    assert len(ComponentCache(cache).entries()) == 1


def test_a_host_that_is_killed_while_it_compiles(tmp_path: Path, large: Path) -> None:
    host = start(LOAD, large, tmp_path / "cache")
    assert host.stdin is not None
    host.stdin.write("\n")
    host.stdin.flush()
    wait_until(lambda: children(host.pid), "a compiler")
    compilers = children(host.pid)
    host.kill()
    host.communicate(timeout=HANG_SECONDS)
    wait_until(lambda: not any(map(alive, compilers)), "the compiler's end")


async def test_code_that_is_far_larger_than_its_component_is_not_taken(
    empty: HostSettings, tmp_path: Path
) -> None:
    path = tmp_path / "far-apart.wasm"
    path.write_bytes(FAR_APART.build())
    assert path.stat().st_size < 10_000
    async with PluginHost(empty) as host:
        with pytest.raises(CompileLimitError, match="is compiled to") as caught:
            await host.load(path)
    assert caught.value.limit == "code_bytes"
    assert not list(empty.cache_directory.glob("*.cwasm"))
