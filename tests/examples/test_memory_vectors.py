"""The example `memory-vectors`, run natively."""

import math
import random
from pathlib import Path

import pytest
from orchestrator_plugin_sdk import (
    AbortController,
    ErrorKind,
    FieldCondition,
    PluginCallError,
    PluginContext,
    Vector,
    VectorItem,
    VectorMemoryBackendPlugin,
    VectorQueryFilter,
    load_plugin,
    load_project,
)

pytestmark = pytest.mark.anyio
FOLDER = Path(__file__).parents[2] / "guest-examples" / "memory-vectors"
CTX = PluginContext()


async def load(**config: object) -> VectorMemoryBackendPlugin:
    plugin = await load_plugin(load_project(FOLDER), config)
    assert isinstance(plugin, VectorMemoryBackendPlugin)
    return plugin


def item(item_id, *numbers, text=None, **metadata):
    return VectorItem(item_id, Vector(numbers), metadata, text)


async def found(plugin, *numbers, repo="r", top_k=10, filter=None):
    results = await plugin.query(repo, Vector(numbers), top_k, CTX, filter)
    return [result.id for result in results]


async def test_the_nearest_by_angle_come_first():
    plugin = await load()
    items = [item("far", -1, 0), item("side", 0, 9), item("near", 5, 0.1), item("same", 3, 0)]
    await plugin.upsert("r", items, CTX)
    results = await plugin.query("r", Vector([1, 0]), 10, CTX)
    assert [result.id for result in results] == ["same", "near", "side", "far"]
    expected = [1, 5 / math.hypot(5, 0.1), 0, -1]
    assert [result.score for result in results] == pytest.approx(expected)
    assert await found(plugin, 1, 0, top_k=2) == ["same", "near"]
    assert await found(plugin, 1, 0, top_k=0) == []


async def test_scores_are_those_of_the_definition():
    rng = random.Random(1)
    plugin = await load()
    vectors = {f"{n:03}": Vector([rng.gauss(0, 1) for _ in range(16)]) for n in range(200)}
    await plugin.upsert("r", [VectorItem(name, v) for name, v in vectors.items()], CTX)
    query = Vector([rng.gauss(0, 1) for _ in range(16)])

    def cosine(v):
        dot = math.fsum(a * b for a, b in zip(v, query, strict=True))
        return dot / (math.hypot(*v) * math.hypot(*query))

    wanted = sorted(vectors, key=lambda name: -cosine(vectors[name]))[:25]
    results = await plugin.query("r", query, 25, CTX)
    assert [result.id for result in results] == wanted
    for result in results:
        assert result.score == pytest.approx(cosine(vectors[result.id]), abs=1e-9)


@pytest.mark.parametrize("scale", [1e-30, 1.0, 3e38])
async def test_scores_stay_in_range_at_the_ends_of_float32(scale):
    plugin = await load()
    await plugin.upsert("r", [item("a", scale, scale, scale)], CTX)
    (result,) = await plugin.query("r", Vector([scale, scale, scale]), 1, CTX)
    assert 1 - 1e-9 < result.score <= 1


async def test_equal_scores_come_by_id_whatever_the_order_of_adding():
    plugin = await load()
    await plugin.upsert("r", [item("c", 1, 0), item("a", 2, 0), item("b", 4, 0)], CTX)
    assert await found(plugin, 1, 0) == ["a", "b", "c"]
    assert await found(plugin, 1, 0, top_k=2) == ["a", "b"]


async def test_zero_vectors_score_nought():
    plugin = await load()
    await plugin.upsert("r", [item("zero", 0, 0), item("ahead", 1, 0), item("behind", -1, 0)], CTX)
    assert await found(plugin, 1, 0) == ["ahead", "zero", "behind"]
    results = await plugin.query("r", Vector([0, 0]), 3, CTX)
    assert [(result.id, result.score) for result in results] == [
        ("ahead", 0),
        ("behind", 0),
        ("zero", 0),
    ]


async def test_metadata_and_text_come_back():
    plugin = await load()
    await plugin.upsert("r", [item("a", 1, text="hello", tags=["x"], n={"m": 1})], CTX)
    (result,) = await plugin.query("r", Vector([1]), 1, CTX)
    assert (result.text, result.metadata) == ("hello", {"tags": ["x"], "n": {"m": 1}})


async def test_the_callers_objects_are_not_the_stores():
    plugin = await load()
    metadata = {"tags": ["kept"]}
    await plugin.upsert("r", [VectorItem("a", Vector([1]), metadata)], CTX)
    metadata["tags"].append("added by the one who wrote")
    (first,) = await plugin.query("r", Vector([1]), 1, CTX)
    first.metadata["tags"].append("added by the one who read")
    (second,) = await plugin.query("r", Vector([1]), 1, CTX)
    assert second.metadata == {"tags": ["kept"]}


async def test_an_upsert_replaces_by_id_and_the_last_of_a_batch_wins():
    plugin = await load()
    await plugin.upsert("r", [item("a", 1, 0, v=1), item("b", 1, 1)], CTX)
    await plugin.upsert("r", [item("a", 1, 0, v=2), item("a", 0, 1, v=3)], CTX)
    (best, _) = await plugin.query("r", Vector([0, 1]), 5, CTX)
    assert (best.id, best.score, best.metadata) == ("a", 1, {"v": 3})
    assert (await plugin.info()).item_count == 2


