"""Vector memory backends: what crosses the boundary, and every example, by the same tests."""

from __future__ import annotations

import array
import math
import random
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from orchestrator_plugin_host import (
    DocumentTooLargeError,
    Limits,
    LoadedVectorMemoryBackend,
    PluginAbortedError,
    PluginInitError,
    PluginInputError,
    PluginOutputError,
)
from orchestrator_plugin_sdk import (
    AbortController,
    ErrorKind,
    FieldCondition,
    LogEvent,
    MemoryLogger,
    PluginCallError,
    PluginContext,
    PluginType,
    Vector,
    VectorBackendInfo,
    VectorItem,
    VectorQueryFilter,
    VectorQueryResult,
    to_document,
)
from support.backends import LASTING, ROWS, Stores

from .conftest import Plugins

pytestmark = pytest.mark.anyio

NAME = "probe-vector-memory-backend"
VECTOR_FORMS: dict[str, Callable[[list[float]], Any]] = {
    "list": list,
    "tuple": tuple,
    "Vector": Vector,
    "array-f": lambda numbers: array.array("f", numbers),
    "array-d": lambda numbers: array.array("d", numbers),
    "memoryview": lambda numbers: memoryview(array.array("f", numbers)),
    "memoryview-of-d": lambda numbers: memoryview(array.array("d", numbers)),
}


async def probe(plugins: Plugins, **how: Any) -> LoadedVectorMemoryBackend:
    """A backend with methods of a test's own."""
    loaded = await plugins.probe(PluginType.VECTOR_MEMORY_BACKEND, **how)
    assert isinstance(loaded, LoadedVectorMemoryBackend)
    return loaded


# The examples.


@pytest.fixture(params=ROWS.values(), ids=ROWS)
async def stores(
    request: pytest.FixtureRequest, anyio_backend: str, cache_directory: Path
) -> AsyncIterator[Stores]:
    """Every example in every place that it runs in."""
    async with Stores(*request.param, cache_directory) as opened:
        yield opened


ITEMS = (
    VectorItem("east", Vector([1, 0]), {"lang": "en", "n": 1, "by": {"name": "Ada"}}, "East 🧭"),
    VectorItem("north", Vector([0, 1]), {"lang": "pl", "n": 2, "tags": ["a", "b"]}),
    VectorItem("north-east", Vector([1, 1]), {"lang": "en", "n": 3}, ""),
    VectorItem("west", Vector([-1, 0]), {"lang": "漢", "n": 4}, "nul\0"),
)


async def ids(backend: LoadedVectorMemoryBackend, *args: Any, **how: Any) -> list[str]:
    """The ids that a query finds."""
    return [result.id for result in await backend.query(*args, **how)]


async def test_it_keeps_and_finds(stores: Stores) -> None:
    backend = await stores.open()
    await backend.upsert("repo", ITEMS)
    results = await backend.query("repo", [1, 0.25], 2)
    assert results == (
        VectorQueryResult("east", pytest.approx(0.9701425), ITEMS[0].metadata, "East 🧭"),
        VectorQueryResult("north-east", pytest.approx(0.8574929), ITEMS[2].metadata, ""),
    )
    assert {type(result) for result in results} == {VectorQueryResult}
    assert await ids(backend, "repo", [0, 1], 9) == ["north", "north-east", "east", "west"]
    assert await backend.query("other", [1, 0], 5) == ()
    assert await backend.info() == VectorBackendInfo(
        stores.backend.name, 2, supports_filters=True, item_count=4
    )


