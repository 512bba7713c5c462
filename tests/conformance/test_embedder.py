"""Embedders: texts, vectors in every form, and the example `ngram-embedder`."""

from __future__ import annotations

import array
from collections.abc import Callable
from typing import Any

import pytest
from orchestrator_plugin_host import (
    DocumentTooLargeError,
    Limits,
    LoadedEmbedder,
    PluginInitError,
    PluginInputError,
    PluginOutputError,
)
from orchestrator_plugin_sdk import (
    EmbedderPlugin,
    ErrorKind,
    LogEvent,
    MemoryLogger,
    PluginCallError,
    PluginContext,
    PluginType,
    Vector,
    Vectors,
    load_plugin,
    load_project,
)
from support.building import EXAMPLES

from .conftest import Plugins

pytestmark = pytest.mark.anyio

NAME = "probe-embedder"


async def probe(plugins: Plugins, **how: Any) -> LoadedEmbedder:
    """An embedder with methods of a test's own."""
    loaded = await plugins.probe(PluginType.EMBEDDER, **how)
    assert isinstance(loaded, LoadedEmbedder)
    return loaded


# The example.


@pytest.mark.parametrize("config", [{}, {"dimensions": 7}], ids=["256", "7"])
async def test_ngram_embeds_the_same_everywhere(config: dict[str, Any], plugins: Plugins) -> None:
    embedder = await plugins.example("ngram-embedder", config)
    itself = await load_plugin(load_project(EXAMPLES / "ngram-embedder"), config)
    assert isinstance(itself, EmbedderPlugin)
    texts = ["the quick brown fox", "", " \t\n", "ＦＵＬＬ　width", "🦊\0漢字", "x" * 20_000]
    vectors = await embedder.embed_texts(texts)
    assert isinstance(vectors, Vectors)
    assert vectors == await itself.embed_texts(texts, PluginContext())
    assert (len(vectors), vectors.dims) == (len(texts), embedder.dims())
    assert embedder.dims() == itself.dims() == config.get("dimensions", 256)


async def test_ngram_refuses_a_bad_config(plugins: Plugins) -> None:
    with pytest.raises(PluginInitError) as caught:
        await plugins.example("ngram-embedder", {"dimensions": 0})
    cause = caught.value.__cause__
    assert isinstance(cause, PluginCallError)
    assert cause.kind is ErrorKind.INVALID_REQUEST
    assert cause.message == "the config key dimensions must be an integer from 1 to 4096, got 0"


async def test_ngram_embeds_a_large_batch(plugins: Plugins) -> None:
    embedder = await plugins.example("ngram-embedder", {"dimensions": 4096})
    vectors = await embedder.embed_texts(f"text {n}" for n in range(100))
    assert (len(vectors), len(vectors.data)) == (100, 100 * 4096 * 4)
    assert vectors[99] == (await embedder.embed_texts(["text 99"]))[0]


# Texts.


async def _echo(self, texts, ctx):
    ctx.logger.info("texts", texts=texts, type=type(texts).__name__)
    return [[n, len(text)] for n, text in enumerate(texts)]


@pytest.mark.parametrize("make", [list, tuple, iter, lambda texts: (text for text in texts)])
async def test_texts_may_come_in_any_iterable(make: Callable[..., Any], plugins: Plugins) -> None:
    texts = ["one", "żółć 🦊", "", "nul\0", "\U0010ffff"]
    logger = MemoryLogger()
    embedder = await probe(plugins, embed_texts=_echo)
    vectors = await embedder.embed_texts(make(texts), PluginContext(logger=logger))
    assert vectors.tolist() == [[0, 3], [1, 6], [2, 0], [3, 4], [4, 1]]
    assert logger.events == [LogEvent("texts", fields={"texts": texts, "type": "tuple"})]


async def test_no_texts_give_no_vectors(plugins: Plugins) -> None:
    def none(self, texts, ctx):
        return []

    for how in ({}, {"embed_texts": none}, {"embed_texts": _echo}):
        embedder = await probe(plugins, **how)
        assert len(await embedder.embed_texts([])) == 0


@pytest.mark.parametrize(
    "texts",
    ["one text", ["a", 1], [b"a"], [None], [["a"]], 5, None, ["\ud800"], {1: 2}],
    ids=repr,
)
async def test_bad_texts_are_not_passed_on(texts: Any, plugins: Plugins) -> None:
    logger = MemoryLogger()
    embedder = await probe(plugins, embed_texts=_echo, context=PluginContext(logger=logger))
    with pytest.raises(PluginInputError) as caught:
        await embedder.embed_texts(texts)
    assert type(caught.value) is PluginInputError
    assert str(caught.value).startswith(f"embed_texts of plugin {NAME!r}: ")
    assert logger.events == []


async def test_more_text_than_allowed(plugins: Plugins) -> None:
    embedder = await probe(plugins, options={"limits": Limits(document_in_bytes=1000)})
    with pytest.raises(DocumentTooLargeError) as caught:
        await embedder.embed_texts(["x" * 1000])
    assert caught.value.limit == "document_in_bytes"


# Vectors.


def _lists(self, texts, ctx):
    return [[0.5, 1], (2, -0.25)]


def _vectors(self, texts, ctx):
    return Vectors([[0.5, 1], [2, -0.25]])


def _rows_of_vectors(self, texts, ctx):
    return (Vector(row) for row in [[0.5, 1], [2, -0.25]])


def _arrays(self, texts, ctx):
    return [array.array("f", [0.5, 1]), array.array("d", [2, -0.25])]


def _views(self, texts, ctx):
    return [memoryview(array.array("f", [0.5, 1])), memoryview(array.array("d", [2, -0.25]))]


