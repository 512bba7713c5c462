"""What the requirements of several capabilities are checked for."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

from ..errors import Problem
from ..origins import OriginPattern
from ..visible import quoted

_NAME: Final = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_IDENTIFIER: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}", re.ASCII)


def is_name(text: str) -> bool:
    """Whether it is a name as plugins and folders have: lower-case letters and digits with single
    dashes, at most 64 characters."""
    return _NAME.fullmatch(text) is not None and len(text) <= 64


def problems_of_folder(path: str, name: str) -> Iterator[Problem]:
    """What is not valid of the name of a folder."""
    if not is_name(name):
        yield Problem(
            path,
            f"expected lower-case letters and digits with single dashes, got {quoted(name)}",
        )


def problems_of_identifier(path: str, name: str) -> Iterator[Problem]:
    """What is not valid of the name of a secret, or of a field of the config."""
    if not _IDENTIFIER.fullmatch(name):
        yield Problem(path, "expected a name of letters, digits, underscores and dashes")


def problems_of_urls(path: str, urls: Iterable[str]) -> Iterator[Problem]:
    """What is not valid of patterns of origins."""
    for url in urls:
        try:
            OriginPattern.parse(url)
        except ValueError as error:
            yield Problem(path, str(error))