async def test_it_replaces_deletes_and_wipes(stores: Stores) -> None:
    backend = await stores.open({"dims": 2})
    await backend.upsert("a", ITEMS)
    await backend.upsert("b", ITEMS[:1])
    await backend.upsert("a", [{"id": "east", "vector": [0, -1], "text": "South"}])
    assert await backend.query("a", [0, -1], 1) == (VectorQueryResult("east", 1.0, {}, "South"),)
    await backend.delete_by_ids("a", ["west", "nowhere"])
    await backend.delete_by_ids("nowhere", iter(["west"]))
    assert await ids(backend, "a", [0, 1], 9) == ["north", "north-east", "east"]
    await backend.wipe_repo("a")
    await backend.wipe_repo("nowhere")
    assert await ids(backend, "a", [0, 1], 9) == []
    assert await ids(backend, "b", [0, 1], 9) == ["east"]
    assert (await backend.info()).item_count == 1


async def test_it_takes_all_or_none(stores: Stores) -> None:
    backend = await stores.open({"dims": 2})
    with pytest.raises(PluginCallError) as caught:
        await backend.upsert("repo", [ITEMS[0], VectorItem("bad", Vector([1, 2, 3]))])
    assert caught.value.kind is ErrorKind.INVALID_REQUEST
    assert caught.value.message == (
        "the vector of item 'bad' has 3 dims, this backend keeps vectors of 2"
    )
    assert (await backend.info()).item_count == 0
    with pytest.raises(PluginCallError, match="the query's vector has 1 dims"):
        await backend.query("repo", [1], 1)


FILTERS: dict[str, tuple[VectorQueryFilter, list[str]]] = {
    "empty": (VectorQueryFilter(), ["east", "north", "north-east", "west"]),
    "eq": (
        VectorQueryFilter(all_of=(FieldCondition("lang", "eq", "en"),)),
        ["east", "north-east"],
    ),
    "nested": (VectorQueryFilter(all_of=(FieldCondition("by.name", "eq", "Ada"),)), ["east"]),
    "any-of": (
        VectorQueryFilter(
            any_of=(FieldCondition("n", "gte", 4), FieldCondition("tags", "contains", "b"))
        ),
        ["north", "west"],
    ),
    "none-of": (
        VectorQueryFilter(none_of=(FieldCondition("lang", "in", ["en", "漢"]),)),
        ["north"],
    ),
    "exists": (VectorQueryFilter(all_of=(FieldCondition("tags", "exists", True),)), ["north"]),
    "score": (VectorQueryFilter(min_score=0.5), ["east", "north-east"]),
    "all-together": (
        VectorQueryFilter(
            (FieldCondition("n", "lt", 4),),
            (FieldCondition("lang", "ne", "pl"),),
            (FieldCondition("n", "not_in", [1, 2]),),
            0,
        ),
        ["east"],
    ),
}


@pytest.mark.parametrize(("filter_", "found"), FILTERS.values(), ids=FILTERS)
async def test_it_filters(filter_: VectorQueryFilter, found: list[str], stores: Stores) -> None:
    backend = await stores.open()
    await backend.upsert("repo", ITEMS)
    for given in (filter_, to_document(filter_)):
        assert sorted(await ids(backend, "repo", [1, 0], 9, filter=given)) == found


@pytest.mark.parametrize("form", VECTOR_FORMS.values(), ids=VECTOR_FORMS)
async def test_it_takes_vectors_in_any_form(
    form: Callable[[list[float]], Any], stores: Stores
) -> None:
    backend = await stores.open()
    await backend.upsert("repo", [VectorItem("one", form([1.0, 0.5]))])
    await backend.upsert("repo", [{"id": "other", "vector": form([-0.5, 1.0])}])
    (result,) = await backend.query("repo", form([-0.5, 1.0]), 1)
    assert (result.id, result.score) == ("other", pytest.approx(1))


async def test_it_keeps_no_hold_on_the_callers_objects(stores: Stores) -> None:
    backend = await stores.open()
    metadata: dict[str, Any] = {"tags": ["a"]}
    await backend.upsert("repo", [VectorItem("one", Vector([1]), metadata)])
    metadata["tags"].append("b")
    (result,) = await backend.query("repo", [1], 1)
    assert result.metadata == {"tags": ["a"]}
    result.metadata["tags"].append("c")
    (again,) = await backend.query("repo", [1], 1)
    assert again.metadata == {"tags": ["a"]}


