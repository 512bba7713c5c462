"""The cache of compiled code: nothing comes out of it but what went in."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from orchestrator_plugin_host import HostSettings, PluginHost
from orchestrator_plugin_host.sandbox.cache import CacheError, ComponentCache
from orchestrator_plugin_host.sandbox.code import Code
from support.guests import Guest

CODE = bytes(range(256))
DIGEST, FINGERPRINT = "d" * 64, "f" * 64


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "a" / "cache"


@pytest.fixture
def cache(directory: Path) -> ComponentCache:
    return ComponentCache(directory)


def given(code: Code | None) -> bytes | None:
    """What the cache gave, as bytes."""
    return None if code is None else bytes(code.read())


def stored(cache: ComponentCache) -> Path:
    """The file of the one entry that there is."""
    (entry,) = cache.entries()
    return entry.path


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


# --- what went in comes out ----------------------------------------------------------------------


@pytest.mark.parametrize("code", [b"", b"x", CODE, bytes(100_000)], ids=len)
def test_a_round_trip(cache: ComponentCache, directory: Path, code: bytes) -> None:
    assert cache.get(DIGEST, FINGERPRINT) is None
    cache.put(DIGEST, FINGERPRINT, code)
    assert given(cache.get(DIGEST, FINGERPRINT)) == code
    assert given(ComponentCache(directory).get(DIGEST, FINGERPRINT)) == code


def test_putting_again_replaces(cache: ComponentCache) -> None:
    cache.put(DIGEST, FINGERPRINT, b"old")
    cache.put(DIGEST, FINGERPRINT, CODE)
    assert given(cache.get(DIGEST, FINGERPRINT)) == CODE
    assert len(cache.entries()) == 1


def test_entries_are_told_apart(cache: ComponentCache) -> None:
    keys = [("a", "b"), ("b", "a"), ("ab", ""), ("a b", ""), ("a", "c")]
    for i, key in enumerate(keys):
        cache.put(*key, b"%d" % i)
    found = [given(cache.get(*key)) for key in keys]
    assert found[0] == b"0"
    assert found[1] == b"1"
    assert found[4] == b"4"
    assert cache.get("c", "b") is None


def test_what_is_stored_is_private(cache: ComponentCache, directory: Path) -> None:
    cache.put(DIGEST, FINGERPRINT, CODE)
    assert mode(directory) == 0o700
    assert {mode(path) for path in directory.iterdir()} == {0o600}
    assert len(list(directory.iterdir())) == 2


# --- tampering -----------------------------------------------------------------------------------


@pytest.mark.parametrize("at", range(32 + 32))
def test_a_changed_byte(cache: ComponentCache, at: int) -> None:
    cache.put(DIGEST, FINGERPRINT, CODE[:32])
    path = stored(cache)
    data = bytearray(path.read_bytes())
    assert len(data) == 64
    data[at] ^= 0x10
    path.write_bytes(data)
    assert cache.get(DIGEST, FINGERPRINT) is None
    assert not path.exists()


@pytest.mark.parametrize("length", [0, 1, 31, 32, 33, 63])
def test_a_shortened_file(cache: ComponentCache, length: int) -> None:
    cache.put(DIGEST, FINGERPRINT, CODE[:32])
    path = stored(cache)
    path.write_bytes(path.read_bytes()[:length])
    assert cache.get(DIGEST, FINGERPRINT) is None
    assert not path.exists()


def test_a_lengthened_file(cache: ComponentCache) -> None:
    cache.put(DIGEST, FINGERPRINT, CODE)
    path = stored(cache)
    path.write_bytes(path.read_bytes() + b"\0")
    assert cache.get(DIGEST, FINGERPRINT) is None
    assert not path.exists()


def test_another_entrys_file_under_this_name(cache: ComponentCache) -> None:
    cache.put(DIGEST, FINGERPRINT, CODE)
    mine = stored(cache)
    data = mine.read_bytes()
    cache.put("e" * 64, FINGERPRINT, b"theirs")
    for entry in cache.entries():
        entry.path.write_bytes(data)
    assert cache.get("e" * 64, FINGERPRINT) is None
    assert given(cache.get(DIGEST, FINGERPRINT)) == CODE


def test_an_entry_of_another_key(cache: ComponentCache, tmp_path: Path) -> None:
    cache.put(DIGEST, FINGERPRINT, CODE)
    other = ComponentCache(tmp_path / "other")
    (tmp_path / "other" / stored(cache).name).write_bytes(stored(cache).read_bytes())
    assert other.get(DIGEST, FINGERPRINT) is None
    assert other.entries() == []


def test_a_key_that_was_replaced(cache: ComponentCache, directory: Path) -> None:
    cache.put(DIGEST, FINGERPRINT, CODE)
    (directory / "secret.key").unlink()
    assert ComponentCache(directory).get(DIGEST, FINGERPRINT) is None


# --- the folder ----------------------------------------------------------------------------------


def test_a_symbolic_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with pytest.raises(CacheError, match="is a symbolic link: choose the folder it points to"):
        ComponentCache(tmp_path / "link")
    assert list((tmp_path / "real").iterdir()) == []


def test_a_key_that_is_a_symbolic_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "known.key").write_bytes(bytes(32))
    directory = tmp_path / "cache"
    directory.mkdir()
    (directory / "secret.key").symlink_to(tmp_path / "known.key")
    with pytest.raises(CacheError, match="is a symbolic link"):
        ComponentCache(directory)


@pytest.mark.parametrize("permissions", [0o777, 0o750, 0o701, 0o770])
def test_a_folder_that_others_may_enter_is_made_private(directory: Path, permissions: int) -> None:
    directory.mkdir(parents=True)
    directory.chmod(permissions)
    ComponentCache(directory)
    assert mode(directory) == 0o700


@pytest.mark.parametrize("permissions", [0o640, 0o604, 0o666])
def test_a_key_that_others_may_read_is_made_private(
    cache: ComponentCache, directory: Path, permissions: int
) -> None:
    (directory / "secret.key").chmod(permissions)
    ComponentCache(directory)
    assert mode(directory / "secret.key") == 0o600


@pytest.mark.parametrize("key", [b"", b"short", bytes(31), bytes(33)], ids=len)
def test_a_damaged_key(directory: Path, cache: ComponentCache, key: bytes) -> None:
    (directory / "secret.key").write_bytes(key)
    with pytest.raises(CacheError, match=r"secret.key is damaged: delete the folder"):
        ComponentCache(directory)


def test_a_folder_that_belongs_to_another(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    directory.mkdir(parents=True)
    other = os.getuid() + 1
    monkeypatch.setattr(os, "getuid", lambda: other)
    with pytest.raises(CacheError, match="belongs to another user; code from there can't be tr"):
        ComponentCache(directory)


def test_a_file_in_the_folders_place(directory: Path) -> None:
    directory.parent.mkdir(parents=True)
    directory.write_text("")
    with pytest.raises(CacheError, match=r"can't be used.*HostSettings\(cache_directory=…\)"):
        ComponentCache(directory)


def test_a_folder_in_a_files_place(cache: ComponentCache) -> None:
    cache.put(DIGEST, FINGERPRINT, CODE)
    path = stored(cache)
    path.unlink()
    path.mkdir()
    assert cache.get(DIGEST, FINGERPRINT) is None
    cache.put(DIGEST, FINGERPRINT, CODE)
    assert cache.get(DIGEST, FINGERPRINT) is None
    path.rmdir()


# --- a full disk ---------------------------------------------------------------------------------

FULL = """
import resource, sys
sys.path[:0] = {path!r}
from pathlib import Path
from orchestrator_plugin_host.sandbox.cache import CacheError, ComponentCache
directory = Path({directory!r})
cache = ComponentCache(directory)
cache.put("small", "f", b"small")
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
cache.put("large", "f", bytes(100_000))
cache.put("small", "f", bytes(100_000))
small = cache.get("small", "f").read()
print(cache.get("large", "f"), small, len(list(directory.iterdir())))
resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10))
try:
    ComponentCache(directory.parent / "another")
