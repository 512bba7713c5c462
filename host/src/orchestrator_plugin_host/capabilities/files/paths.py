"""Paths as plugins write them: checked, and taken apart, before anything is looked up."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal

from orchestrator_plugin_sdk.errors import ErrorKind, PluginCallError
from orchestrator_plugin_sdk.visible import hides, quoted

Root = Literal["data", "artifacts", "folders"]
ROOTS: Final[tuple[Root, ...]] = ("data", "artifacts", "folders")

MAX_NAME_BYTES: Final = 255
"""Bytes of one name, in UTF-8."""
MAX_DEPTH: Final = 32
"""Names below a root."""
_SHOWN: Final = 200
_FOLDER: Final = re.compile("[a-z0-9]+(-[a-z0-9]+)*")
"""The name of a folder of the operator's, as manifests have it."""


@dataclass(frozen=True, slots=True)
class PluginPath:
    """A path of a plugin's: its root, and the names below that. `text` is how it was written."""

    root: Root
    names: tuple[str, ...]
    text: str

    @classmethod
    def parse(cls, text: str) -> PluginPath:
        """Takes a path apart. Raises `PluginCallError` of the kind `invalid-request`."""
        if not isinstance(text, str):
            raise PluginCallError(
                ErrorKind.INVALID_REQUEST, f"expected a path, got a {type(text).__name__}"
            )
        if len(text) > (MAX_DEPTH + 2) * (MAX_NAME_BYTES + 1):
            raise refused(text, f"it is longer than {MAX_DEPTH} names can be")
        root, *names = text.split("/")
        if root not in ROOTS:
            raise refused(text, f"it begins with none of {', '.join(ROOTS)}")
        # The name of a folder of the operator's is no name below it.
        if len(names) - (root == "folders") > MAX_DEPTH:
            raise refused(text, f"it is deeper than {MAX_DEPTH} names")
        for name in names:
            fault = fault_of(name)
            if fault is not None:
                raise refused(text, fault)
        if root == "folders" and names and not _FOLDER.fullmatch(names[0]):
            # What a denial repeats, an operator may copy into a policy.
            raise refused(text, "folders have names of lower-case letters, digits and dashes")
        return cls(root, tuple(names), text)

    def __str__(self) -> str:
        return shown(self.text)

    def below(self) -> PluginPath:
        """The path within a folder of the operator's, whose name is the first."""
        return PluginPath(self.root, self.names[1:], self.text)


def shown(text: str) -> str:
    """A path as messages show it."""
    return quoted(text, _SHOWN)


def refused(text: str, why: str) -> PluginCallError:
    """The error of a path, or of a use of it, that makes no sense."""
    return PluginCallError(ErrorKind.INVALID_REQUEST, f"the path {shown(text)}: {why}")


def fault_of(name: str) -> str | None:
    """What is wrong with the name of a file or folder; `None` if nothing is."""
    if name in ("", ".", ".."):
        return f"{name!r} is no name"
    if "\\" in name:
        return "no name has a backslash"
    try:
        size = len(name.encode())
    except UnicodeEncodeError:
        return "a name is not Unicode"
    if size > MAX_NAME_BYTES:
        return f"a name has more than {MAX_NAME_BYTES} bytes"
    if hides(name):
        return (
            "a name has a character that shows nothing or drives a terminal (a control character, "
            "a line break, a bidirectional mark, a zero-width character): leave it out"
        )
    return None
