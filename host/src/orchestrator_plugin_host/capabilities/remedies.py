"""What to write where, in the words of every error that says it: into a manifest, or into a
policy."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterable
from typing import Final

NOT_ASKED: Final = "the manifest does not ask for it"
NOT_GRANTED: Final = "the policy does not grant it"

_BARE: Final = re.compile("[A-Za-z0-9_-]+")


def add_to_manifest(*lines: str) -> str:
    """Tells an author to add lines of TOML."""
    return f"add to plugin.toml\n{_indented(lines)}"


def add_to_policy(*lines: str) -> str:
    """Tells an operator to add lines of TOML."""
    return f"add to the policy\n{_indented(lines)}"


def not_asked(*lines: str) -> str:
    """Says that the manifest lacks something, and how to ask for it."""
    return f"{NOT_ASKED}: {add_to_manifest(*lines)}"


def not_granted(*lines: str) -> str:
    """Says that the policy lacks something, and how to grant it."""
    return f"{NOT_GRANTED}: {add_to_policy(*lines)}"


def lacking(*, asked: str | None, granted: str | None) -> str:
    """Says what manifest and policy lack: each is what to add there, or None where nothing is
    lacking."""
    parts = []
    if asked is not None:
        parts.append(not_asked(asked))
    if granted is not None:
        parts.append(not_granted(granted))
    return "\nand ".join(parts)


def _indented(lines: Iterable[str]) -> str:
    return textwrap.indent("\n".join(lines), "  ")


def table(plugin: str, *keys: str, many: bool = False) -> str:
    """The header of a table of a plugin's in a policy: `[plugins.NAME.KEY]`."""
    path = ".".join(["plugins", plugin, *map(toml_key, keys)])
    return f"[[{path}]]" if many else f"[{path}]"


def toml_text(value: str) -> str:
    """A basic string of TOML, which is what JSON's is but for one character."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def toml_key(name: str) -> str:
    """A key of TOML: whatever is in it, it is one, and opens no table of its own."""
    return name if _BARE.fullmatch(name) else toml_text(name)


def toml_list(values: Iterable[str]) -> str:
    """A list of texts."""
    return f"[{', '.join(map(toml_text, values))}]"


def toml_map(**values: int) -> str:
    """An inline table of numbers."""
    return f"{{ {', '.join(f'{name} = {value}' for name, value in values.items())} }}"