async def test_stores_do_not_mix(stores: Stores) -> None:
    one, other = await stores.open(), await stores.open(store="other")
    for number in range(20):
        await one.upsert("repo", [VectorItem(str(number), Vector([number, 1]))])
    assert len(await one.query("repo", [1, 1], 100)) == 20
    assert await other.query("repo", [1, 1], 100) == ()
    await one.shutdown()
    assert (await other.info()).item_count == 0


async def test_what_is_found_is_exact(stores: Stores) -> None:
    backend = await stores.open()
    chance = random.Random(1)
    for dims in (1, 3, 4, 17, 64):
        store = await stores.open(store=f"{dims}") if dims > 1 else backend
        vectors = {f"{n:03}": Vector([chance.gauss(0, 1) for _ in range(dims)]) for n in range(700)}
        await store.upsert("repo", [VectorItem(name, one) for name, one in vectors.items()])
        query = Vector([chance.gauss(0, 1) for _ in range(dims)])

        def cosine(one: Vector, query: Vector = query) -> float:
            dot = math.fsum(a * b for a, b in zip(one, query, strict=True))
            return dot / (math.hypot(*one) * math.hypot(*query))

        scores = {name: cosine(one) for name, one in vectors.items()}
        for top_k in (1, 10, 1000):
            results = await store.query("repo", query, top_k)
            if dims > 1:  # of one number, all angles are the same
                wanted = sorted(scores, key=lambda name: -scores[name])
                assert [one.id for one in results] == wanted[:top_k]
            assert [one.score for one in results] == pytest.approx(
                [scores[one.id] for one in results], abs=1e-12
            )


async def test_equal_scores_come_by_id(stores: Stores) -> None:
    backend = await stores.open()
    names = [f"{n:04}" for n in range(300)] + ["", "A", "a", "ż", "漢", "🦊", "\0"]
    items = [VectorItem(name, Vector([2.0 ** (len(name) % 3), 0])) for name in names]
    random.Random(1).shuffle(items)
    await backend.upsert("repo", items)
    wanted = sorted(names)
    for top_k in (1, 7, 150, len(names)):
        assert await ids(backend, "repo", [3, 0], top_k) == wanted[:top_k]


async def test_zero_vectors_score_nought(stores: Stores) -> None:
    backend = await stores.open()
    given = {"zero": [0, 0], "ahead": [1, 0], "behind": [-1, 0]}
    await backend.upsert("repo", [VectorItem(name, Vector(one)) for name, one in given.items()])
    assert await ids(backend, "repo", [1, 0], 9) == ["ahead", "zero", "behind"]
    results = await backend.query("repo", [0, 0], 9)
    assert [(one.id, one.score) for one in results] == [("ahead", 0), ("behind", 0), ("zero", 0)]
    assert await ids(backend, "repo", [0, 0], 9, filter={"min_score": 0.1}) == []
    assert await ids(backend, "repo", [1, 0], 9, filter={"min_score": 0}) == ["ahead", "zero"]


@pytest.mark.parametrize("scale", [1e-44, 1e-30, 1e-9, 1.0, 1e18, 3e38])
async def test_scores_at_the_ends_of_float32(scale: float, stores: Stores) -> None:
    backend = await stores.open()
    vectors = {"same": [1, 1, 1], "near": [1, 1, 0], "against": [-1, -1, -1]}
    items = [VectorItem(name, Vector([n * scale for n in v])) for name, v in vectors.items()]
    await backend.upsert("repo", [*items, VectorItem("one", Vector([1, 0, 0]))])
    results = await backend.query("repo", [scale] * 3, 9)
    assert [one.id for one in results] == ["same", "near", "one", "against"]
    wanted = [1, math.sqrt(2 / 3), math.sqrt(1 / 3), -1]
    assert [one.score for one in results] == pytest.approx(wanted, abs=1e-9)
    assert all(-1 <= one.score <= 1 for one in results)


