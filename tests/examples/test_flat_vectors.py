"""The example `flat-vectors`: its file, through crashes and damage, and its filters."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio.from_thread
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from orchestrator_plugin_host import (
    HostSettings,
    Limits,
    LoadedVectorMemoryBackend,
    MemoryLimitError,
    PluginHost,
    PluginInitError,
    PluginTrapError,
    Policy,
    with_manifest,
)
from orchestrator_plugin_host.component_file import read_component
from orchestrator_plugin_host.policy import FilesGrant, FolderQuota
from orchestrator_plugin_sdk import (
    ErrorKind,
    FieldCondition,
    MemoryLogger,
    PluginCallError,
    PluginContext,
    Vector,
    VectorItem,
    VectorQueryFilter,
    validate_manifest,
)
from support.backends import BACKENDS, Stores
from support.building import built

from .upserting import item

(FLAT,) = [one for one in BACKENDS if one.name == "flat-vectors"]


@pytest.fixture
async def stores(anyio_backend: str, cache_directory: Path) -> AsyncIterator[Stores]:
    async with Stores(FLAT, "in-process", cache_directory) as opened:
        yield opened


async def contents(store: LoadedVectorMemoryBackend) -> dict[str, Any]:
    """What is kept, by id."""
    return {one.id: one for one in await store.query("repo", [1, 0, 0], 100_000)}


# Crashes.


def run_until_killed(
    folder: Path, cache: Path, tier: str, start: int, chance: random.Random
) -> tuple[set[int], set[int], int]:
    """What was acknowledged to be there, what may or may not be, and the next number."""
    path = os.pathsep.join(entry for entry in sys.path if entry)
    script = Path(__file__).with_name("upserting.py")
    with subprocess.Popen(
        [sys.executable, str(script), str(folder), str(cache), tier, str(start)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
    ) as child:
        assert child.stdout is not None
        lines = [child.stdout.readline()]
        assert lines == ["ready\n"]
        for _ in range(chance.randrange(60)):
            lines.append(child.stdout.readline())
        time.sleep(chance.random() * 0.02)  # anywhere within a call
        child.send_signal(signal.SIGKILL)
        lines += child.stdout.readlines()
    there: set[int] = set()
    unknown: set[int] = set()
    last = start
    for word in " ".join(line for line in lines[1:] if line.endswith("\n")).split():
        number = int(word[1:])
        if word[0] == "+":
            there.add(number)
            last = max(last, number + 1)
        else:
            there.discard(number)
            (unknown.add if word[0] == "?" else unknown.discard)(number)
    return there, {*unknown, last, last + 1}, last + 2


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("tier", "times"),
    [
        ("in-process", 3),
        ("process", 2),
        pytest.param("in-process", 12, marks=pytest.mark.slow),
        pytest.param("process", 5, marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_nothing_acknowledged_is_lost_by_a_kill(
    tier: str, times: int, tmp_path: Path, cache_directory: Path
) -> None:
    chance = random.Random(tier)
    there: set[int] = set()
    unknown: set[int] = set()
    start = 0
    async with Stores(FLAT, "in-process", cache_directory, tmp_path) as stores:
        await stores.open(store="another")  # built and compiled by now
    for _ in range(times):
        added, doubtful, start = await anyio.to_thread.run_sync(
            run_until_killed, tmp_path, cache_directory, tier, start, chance
        )
        there |= added
        unknown |= doubtful
        async with Stores(FLAT, "in-process", cache_directory, tmp_path) as stores:
            store = await stores.open()
            kept = await contents(store)
            kept.pop("large", None)
            found = {int(one) for one in kept}
            assert there <= found
            assert found <= there | unknown
            for number in random.Random(start).sample(sorted(found), min(len(found), 20)):
                wanted = item(number)
                assert (kept[f"{number}"].metadata, kept[f"{number}"].text) == (
                    wanted.metadata,
                    wanted.text,
                )
                only = VectorQueryFilter((FieldCondition("n", "eq", number),))
                (best,) = await store.query("repo", wanted.vector, 1, filter=only)
                assert best.score == pytest.approx(1)
        there, unknown = found, set()
    assert there


# The file.


async def written(stores: Stores, count: int = 4) -> bytes:
    """The log of some upserts of one item."""
    store = await stores.open()
    for number in range(count):
        await store.upsert("repo", [item(number)])
    await store.shutdown()
    return (stores.data() / "vectors.log").read_bytes()


def ends_of_records(log: bytes) -> list[int]:
    """Where each record ends, the head of the file being the first."""
    ends = [8]
    while ends[-1] < len(log):
        ends.append(ends[-1] + 16 + int.from_bytes(log[ends[-1] : ends[-1] + 4], "little"))
    assert ends[-1] == len(log)
    return ends


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_record_that_is_not_whole_is_cut_off_wherever_it_ends(stores: Stores) -> None:
    log = await written(stores)
    path = stores.data() / "vectors.log"
    ends = ends_of_records(log)
    assert len(ends) == 5
    for size in [*range(16), *range(ends[-2], len(log) + 1)]:
        end = max((end for end in ends if end <= size), default=0)
        whole = sum(one <= size for one in ends[1:])
        # The host makes room in the file before it writes.
        for left in (log[:size], log[:size] + bytes(len(log) - size), log[:size] + bytes(5)):
            path.write_bytes(left)
            store = await stores.open()
            assert (await contents(store)).keys() == {f"{n}" for n in range(whole)}
            assert path.stat().st_size == end
            await store.upsert("repo", [item(9)])
            await store.shutdown()
            store = await stores.open()
            assert (await contents(store)).keys() == {*(f"{n}" for n in range(whole)), "9"}
            await store.shutdown()


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_cut_is_logged_and_zeros_are_cut_too(stores: Stores) -> None:
    log = await written(stores)
    (stores.data() / "vectors.log").write_bytes(log + bytes(5000))
    logger = MemoryLogger()
    store = await stores.open(context=PluginContext(logger=logger))
    assert [(one.level, one.message) for one in logger.events] == [
        ("warning", "cut off 5000 bytes at the end of the log, which were never written whole"),
        ("info", "4 items in 1 repositories"),
    ]
    assert len(await contents(store)) == 4


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_every_damaged_byte_is_found_and_left_as_it_is(stores: Stores) -> None:
    log = await written(stores, 2)
    path = stores.data() / "vectors.log"
    for at in range(len(log)):
        damaged = bytearray(log)
        damaged[at] ^= 1 << at % 8
        path.write_bytes(damaged)
        with pytest.raises(PluginInitError, match=r"data/vectors.log is damaged at byte \d+: "):
            await stores.open()
        assert path.read_bytes() == damaged
    path.write_bytes(log)
    assert len(await contents(await stores.open())) == 2


GARBAGE = {
    "text": b"hello, this is something else entirely",
    "zeros and more": bytes(100) + b"x",
    "zeros after the head and more": b"FLATVEC1" + bytes(2_000_000) + b"x",
    "noise": random.Random(1).randbytes(3_000_000),
    "noise after the head": b"FLATVEC1" + random.Random(2).randbytes(3_000_000),
    "a length beyond all": b"FLATVEC1" + b"\xff" * 100,
}


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("garbage", GARBAGE.values(), ids=GARBAGE)
async def test_garbage_is_an_explained_error(garbage: bytes, stores: Stores) -> None:
    await written(stores)
    (stores.data() / "vectors.log").write_bytes(garbage)
    with pytest.raises(
        PluginInitError, match=r"is damaged at byte \d+: .* or remove it to begin anew"
    ):
        await stores.open()


def checksum(data: bytes, seed: int) -> int:
    """XXH64, to write records that are well-formed and make no sense."""
    p1, p2, p3, p4, p5 = (
        0x9E3779B185EBCA87,
        0xC2B2AE3D27D4EB4F,
        0x165667B19E3779F9,
        0x85EBCA77C2B2AE63,
        0x27D4EB2F165667C5,
    )
    mask = 2**64 - 1

    def rotated(x: int, n: int) -> int:
        return (x << n | x >> (64 - n)) & mask

    def round_(acc: int, lane: int) -> int:
        return rotated((acc + lane * p2) & mask, 31) * p1 & mask

    at, size = 0, len(data)
    if size >= 32:
        lanes = [(seed + p1 + p2) & mask, (seed + p2) & mask, seed, (seed - p1) & mask]
        while at + 32 <= size:
            for i in range(4):
                lanes[i] = round_(lanes[i], int.from_bytes(data[at : at + 8], "little"))
                at += 8
        found = sum(rotated(v, n) for v, n in zip(lanes, (1, 7, 12, 18), strict=True)) & mask
        for lane in lanes:
            found = ((found ^ round_(0, lane)) * p1 + p4) & mask
    else:
        found = (seed + p5) & mask
    found = (found + size) & mask
    while at + 8 <= size:
        found ^= round_(0, int.from_bytes(data[at : at + 8], "little"))
        found = (rotated(found, 27) * p1 + p4) & mask
        at += 8
    if at + 4 <= size:
        found ^= int.from_bytes(data[at : at + 4], "little") * p1 & mask
        found = (rotated(found, 23) * p2 + p3) & mask
        at += 4
    for byte in data[at:]:
        found = rotated(found ^ byte * p5 & mask, 11) * p1 & mask
    found = (found ^ found >> 33) * p2 & mask
    found = (found ^ found >> 29) * p3 & mask
    return found ^ found >> 32


def record(content: bytes) -> bytes:
    """A record with its checksums."""
    size = len(content).to_bytes(4, "little")
    own = checksum(content, 0).to_bytes(8, "little")
    return size + (checksum(size + own, 1) & 0xFFFFFFFF).to_bytes(4, "little") + own + content


def words(*numbers: int) -> bytes:
    return b"".join(number.to_bytes(4, "little") for number in numbers)


PUT = b"P" + words(3, 4) + b"repo"
NONSENSE = {
    "nothing": b"",
    "unknown kind": b"Z",
    "no dims": b"D" + words(0),
    "other dims": b"D" + words(7),
    "more than it says": b"D" + words(3) + b"x",
    "ids that are not there": b"X" + words(4) + b"repo" + words(0xFFFFFFFF),
    "a name that is not there": b"W" + words(0xFFFFFFFF),
    "items that are not there": PUT + words(0xFFFFFFFF),
    "huge vectors": b"P" + words(0xFFFFFFFF, 4) + b"repo" + words(1, 1, 1, 1),
    "a huge text": PUT + words(1, 0, 1, 0xFFFFFFFE) + bytes(12) + b"\x80",
    "metadata that ends": PUT + words(1, 1, 3, 0) + bytes(13) + b"\xdf\xff\xff",
    "metadata that nests": PUT + words(1, 1, 101, 0) + bytes(13) + b"\x91" * 100 + b"\xc0",
}


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("content", NONSENSE.values(), ids=NONSENSE)
async def test_a_record_that_makes_no_sense_is_an_explained_error(
    content: bytes, stores: Stores
) -> None:
    log = await written(stores, 1)
    assert log[8:] == record(log[24:])
    (stores.data() / "vectors.log").write_bytes(log + record(content + b"."))
    at = len(log)
    with pytest.raises(PluginInitError, match=f"damaged at byte {at}: a record makes no sense"):
        await stores.open()


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_records_that_anybody_may_have_written_are_no_trap(stores: Stores) -> None:
    log = await written(stores, 1)
    path = stores.data() / "vectors.log"
    chance = random.Random(1)
    contents_ = [
        log[24:],
        b"P" + words(0xFFFFFFFF, 4) + b"repo" + words(1, 1, 1, 1) + bytes(100) + b".",
        b"D" + words(0xFFFFFFFF) + b".",
        b"D" + words(3) + b".",
        b"X" + words(4) + b"repo" + words(1, 1) + b"0.",
        b"W" + words(4) + b"repo.",
    ]
    refusals: list[str] = []
    for _ in range(300):
        made = b""
        for _ in range(chance.randrange(1, 4)):
            content = bytearray(chance.choice(contents_))
            for _ in range(chance.randrange(3)):
                value = chance.choice([0, 1, 0x7F, 0x80, 0xDF, 0xFF, chance.randrange(256)])
                content[chance.randrange(len(content) - 1)] = value
            made += record(bytes(content))
        path.write_bytes(b"FLATVEC1" + made)
        try:
            store = await stores.open()
        except PluginInitError as error:
            refusals.append(str(error))
            continue
        for repository in ("repo", "other"):
            if (await store.info()).dims == 3:
                await store.query(repository, [1, 0, 0], 10, filter={"min_score": -1})
        await store.shutdown()
    assert 10 < len(refusals) < 290
    assert all("is damaged at byte" in one for one in refusals)


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_new_log_that_did_not_take_its_place_is_removed(stores: Stores) -> None:
    log = await written(stores)
    for left in (b"", log[:50], log, b"garbage"):
        (stores.data() / "vectors.new").write_bytes(left)
        store = await stores.open()
        assert (await contents(store)).keys() == {"0", "1", "2", "3"}
        await store.shutdown()
        assert [one.name for one in stores.data().iterdir()] == ["vectors.log"]


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_the_log_is_written_anew_when_most_of_it_is_for_nothing(stores: Stores) -> None:
    store = await stores.open({"sync": True})
    path = stores.data() / "vectors.log"
    largest = 0
    for number in range(40):
        large = VectorItem("large", Vector([1, 2, 3]), {"n": number}, "x" * 500_000)
        await store.upsert("repo", [large, item(number)])
        largest = max(largest, path.stat().st_size)
    assert 4_000_000 < largest < 6_500_000
    kept = await contents(store)
    assert kept.keys() == {"large", *(f"{n}" for n in range(40))}
    await store.shutdown()
    store = await stores.open()
    assert await contents(store) == kept
    await store.wipe_repo("repo")
    assert (await store.info()).dims == 3


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_quota_that_is_reached_costs_one_call(cache_directory: Path) -> None:
    async with Stores(FLAT, "in-process", cache_directory, quota=3_000_000) as stores:
        store = await stores.open()
        await store.upsert("repo", [item(1)])
        size = (stores.data() / "vectors.log").stat().st_size
        for _ in range(3):
            with pytest.raises(PluginCallError) as caught:
                await store.upsert(
                    "repo", [item(2), VectorItem("3", Vector([1, 2, 3]), {}, "x" * 4_000_000)]
                )
            assert caught.value.kind is not ErrorKind.INTERNAL
            assert "may have 3,000,000 bytes in data/" in caught.value.message
            assert (stores.data() / "vectors.log").stat().st_size == size
        assert (await contents(store)).keys() == {"1"}
        await store.upsert("repo", [item(2)])
        await store.shutdown()
        assert (await contents(await stores.open())).keys() == {"1", "2"}


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_memory_that_runs_out_costs_one_call(stores: Stores) -> None:
    store = await stores.open(limits=Limits(memory_bytes=48 * 1024 * 1024))
    vectors = [Vector([1.0] * 1000)] * 800
    await store.upsert("repo", [VectorItem(f"a{i}", one) for i, one in enumerate(vectors)])
    before = (await store.info()).item_count
    with pytest.raises((MemoryLimitError, PluginTrapError)):
        for number in range(20):
            items = [VectorItem(f"{number} {i}", one) for i, one in enumerate(vectors)]
            await store.upsert("repo", items)
            before = (await store.info()).item_count
    assert (await store.info()).item_count == before
    assert len(await store.query("repo", vectors[0], 10)) == 10


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_without_a_grant_it_says_what_it_lacks(cache_directory: Path, tmp_path: Path) -> None:
    settings = HostSettings(cache_directory=cache_directory, data_directory=tmp_path)
    async with PluginHost(settings) as host:
        with pytest.raises(PluginInitError, match="the policy does not grant it"):
            await host.load(built(FLAT.folder))


FORMS = [["bytes"], ["bytes", "latin1"], ["bytes", "base64"]]


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("forms", FORMS, ids=lambda forms: forms[-1])
async def test_every_form_of_a_payload_is_read(
    forms: list[Any], cache_directory: Path, tmp_path: Path
) -> None:
    data = built(FLAT.folder).read_bytes()
    manifest = replace(
        validate_manifest(read_component(data).manifest_document), payload_encodings=tuple(forms)
    )
    path = tmp_path / "flat-vectors.wasm"
    path.write_bytes(with_manifest(data, manifest))
    host_settings = HostSettings(
        cache_directory=cache_directory,
        data_directory=tmp_path / "data",
        policy=Policy(files=FilesGrant(data=FolderQuota())),
    )
    chance = random.Random(1)
    async with PluginHost(host_settings) as host:
        store = await host.load(path, expect=LoadedVectorMemoryBackend)
        # Every length around those that are decoded at once, of text that is ASCII and is not.
        for size in [*range(130), 8000, 20_000]:
            metadata = {"binary": chance.randbytes(size), "text": "ż" * (size % 7)}
            await store.upsert("repo", [VectorItem("a", Vector([1]), metadata)])
            (found,) = await store.query("repo", [1], 1)
            assert found.metadata == metadata
        await store.shutdown()
        store = await host.load(path, expect=LoadedVectorMemoryBackend)
        assert (await store.query("repo", [1], 1))[0].metadata == metadata


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_items_that_come_and_go(stores: Stores) -> None:
    store = await stores.open()
    chance = random.Random(1)
    kept: dict[str, int] = {}
    for number in range(60):
        batch = [f"{chance.randrange(3000)}" for _ in range(200)]
        await store.upsert(
            "repo", [VectorItem(one, Vector([number, 1]), {"n": number}) for one in batch]
        )
        kept.update(dict.fromkeys(batch, number))
        gone = [f"{chance.randrange(3000)}" for _ in range(150)]
        await store.delete_by_ids("repo", gone)
        for one in gone:
            kept.pop(one, None)
        found = await store.query("repo", [number, 1], 10_000)
        assert {one.id: one.metadata["n"] for one in found} == kept
        assert {one.id for one in found if one.score > 1 - 1e-12} >= {
            one for one, n in kept.items() if n == number
        }


# Filters.

KEYS = st.sampled_from(["a", "b", "c", "", "ż", "long-name-of-a-key-that-takes-more-than-31-bytes"])
NUMBERS = (
    st.integers(-(2**63), 2**64 - 1)
    | st.integers(-3, 3)
    | st.sampled_from([2**53, 2**53 + 1, -(2**53) - 1, 2**63, 2**64 - 1, 127, 128, 255, 256, 65536])
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from([0.0, -0.0, 1.0, 1.5, 2.0**53, 2.0**63, 2.0**64, 1e300, -1e300, 5e-324])
)
SCALARS = (
    st.none() | st.booleans() | NUMBERS | st.sampled_from(["", "a", "ab", "b", "ż", "aż", "🦊"])
    | st.text(max_size=40) | st.binary(max_size=3)
)  # fmt: skip
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)
METADATA = st.dictionaries(KEYS, VALUES, max_size=4)
FIELDS = st.lists(KEYS, min_size=1, max_size=3).map(".".join)
OPERATORS = st.sampled_from(
    ["eq", "ne", "lt", "lte", "gt", "gte", "in", "not_in", "contains", "exists"]
)


@st.composite
def questions(draw: Any) -> tuple[list[dict[str, Any]], VectorQueryFilter]:
    """Metadata of some items, and a filter that often asks for values they have."""
    items = draw(st.lists(METADATA, min_size=1, max_size=6))
    seen = [value for one in items for value in one.values()]
    within = [part for value in seen if isinstance(value, list) for part in value]
    value = VALUES | st.sampled_from([*seen, *within]) if seen else VALUES
    value = value | st.lists(value, max_size=3)
    condition = st.builds(FieldCondition, FIELDS, OPERATORS, value)
    several = st.lists(condition, max_size=2).map(tuple)
    return items, VectorQueryFilter(draw(several), draw(several), draw(several))


@pytest.fixture(scope="module")
def blocking(cache_directory: Path) -> Iterator[tuple[Any, LoadedVectorMemoryBackend]]:
    """A store, and what calls it from a test that is not asynchronous."""
    with anyio.from_thread.start_blocking_portal() as portal:
        opened = Stores(FLAT, "in-process", cache_directory)
        with portal.wrap_async_context_manager(opened) as stores:
            yield portal, portal.call(stores.open)


@settings(max_examples=4 * settings.default.max_examples)
@given(questions())
def test_filters_mean_what_the_sdk_says(
    blocking: tuple[Any, LoadedVectorMemoryBackend],
    question: tuple[list[dict[str, Any]], VectorQueryFilter],
) -> None:
    portal, store = blocking
    metadata, filter_ = question
    items = [VectorItem(f"{i}", Vector([1.0]), one) for i, one in enumerate(metadata)]

    async def ask() -> list[tuple[str, Any]]:
        await store.wipe_repo("repo")
        await store.upsert("repo", items)
        found = await store.query("repo", [1], 100, filter=filter_)
        return [(one.id, one.metadata) for one in found]

    wanted = [(f"{i}", one) for i, one in enumerate(metadata) if filter_.matches(one)]
    assert portal.call(ask) == wanted


@given(st.data())
def test_the_best_are_those_of_a_search_through_all(
    blocking: tuple[Any, LoadedVectorMemoryBackend], data: st.DataObject
) -> None:
    portal, store = blocking
    numbers = st.floats(width=32, allow_nan=False, allow_infinity=False) | st.sampled_from(
        [0.0, 1.0, -1.0, 0.5]
    )
    vectors = data.draw(st.lists(numbers.map(lambda n: [n]), min_size=1, max_size=20))
    top_k = data.draw(st.integers(1, 25))
    least = data.draw(st.none() | st.sampled_from([-1.0, 0.0, 0.5, 1.0]))
    query = data.draw(numbers)

    async def ask() -> list[tuple[str, float]]:
        await store.wipe_repo("repo")
        await store.upsert(
            "repo", [VectorItem(f"{i:02}", Vector(one)) for i, one in enumerate(vectors)]
        )
        found = await store.query("repo", [query], top_k, filter={"min_score": least})
        return [(one.id, one.score) for one in found]

    def sign(n: float) -> int:
        return (n > 0) - (n < 0)

    scores = {f"{i:02}": float(sign(query) * sign(one[0])) for i, one in enumerate(vectors)}
    passing = [(name, n) for name, n in scores.items() if least is None or n >= least]
    assert portal.call(ask) == sorted(passing, key=lambda one: (-one[1], one[0]))[:top_k]
