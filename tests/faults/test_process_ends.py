"""The host's own process: Ctrl-C, its exit and its forks, while guests run. Each in a process."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from orchestrator_plugin_host.settings import Tier
from orchestrator_plugin_sdk import LogEvent, pack, to_document
from support.guests import DATA, Guest
from support.processes import HANG_SECONDS, alive, children, run, start, wait_until

pytestmark = pytest.mark.slow

LOGGED = pack(to_document(LogEvent("hello")))
EVENT = pack({"type": "text_delta", "text": "x"})
DOING = {
    "spinning": "(loop $spin (br $spin)) (unreachable)",
    "sleeping": "(call $sleep (i64.const 3600000)) (unreachable)",
    "logging": f"(loop $more (call $emit (i32.const 0) (i32.const {DATA})"
    f" (i32.const {len(LOGGED)})) (br $more)) (unreachable)",
    "asking": "(loop $more (drop (call $wall_now)) (br $more)) (unreachable)",
    "streaming": "$document_2096",
}

PRELUDE = """
import asyncio, os, signal, sys, threading, time
from pathlib import Path
import anyio
from orchestrator_plugin_host import HostSettings, Limits, PluginClosedError, PluginHost
from orchestrator_plugin_sdk import PluginContext, PluginLogger

file, cache, tier, doing, how = sys.argv[1:]
settings = HostSettings(
    cache_directory=Path(cache), tier=tier,
    limits=Limits(deadline_ms=600_000, log_events=10**9, log_bytes=10**12, stream_events=10**9),
)
class Quiet(PluginLogger):
    def emit(self, event):
        return
async def use(plugin):
    if doing == "streaming":
        async for _ in plugin.stream({"messages": []}):
            pass
    else:
        await plugin.generate({"messages": []}, PluginContext(logger=Quiet()))
async def works(plugin):
    assert (await plugin.health_check()).healthy
"""


@pytest.fixture
def guest(tmp_path: Path) -> Path:
    path = tmp_path / "guest.wasm"
    path.write_bytes(Guest().build())
    return path


def busy(folder: Path, doing: str) -> Path:
    """A guest that does this for ever."""
    path = folder / "busy.wasm"
    functions = {
        "generate": DOING[doing],
        "[method]event-stream.next": f"(call $ok_some (i32.const {DATA}) (i32.const {len(EVENT)}))",
    }
    data = EVENT if doing == "streaming" else LOGGED
    path.write_bytes(Guest(functions=functions, data=data).build())
    return path


# --- Ctrl-C --------------------------------------------------------------------------------------

INTERRUPTED = """
async def announce():
    await anyio.wait_all_tasks_blocked()
    threading.Timer(0.3, print, ["ready"], {"flush": True}).start()
async def main():
    async with PluginHost(settings) as host:
        plugin = await host.load(file)
        await works(plugin)
        async with anyio.create_task_group() as group:
            group.start_soon(announce)
            await use(plugin)
try:
    anyio.run(main, backend=how)
except* KeyboardInterrupt:
    print("interrupted", flush=True)
"""
# The guest runs and every task waits when the signal comes. That is not every moment: trio raises
# KeyboardInterrupt between any two steps of its main task, the host's own included.


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.parametrize("doing", ["spinning", "sleeping", "asking"])
def test_ctrl_c(
    tmp_path: Path, cache_directory: Path, tier: Tier, doing: str, backend: str
) -> None:
    host = start(
        PRELUDE + INTERRUPTED, busy(tmp_path, doing), cache_directory, tier, doing, backend
    )
    assert host.stdout is not None
    assert host.stdout.readline() == "ready\n"
    workers = children(host.pid)
    host.send_signal(signal.SIGINT)
    said, errors = host.communicate(timeout=HANG_SECONDS)
    assert (host.returncode, said, errors) == (0, "interrupted\n", "")
    wait_until(lambda: not any(map(alive, workers)), "the workers' end")


# --- exit ----------------------------------------------------------------------------------------

EXITS = """
async def main():
    host = await PluginHost(settings).__aenter__()
    plugin = await host.load(file)
    await works(plugin)
    print("ready", flush=True)
    ready.set()
    await use(plugin)
ready = threading.Event()
threading.Thread(target=lambda: asyncio.run(main()), daemon=True).start()
assert ready.wait(50)
time.sleep(0.1)
if how == "exit":
    sys.exit(7)
if how == "error":
    raise ValueError("mine")
