"""The capabilities there are. A name is that of the folder, of the table in manifest and policy, of
the attribute of a plugin's context, and of the interface of the contract, if it has one.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, Final, Self, cast

from pydantic import Field

from .capability import Answer, Capability
from .files.grant import FilesGrant
from .grant import Grant
from .http.grant import HttpGrant
from .kv.grant import KvGrant
from .secrets.grant import SecretGrant


class Grants(Grant):
    """What an operator grants. The default grants nothing."""

    http: tuple[HttpGrant, ...] = ()
    """Requests that may be made."""
    secrets: Mapping[str, SecretGrant] = Field(default_factory=dict)
    """Secrets, by the names that the manifest declares."""
    files: FilesGrant = Field(default_factory=FilesGrant)
    """Files that there are."""
    kv: KvGrant | None = None
    """Keys and values of its own that a plugin may keep."""

    def relative_to(self, folder: Path) -> Self:
        """As `Grant` says."""
        values = {name: _relative_to(folder, getattr(self, name)) for name in NAMES}
        return self.model_copy(update=values)

    def granted(self) -> tuple[str, ...]:
        """The names of the capabilities of which it grants anything."""
        nothing = Grants()
        return tuple(name for name in NAMES if getattr(self, name) != getattr(nothing, name))


NAMES: Final = tuple(Grants.model_fields)
"""The names of all capabilities, in the order that people see them in."""


def _relative_to(folder: Path, granted: Any) -> Any:
    if isinstance(granted, Mapping):
        return {name: one.relative_to(folder) for name, one in granted.items()}
    if isinstance(granted, tuple):
        return tuple(one.relative_to(folder) for one in granted)
    return granted if granted is None else granted.relative_to(folder)


# What follows imports a capability when it is used: who loads no plugin that uses it does without.


@cache
def capability(name: str) -> Capability:
    """A capability by its name: what its folder's `capability.py` has."""
    return cast("Capability", import_module(f".{name}.capability", __package__).CAPABILITY)


@cache
def answers_of(interface: str) -> Mapping[str, Answer]:
    """What the functions of an interface answer, by their names: what its folder's `answers.py`
    has."""
    answers: Mapping[str, Answer] = import_module(f".{interface}.answers", __package__).ANSWERS
    return answers
