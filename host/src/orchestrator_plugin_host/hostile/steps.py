"""What a case asks of the host, and whether it came to what it should."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from contextlib import aclosing
from typing import Any, Final

import anyio
from orchestrator_plugin_sdk.codec import to_document
from orchestrator_plugin_sdk.errors import PluginError

from ..handles import LoadedPlugin
from .cases import Expected, Step
from .report import StepReport

_REQUEST: Final[dict[str, Any]] = {"messages": [{"role": "user", "content": "hello"}]}
_COMMAND: Final = "run"
_ARGUMENTS: Final[Mapping[str, tuple[Any, ...]]] = {
    "health_check": (),
    "shutdown": (),
    "generate": (_REQUEST,),
    "stream": (_REQUEST,),
    "embed_texts": (["a"],),
    "upsert": ("repo", [{"id": "a", "vector": [1.0], "text": "a"}]),
    "query": ("repo", [1.0], 2),
    "info": (),
}
_MAX_SHOWN: Final = 300


def arguments_of(step: Step) -> tuple[Any, ...]:
    """What a step calls its plugin with."""
    if step.do in ("execute", "is_allowed"):
        command = _COMMAND if step.request_bytes is None else "x" * step.request_bytes
        return {"command": command} if step.do == "execute" else command, step.tool_policy
    if step.request_bytes is not None:
        return ({"messages": [{"role": "user", "content": "x" * step.request_bytes}]},)
    return _ARGUMENTS[step.do]


async def perform(
    plugin: LoadedPlugin, step: Step, arguments: tuple[Any, ...], events: Counter[str]
) -> Any:
    """Calls a plugin as a step says, and gives the answer; the events of a stream are counted.

    Of calls made together it gives the last one's answer. Raises what they raise.
    """
    if step.together == 1:
        return await _once(plugin, step, arguments, events)
    answers: list[Any] = []
    errors: list[BaseException] = []

    async def one() -> None:
        try:
            answers.append(await _once(plugin, step, arguments, events))
        except PluginError as error:
            errors.append(error)

    async with anyio.create_task_group() as group:
        for _ in range(step.together):
            group.start_soon(one)
    if errors:
        if answers or len({type(error) for error in errors}) > 1:
            names = [type(error).__name__ for error in errors]
            raise ExceptionGroup(f"{len(answers)} answers, and {names}", errors)  # type: ignore[type-var]
        raise errors[-1]
    return answers[-1]


async def _once(plugin: Any, step: Step, arguments: tuple[Any, ...], events: Counter[str]) -> Any:
    if step.do != "stream":
        return await getattr(plugin, step.do)(*arguments)
    async with aclosing(plugin.stream(*arguments)) as stream:
        while step.take is None or events.total() < step.take:
            try:
                events[(await anext(stream)).type] += 1
            except StopAsyncIteration:
                break
    return None


class Clock:
    """The time that a step takes."""

    def __init__(self) -> None:
        self._started = time.perf_counter()

    def milliseconds(self) -> float:
        """Milliseconds since the clock was made."""
        return round((time.perf_counter() - self._started) * 1000, 2)


def judge(
    step: Step,
    outcome: Any,
    events: Counter[str],
    took_ms: float,
    deadline_ms: int,
) -> StepReport:
    """Compares what came of a step with what should have."""
    report = StepReport(
        do=step.do, expected=_told(step), outcome=_shown(outcome), milliseconds=took_ms
    )
    report.problems = list(_problems(step, outcome, events))
    if step.timed and step.error == type(outcome).__name__ == "DeadlineExceededError":
        report.overshoot_ms = round(took_ms - deadline_ms, 2)
    return report


def _problems(expected: Expected, outcome: Any, events: Counter[str]) -> Any:
    """What differs, one after the other."""
    if isinstance(outcome, BaseException):
        if type(outcome).__name__ != expected.error:
            yield f"expected {_told(expected)}, got {_shown(outcome)}"
            return
        if not isinstance(outcome, PluginError):
            yield f"{type(outcome).__name__} is no PluginError"
        for name in ("limit", "trap", "kind"):
            wanted, got = getattr(expected, name), getattr(outcome, name, None)
            if wanted is not None and str(got) != wanted:
                yield f"expected {name} = {wanted!r}, got {str(got)!r}"
        if expected.says is not None and expected.says not in str(outcome):
            yield f"expected a message with {expected.says!r}, got {_shown(outcome)}"
    elif expected.error is not None:
        yield f"expected {_told(expected)}, got {_shown(outcome)}"
    elif expected.answer is not None:
        got = to_document(outcome)
        if isinstance(got, dict) and isinstance(expected.answer, dict):
            got = {key: got.get(key) for key in expected.answer}
        if got != expected.answer:
            yield f"expected the answer {expected.answer!r}, got {_cut(repr(got))}"
    if expected.events is not None and events.total() != expected.events:
        yield f"expected {expected.events} events, got {events.total()}"


def _told(expected: Expected) -> str:
    if expected.error is None:
        return "an answer" if expected.answer is None else _cut(repr(expected.answer))
    about = [getattr(expected, name) for name in ("limit", "trap", "kind")]
    return " ".join([expected.error, *(f"({one})" for one in about if one is not None)])


def _shown(outcome: Any) -> str:
    if isinstance(outcome, BaseException):
        return _cut(f"{type(outcome).__name__}: {outcome}")
    return _cut(repr(outcome))


def _cut(text: str) -> str:
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}…"
