"""The capabilities there are. A name is that of the folder, of the table in manifest and policy, of
the attribute of a plugin's context, and of the interface of the contract."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, Final

from ..errors import Problem
from ..visible import shown_key
from .checking import problems_of_identifier
from .files import Files, FilesRequirement
from .http import Http, HttpRequirement
from .kv import Kv, KvRequirement
from .secrets import SecretRequirement


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirements:
    """What a plugin's manifest asks for."""

    http: tuple[HttpRequirement, ...] = ()
    secrets: Mapping[str, SecretRequirement] = field(default_factory=dict)
    files: FilesRequirement = field(default_factory=FilesRequirement)
    kv: KvRequirement | None = None

    def requirement_problems(self) -> Iterator[Problem]:
        """What is not valid of any of it."""
        for one in fields(Requirements):
            yield from _problems(one.name, getattr(self, one.name))


@dataclass(frozen=True, slots=True, kw_only=True)
class Reached:
    """What a plugin's context has. Each refuses everything unless the host gives access to it."""

    http: Http = field(default=Http(), repr=False)  # frozen
    files: Files = field(default=Files(), repr=False)  # frozen
    kv: Kv = field(default=Kv(), repr=False)  # frozen
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)


REACHED_BY_ACCESS: Final[Mapping[str, Callable[[Any], Any]]] = {
    one.name: type(one.default) for one in fields(Reached) if one.default is not MISSING
}
"""What is made of an access to it: `Http` of an `HttpTransport`, `Files` of a `FileAccess`."""


def problems_of_table(path: str, table: Mapping[str, Any]) -> Iterator[Problem]:
    """What is not valid of requirements by names that the author chose, and of the names."""
    for name, one in table.items():
        at = f"{path}.{shown_key(name)}"
        yield from problems_of_identifier(at, name)
        yield from one.problems(at)


def _problems(path: str, asked: Any) -> Iterator[Problem]:
    if isinstance(asked, Mapping):
        yield from problems_of_table(path, asked)
    elif isinstance(asked, tuple):
        for i, one in enumerate(asked):
            yield from one.problems(f"{path}[{i}]")
    elif asked is not None:
        yield from asked.problems(path)