async def test_the_last_of_a_batch_wins(stores: Stores) -> None:
    backend = await stores.open()
    await backend.upsert(
        "repo", [VectorItem("a", Vector([1, n]), {"n": n}, str(n)) for n in range(3)]
    )
    (result,) = await backend.query("repo", [1, 2], 9)
    assert (result.metadata, result.text, result.score) == ({"n": 2}, "2", pytest.approx(1))
    assert (await backend.info()).item_count == 1


async def test_the_first_item_fixes_the_dims_of_all_repositories(stores: Stores) -> None:
    backend = await stores.open()
    assert (await backend.info()).dims == 0
    assert await backend.query("repo", [1, 2, 3], 9) == ()
    await backend.upsert("repo", [])
    assert (await backend.info()).dims == 0
    with pytest.raises(PluginCallError, match="has 0 dims, this backend keeps vectors of at least"):
        await backend.upsert("repo", [VectorItem("a", Vector())])
    await backend.upsert("repo", ITEMS)
    await backend.wipe_repo("repo")
    assert (await backend.info()).dims == 2
    with pytest.raises(PluginCallError, match="'b' has 3 dims"):
        await backend.upsert("other", [VectorItem("b", Vector([1, 2, 3]))])


async def test_an_aborted_query_ends(stores: Stores) -> None:
    backend = await stores.open()
    await backend.upsert("repo", ITEMS)
    controller = AbortController()
    controller.abort()
    with pytest.raises((PluginCallError, PluginAbortedError)):
        await backend.query("repo", [1, 0], 1, PluginContext(abort_signal=controller.signal))
    assert len(await backend.query("repo", [1, 0], 9)) == 4


async def test_health_says_what_is_kept(stores: Stores) -> None:
    backend = await stores.open()
    await backend.upsert("a", ITEMS)
    await backend.upsert("b", ITEMS[:1])
    health = await backend.health_check()
    assert (health.healthy, health.message) == (True, "5 items in 2 repositories")
    assert health.details.items() >= {"items": 5, "repos": 2, "dims": 2}.items()


@pytest.fixture(params=LASTING.values(), ids=LASTING)
async def lasting(
    request: pytest.FixtureRequest, anyio_backend: str, cache_directory: Path
) -> AsyncIterator[Stores]:
    """The examples that keep their items."""
    async with Stores(*request.param, cache_directory) as opened:
        yield opened


async def test_what_is_kept_is_there_the_next_time(lasting: Stores) -> None:
    backend = await lasting.open()
    repositories = ["", "a/b", "../..", "🗂", "x" * 500]
    for repository in repositories:
        await backend.upsert(repository, ITEMS)
    await backend.upsert("a/b", [VectorItem("east", Vector([0, -1]), {"new": None}, "South")])
    await backend.delete_by_ids("🗂", ["north", "nowhere"])
    await backend.wipe_repo("")
    found = [await backend.query(one, [1, 0.5], 9) for one in repositories]
    info = await backend.info()
    for _ in range(3):
        await backend.shutdown()
        backend = await lasting.open()
        assert [await backend.query(one, [1, 0.5], 9) for one in repositories] == found
        assert await backend.info() == info
    assert info.item_count == 4 + 4 + 3 + 4
    assert found[0] == ()
    for repository in repositories:
        await backend.wipe_repo(repository)
    await backend.shutdown()
    backend = await lasting.open()
    assert (await backend.info()).item_count == 0
    with pytest.raises(PluginCallError, match="'b' has 3 dims"):
        await backend.upsert("other", [VectorItem("b", Vector([1, 2, 3]))])