except CacheError as error:
    print(error)
print([path.name for path in (directory.parent / "another").iterdir()])
"""


def test_a_full_disk(directory: Path) -> None:
    code = FULL.format(path=sys.path, directory=str(directory))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    stayed, refused, left_over = done.stdout.splitlines()
    assert stayed == "None b'small' 2"
    assert "another can't be used" in refused
    assert "File too large" in refused
    assert left_over == "[]"


# --- many at once --------------------------------------------------------------------------------

WRITER = """
import sys
sys.path[:0] = {path!r}
from pathlib import Path
from orchestrator_plugin_host.sandbox.cache import ComponentCache
cache = ComponentCache(Path({directory!r}))
sys.stdin.readline()
found = set()
for i in range(60):
    cache.put("d", "f", bytes([{number}]) * 50_000)
    code = cache.get("d", "f")
    code = code and code.read()
    found.add(None if code is None else (len(code), len(set(code))))
print(found)
"""


def test_two_processes_at_once(directory: Path) -> None:
    writers = [
        subprocess.Popen(
            [
                sys.executable,
                "-c",
                WRITER.format(path=sys.path, directory=str(directory), number=number),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in (1, 2)
    ]
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write("go\n")
        writer.stdin.flush()
    said = [writer.communicate()[0] for writer in writers]
    assert said == ["{(50000, 1)}\n"] * 2
    assert [path.name for path in directory.glob(".*")] == []


def test_making_the_cache_many_times_at_once(directory: Path) -> None:
    keys: list[bytes] = []

    def make() -> None:
        together.wait()
        keys.append(ComponentCache(directory)._key)

    together = threading.Barrier(16, timeout=10)
    threads = [threading.Thread(target=make) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(keys) == 16
    assert len(set(keys)) == 1
    assert [path.name for path in directory.iterdir()] == ["secret.key"]


# --- what is stored ------------------------------------------------------------------------------


def test_entries_and_clearing(cache: ComponentCache, directory: Path) -> None:
    assert cache.entries() == []
    assert cache.clear() == 0
    for i in range(3):
        cache.put(str(i), FINGERPRINT, bytes(10 * i))
        os.utime(stored_of(cache, str(i)), (i, i))
    (directory / ".writing-left-over").write_bytes(b"")
    (directory / "unrelated.txt").write_bytes(b"")
    assert [(entry.size, entry.used_at) for entry in cache.entries()] == [
        (52, 2.0),
        (42, 1.0),
        (32, 0.0),
    ]
    assert given(cache.get("0", FINGERPRINT)) == b""  # used now
    assert cache.entries()[0].path == stored_of(cache, "0")
    assert cache.clear() == 52 + 42 + 32
    assert sorted(path.name for path in directory.iterdir()) == ["secret.key", "unrelated.txt"]
    cache.put(DIGEST, FINGERPRINT, CODE)
    assert given(cache.get(DIGEST, FINGERPRINT)) == CODE


def test_folders_are_no_entries(cache: ComponentCache, directory: Path) -> None:
    cache.put(DIGEST, FINGERPRINT, CODE)
    for name in (stored_of(cache, "other").name, ".writing-folder"):
        (directory / name).mkdir()
        (directory / name / "inside").write_bytes(b"not of the cache")
    assert [entry.path for entry in cache.entries()] == [stored_of(cache, DIGEST)]
    assert cache.clear() == 32 + len(CODE)
    assert cache.entries() == []
    assert len([*directory.glob("*/inside")]) == 2


def stored_of(cache: ComponentCache, digest: str) -> Path:
    return cache._path(digest, FINGERPRINT)


# --- with components -----------------------------------------------------------------------------


@pytest.mark.anyio
async def test_a_damaged_entry_is_compiled_anew(tmp_path: Path, anyio_backend: str) -> None:
    file, folder = tmp_path / "guest.wasm", tmp_path / "cache"
    file.write_bytes(Guest().build())
    for _ in range(3):
        async with PluginHost(HostSettings(cache_directory=folder)) as host:
            plugin = await host.load(file)
            assert (await plugin.health_check()).healthy
        path = stored(ComponentCache(folder))
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)


def test_what_was_not_used_for_longest_makes_room(tmp_path: Path) -> None:
    cache = ComponentCache(tmp_path / "cache", most_bytes=250)
    for age, name in enumerate(["new", "older", "oldest"]):
        cache.put(name, FINGERPRINT, bytes(68))  # and 32 of the HMAC
        os.utime(cache._path(name, FINGERPRINT), (1000 - age, 1000 - age))
    cache.put("newest", FINGERPRINT, bytes(68))
    names = ("newest", "new", "older", "oldest")
    kept = [cache.get(name, FINGERPRINT) is not None for name in names]
    assert kept == [True, True, False, False]
    cache.put("larger than all", FINGERPRINT, bytes(1000))
    assert [entry.size for entry in cache.entries()] == [1032]


def test_what_killed_processes_left_over_goes_after_a_while(tmp_path: Path) -> None:
    cache = ComponentCache(tmp_path / "cache")
    old, new = (cache.directory / f".writing-{name}" for name in ("old", "new"))
    for path in (old, new):
        path.write_bytes(b"half")
    os.utime(old, (1, 1))
    cache.put(DIGEST, FINGERPRINT, b"code")
    assert (old.exists(), new.exists()) == (False, True)
