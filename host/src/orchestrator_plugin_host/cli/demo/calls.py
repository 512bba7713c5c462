"""What the examples are asked: the same calls, whether native or sandboxed."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any, Final, TypeVar

from orchestrator_plugin_sdk.codec import to_document
from orchestrator_plugin_sdk.provider import Message as ChatMessage
from orchestrator_plugin_sdk.provider import ModelRequest, StreamTextDelta
from orchestrator_plugin_sdk.tool_executor import ToolPolicy, ToolRunRequest, ToolRunResult
from orchestrator_plugin_sdk.vector_memory import FieldCondition, VectorItem, VectorQueryFilter
from orchestrator_plugin_sdk.vectors import Vector, Vectors

from ...errors import PluginError
from ...handles import (
    LoadedEmbedder,
    LoadedPlugin,
    LoadedProvider,
    LoadedToolExecutor,
    LoadedVectorMemoryBackend,
)
from ..output import milliseconds, plain

T = TypeVar("T")

SENTENCES: Final = (
    "The fishing boat left the harbour.",
    "Fishing boats leave the harbours early.",
    "Whisk two eggs into the flour.",
)
NOTES: Final = (
    ("boat", "sea", SENTENCES[0]),
    ("storm", "sea", "A storm kept every boat in the harbour."),
    ("tide", "sea", "The tide turns twice a day."),
    ("eggs", "kitchen", SENTENCES[2]),
    ("boats", "kitchen", "A gravy boat is not for the harbour."),
)
"""What the vector memory is to keep: id, topic, text."""
QUESTION: Final = "Which boats are in the harbour?"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a call gave, in JSON's terms and as it is shown, and how long it took."""

    document: Any
    shown: str
    milliseconds: float


@dataclass
class Asked:
    """The answers of one plugin. `vectors` are the embedder's, of the notes and the question.

    `on_token` takes each token of a stream as it comes; `showing_ms`, the time that this took, is
    not the plugin's.
    """

    on_token: Callable[[str], Awaitable[None]]
    vectors: Vectors | None = None
    showing_ms: float = 0.0
    answers: dict[str, Answer] = field(default_factory=dict)

    async def __call__(
        self,
        what: str,
        waiting: Awaitable[T],
        show: Callable[[T], str],
        compared: Callable[[T], Any] = to_document,
    ) -> T | None:
        """Awaits an answer and keeps it. An error is an answer, too."""
        started, self.showing_ms = time.perf_counter(), 0.0
        try:
            value = await waiting
        except PluginError as error:
            said = f"{type(error).__name__}: {error}"
            self.answers[what] = Answer({"error": said}, said, milliseconds(started))
            return None
        took = round(milliseconds(started) - self.showing_ms, 1)
        self.answers[what] = Answer(plain(compared(value)), show(value), took)
        return value


async def ask(plugin: LoadedPlugin, asked: Asked) -> None:
    """Makes all the calls of a plugin's kind."""
    if isinstance(plugin, LoadedProvider):
        await _ask_provider(plugin, asked)
    elif isinstance(plugin, LoadedEmbedder):
        await _ask_embedder(plugin, asked)
    elif isinstance(plugin, LoadedVectorMemoryBackend):
        await _ask_memory(plugin, asked)
    elif isinstance(plugin, LoadedToolExecutor):
        await _ask_tools(plugin, asked)


async def _ask_provider(plugin: LoadedProvider, asked: Asked) -> None:
    request = ModelRequest((ChatMessage("user", "Tell me about the sea."),), seed=7, max_tokens=20)
    await asked("generate", plugin.generate(request), lambda answer: answer.text)

    async def stream() -> list[Any]:
        events = []
        async with aclosing(plugin.stream(request)) as stream:
            async for event in stream:
                events.append(event)
                if isinstance(event, StreamTextDelta):
                    started = time.perf_counter()
                    await asked.on_token(event.text)
                    asked.showing_ms += milliseconds(started)
        return events

    def show(events: list[Any]) -> str:
        tokens = [event.text for event in events if isinstance(event, StreamTextDelta)]
        return f"{''.join(tokens)}\n{len(tokens)} tokens, {len(events)} events"

    await asked("stream", stream(), show)


async def _ask_embedder(plugin: LoadedEmbedder, asked: Asked) -> None:
    def show(vectors: Vectors) -> str:
        lines = [f"{len(vectors)} vectors of {vectors.dims} numbers"]
        for i, j in combinations(range(len(vectors)), 2):
            lines.append(f"{i + 1} and {j + 1}: {_cosine(vectors[i], vectors[j]):.3f} similar")
        return "\n".join(lines)

    await asked("embed_texts", plugin.embed_texts(SENTENCES), show, lambda vectors: vectors)
    # For the vector memory, which comes next.
    asked.vectors = await plugin.embed_texts([*(text for _, _, text in NOTES), QUESTION])


def _cosine(one: Vector, other: Vector) -> float:
    """Of vectors of length 1, as this embedder's are."""
    return sum(a * b for a, b in zip(one, other, strict=True))


async def _ask_memory(plugin: LoadedVectorMemoryBackend, asked: Asked) -> None:
    assert asked.vectors is not None
    *rows, question = asked.vectors
    items = [
        VectorItem(name, row, {"topic": topic}, text)
        for (name, topic, text), row in zip(NOTES, rows, strict=True)
    ]
    at_sea = VectorQueryFilter(all_of=(FieldCondition("topic", "eq", "sea"),))
    await asked("upsert", plugin.upsert("notes", items), lambda _: f"{len(items)} items kept")
    await asked(
        "query",
        plugin.query("notes", question, 2, filter=at_sea),
        lambda found: "\n".join(f"{one.score:.3f} {one.text}" for one in found),
    )


async def _ask_tools(plugin: LoadedToolExecutor, asked: Asked) -> None:
    policy = ToolPolicy(enabled=True)
    for request in (
        ToolRunRequest("text.slug", stdin="Crème brûlée, à la carte!\n"),
        ToolRunRequest("text.diff", ("sea\nsalt\nsand\n", "sea\nsugar\nsand\n")),
    ):
        await asked(request.command, plugin.execute(request, policy), _output, _without_time)


def _output(result: ToolRunResult) -> str:
    return f"{result.stdout}{result.stderr}".rstrip("\n")


def _without_time(result: ToolRunResult) -> Mapping[str, Any]:
    return {**to_document(result), "duration_ms": 0}
