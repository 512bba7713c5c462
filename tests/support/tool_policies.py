"""The cases of `wit/vectors/tool-policy.json`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from orchestrator_plugin_sdk import ToolPolicy, from_document

FILE = Path(__file__).parents[2] / "wit" / "vectors" / "tool-policy.json"


def cases() -> dict[str, tuple[ToolPolicy, str, bool]]:
    """By name: a policy, a command, and whether the policy allows it."""
    read = json.loads(FILE.read_text("utf-8"))["cases"]
    found = {
        one["name"]: (_policy(one["policy"]), _text(one["command"]), one["allowed"]) for one in read
    }
    assert len(found) == len(read), "a name is there twice"
    return found


def _policy(document: Mapping[str, Any]) -> ToolPolicy:
    texts = {
        key: list(map(_text, value)) if key.endswith("_commands") else value
        for key, value in document.items()
    }
    return from_document(ToolPolicy, texts)


def _text(value: str | Sequence[Any]) -> str:
    return value if isinstance(value, str) else "".join(part * times for part, times in value)
