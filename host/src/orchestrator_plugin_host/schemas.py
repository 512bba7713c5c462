"""JSON Schemas of every document of the contract, for other languages and for people.

They are made from the SDK's types and committed in `wit/schemas/`; a test says they are current.
`python -m orchestrator_plugin_host.schemas [DIRECTORY]` writes them anew.

A document is MessagePack, so two things have no word in JSON Schema: `bin` is a string of the
format `binary`, and integers have 64 bits.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from orchestrator_plugin_sdk.contract import DOCUMENTS
from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema


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


def main(arguments: Sequence[str]) -> None:
    """Writes every schema to the folder given, or to `wit/schemas`."""
    directory = Path(arguments[0] if arguments else "wit/schemas")
    directory.mkdir(parents=True, exist_ok=True)
    for name, text in json_schemas().items():
        (directory / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