async def test_config_that_contradicts_what_is_kept_is_refused(lasting: Stores) -> None:
    backend = await lasting.open({"dims": 2})
    await backend.upsert("repo", ITEMS)
    await backend.shutdown()
    with pytest.raises(PluginInitError, match="the config key dims is 3, what is kept has 2"):
        await lasting.open({"dims": 3})
    backend = await lasting.open({"dims": 2})
    assert (await backend.info()).item_count == 4


# Arguments.


async def _upsert(self, repo_id, items, ctx):
    ctx.logger.info("upsert", repo=repo_id, items=[to_document(item) for item in items])
    ctx.logger.info("types", types=[type(items).__name__] + [type(i).__name__ for i in items])
    ctx.logger.info("vectors", vectors=[type(item.vector).__name__ for item in items])


async def _query(self, repo_id, vector, top_k, ctx, filter=None):
    kind = None if filter is None else type(filter).__name__
    ctx.logger.info("query", repo=repo_id, vector=vector, top_k=top_k, kind=kind)
    ctx.logger.info("filter", filter=to_document(filter))
    return [VectorQueryResult(f"{n}", 1 - n, {"n": n, "🔑": [b"\0"]}, "t\0") for n in range(2)]


async def _delete_by_ids(self, repo_id, ids, ctx):
    ctx.logger.info("delete", repo=repo_id, ids=list(ids), type=type(ids).__name__)


async def _wipe_repo(self, repo_id, ctx):
    ctx.logger.info("wipe", repo=repo_id)


ECHO = {
    "upsert": _upsert,
    "query": _query,
    "delete_by_ids": _delete_by_ids,
    "wipe_repo": _wipe_repo,
}


@pytest.mark.parametrize("form", VECTOR_FORMS.values(), ids=VECTOR_FORMS)
async def test_every_field_of_items_arrives(
    form: Callable[[list[float]], Any], plugins: Plugins
) -> None:
    logger = MemoryLogger()
    backend = await probe(plugins, **ECHO, context=PluginContext(logger=logger))
    metadata = {"a": {"b": [1, 2.5, None, True]}, "🔑": b"\xff"}
    await backend.upsert(
        "repo 🗂",
        (
            item
            for item in (
                VectorItem("x\0", form([0.5, -1.0]), metadata, "żółć"),
                {"id": "", "vector": form([]), "metadata": {}, "text": None},
            )
        ),
    )
    first = {"id": "x\0", "vector": Vector([0.5, -1]).data, "metadata": metadata, "text": "żółć"}
    second = {"id": "", "vector": b"", "metadata": {}, "text": None}
    assert logger.events == [
        LogEvent("upsert", fields={"repo": "repo 🗂", "items": [first, second]}),
        LogEvent("types", fields={"types": ["tuple", "VectorItem", "VectorItem"]}),
        LogEvent("vectors", fields={"vectors": ["Vector", "Vector"]}),
    ]


async def test_every_argument_of_a_query_arrives(plugins: Plugins) -> None:
    logger = MemoryLogger()
    backend = await probe(plugins, **ECHO)
    condition = FieldCondition("a.b", "in", [1, {"x": None}])
    filter_ = VectorQueryFilter((condition,), (), (condition, FieldCondition("c", "exists")), 0.5)
    context = PluginContext(logger=logger)
    for given in (filter_, to_document(filter_), None):
        results = await backend.query("r", [1.5], 3, context, given)
        assert results == (
            VectorQueryResult("0", 1.0, {"n": 0, "🔑": [b"\0"]}, "t\0"),
            VectorQueryResult("1", 0.0, {"n": 1, "🔑": [b"\0"]}, "t\0"),
        )
        assert {type(result.score) for result in results} == {float}
    asked = {"repo": "r", "vector": Vector([1.5]).data, "top_k": 3}
    with_filter = [
        LogEvent("query", fields={**asked, "kind": "VectorQueryFilter"}),
        LogEvent("filter", fields={"filter": to_document(filter_)}),
    ]
    without = [
        LogEvent("query", fields={**asked, "kind": None}),
        LogEvent("filter", fields={"filter": None}),
    ]
    assert logger.events == [*with_filter, *with_filter, *without]