"""


@pytest.mark.parametrize(
    ("how", "code", "doing"),
    [
        ("end", 0, "spinning"),
        ("exit", 7, "sleeping"),
        ("error", 1, "logging"),
        ("end", 0, "streaming"),
        ("exit", 7, "logging"),
        ("exit", 7, "asking"),
    ],
)
def test_the_interpreter_exits(
    tmp_path: Path, cache_directory: Path, tier: Tier, doing: str, how: str, code: int
) -> None:
    host = start(PRELUDE + EXITS, busy(tmp_path, doing), cache_directory, tier, doing, how)
    assert host.stdout is not None
    assert host.stdout.readline() == "ready\n"
    workers = children(host.pid)
    _, errors = host.communicate(timeout=HANG_SECONDS)
    assert host.returncode == code, errors
    assert ("ValueError: mine" in errors) == (how == "error")
    wait_until(lambda: not any(map(alive, workers)), "the workers' end")


LEFT = """
async def main():
    host = PluginHost(settings)
    await host.__aenter__()
    plugin = await host.load(file)
    for _ in range(4):
        begun.append((host, asyncio.ensure_future(use(plugin))))
    await asyncio.sleep(0.3)
    print("ready", flush=True)
    if how == "exit":
        os._exit(7)
    if how == "killed":
        os.kill(os.getpid(), signal.SIGTERM)
begun = []
loop = asyncio.new_event_loop()
loop.run_until_complete(main())
sys.exit(7)
"""


@pytest.mark.parametrize("how", ["exit", "killed", "end"])
@pytest.mark.parametrize("doing", ["spinning", "sleeping", "streaming"])
def test_guests_that_are_left_at_any_step(
    tmp_path: Path, cache_directory: Path, tier: Tier, doing: str, how: str
) -> None:
    # Suspended, in the middle of a loop, in threads: nobody closes anything.
    host = start(PRELUDE + LEFT, busy(tmp_path, doing), cache_directory, tier, doing, how)
    assert host.stdout is not None
    assert host.stdout.readline() == "ready\n"
    _, errors = host.communicate(timeout=HANG_SECONDS)
    assert host.returncode == (-signal.SIGTERM if how == "killed" else 7), errors


ABANDONED = """
async def main():
    host = await PluginHost(settings).__aenter__()
    plugin = await host.load(file)
    await works(plugin)
    kept.append((host, asyncio.ensure_future(use(plugin))))
    await asyncio.sleep(0.1)
    print("ready", flush=True)
kept = []
loop = asyncio.new_event_loop()
loop.run_until_complete(main())
"""


@pytest.mark.parametrize("doing", ["spinning", "streaming"])
def test_a_loop_that_is_abandoned(
    tmp_path: Path, cache_directory: Path, tier: Tier, doing: str
) -> None:
    file = busy(tmp_path, doing)
    done = run(PRELUDE + ABANDONED, file, cache_directory, tier, doing, "")
    assert (done.returncode, done.stdout) == (0, "ready\n"), done.stderr


# --- fork ----------------------------------------------------------------------------------------

FORKS = """
async def in_child(plugin):
    try:
        await plugin.health_check()
    except PluginClosedError as error:
        assert "forked" in str(error)
    else:
        raise AssertionError("called")
    if how == "another host":
        async with PluginHost(settings) as host:
            await works(await host.load(file))
async def main():
    async with PluginHost(settings) as host:
        plugin = await host.load(file)
        await works(plugin)
        for _ in range(3):
            child = os.fork()
            if child == 0:
                try:
                    # A loop of its own: the parent's was copied as it ran.
                    asyncio._set_running_loop(None)
                    asyncio.run(in_child(plugin))
                    os._exit(5)
                except BaseException as error:
                    import traceback
                    traceback.print_exc()
                    os._exit(6)
            while True:
                pid, status = os.waitpid(child, os.WNOHANG)
                if pid:
                    break
                await works(plugin)
            print(os.waitstatus_to_exitcode(status), flush=True)
            await works(plugin)
asyncio.run(main())
"""


@pytest.mark.parametrize("how", ["its parent's host", "another host"])
def test_a_fork(guest: Path, cache_directory: Path, tier: Tier, how: str) -> None:
    done = run(PRELUDE + FORKS, guest, cache_directory, tier, "", how)
    assert (done.returncode, done.stdout) == (0, "5\n" * 3), done.stderr