async def test_filters_and_the_least_score():
    plugin = await load()
    await plugin.upsert(
        "r",
        [
            item("a", 1, 0, lang="en", author={"name": "Ada"}),
            item("b", 1, 1, lang="en", author={"name": "Bob"}),
            item("c", 0, 1, lang="fr"),
        ],
        CTX,
    )
    english = FieldCondition("lang", "eq", "en")
    ada = FieldCondition("author.name", "eq", "Ada")
    assert await found(plugin, 0, 1, filter=VectorQueryFilter(all_of=(english,))) == ["b", "a"]
    assert await found(plugin, 0, 1, filter=VectorQueryFilter(none_of=(ada,))) == ["c", "b"]
    # The filter comes before the count: the best match of all is not among those it lets through.
    only = VectorQueryFilter(all_of=(english,))
    assert await found(plugin, 0, 1, top_k=1, filter=only) == ["b"]
    assert await found(plugin, 0, 1, filter=VectorQueryFilter(min_score=1.0)) == ["c"]
    assert await found(plugin, 0, 1, filter=VectorQueryFilter(min_score=0.0)) == ["c", "b", "a"]
    both = VectorQueryFilter(all_of=(english,), min_score=0.5)
    assert await found(plugin, 0, 1, filter=both) == ["b"]


async def test_repositories_do_not_mix():
    plugin = await load()
    await plugin.upsert("r", [item("a", 1)], CTX)
    await plugin.upsert("s", [item("a", 1), item("b", 1)], CTX)
    await plugin.delete_by_ids("r", ["a", "b", "never there"], CTX)
    await plugin.delete_by_ids("never there", ["a"], CTX)
    assert await found(plugin, 1) == []
    assert await found(plugin, 1, repo="s") == ["a", "b"]
    assert (await plugin.info()).item_count == 2
    await plugin.wipe_repo("r", CTX)
    await plugin.wipe_repo("s", CTX)
    await plugin.wipe_repo("never there", CTX)
    assert await found(plugin, 1, repo="s") == []
    assert (await plugin.info()).item_count == 0


async def test_the_first_upsert_fixes_the_dims_of_the_backend():
    plugin = await load()
    assert (await plugin.info()).dims == 0
    assert await found(plugin, 1, 2, 3) == []
    await plugin.upsert("r", [], CTX)
    assert (await plugin.info()).dims == 0
    await plugin.upsert("r", [item("a", 1, 0)], CTX)
    await plugin.wipe_repo("r", CTX)
    assert (await plugin.info()).dims == 2
    for repo in ("r", "s"):
        with pytest.raises(PluginCallError, match=r"'b' has 3 dims.*vectors of 2") as raised:
            await plugin.upsert(repo, [item("b", 1, 2, 3)], CTX)
        assert raised.value.kind is ErrorKind.INVALID_REQUEST
    with pytest.raises(PluginCallError, match="query's vector has 1 dims") as raised:
        await found(plugin, 1)
    assert raised.value.kind is ErrorKind.INVALID_REQUEST


async def test_an_upsert_keeps_all_or_none():
    plugin = await load()
    with pytest.raises(PluginCallError):
        await plugin.upsert("r", [item("a", 1, 0), item("b", 1)], CTX)
    info = await plugin.info()
    assert (info.item_count, info.dims) == (0, 0)
    await plugin.upsert("r", [item("a", 1)], CTX)
    with pytest.raises(PluginCallError):
        await plugin.upsert("r", [item("a", -1), item("c", 1), item("b", 1, 0)], CTX)
    (result,) = await plugin.query("r", Vector([1]), 5, CTX)
    assert (result.id, result.score) == ("a", 1)


async def test_vectors_without_numbers_are_refused():
    plugin = await load()
    with pytest.raises(PluginCallError, match="0 dims") as raised:
        await plugin.upsert("r", [item("a")], CTX)
    assert raised.value.kind is ErrorKind.INVALID_REQUEST


async def test_configured_dims_hold_from_the_start():
    plugin = await load(dims=3)
    assert (await plugin.info()).dims == 3
    with pytest.raises(PluginCallError):
        await plugin.upsert("r", [item("a", 1, 0)], CTX)
    await plugin.upsert("r", [item("a", 1, 0, 0)], CTX)
    assert await found(plugin, 1, 0, 0) == ["a"]


@pytest.mark.parametrize("dims", [0, -1, True, "3", 3.0])
async def test_other_dims_are_refused(dims):
    with pytest.raises(PluginCallError, match="dims") as raised:
        await load(dims=dims)
    assert raised.value.kind is ErrorKind.INVALID_REQUEST


async def test_a_negative_count_is_refused():
    plugin = await load()
    with pytest.raises(PluginCallError) as raised:
        await found(plugin, 1, top_k=-1)
    assert raised.value.kind is ErrorKind.INVALID_REQUEST


async def test_an_aborted_query_ends():
    plugin = await load()
    await plugin.upsert("r", [item("a", 1)], CTX)
    controller = AbortController()
    controller.abort()
    with pytest.raises(PluginCallError) as raised:
        await plugin.query("r", Vector([1]), 1, PluginContext(abort_signal=controller.signal))
    assert raised.value.kind is ErrorKind.ABORTED


async def test_info_and_health_say_what_is_kept():
    plugin = await load()
    await plugin.upsert("r", [item("a", 1), item("b", 1)], CTX)
    await plugin.upsert("s", [item("a", 1)], CTX)
    info = await plugin.info()
    assert (info.backend, info.location, info.supports_filters) == ("memory-vectors", "local", True)
    assert info.item_count == 3
    health = await plugin.health_check()
    assert health.healthy
    assert health.details == {"items": 3, "repos": 2, "dims": 1}
    await plugin.shutdown()
    assert (await plugin.info()).item_count == 0
