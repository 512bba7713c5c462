"""The tree of errors: as it is drawn, and what the errors say."""

from __future__ import annotations

import inspect
import pickle
import re

import orchestrator_plugin_sdk as sdk
import pytest
from orchestrator_plugin_host import DeadlineExceededError, LimitExceededError, Limits, errors
from orchestrator_plugin_host.limits import UNITS


def drawn() -> dict[str, str]:
    """Each error of the docstring's tree, with the one above it."""
    parents: dict[str, str] = {}
    path: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        found = re.match(r"^    ([│├└─ ]*)(\w+Error)\b", line)
        if found:
            depth = len(found[1]) // 4
            del path[depth:]
            if path:
                parents[found[2]] = path[-1]
            path.append(found[2])
    return parents


CLASSES = {
    name: value
    for name, value in vars(errors).items()
    if inspect.isclass(value) and issubclass(value, Exception)
}


def test_the_tree_is_the_classes() -> None:
    assert drawn() == {
        name: value.__base__.__name__ for name, value in CLASSES.items() if name != "PluginError"
    }


def test_all_lists_the_errors_and_their_kinds() -> None:
    assert set(errors.__all__) == {*CLASSES, "CallTimes", "ErrorKind"}
    assert errors.__all__ == sorted(errors.__all__)


def test_whoever_catches_plugin_errors_catches_all() -> None:
    assert all(issubclass(value, sdk.PluginError) for value in CLASSES.values())


@pytest.mark.parametrize("name", CLASSES)
def test_every_error_says_what_it_is(name: str) -> None:
    assert (CLASSES[name].__doc__ or "").count(" ") > 3


LIMIT_ERRORS = [value for value in CLASSES.values() if value.__base__ is LimitExceededError]


@pytest.mark.parametrize("error", LIMIT_ERRORS)
@pytest.mark.parametrize("limit", UNITS)
def test_a_limit_says_how_to_raise_it(error: type[LimitExceededError], limit: str) -> None:
    value = getattr(Limits(), limit)
    made = error("nice", limit, value, UNITS[limit], "did too much")
    assert (made.plugin, made.limit, made.value, made.unit) == ("nice", limit, value, UNITS[limit])
    assert str(made) == (
        f"plugin 'nice' did too much: the limit {limit} is {value:,} {UNITS[limit]}; to raise it, "
        f"pass Limits({limit}=…) to PluginHost or load(), and raise limits.{limit} in the plugin's "
        "manifest if it is set there"
    )


def test_a_trap_keeps_its_name() -> None:
    error = errors.PluginTrapError("it crashed", "unreachable")
    assert (str(error), error.trap) == ("it crashed", "unreachable")


def test_errors_are_raised_from_each_other_without_loss() -> None:
    with pytest.raises(DeadlineExceededError) as caught:
        try:
            raise errors.PluginTrapError("it crashed", "unreachable")
        except errors.PluginTrapError as error:
            raise DeadlineExceededError("p", "deadline_ms", 5, "ms", "took too long") from error
    assert isinstance(caught.value.__cause__, errors.PluginTrapError)


@pytest.mark.parametrize("name", ["PluginAbortedError", "PluginClosedError", "PluginOutputError"])
def test_plain_errors_can_be_sent_to_another_process(name: str) -> None:
    error = CLASSES[name]("words")
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), str(copy)) == (type(error), "words")
