"""What validates and writes documents of a type: pydantic, by the SDK's own dataclasses.

pydantic's schemas of the SDK's types are made strict here, and made once for each type.
"""

from __future__ import annotations

from functools import cache, partial
from typing import Any, Final

from orchestrator_plugin_sdk.codec import MAX_DEPTH, to_document
from orchestrator_plugin_sdk.vectors import FROM_PLUGIN
from pydantic import TypeAdapter
from pydantic_core import SchemaSerializer, SchemaValidator

_SCALARS: Final = frozenset({"int", "float", "str", "bool", "bytes"})
_LEVELS: Final = frozenset({"dataclass", "tuple", "list", "dict"})
"""What is a list or a map in a document."""
_TAG: Final = "type"
"""The key that tells the members of a union apart."""


@cache
def validator(wanted: Any, from_plugin: bool) -> SchemaValidator:
    """The validator of a type, for what callers pass or for what crossed the boundary."""
    return SchemaValidator(_strict(_schema(wanted), from_plugin))


@cache
def serializer(wanted: Any) -> SchemaSerializer:
    """What makes plain data of a validated value of a type."""
    return SchemaSerializer(_plain(_schema(wanted), MAX_DEPTH))


@cache
def _schema(wanted: Any) -> Any:
    return TypeAdapter(wanted).core_schema


def _strict(node: Any, from_plugin: bool) -> Any:
    """A core schema that converts no scalars, and whose records are closed and have their tags."""
    if isinstance(node, (list, tuple)):
        return type(node)(_strict(one, from_plugin) for one in node)
    if not isinstance(node, dict):
        return node
    made = {
        key: value if key == "metadata" else _strict(value, from_plugin)
        for key, value in node.items()
    }
    kind = node.get("type")
    if kind in _SCALARS:
        made["strict"] = True
    if kind == "float":
        made["allow_inf_nan"] = False
    if kind in ("list", "tuple"):
        made["fail_fast"] = True  # a million faults are no better than one
    if kind == "dataclass-args":
        made["extra_behavior"] = "forbid"
    if kind == "dataclass":
        made["revalidate_instances"] = "always"  # making one checks nothing
    if kind == "dataclass-field" and _tag(node):
        made["schema"] = made["schema"]["schema"]
    if kind == "union" and (tags := [_tag_of_record(one) for one in node["choices"]]) and all(tags):
        return _tagged(dict(zip(tags, made["choices"], strict=True)))
    if kind == "function-plain" and from_plugin and FROM_PLUGIN in node.get("metadata", {}):
        made["function"] = {**node["function"], "function": node["metadata"][FROM_PLUGIN]}
    return made


def _tag(field: Any) -> str | None:
    """The one value that a field may have, if there is one. It tells the members of a union apart,
    so a document must have it, although making the value in Python needs no such argument."""
    node = field["schema"]
    inner = node.get("schema", {})
    if node["type"] == "default" and inner.get("type") == "literal" and len(inner["expected"]) == 1:
        tag: str = inner["expected"][0]
        return tag
    return None


def _tag_of_record(node: Any) -> str | None:
    if node["type"] != "dataclass":
        return None
    for field in node["schema"]["fields"]:
        if field["name"] == _TAG:
            return _tag(field)
    return None


def _tagged(choices: dict[Any, Any]) -> dict[str, Any]:
    """A union whose tag says which member to look at: trying each of them would multiply faults."""
    shown = " or ".join(map(repr, choices))
    return {
        "type": "tagged-union",
        "discriminator": _TAG,
        "choices": choices,
        "custom_error_type": "union_tag",
        "custom_error_message": f"expected a map whose {_TAG!r} is {shown}",
    }


def _plain(node: Any, depth: int) -> Any:
    """A core schema by which values of no known type are written as `to_document` writes them, so
    many levels deep at most."""
    if isinstance(node, (list, tuple)):
        return type(node)(_plain(one, depth) for one in node)
    if not isinstance(node, dict):
        return node
    if node.get("type") == "any":
        function = partial(to_document, depth=depth)
        return {**node, "serialization": {"type": "function-plain", "function": function}}
    inside = depth - 1 if node.get("type") in _LEVELS else depth
    return {
        key: value if key in ("metadata", "serialization") else _plain(value, inside)
        for key, value in node.items()
    }
