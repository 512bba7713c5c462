"""Documents validated against the SDK's types: what callers pass and what plugins answer.

Strict: nothing is converted (`"1"` is no integer), nothing unknown is let through.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from orchestrator_plugin_sdk import DocumentError, Problem
from orchestrator_plugin_sdk.vectors import FROM_PLUGIN
from pydantic import TypeAdapter, ValidationError
from pydantic_core import SchemaValidator

_SCALARS = frozenset({"int", "float", "str", "bool", "bytes"})
_CLOSED = frozenset({"dataclass-args"})
_MAX_PROBLEMS = 100


def _strict(node: Any) -> Any:
    """A core schema that converts no scalars, and whose records are closed and have their tags."""
    if isinstance(node, dict):
        made = {key: _strict(value) for key, value in node.items()}
        kind = node.get("type")
        if kind in _SCALARS:
            made["strict"] = True
        if kind == "float":
            made["allow_inf_nan"] = False
        if kind in ("list", "tuple"):
            made["fail_fast"] = True  # a million faults are no better than one
        if kind in _CLOSED:
            made["extra_behavior"] = "forbid"
        if kind == "dataclass":
            made["revalidate_instances"] = "always"  # making one checks nothing
        if kind == "dataclass-field" and _is_tag(node["schema"]):
            made["schema"] = made["schema"]["schema"]
        return made
    if isinstance(node, (list, tuple)):
        return type(node)(_strict(value) for value in node)
    return node


def _is_tag(node: Any) -> bool:
    """Whether a field has one possible value. It tells the members of a union apart, so a document
    must have it, although making the value in Python needs no such argument."""
    inner = node.get("schema", {})
    return (
        node["type"] == "default" and inner.get("type") == "literal" and len(inner["expected"]) == 1
    )


@cache
def validator(wanted: Any) -> SchemaValidator:
    """The validator of a type."""
    return SchemaValidator(_strict(TypeAdapter(wanted).core_schema))


def validate(wanted: Any, document: Any, what: str, *, from_plugin: bool = False) -> Any:
    """`document` (plain data, or SDK values already) as a value of the type `wanted`.

    A caller may give a vector in any form; `from_plugin`, it is bytes as the contract says.
    Raises `DocumentError` that lists the faults; `what` names the document in its message.
    """
    try:
        return validator(wanted).validate_python(
            document, context=FROM_PLUGIN if from_plugin else None
        )
    except ValidationError as error:
        problems = [Problem("", f"{error.error_count():,} faults")]
        if error.error_count() <= _MAX_PROBLEMS:
            problems = [
                Problem(_path(one["loc"]), one["msg"])
                for one in error.errors(include_url=False, include_input=False)
            ]
        raise DocumentError(f"{what} does not fit its schema", problems) from None
    except RecursionError:
        raise DocumentError(f"{what} nests too deep") from None


def _path(location: tuple[int | str, ...]) -> str:
    path = ""
    for step in location:
        path += f"[{step}]" if isinstance(step, int) else f".{step}" if path else str(step)
    return path
