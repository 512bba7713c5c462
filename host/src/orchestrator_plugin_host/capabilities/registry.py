"""The capabilities whose functions guests import: an interface of the contract each, and the folder
that answers it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from ..reach import Answer

FOLDERS: Final = {"http": "http", "files": "files"}
"""By the interface's short name. A folder's `answers.py` has the answers."""


@cache
def answers_of(interface: str) -> Mapping[str, Answer]:
    """What the functions of an interface answer, by their names. Imports the capability: who loads
    no plugin that uses it does without."""
    module = import_module(f".{FOLDERS[interface]}.answers", __package__)
    answers: Mapping[str, Answer] = module.ANSWERS
    return answers