async def test_ids_and_repositories_arrive(plugins: Plugins) -> None:
    logger = MemoryLogger()
    backend = await probe(plugins, **ECHO, context=PluginContext(logger=logger))
    for ids_ in (["a", "", "🦊\0"], ("b",), iter(["c"])):
        await backend.delete_by_ids("r", ids_)
    await backend.delete_by_ids("r", [])
    await backend.wipe_repo("")
    deleted = [["a", "", "🦊\0"], ["b"], ["c"], []]
    assert logger.events == [
        *(LogEvent("delete", fields={"repo": "r", "ids": i, "type": "tuple"}) for i in deleted),
        LogEvent("wipe", fields={"repo": ""}),
    ]


BAD_CALLS: dict[str, Callable[[LoadedVectorMemoryBackend], Any]] = {
    "repo-is-a-number": lambda b: b.upsert(5, []),  # type: ignore[arg-type]
    "repo-is-nothing": lambda b: b.wipe_repo(None),  # type: ignore[arg-type]
    "items-are-nothing": lambda b: b.upsert("r", None),  # type: ignore[arg-type]
    "items-are-a-number": lambda b: b.upsert("r", 5),  # type: ignore[arg-type]
    "items-are-text": lambda b: b.upsert("r", "item"),  # type: ignore[arg-type]
    "item-without-vector": lambda b: b.upsert("r", [{"id": "a"}]),
    "item-without-id": lambda b: b.upsert("r", [{"vector": [1]}]),
    "item-with-more": lambda b: b.upsert("r", [{"id": "a", "vector": [1], "score": 1}]),
    "id-is-a-number": lambda b: b.upsert("r", [{"id": 1, "vector": [1]}]),
    "id-of-an-object-is-a-number": lambda b: b.upsert("r", [VectorItem(1, Vector([1]))]),  # type: ignore[arg-type]
    "vector-with-nan": lambda b: b.upsert("r", [{"id": "a", "vector": [float("nan")]}]),
    "vector-of-an-object-with-nan": lambda b: b.upsert("r", [VectorItem("a", [float("nan")])]),  # type: ignore[arg-type]
    "vector-is-text": lambda b: b.upsert("r", [{"id": "a", "vector": "1"}]),
    "vector-of-texts": lambda b: b.upsert("r", [{"id": "a", "vector": ["1"]}]),
    "vector-is-a-number": lambda b: b.upsert("r", [{"id": "a", "vector": 1}]),
    "vector-has-rows": lambda b: b.upsert("r", [{"id": "a", "vector": [[1]]}]),
    "metadata-with-an-object": lambda b: b.upsert(
        "r", [VectorItem("a", Vector([1]), {"x": object()})]
    ),
    "query-without-vector": lambda b: b.query("r", None, 1),
    "query-beyond-float32": lambda b: b.query("r", [1e39], 1),
    "query-with-infinity": lambda b: b.query("r", array.array("d", [float("inf")]), 1),
    "query-for-none": lambda b: b.query("r", [1], 0),
    "query-for-less": lambda b: b.query("r", [1], -1),
    "query-for-a-text": lambda b: b.query("r", [1], "1"),  # type: ignore[arg-type]
    "query-for-a-flag": lambda b: b.query("r", [1], True),
    "query-for-a-float": lambda b: b.query("r", [1], 1.0),  # type: ignore[arg-type]
    "query-for-too-many": lambda b: b.query("r", [1], 2**64),
    "filter-unknown-key": lambda b: b.query("r", [1], 1, filter={"all": []}),
    "filter-unknown-operator": lambda b: b.query(
        "r", [1], 1, filter={"all_of": [{"field": "a", "op": "like", "value": 1}]}
    ),
    "filter-object-unknown-operator": lambda b: b.query(
        "r",
        [1],
        1,
        filter=VectorQueryFilter((FieldCondition("a", "like"),)),  # type: ignore[arg-type]
    ),
    "filter-score-nan": lambda b: b.query("r", [1], 1, filter={"min_score": float("nan")}),
    "ids-are-a-text": lambda b: b.delete_by_ids("r", "abc"),
    "ids-are-numbers": lambda b: b.delete_by_ids("r", [1]),  # type: ignore[list-item]
    "ids-are-nothing": lambda b: b.delete_by_ids("r", None),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("call", BAD_CALLS.values(), ids=BAD_CALLS)
async def test_a_bad_request_is_not_passed_on(
    call: Callable[[LoadedVectorMemoryBackend], Any], plugins: Plugins
) -> None:
    logger = MemoryLogger()
    backend = await probe(plugins, **ECHO, context=PluginContext(logger=logger))
    with pytest.raises(PluginInputError, match=f"of plugin {NAME!r}: ") as caught:
        await call(backend)
    assert type(caught.value) is PluginInputError
    assert logger.events == []


async def test_more_than_a_document_holds(plugins: Plugins) -> None:
    logger = MemoryLogger()
    backend = await probe(
        plugins,
        **ECHO,
        context=PluginContext(logger=logger),
        options={"limits": Limits(document_in_bytes=10_000)},
    )
    for call in (
        lambda: backend.upsert("r", [VectorItem("a", Vector([0.5] * 3000))]),
        lambda: backend.query("r", [0.5] * 3000, 1),
        lambda: backend.delete_by_ids("r", ["x" * 10] * 1000),
        lambda: backend.wipe_repo("x" * 10_000),
    ):
        with pytest.raises(DocumentTooLargeError) as caught:
            await call()
        assert (caught.value.limit, caught.value.value) == ("document_in_bytes", 10_000)
    assert logger.events == []


# Answers.


def _more_than_asked(self, repo_id, vector, top_k, ctx, filter=None):
    return [VectorQueryResult(str(n), 1.0) for n in range(top_k + 1)]


def _nothing(self, repo_id, vector, top_k, ctx, filter=None):
    return None


def _one_result(self, repo_id, vector, top_k, ctx, filter=None):
    return VectorQueryResult("a", 1.0)


def _ids(self, repo_id, vector, top_k, ctx, filter=None):
    return ["a"]


def _nan_score(self, repo_id, vector, top_k, ctx, filter=None):
    return [VectorQueryResult("a", float("nan"))]


def _infinite_score(self, repo_id, vector, top_k, ctx, filter=None):
    return [VectorQueryResult("a", float("-inf"))]


def _text_score(self, repo_id, vector, top_k, ctx, filter=None):
    return [{"id": "a", "score": "1"}]


def _flag_score(self, repo_id, vector, top_k, ctx, filter=None):
    return [{"id": "a", "score": True}]


def _no_id(self, repo_id, vector, top_k, ctx, filter=None):
    return [{"score": 1.0}]


def _more_keys(self, repo_id, vector, top_k, ctx, filter=None):
    return [{"id": "a", "score": 1.0, "vector": b""}]


def _an_object(self, repo_id, vector, top_k, ctx, filter=None):
    return [VectorQueryResult("a", 1.0, {"x": object()})]


def _a_generator(self, repo_id, vector, top_k, ctx, filter=None):
    return (VectorQueryResult(str(n), 1.0) for n in range(top_k))


BAD_RESULTS = {
    _more_than_asked: "answered a query for 2 items with 3",
    _nothing: "answered to query does not fit its schema",
    _one_result: "answered to query does not fit its schema",
    _ids: "answered to query does not fit its schema",
    _nan_score: "answered to query does not fit its schema",
    _infinite_score: "answered to query does not fit its schema",
    _text_score: "answered to query does not fit its schema",
    _flag_score: "answered to query does not fit its schema",
    _no_id: "answered to query does not fit its schema",
    _more_keys: "answered to query does not fit its schema",
}


@pytest.mark.parametrize(("query", "match"), BAD_RESULTS.items())
async def test_bad_results_are_refused(
    query: Callable[..., Any], match: str, plugins: Plugins
) -> None:
    backend = await probe(plugins, query=query)
    for _ in range(2):
        with pytest.raises(PluginOutputError, match=match) as caught:
            await backend.query("r", [1], 2)
        assert type(caught.value) is PluginOutputError
        assert f"plugin {NAME!r} answered" in str(caught.value)


@pytest.mark.parametrize(
    ("query", "why"),
    [
        (_an_object, "a object can't be in a document"),
        (_a_generator, "a generator can't be in a document"),
    ],
)
async def test_results_that_can_not_be_sent_are_a_fault_of_the_plugin(
    query: Callable[..., Any], why: str, plugins: Plugins
) -> None:
    backend = await probe(plugins, query=query)
    for _ in range(2):
        with pytest.raises(PluginCallError) as caught:
            await backend.query("r", [1], 2)
        assert caught.value.kind is ErrorKind.INTERNAL
        assert caught.value.message.startswith(f"the answer to query can't be sent: {why}")


async def test_every_field_of_the_info_arrives(plugins: Plugins) -> None:
    async def info(self):
        return VectorBackendInfo("🗄", 2**31, "ngram", "remote", True, 2**40)

    backend = await probe(plugins, info=info)
    assert await backend.info() == VectorBackendInfo("🗄", 2**31, "ngram", "remote", True, 2**40)
    assert await (await probe(plugins)).info() == VectorBackendInfo(NAME, 0)


async def test_a_bad_info_is_refused(plugins: Plugins) -> None:
    async def info(self):
        return VectorBackendInfo("a", 2, location="orbit")

    backend = await probe(plugins, info=info)
    with pytest.raises(PluginOutputError, match="answered to info does not fit its schema"):
        await backend.info()


async def test_what_a_method_without_a_result_returns_is_dropped(plugins: Plugins) -> None:
    def returns(self, *args):
        return object()

    backend = await probe(plugins, upsert=returns, delete_by_ids=returns, wipe_repo=returns)
    await backend.upsert("r", [])
    await backend.delete_by_ids("r", [])
    await backend.wipe_repo("r")
    assert (await backend.health_check()).healthy


async def test_every_method_may_say_no(plugins: Plugins) -> None:
    def no(self, *args):
        raise PluginCallError("unavailable", "the disk is full", retry_after_ms=1)

    names = ("upsert", "query", "delete_by_ids", "wipe_repo", "info")
    backend = await probe(plugins, **dict.fromkeys(names, no))
    for call in (
        lambda: backend.upsert("r", []),
        lambda: backend.query("r", [1], 1),
        lambda: backend.delete_by_ids("r", []),
        lambda: backend.wipe_repo("r"),
        lambda: backend.info(),
    ):
        with pytest.raises(PluginCallError) as caught:
            await call()
        error = caught.value
        assert (error.kind, error.message) == (ErrorKind.UNAVAILABLE, "the disk is full")
        assert (error.retryable, error.retry_after_ms) == (True, 1)


async def test_state_lasts_from_call_to_call(plugins: Plugins) -> None:
    async def upsert(self, repo_id, items, ctx):
        self.items = getattr(self, "items", 0) + len(items)

    async def info(self):
        return VectorBackendInfo("counter", 0, item_count=getattr(self, "items", 0))

    backend = await probe(plugins, upsert=upsert, info=info)
    for _ in range(3):
        await backend.upsert("r", [VectorItem("a", Vector([1]))] * 2)
    assert (await backend.info()).item_count == 6
