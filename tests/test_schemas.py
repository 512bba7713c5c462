"""The JSON Schemas in `wit/schemas`: current, valid, and of one mind with the SDK's reader."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from orchestrator_plugin_host.schemas import json_schemas, policy_schema
from orchestrator_plugin_sdk import DocumentError, from_document, to_document
from orchestrator_plugin_sdk.contract import DOCUMENTS
from sdk.strategies import PLAIN, nearly, values_of

DIRECTORY = Path(__file__).parents[1] / "wit" / "schemas"
EVERY_DOCUMENT = pytest.mark.parametrize("name", DOCUMENTS)


@cache
def schema_of(name: str) -> dict[str, Any]:
    return json.loads((DIRECTORY / f"{name}.json").read_text("utf-8"))


# --- current -------------------------------------------------------------------------------------


def test_the_committed_files_are_current() -> None:
    committed = {path.name: path.read_text("utf-8") for path in DIRECTORY.iterdir()}
    assert committed == json_schemas(), "run: python -m orchestrator_plugin_host.schemas"


def test_the_command_writes_the_files(tmp_path: Path) -> None:
    directory = tmp_path / "a" / "b"
    subprocess.run(
        [sys.executable, "-m", "orchestrator_plugin_host.schemas", directory],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        check=True,
    )
    assert {path.name: path.read_text("utf-8") for path in directory.iterdir()} == json_schemas()


POLICY = DIRECTORY.parents[1] / "docs" / "policy.schema.json"


def test_the_schema_of_policy_files_is_current_and_describes_every_field() -> None:
    text = POLICY.read_text("utf-8")
    assert text == policy_schema(), "run: python -m orchestrator_plugin_host.schemas"
    whole = json.loads(text)
    for record in (whole, *whole["$defs"].values()):
        assert record["additionalProperties"] is False
        for name, about in record["properties"].items():
            assert about.get("description"), name


def test_an_editor_knows_the_keys_of_the_policies_in_the_documentation() -> None:
    page = (POLICY.parent / "policy.md").read_text("utf-8")
    examples = [
        tomllib.loads(found[1])
        for found in re.finditer(r"```toml\n(.*?)```", page, re.DOTALL)
        if "[plugins." in found[1] or "[[plugins." in found[1]
    ]
    assert examples
    whole = json.loads(POLICY.read_text("utf-8"))

    def known(value: Any, schema: dict[str, Any]) -> bool:
        for one in (schema, *schema.get("anyOf", ())):
            part = whole["$defs"][one["$ref"].removeprefix("#/$defs/")] if "$ref" in one else one
            if isinstance(value, dict) and part.get("type") == "object":
                others = part.get("additionalProperties")
                return all(
                    known(inner, part.get("properties", {}).get(key) or others or {"not": {}})
                    for key, inner in value.items()
                )
            if isinstance(value, list) and part.get("type") == "array" and "items" in part:
                return all(known(inner, part["items"]) for inner in value)
            if not isinstance(value, (dict, list)) and part.get("type") not in ("object", None):
                return True
        return "enum" in schema or "prefixItems" in str(schema)

    for example in examples:
        assert known(example, whole), example
    for misspelt in ({"htpp": []}, {"http": [{"url": "https://a.test", "method": ["GET"]}]}):
        assert not known({"plugins": {"a": misspelt}}, whole)


@EVERY_DOCUMENT
def test_a_file_is_named_and_ended_as_it_should_be(name: str) -> None:
    text = json_schemas()[f"{name}.json"]
    schema = json.loads(text)
    assert schema["title"] == name
    assert not {"$schema", "$id"} & schema.keys()
    assert text.endswith("}\n")


# --- valid ---------------------------------------------------------------------------------------

TYPES = {
    "null": lambda value: value is None,
    "boolean": lambda value: isinstance(value, bool),
    "integer": lambda value: type(value) is int,
    "number": lambda value: type(value) in (int, float),
    "string": lambda value: isinstance(value, str),
    "array": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, dict),
}
TEXT, FLAG, WHOLE, LIST, MAP = (
    TYPES[name] for name in ("string", "boolean", "integer", "array", "object")
)
KEYWORDS = {
    "$defs": MAP,
    "$ref": TEXT,
    "additionalProperties": lambda value: FLAG(value) or MAP(value),
    "anyOf": lambda value: LIST(value) and len(value) > 0,
    "const": TEXT,
    "default": lambda value: True,
    "description": TEXT,
    "enum": lambda value: LIST(value) and len(value) == len(set(value)) > 0,
    "format": lambda value: value == "binary",
    "items": MAP,
    "minimum": WHOLE,
    "properties": MAP,
    "required": lambda value: LIST(value) and len(value) == len(set(value)),
    "title": TEXT,
    "type": lambda value: value in TYPES,
}
"""The keywords of JSON Schema (2020-12) that these schemas have, and what may stand there."""


def parts(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A schema and every schema in it."""
    yield schema
    for keyword in ("$defs", "properties"):
        for part in schema.get(keyword, {}).values():
            yield from parts(part)
    for part in schema.get("anyOf", ()):
        yield from parts(part)
    for keyword in ("items", "additionalProperties"):
        if isinstance(schema.get(keyword), dict):
            yield from parts(schema[keyword])


