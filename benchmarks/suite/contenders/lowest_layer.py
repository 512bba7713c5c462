"""Calls of exports, with nothing of the host around them: see `echo_layer`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from echo_layer import EchoLayer
from orchestrator_plugin_sdk import PayloadEncoding, Vectors, from_document
from orchestrator_plugin_sdk.contract import EMBED_TEXTS

from ..documents import document_of
from ..guests import TEXTS, component, example
from ..timing import Place, Round, timed


@asynccontextmanager
async def echo(
    place: Place,
    *,
    kind: str,
    size: int,
    forms: Sequence[PayloadEncoding] = ("bytes", "latin1", "base64"),
) -> AsyncIterator[Round]:
    """An echo through the C-API layer, to the payload's form and back included. `forms` are those
    that the guest reads."""
    document = document_of(kind, size)
    with EchoLayer(component("echo", place.folder), place.cache) as layer:
        assert layer.echo(document, forms) == document
        yield timed(lambda: layer.echo(document, forms))


@asynccontextmanager
async def embed(place: Place) -> AsyncIterator[Round]:
    """Ten short texts through the example embedder by a call of the export alone: its argument is
    ready, and its answer left as it is. What this takes is the guest's time, and that of crossing
    the boundary."""
    with EchoLayer(example("ngram-embedder"), place.cache) as layer:
        layer.initialise()
        payload = layer.payload(EMBED_TEXTS, [TEXTS])
        answer = from_document(Vectors, layer.document(layer.run(EMBED_TEXTS, payload)))
        assert len(answer) == len(TEXTS)
        yield timed(lambda: layer.run(EMBED_TEXTS, payload))