async def _later(self, texts, ctx):
    await ctx.sleep(0)
    return Vectors.from_bytes(bytes.fromhex("0000003f0000803f00000040000080be"), 2)


@pytest.mark.parametrize(
    "embed_texts", [_lists, _vectors, _rows_of_vectors, _arrays, _views, _later]
)
async def test_vectors_may_come_in_any_form(
    embed_texts: Callable[..., Any], plugins: Plugins
) -> None:
    embedder = await probe(plugins, embed_texts=embed_texts)
    vectors = await embedder.embed_texts(["a", "b"])
    assert isinstance(vectors, Vectors)
    assert vectors == Vectors([[0.5, 1], [2, -0.25]])
    assert vectors.data.hex() == "0000003f0000803f00000040000080be"


def _too_few(self, texts, ctx):
    return [[1, 2]]


def _too_many(self, texts, ctx):
    return [[1, 2]] * 3


def _none_at_all(self, texts, ctx):
    return []


def _too_long(self, texts, ctx):
    return [[1, 2, 3]] * 2


def _too_short(self, texts, ctx):
    return Vectors([[1]] * 2)


WRONG_SHAPES = {_too_few: (1, 2), _too_many: (3, 2), _none_at_all: (0, 0)}
WRONG_SHAPES |= {_too_long: (2, 3), _too_short: (2, 1)}


@pytest.mark.parametrize(("embed_texts", "shape"), WRONG_SHAPES.items())
async def test_vectors_of_another_shape_are_refused(
    embed_texts: Callable[..., Any], shape: tuple[int, int], plugins: Plugins
) -> None:
    embedder = await probe(plugins, embed_texts=embed_texts)
    for _ in range(2):
        with pytest.raises(PluginOutputError) as caught:
            await embedder.embed_texts(["a", "b"])
        assert str(caught.value) == (
            f"plugin {NAME!r} answered 2 texts with {shape[0]} vectors of {shape[1]} dims; "
            "it says that it has 2"
        )


def _nan(self, texts, ctx):
    return [[1, float("nan")]]


def _infinite(self, texts, ctx):
    return [[1, float("inf")]]


def _beyond_float32(self, texts, ctx):
    return [[1, 1e39]]


def _ragged(self, texts, ctx):
    return [[1, 2], [1]]


def _texts(self, texts, ctx):
    return ["12"]


def _lists_of_texts(self, texts, ctx):
    return [["1", "2"]]


def _numbers(self, texts, ctx):
    return [1, 2]


def _nothing(self, texts, ctx):
    return None


def _a_number(self, texts, ctx):
    return 5


def _a_text(self, texts, ctx):
    return "vectors"


def _a_map(self, texts, ctx):
    return {"dims": 2, "data": b"12345678"}


@pytest.mark.parametrize(
    "embed_texts",
    [
        _nan,
        _infinite,
        _beyond_float32,
        _ragged,
        _texts,
        _lists_of_texts,
        _numbers,
        _nothing,
        _a_number,
        _a_text,
        _a_map,
    ],
)
async def test_what_are_no_vectors_is_refused(
    embed_texts: Callable[..., Any], plugins: Plugins
) -> None:
    embedder = await probe(plugins, embed_texts=embed_texts)
    for _ in range(2):
        with pytest.raises(PluginCallError) as caught:
            await embedder.embed_texts(["a"])
        assert caught.value.kind is ErrorKind.INTERNAL
        assert caught.value.message.startswith("the answer to embed_texts can't be sent: ")


async def test_more_vectors_than_allowed(plugins: Plugins) -> None:
    embedder = await probe(plugins, options={"limits": Limits(document_out_bytes=1000)})
    assert len(await embedder.embed_texts(["a"] * 100)) == 100
    with pytest.raises(DocumentTooLargeError) as caught:
        await embedder.embed_texts(["a"] * 150)
    assert caught.value.limit == "document_out_bytes"
    assert "returned a document of 1,2" in str(caught.value)


# Dims.


@pytest.mark.parametrize("dims", [1, 4096, 2**32 - 1])
async def test_dims_are_asked_once(dims: int, plugins: Plugins) -> None:
    def says(self):
        self.ctx.logger.info("asked")
        return self.config_dims

    async def on_init(self, config, ctx):
        self.config_dims = config["dims"]

    logger = MemoryLogger()
    embedder = await probe(
        plugins,
        dims=says,
        on_init=on_init,
        config={"dims": dims},
        context=PluginContext(logger=logger),
    )
    assert [embedder.dims(), embedder.dims()] == [dims, dims]
    assert logger.events == [LogEvent("asked")]


def _minus(self):
    return -1


def _huge(self):
    return 2**32


def _text(self):
    return "2"


def _float(self):
    return 2.0


def _flag(self):
    return True


def _unknown(self):
    return None


@pytest.mark.parametrize("dims", [_minus, _huge, _text, _float, _flag, _unknown])
async def test_dims_that_are_no_size_are_refused(
    dims: Callable[..., Any], plugins: Plugins
) -> None:
    with pytest.raises(PluginCallError) as caught:
        await probe(plugins, dims=dims)
    assert caught.value.kind is ErrorKind.INTERNAL
    assert caught.value.message.startswith("the answer to dims can't be sent: expected ")


async def test_dims_that_say_no(plugins: Plugins) -> None:
    def dims(self):
        raise PluginCallError("unavailable", "no model yet")

    with pytest.raises(PluginCallError) as caught:
        await probe(plugins, dims=dims)
    assert (caught.value.kind, caught.value.message) == (ErrorKind.UNAVAILABLE, "no model yet")
