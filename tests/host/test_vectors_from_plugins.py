"""A vector is bytes on the wire, whatever a caller may give one as."""

from __future__ import annotations

import pytest
from orchestrator_plugin_host import PluginOutputError
from orchestrator_plugin_sdk import PluginType, pack
from support.guests import DATA, Guest

from .conftest import Load

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    "answer",
    [[[0.5, 1.0]], {"dims": 2, "data": [0.5, 1.0]}, {"dims": 2, "data": "text"}, {}, b"\0" * 8],
)
async def test_vectors_that_are_not_bytes(load: Load, answer: object) -> None:
    packed = pack(answer)
    body = f"(call $ok_bytes (i32.const {DATA}) (i32.const {len(packed)}))"
    plugin = await load(Guest(PluginType.EMBEDDER, functions={"embed-texts": body}, data=packed))
    with pytest.raises(PluginOutputError, match="does not fit its schema"):
        await plugin.embed_texts(["a"])
