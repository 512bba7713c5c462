"""The tree of errors, and what each says."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from orchestrator_plugin_sdk import (
    DocumentError,
    ErrorKind,
    PluginCallError,
    PluginError,
    PluginValidationError,
    PluginVersionMismatchError,
    Problem,
    SdkVersionRange,
    errors,
    validate_manifest,
)
from orchestrator_plugin_sdk.errors import MAX_MESSAGE
from support.texts import HOSTILE_TEXTS, hidden_in

WIT = Path(__file__).parents[2] / "wit" / "types.wit"


def test_the_docstring_draws_the_tree() -> None:
    assert errors.__doc__ is not None
    drawn = set(re.findall(r"[├└]── (\w+)", errors.__doc__))
    assert drawn == {error.__name__ for error in PluginError.__subclasses__()}.intersection(
        vars(errors)
    )


def test_the_kinds_are_those_of_the_contract() -> None:
    body = re.search(r"enum error-kind \{(.*?)\n    \}", WIT.read_text("utf-8"), re.DOTALL)
    assert body is not None
    assert [str(kind) for kind in ErrorKind] == re.findall(
        r"^ {8}([a-z-]+),", body[1], re.MULTILINE
    )


@pytest.mark.parametrize(
    ("problem", "shown"),
    [(Problem("a.b[1]", "missing"), "a.b[1]: missing"), (Problem("", "no map"), "no map")],
)
def test_a_problem_says_where(problem: Problem, shown: str) -> None:
    assert str(problem) == shown


PROBLEMS = (Problem("a", "one"), Problem("", "two"))


def test_a_validation_error_lists_its_problems() -> None:
    error = PluginValidationError("wrong:", iter(PROBLEMS))
    assert error.problems == PROBLEMS
    assert str(error) == "wrong:\n  - a: one\n  - two"
    assert str(PluginValidationError("wrong")) == "wrong"


def test_a_document_error_lists_its_problems_in_one_line() -> None:
    error = DocumentError("wrong", iter(PROBLEMS))
    assert error.problems == PROBLEMS
    assert str(error) == "wrong; a: one; two"


@pytest.mark.parametrize(
    ("wanted", "current", "says"),
    [
        (SdkVersionRange(2), 1, "requires SDK version >= 2, this is SDK version 1: upgrade the"),
        (
            SdkVersionRange(1, 1),
            2,
            "requires SDK version 1, this is SDK version 2: install a newer",
        ),
    ],
)
def test_a_version_mismatch_says_what_to_do(
    wanted: SdkVersionRange, current: int, says: str
) -> None:
    error = PluginVersionMismatchError("p", wanted, current)
    assert (error.plugin_name, error.required_range, error.current_version) == (
        "p",
        wanted,
        current,
    )
    assert str(error).startswith(f"plugin 'p' {says}")


RETRYABLE = {"rate-limited", "unavailable", "timeout"}


@pytest.mark.parametrize("kind", ErrorKind)
def test_what_can_be_retried_follows_from_the_kind_unless_said(kind: ErrorKind) -> None:
    assert PluginCallError(kind, "no").retryable is (kind.value in RETRYABLE)
    assert PluginCallError(kind, "no", retryable=True).retryable
    assert not PluginCallError(kind, "no", retryable=False).retryable


def test_a_call_error_takes_its_kind_by_name_and_no_other() -> None:
    error = PluginCallError("rate-limited", "slow down", retry_after_ms=50)
    assert error.kind is ErrorKind.RATE_LIMITED
    assert (error.message, error.retry_after_ms) == ("slow down", 50)
    assert str(error) == "rate-limited: slow down"
    with pytest.raises(ValueError, match="'teapot' is not a valid ErrorKind"):
        PluginCallError("teapot", "short and stout")


@pytest.mark.parametrize(
    ("raised", "kind", "message"),
    [
        (MemoryError(), "out-of-memory", "the plugin ran out of memory"),
        (NotImplementedError(), "unsupported", "the plugin does not do this"),
        (NotImplementedError("no images"), "unsupported", "no images"),
        (ValueError("bad"), "internal", "ValueError: bad"),
        (KeyboardInterrupt(), "internal", "KeyboardInterrupt: "),
    ],
)
def test_whatever_escapes_from_a_plugin_becomes_a_call_error(
    raised: BaseException, kind: str, message: str
) -> None:
    error = PluginCallError.from_exception(raised)
    assert (error.kind, error.message) == (kind, message)


def test_a_call_error_stays_itself() -> None:
    error = PluginCallError("timeout", "too slow", retryable=False)
    assert PluginCallError.from_exception(error) is error


@pytest.mark.parametrize(
    "make",
    [
        PluginError,
        DocumentError,
        PluginValidationError,
        lambda message: PluginCallError("internal", message),
        lambda message: DocumentError("x", [Problem("p", message)] * 100),
        lambda message: PluginCallError.from_exception(ValueError(message)),
    ],
)
def test_a_message_is_cut(make: Callable[[str], PluginError]) -> None:
    assert "short" in str(make("short"))
    long = str(make("x" * 1_000_000))
    assert len(long) == MAX_MESSAGE
    assert long.endswith("…")


def test_a_call_error_keeps_no_more_than_it_shows() -> None:
    assert len(PluginCallError("internal", "x" * 1_000_000).message) == MAX_MESSAGE


@given(HOSTILE_TEXTS)
def test_keys_of_what_does_not_fit_hide_nothing(key: str) -> None:
    manifest = {key: 1, "secrets": {key: {"urls": [key]}}, "config": {key: {"type": key}}}
    for document in (manifest, {"name": key, "type": "provider", "version": key, **manifest}):
        with pytest.raises(PluginValidationError) as caught:
            validate_manifest(document)
        assert not hidden_in(str(caught.value), but="\n")
        assert str(caught.value).count("\n") == len(caught.value.problems)
