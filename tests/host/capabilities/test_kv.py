"""Keys and values on the host's side: exact quotas, one owner, and nothing lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, settings
from orchestrator_plugin_host import FilesError
from orchestrator_plugin_host.capabilities.kv.grant import KvGrant
from orchestrator_plugin_host.capabilities.kv.store import KvStore, open_store
from orchestrator_plugin_host.capabilities.owned.folders import data_folders, take_over
from orchestrator_plugin_host.capabilities.owned.owners import owner_of
from orchestrator_plugin_sdk import PluginCallError

OWNER, OTHER = owner_of("0" * 64), owner_of("1" * 64)
QUOTA = KvGrant(bytes=60, keys=4)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[KvStore]:
    opened = open_store(tmp_path, "p", OWNER)
    yield opened
    opened.close()


KEYS = st.text(min_size=1, max_size=4, alphabet="ab/ż\U0001f600\0")
STEPS = st.one_of(
    st.tuples(st.just("set"), KEYS, st.binary(max_size=30)),
    st.tuples(st.just("delete"), KEYS, st.just(b"")),
    st.tuples(st.just("reopen"), st.just(""), st.just(b"")),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(STEPS, max_size=30))
def test_it_is_a_dictionary_with_an_exact_quota(tmp_path: Path, steps: list[Any]) -> None:
    store = open_store(tmp_path, "p", OWNER)
    for key in store.keys(b"", b""):
        store.delete(key.encode())
    model: dict[bytes, bytes] = {}
    for what, key_text, value in steps:
        key = key_text.encode()
        if what == "reopen":
            store.close()
            store = open_store(tmp_path, "p", OWNER)
        elif what == "delete":
            assert store.delete(key) == (model.pop(key, None) is not None)
        else:
            then = {**model, key: value}
            size = sum(len(name) + len(one) for name, one in then.items())
            if len(then) <= QUOTA.keys and size <= QUOTA.bytes:
                store.set(key, value, QUOTA)
                model = then
            else:
                with pytest.raises(PluginCallError, match="nothing was changed"):
                    store.set(key, value, QUOTA)
        assert [one.encode() for one in store.keys(b"", b"")] == sorted(model)
        for prefix in (b"a", "ż".encode(), b"a/"):
            wanted = sorted(one for one in model if one.startswith(prefix) and one > b"a")
            assert [one.encode() for one in store.keys(prefix, b"a")] == wanted
        assert all(store.get(one) == model[one] for one in model)
    store.close()


def test_a_store_beyond_a_lowered_quota_can_only_shrink(store: KvStore) -> None:
    store.set(b"a", bytes(50), QUOTA)
    low = KvGrant(bytes=20, keys=1)
    with pytest.raises(PluginCallError):
        store.set(b"b", b"", low)
    store.set(b"a", bytes(30), low)
    assert store.get(b"a") == bytes(30)


def test_keys_come_in_pages(store: KvStore) -> None:
    many = KvGrant(bytes=1_000_000, keys=5_000)
    for number in range(2_500):
        store.set(f"{number:04}".encode(), b"", many)
    found: list[str] = []
    while page := store.keys(b"", found[-1].encode() if found else b""):
        assert len(page) <= 1_000
        found += page
    assert found == [f"{number:04}" for number in range(2_500)]


def test_it_belongs_to_the_digest_that_wrote_it(tmp_path: Path) -> None:
    open_store(tmp_path, "p", OWNER).close()
    assert data_folders(tmp_path) == {"p": OWNER}
    with pytest.raises(FilesError, match=f"take-over p --digest {OTHER}"):
        open_store(tmp_path, "p", OTHER)
    assert take_over(tmp_path, "p", OTHER) == OWNER
    open_store(tmp_path, "p", OTHER).close()
    with pytest.raises(FilesError):
        open_store(tmp_path, "p", OWNER)


def test_one_host_has_it_at_a_time(store: KvStore, tmp_path: Path) -> None:
    with pytest.raises(FilesError, match="is used by another host"):
        open_store(tmp_path, "p", OWNER)
    with pytest.raises(FilesError, match="is used by another host"):
        take_over(tmp_path, "p", OTHER)


def test_what_is_no_store_is_told(tmp_path: Path) -> None:
    open_store(tmp_path, "p", OWNER).close()
    (tmp_path / ".kv" / "p" / "store.sqlite3").write_bytes(b"something else" * 1_000)
    for _ in range(2):
        with pytest.raises(FilesError, match="can't be read: file is not a database"):
            open_store(tmp_path, "p", OWNER)


_WRITER = """
import sys
from pathlib import Path
from orchestrator_plugin_host.capabilities.kv.grant import KvGrant
from orchestrator_plugin_host.capabilities.kv.store import open_store
store = open_store(Path(sys.argv[1]), "p", sys.argv[2])
number = 0
while True:
    store.set(b"number", str(number).encode(), KvGrant())
    print(number, flush=True)
    number += 1
"""


def test_what_was_set_is_there_after_a_kill(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _WRITER, str(tmp_path), OWNER]
    for count in (1, 20, 300):
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
            assert writer.stdout is not None
            for _ in range(count):
                last = writer.stdout.readline()
            os.kill(writer.pid, signal.SIGKILL)
            told = [last, *writer.stdout.readlines()]
        acknowledged = int([line for line in told if line.endswith("\n")][-1])
        store = open_store(tmp_path, "p", OWNER)
        found = store.get(b"number")
        store.close()
        assert found is not None
        assert int(found) in (acknowledged, acknowledged + 1)


def test_a_disk_that_fails_is_told_and_nothing_is_changed(
    store: KvStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.set(b"a", b"before", QUOTA)
    store._database.execute("PRAGMA query_only = ON")
    with pytest.raises(PluginCallError, match="nothing was changed") as caught:
        store.set(b"a", b"after", QUOTA)
    assert caught.value.kind == "unavailable"
    store._database.execute("PRAGMA query_only = OFF")
    assert store.get(b"a") == b"before"
    store.set(b"b", bytes(52), QUOTA)  # all that is left
