"""An LLM provider without a model: a word-level Markov chain, trained when it is loaded.

It needs no network and no key, answers the same to the same seed, and still does what a caller
expects of a provider: streaming, tool calls, JSON, stop sequences, limits, usage. A word with the
punctuation on it is a token.

`generate` works an answer out whole, and `stream` hands the same answer out word by word: the two
can't disagree.
"""

from __future__ import annotations

import json
import random
import re
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from orchestrator_plugin_sdk import (
    ErrorKind,
    FinishReason,
    HealthCheckResult,
    ModelRequest,
    ModelResponse,
    PluginCallError,
    PluginConfig,
    PluginContext,
    ProviderAdapterPlugin,
    ProviderCapabilities,
    SdkVersionRange,
    StreamEnd,
    StreamEvent,
    StreamTextDelta,
    StreamToolCallDelta,
    StreamUsage,
    ToolCall,
    Usage,
)

MODEL = "markov-1"
DEFAULT_MAX_TOKENS = 80
SENTENCE_ENDS = (".", "!", "?")
CORPUS = """
The lighthouse keeper wrote a letter every evening. Every evening the sea carried the letter away.
A small boat left the harbour before the sun was up. The sun was warm on the stones of the harbour.
The baker knew every street in the town by its smell. Every street in the town led to the sea.
A good question opens the door before anyone knocks. The door of the old library was never locked.
The librarian kept a map of the stars in a drawer. The stars were bright over the small boat.
Rain fell on the roof and the cat slept through the storm. The storm was over before the morning.
In the morning the children found a bottle on the beach. The bottle held a map of the old town.
The teacher said that a map is a letter from the past. A letter is a small boat made of paper.
"""


class MarkovProvider(ProviderAdapterPlugin):
    """Offers the model `markov-1`."""

    name = "markov-provider"
    sdk_version = SdkVersionRange(1, 1)

    def __init__(self) -> None:
        # Which tokens follow a word, and how often. The empty word stands before a sentence.
        self._followers: dict[str, Counter[str]] = {}

    async def init(self, config: PluginConfig, ctx: PluginContext) -> None:
        corpus = config.get("corpus", "")
        if not isinstance(corpus, str):
            raise _invalid("the config key corpus must be a text")
        self._followers = _train(f"{CORPUS} {corpus}")
        ctx.logger.info("trained the Markov chain", words=len(self._followers) - 1)

    async def health_check(self) -> HealthCheckResult:
        words = max(len(self._followers) - 1, 0)
        return HealthCheckResult(bool(words), f"knows {words} words", {"words": words})

    async def shutdown(self) -> None:
        self._followers = {}

    def capabilities(self) -> ProviderCapabilities:
        return ProviderCapabilities(
            supports_streaming=True,
            supports_tool_calling=True,
            supports_json_mode=True,
            latency_class="fast",
            models=(MODEL,),
        )

    async def generate(self, req: ModelRequest, ctx: PluginContext) -> ModelResponse:
        ctx.abort_signal.throw_if_aborted()
        _check(req)
        # `Random.random` alone promises the same numbers in every version of Python, so nothing
        # built on it (choice, randint) is used: native and sandboxed give the same answers.
        rng = random.Random(int.from_bytes(ctx.random_bytes(8)) if req.seed is None else req.seed)
        tool_call = self._tool_call(req, rng)
        finish: FinishReason
        text, finish = ("", "tool_calls") if tool_call else self._text(req, rng)
        read = sum(len(message.text.split()) for message in req.messages)
        written = len(_pieces(json.dumps(tool_call.arguments) if tool_call else text))
        return ModelResponse(
            text=text,
            usage=Usage(read, written, read + written),
            tool_calls=(tool_call,) if tool_call else (),
            finish_reason=finish,
            model=MODEL,
        )

    async def stream(self, req: ModelRequest, ctx: PluginContext) -> AsyncIterator[StreamEvent]:
        for event in _events(await self.generate(req, ctx)):
            # Before each event: a caller that has given up is not made to read the rest.
            ctx.abort_signal.throw_if_aborted()
            yield event

    def _text(self, req: ModelRequest, rng: random.Random) -> tuple[str, FinishReason]:
        """A text or JSON answer, and why it ends."""
        limit = req.max_tokens or DEFAULT_MAX_TOKENS
        form = req.response_format
        finish: FinishReason = "stop"
        if form.type == "json_schema" and form.schema:
            text = json.dumps(_example(form.schema, list(self._followers), rng))
        else:
            # One word more than allowed tells a finished answer from one that was cut.
            words = list(islice(self._words(req, rng), limit + 1))
            finish = "length" if len(words) > limit else "stop"
            text = " ".join(words[:limit])
        found = [at for stop in req.stop if stop and (at := text.find(stop)) >= 0]
        if found:
            text, finish = text[: min(found)], "stop"
        if form.type == "json" or (form.type == "json_schema" and not form.schema):
            # Limits and stops have cut the words, not the object around them: it stays whole.
            text = json.dumps({"answer": text}, separators=(",", ":"))
        pieces = _pieces(text)
        return "".join(pieces[:limit]), "length" if len(pieces) > limit else finish

    def _words(self, req: ModelRequest, rng: random.Random) -> Iterator[str]:
        """A few sentences. What was said to it makes no difference to a chain of words."""
        temperature = 1.0 if req.temperature is None else req.temperature
        state = ""
        while True:
            token = _pick(self._followers[state], rng, temperature)
            yield token
            state = "" if token.endswith(SENTENCE_ENDS) else _word(token)
            if not state and rng.random() < 0.5:
                return

    def _tool_call(self, req: ModelRequest, rng: random.Random) -> ToolCall | None:
        """The call that `tool_choice` insists on, if it does."""
        if req.tool_choice in ("auto", "none"):
            return None
        wanted = [t for t in req.tools if req.tool_choice in ("required", t.name)]
        if not wanted:
            raise _invalid(f"tool_choice is {req.tool_choice!r}, but no tool fits it")
        tool = _choose(wanted, rng)
        call_id = f"call_{int(rng.random() * 2**32):08x}"
        schema = {**tool.parameters, "type": "object"}
        return ToolCall(call_id, tool.name, _example(schema, list(self._followers), rng))


