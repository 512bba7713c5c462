"""The example `ngram-embedder`, run natively."""

import math
import os
import sys
from pathlib import Path

import anyio
import orchestrator_plugin_sdk
import pytest
from orchestrator_plugin_sdk import (
    AbortController,
    EmbedderPlugin,
    ErrorKind,
    PluginCallError,
    PluginContext,
    Vectors,
    load_plugin,
    load_project,
)

pytestmark = pytest.mark.anyio
FOLDER = Path(__file__).parents[2] / "guest-examples" / "ngram-embedder"
CTX = PluginContext()


async def load(**config: object) -> EmbedderPlugin:
    plugin = await load_plugin(load_project(FOLDER), config)
    assert isinstance(plugin, EmbedderPlugin)
    return plugin


def cosine(one, other):
    return sum(a * b for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("dimensions", [1, 2, 256, 4096])
async def test_every_vector_has_length_one(dimensions):
    plugin = await load(dimensions=dimensions)
    texts = ["", " \n", "a", "ab", "the quick brown fox", "日本語", "🎉", "\ud800", "x" * 5000]
    vectors = await plugin.embed_texts(texts, CTX)
    assert isinstance(vectors, Vectors)
    assert (len(vectors), vectors.dims, plugin.dims()) == (len(texts), dimensions, dimensions)
    for vector in vectors:
        assert math.hypot(*vector) == pytest.approx(1, abs=1e-6)


async def test_alike_texts_are_nearer_than_others():
    plugin = await load()
    fox, foxes, typo, policy = await plugin.embed_texts(
        ["the quick brown fox", "quick brown foxes", "the qiuck brown fox", "insurance terms"], CTX
    )
    assert cosine(fox, foxes) > 0.5 > cosine(fox, policy) + 0.2
    assert cosine(fox, typo) > 0.5


async def test_the_order_of_words_matters_little_and_their_edges_matter():
    plugin = await load()
    one, other, joined = await plugin.embed_texts(["red wine", "wine red", "redwine"], CTX)
    assert cosine(one, other) > cosine(one, joined) > 0
    assert one != other


async def test_forms_of_one_text_have_one_vector():
    plugin = await load()
    forms = ["Straße Café", "STRASSE CAFE\u0301", "  strasse\tcafé\n", "Ｓtrasse\u3000café"]
    vectors = await plugin.embed_texts(forms, CTX)
    assert len({vector.data for vector in vectors}) == 1


async def test_texts_without_characters_share_a_vector_of_their_own():
    plugin = await load()
    empty, blank, text = await plugin.embed_texts(["", " \t\n", "text"], CTX)
    assert empty == blank != text


async def test_a_text_has_one_vector_whatever_is_beside_it():
    plugin = await load()
    batch = await plugin.embed_texts(["one", "two", "one"], CTX)
    (alone,) = await plugin.embed_texts(["one"], CTX)
    assert batch[0] == batch[2] == alone != batch[1]


async def test_no_texts_give_no_vectors_of_the_right_dims():
    vectors = await (await load(dimensions=8)).embed_texts([], CTX)
    assert (len(vectors), vectors.dims) == (0, 8)


async def test_another_process_gives_the_same_vectors():
    """`hash()` of a text differs between processes; a stored vector must not."""
    program = (
        "import asyncio, sys\n"
        "from orchestrator_plugin_sdk import *\n"
        "async def main():\n"
        "    plugin = await load_plugin(load_project(sys.argv[1]))\n"
        "    print((await plugin.embed_texts(['stable'], PluginContext())).data.hex())\n"
        "asyncio.run(main())\n"
    )
    source = str(Path(orchestrator_plugin_sdk.__file__).parents[1])
    environment = {**os.environ, "PYTHONPATH": source, "PYTHONHASHSEED": "4711"}
    process = await anyio.run_process([sys.executable, "-c", program, str(FOLDER)], env=environment)
    vectors = await (await load()).embed_texts(["stable"], CTX)
    assert vectors.data.hex() == process.stdout.decode().strip()


@pytest.mark.parametrize("dimensions", [0, -1, 4097, 2.0, True, "256", None])
async def test_other_dimensions_are_refused(dimensions):
    with pytest.raises(PluginCallError, match="dimensions") as raised:
        await load(dimensions=dimensions)
    assert raised.value.kind is ErrorKind.INVALID_REQUEST


async def test_an_aborted_call_ends():
    controller = AbortController()
    controller.abort()
    with pytest.raises(PluginCallError) as raised:
        await (await load()).embed_texts(["a"], PluginContext(abort_signal=controller.signal))
    assert raised.value.kind is ErrorKind.ABORTED
