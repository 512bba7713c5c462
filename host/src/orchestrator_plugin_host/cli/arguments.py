"""From the JSON on a command line to the arguments of a plugin's method."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import NoneType
from typing import Any, Final, NoReturn, get_args

from orchestrator_plugin_sdk.contract import INIT, KINDS, SHUTDOWN, Operation
from pydantic import ValidationError

from ..limits import Limits
from .output import UsageError

METHODS: Final[Mapping[str, Operation]] = {
    operation.method: operation
    for kind in KINDS.values()
    for operation in kind.operations
    if operation not in (INIT, SHUTDOWN)  # the host's to call
}
"""What can be called, by name."""


def method_named(name: str) -> Operation:
    """The operation of a method. Raises `UsageError`."""
    if name not in METHODS:
        raise UsageError(f"there is no method {name!r}; there are {', '.join(METHODS)}")
    return METHODS[name]


def read_json(given: str, option: str) -> dict[str, Any]:
    """The JSON object of an option: itself, `@file`, or `-` for standard input.

    Raises `UsageError`.
    """
    try:
        if given == "-":
            text = sys.stdin.read()
        elif given.startswith("@"):
            text = Path(given[1:]).read_text(encoding="utf-8")
        else:
            text = given
    except (OSError, UnicodeError) as error:
        raise UsageError(f"{option}: {given.lstrip('@')} can't be read: {error}") from None
    try:
        document = json.loads(text, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{option} is not JSON: {error}") from None
    if not isinstance(document, dict):
        raise UsageError(f"{option} must be a JSON object, like {{}}")
    return document


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


def arguments_of(operation: Operation, document: Mapping[str, Any]) -> dict[str, Any]:
    """A JSON object as the arguments of a method, by name. Their types are the host's to check.

    The fields of a `request` may stand beside the other arguments: then they are the request.
    Raises `UsageError`.
    """
    given = dict(document)
    if "request" in operation.arguments and "request" not in given:
        bare = {name: given.pop(name) for name in [*given] if name not in operation.arguments}
        given = {"request": bare, **given} if bare else given
    unknown = given.keys() - operation.arguments.keys()
    missing = [
        name
        for name, wanted in operation.arguments.items()
        if name not in given and NoneType not in get_args(wanted)
    ]
    if unknown or missing:
        wrong = [f"no argument {name!r}" for name in sorted(unknown)]
        wrong += [f"argument {name!r} is missing" for name in missing]
        raise UsageError(f"{operation.method}: {', '.join(wrong)}; {_usage(operation)}")
    return given


def _usage(operation: Operation) -> str:
    if not operation.arguments:
        return "it takes no arguments"
    example = ", ".join(f'"{name}": …' for name in operation.arguments)
    return f"pass --request '{{{example}}}'"


def limits_from(given: Iterable[str]) -> Limits:
    """`name=value` options as limits, the rest being the defaults. Raises `UsageError`."""
    values: dict[str, int] = {}
    for one in given:
        name, _, value = one.partition("=")
        if name not in Limits.model_fields:
            raise UsageError(
                f"there is no limit {name!r}; there are {', '.join(Limits.model_fields)}"
            )
        try:
            values[name] = int(value)
        except ValueError:
            raise UsageError(f"--limit {one}: expected {name}=NUMBER") from None
    try:
        return Limits(**values)
    except ValidationError as error:
        found = error.errors(include_url=False)[0]
        raise UsageError(f"--limit {found['loc'][0]}: {found['msg']}") from None
