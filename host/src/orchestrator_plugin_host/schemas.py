"""JSON Schemas of every document of the contract, and of policy files.

They are for other languages, for editors and for people. Those of documents are made from the SDK's
types and committed in `wit/schemas/`; that of policy files, in `docs/policy.schema.json`. A test
says that they are current. `python -m orchestrator_plugin_host.schemas [DIRECTORY]` writes them
anew.

A document is MessagePack, so two things have no word in JSON Schema: `bin` is a string of the
format `binary`, and integers have 64 bits.
"""

from __future__ import annotations

import ast
import inspect
import json
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from orchestrator_plugin_sdk.contract import DOCUMENTS
from pydantic import BaseModel, TypeAdapter
from pydantic.json_schema import GenerateJsonSchema

from .policy import PolicyFile


class _StrictSchema(GenerateJsonSchema):
    """Says what the SDK's `from_document` does: no unknown keys, and a union's tag is required."""

    def dataclass_schema(self, schema: Any) -> dict[str, Any]:
        made = super().dataclass_schema(schema)
        made["additionalProperties"] = False
        for name, about in made["properties"].items():
            if "const" in about:
                about.pop("default", None)
                made["required"] = [*made.get("required", ()), name]
        return made

    def field_title_should_be_set(self, schema: Any) -> bool:
        """Never: it would only repeat the key."""
        return False


def json_schemas() -> dict[str, str]:
    """The text of each schema by the name of its file, `<Name>.json`."""
    return {f"{name}.json": _schema(name, wanted) for name, wanted in DOCUMENTS.items()}


def _schema(name: str, wanted: Any) -> str:
    made = TypeAdapter(wanted).json_schema(schema_generator=_StrictSchema)
    made.pop("title", None)
    return json.dumps({"title": name, **made}, indent=2, ensure_ascii=False) + "\n"


class _DescribedSchema(GenerateJsonSchema):
    """Says of each field what its docstring does."""

    def model_schema(self, schema: Any) -> dict[str, Any]:
        made = super().model_schema(schema)
        for name, text in _docstrings(schema["cls"]).items():
            field = schema["cls"].model_fields.get(name)
            about = made.get("properties", {}).get(field and (field.alias or name))
            if about is not None:
                about["description"] = text
        return made

    def field_title_should_be_set(self, schema: Any) -> bool:
        """Never: it would only repeat the key."""
        return False


def _docstrings(model: type[BaseModel]) -> dict[str, str]:
    """The docstrings of a model's fields, and of those that it inherits."""
    found: dict[str, str] = {}
    for base in model.__bases__:
        if issubclass(base, BaseModel) and base is not BaseModel:
            found |= _docstrings(base)
    (body,) = ast.parse(textwrap.dedent(inspect.getsource(model))).body
    assert isinstance(body, ast.ClassDef)
    for field, text in zip(body.body, body.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr):
            assert isinstance(field.target, ast.Name)
            found[field.target.id] = inspect.cleandoc(ast.literal_eval(text.value))
    return found


def policy_schema() -> str:
    """The text of the schema of policy files. Editors complete and check TOML by it."""
    made = PolicyFile.model_json_schema(schema_generator=_DescribedSchema)
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Policy"}
    return json.dumps({**made, **head}, indent=2, ensure_ascii=False) + "\n"


def main(arguments: Sequence[str]) -> None:
    """Writes every schema of a document to the folder given. Without one, to `wit/schemas`, and
    that of policy files to `docs`."""
    directory = Path(arguments[0] if arguments else "wit/schemas")
    directory.mkdir(parents=True, exist_ok=True)
    for name, text in json_schemas().items():
        (directory / name).write_text(text, encoding="utf-8")
    if not arguments:
        Path("docs/policy.schema.json").write_text(policy_schema(), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