def create_plugin() -> MarkovProvider:
    """The entry that `plugin.toml` names."""
    return MarkovProvider()


def _check(req: ModelRequest) -> None:
    if not req.messages:
        raise _invalid("a request needs at least one message")
    if req.max_tokens is not None and req.max_tokens < 1:
        raise _invalid("max_tokens must be 1 or more")
    if req.temperature is not None and not req.temperature >= 0:  # nor NaN
        raise _invalid("temperature must be 0 or more")


def _invalid(message: str) -> PluginCallError:
    return PluginCallError(ErrorKind.INVALID_REQUEST, message)


def _train(corpus: str) -> dict[str, Counter[str]]:
    """Counts which token follows which word. Every word has a follower or ends its sentence."""
    tokens = corpus.split()
    if not tokens[-1].endswith(SENTENCE_ENDS):
        tokens[-1] += "."
    followers: defaultdict[str, Counter[str]] = defaultdict(Counter)
    state = ""
    for token in tokens:
        followers[state][token] += 1
        state = "" if token.endswith(SENTENCE_ENDS) else _word(token)
    return dict(followers)


def _word(token: str) -> str:
    """A token without case and punctuation, so that `The sea,` and `the sea` go on alike."""
    return token.strip(".,;:!?\"'()").lower()


def _pick(choices: Counter[str], rng: random.Random, temperature: float) -> str:
    """A token, by its count. A low temperature favours the frequent ones; 0 takes the first."""
    top = max(choices.values())
    if temperature == 0:
        return max(choices, key=lambda token: choices[token])
    weights = {token: (count / top) ** (1 / temperature) for token, count in choices.items()}
    point = rng.random() * sum(weights.values())
    for token, weight in weights.items():
        point -= weight
        if point < 0:
            return token
    return token  # rounding has carried the point past the last weight


def _choose(options: Sequence[Any], rng: random.Random) -> Any:
    return options[int(rng.random() * len(options))]


def _example(schema: Any, words: Sequence[str], rng: random.Random) -> Any:
    """A plausible value for a JSON Schema: of an object the required properties, one item of an
    array, a word for a text and for whatever else there is."""
    if not isinstance(schema, Mapping):  # true is a schema, too
        schema = {}
    if schema.get("enum"):
        return _choose(schema["enum"], rng)
    kind = schema.get("type", "object" if "properties" in schema else "string")
    match kind if isinstance(kind, str) else kind[0]:
        case "object":
            properties, required = schema.get("properties", {}), schema.get("required", ())
            return {name: _example(properties.get(name), words, rng) for name in required}
        case "array":
            return [_example(schema.get("items"), words, rng)]
        case "integer" | "number":
            number = schema.get("minimum", 1) + int(rng.random() * 10)
            return min(number, schema.get("maximum", number))
        case "boolean":
            return rng.random() < 0.5
        case "null":
            return None
    return _choose([word for word in words if word.isalpha()], rng)


def _pieces(text: str) -> tuple[str, ...]:
    """The text cut after its spaces: joined, the pieces are the text."""
    return tuple(re.findall(r"\s*\S+\s*", text))


def _events(answer: ModelResponse) -> Iterator[StreamEvent]:
    """An answer as the events of a stream."""
    for piece in _pieces(answer.text):
        yield StreamTextDelta(piece)
    for index, call in enumerate(answer.tool_calls):
        yield StreamToolCallDelta(index, call.id, call.name)
        for piece in _pieces(json.dumps(call.arguments)):
            yield StreamToolCallDelta(index, arguments_json=piece)
    yield StreamUsage(answer.usage)
    yield StreamEnd(answer.finish_reason)
