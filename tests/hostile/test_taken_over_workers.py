"""A real worker that is taken over: what native code finds in it once it would run a guest.

The worker starts, is confined and says that it is ready as always. Then it runs a test's own code
where it would serve its guest, and says what came of it.
"""

from __future__ import annotations

import os
import sys
from typing import Any

import pytest
from orchestrator_plugin_host import Limits
from orchestrator_plugin_host.admission import world_of
from orchestrator_plugin_host.component_file import without_names
from orchestrator_plugin_host.sandbox import _capi
from orchestrator_plugin_host.sandbox.adapters.outer import with_adapters
from orchestrator_plugin_host.sandbox.code import Code
from orchestrator_plugin_host.sandbox.config import make_engine
from orchestrator_plugin_host.sandbox.worker import spawn
from orchestrator_plugin_host.sandbox.worker.measures import missing
from orchestrator_plugin_host.sandbox.worker.spawn import Worker
from orchestrator_plugin_host.sandbox.workers import WORKER_BYTES, StoredCode
from orchestrator_plugin_sdk.contract import KINDS
from support.guests import Guest
from support.processes import kernel_bytes, status
from support.wasi import wasi_guest

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or os.uname().machine not in ("x86_64", "aarch64"),
    reason="what confines workers is Linux's",
)

LIMITS = Limits(memory_bytes=64 << 20, document_in_bytes=1 << 20, document_out_bytes=1 << 20)
_TAKEN_OVER = """
import ctypes, errno, fcntl, mmap, signal, socket, _thread
from orchestrator_plugin_host.sandbox.worker import main as worker

libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]

def taken_over(served):
    channel = served._channel
    said = []
{attempts}
    channel.send(["said", *said])
    channel.receive(1 << 20)

worker._Served.serve = taken_over
"""


def started(stored: StoredCode, attempts: str, monkeypatch: pytest.MonkeyPatch) -> Worker:
    """A worker that makes these attempts once it is ready, with every measure taken."""
    indented = "".join(f"    {line}\n" for line in attempts.strip().splitlines())
    begin, run, end = spawn._START.partition("from orchestrator_plugin_host.sandbox.worker.main")
    taken_over = _TAKEN_OVER.replace("{attempts}", indented)
    monkeypatch.setattr(spawn, "_START", f"{begin}import os\n{taken_over}\n{run}{end}")
    one = stored.worker()
    one.send(stored.to_run(LIMITS), nothing)
    word, held = one.receive(1 << 16, nothing)
    assert (word, missing(held)) == ("ready", ())
    return one


def nothing() -> None:
    """Goes on waiting."""


def said(worker: Worker) -> list[Any]:
    """What came of the attempts."""
    word, *rest = worker.receive(1 << 16, nothing)
    assert word == "said"
    return rest


@pytest.fixture(scope="module", params=["core", "wasi"])
def stored(request: pytest.FixtureRequest) -> StoredCode:
    """The code of a guest, with WASI and without."""
    guest = Guest() if request.param == "core" else wasi_guest()
    wasi = (
        frozenset()
        if request.param == "core"
        else frozenset(
            f"wasi:{name}@0.2.0"
            for name in ("io/poll", "clocks/monotonic-clock", "cli/environment", "cli/exit")
        )
    )
    engine, world = make_engine(), world_of(KINDS[guest.kind])
    component = _capi.compile_component(
        engine, with_adapters(engine, without_names(guest.core()), world)
    )
    return StoredCode(world, wasi, 1, Code.of(bytes(component.serialize())))


ATTEMPTS = """
def attempt(name, function):
    try:
        function()
    except (OSError, RuntimeError, MemoryError):
        pass
    else:
        said.append(name)

parent = os.getppid()
attempt("thread", lambda: _thread.start_new_thread(print, ()))
attempt("fork", lambda: os.fork())
attempt("exec", lambda: os.execv("/bin/true", ["true"]))
attempt("open", lambda: os.open("/", os.O_PATH))
attempt("open a descriptor", lambda: os.open("/proc/self/fd/0", 0))
attempt("stat", lambda: os.stat("/"))
attempt("list", lambda: os.listdir("/"))
attempt("readlink", lambda: os.readlink("/proc/self/exe"))
attempt("socket", lambda: socket.socket(socket.AF_UNIX))
attempt("socket pair", lambda: socket.socketpair())
attempt("ioctl", lambda: fcntl.ioctl(0, 0x5413, bytes(8)))
attempt("kill the host", lambda: os.kill(parent, 0))
attempt("watch the host", lambda: os.pidfd_open(parent))
attempt("memory file", lambda: os.memfd_create("more"))
attempt("shared memory", lambda: mmap.mmap(-1, 4096))
attempt("a gigabyte", lambda: bytearray(1 << 30))
"""


def test_it_reaches_nothing(stored: StoredCode, monkeypatch: pytest.MonkeyPatch) -> None:
    with started(stored, ATTEMPTS, monkeypatch) as worker:
        assert said(worker) == []


OPEN = """
for one in range(1 << 16):
    try:
        fcntl.fcntl(one, fcntl.F_GETFD)
    except OSError:
        continue
    said.append(one)
"""


def test_it_has_the_channel_and_the_code_alone(
    stored: StoredCode, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = os.open("/", os.O_RDONLY)  # of the host's, which a worker must not get
    os.set_inheritable(kept, True)
    try:
        with started(stored, OPEN, monkeypatch) as worker:
            numbers = said(worker)
            assert numbers[:3] == [0, 1, 2]
            kinds = of_kinds(worker.pid, numbers)
    finally:
        os.close(kept)
    for expected in ("/dev/null", "/dev/null", "pipe", "socket", "memfd"):
        kinds.remove(expected)  # a pipe for what it says when it ends; the channel; the code
    # What WASI waits with.
    assert set(kinds) == ({"anon_inode"} if stored.wasi else set()), kinds


def of_kinds(process: int, numbers: list[int]) -> list[str]:
    """What descriptors of a process are of."""
    try:
        links = [os.readlink(f"/proc/{process}/fd/{number}") for number in numbers]
    except PermissionError:
        pytest.skip("only root sees the descriptors of a process that nobody may look into")
    return ["memfd" if link.startswith("/memfd:") else link.partition(":")[0] for link in links]


def test_its_threads_are_those_it_began_with(
    stored: StoredCode, monkeypatch: pytest.MonkeyPatch
) -> None:
    with started(stored, "", monkeypatch) as worker:
        assert said(worker) == []
        # One runs the guest, one watches the host, one waits for WASI.
        assert status(worker.pid, "Threads") == (3 if stored.wasi else 2)


PAGES = """
# Pages that are only read are no data. One in each two megabytes takes a page of the kernel's.
while True:
    at = libc.mmap(None, 1 << 28, mmap.PROT_READ, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, -1, 0)
    if at == (1 << 64) - 1:
        break
    for place in range(at, at + (1 << 28), 1 << 21):
        ctypes.c_char.from_address(place).value
"""


def test_page_tables_are_bounded_by_addresses(
    stored: StoredCode, monkeypatch: pytest.MonkeyPatch
) -> None:
    with started(stored, PAGES, monkeypatch) as worker:
        assert said(worker) == []
        addresses = stored.address_bytes(LIMITS) + LIMITS.memory_bytes + WORKER_BYTES + (2 << 30)
        assert kernel_bytes(worker.pid) <= addresses / 512 + (4 << 20)