@EVERY_DOCUMENT
def test_a_schema_is_a_valid_json_schema(name: str) -> None:
    whole = schema_of(name)
    for part in parts(whole):
        for keyword, value in part.items():
            assert KEYWORDS[keyword](value), (keyword, value)
        assert set(part.get("required", ())) <= part.get("properties", {}).keys()
        if "$ref" in part:
            assert part["$ref"].removeprefix("#/$defs/") in whole["$defs"]
        if "default" in part:
            assert fits(part["default"], part, whole)


@EVERY_DOCUMENT
def test_a_record_has_no_other_keys(name: str) -> None:
    records = [part for part in parts(schema_of(name)) if "properties" in part]
    assert records
    for record in records:
        assert record["type"] == "object"
        assert record["additionalProperties"] is False


# --- of one mind with the SDK --------------------------------------------------------------------


def fits(document: Any, schema: dict[str, Any], whole: dict[str, Any]) -> bool:
    """Whether plain data is valid under a schema made of `KEYWORDS`."""
    if "$ref" in schema:
        return fits(document, whole["$defs"][schema["$ref"].removeprefix("#/$defs/")], whole)
    if "anyOf" in schema:
        return any(fits(document, part, whole) for part in schema["anyOf"])
    if schema.get("format") == "binary":
        return isinstance(document, bytes)
    if "type" in schema and not TYPES[schema["type"]](document):
        return False
    if "const" in schema and document != schema["const"]:
        return False
    if "enum" in schema and document not in schema["enum"]:
        return False
    if "minimum" in schema and document < schema["minimum"]:
        return False
    if "items" in schema and not all(fits(item, schema["items"], whole) for item in document):
        return False
    if schema.get("type") == "object":
        known, others = schema.get("properties", {}), schema.get("additionalProperties", True)
        for key, value in document.items():
            part = known.get(key, others)
            if part is False or (part is not True and not fits(value, part, whole)):
                return False
        return document.keys() >= set(schema.get("required", ()))
    return True


@EVERY_DOCUMENT
@given(data=st.data())
def test_what_the_sdk_writes_is_valid(name: str, data: st.DataObject) -> None:
    document = to_document(data.draw(values_of(DOCUMENTS[name])))
    assert fits(document, schema_of(name), schema_of(name))


@EVERY_DOCUMENT
@given(data=st.data())
def test_what_the_sdk_reads_is_valid_and_the_rest_is_not(name: str, data: st.DataObject) -> None:
    document = data.draw(nearly(DOCUMENTS[name]) | PLAIN)
    valid = fits(document, schema_of(name), schema_of(name))
    try:
        from_document(DOCUMENTS[name], document)
    except DocumentError as error:
        # What is inside a bin, a schema can't say.
        of_bins = all("float32" in problem.message for problem in error.problems)
    else:
        assert valid
        return
    assert not valid or of_bins


INVALID: list[tuple[str, Any]] = [
    ("StreamEvent", {}),
    ("StreamEvent", {"text": "a"}),
    ("StreamEvent", {"type": "end", "text": "a"}),
    ("ModelRequest", {"messages": [{"role": "user", "content": [{"text": "a"}]}]}),
    ("ModelRequest", {"messages": [{"role": "robot"}]}),
    ("LogEvent", {"message": "m", "level": "fatal"}),
    ("Vectors", {"dims": -1, "data": b""}),
    ("Vectors", {"dims": 1, "data": ""}),
    ("ToolRunRequest", {"command": "a", "env": {"A": 1}}),
    ("PluginManifest", {}),
]


@pytest.mark.parametrize(("name", "document"), INVALID)
def test_what_is_not_valid(name: str, document: Any) -> None:
    assert not fits(document, schema_of(name), schema_of(name))
    with pytest.raises(DocumentError):
        from_document(DOCUMENTS[name], document)
