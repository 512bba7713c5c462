"""The JSON of a request, written a bounded piece at a time: a document may have a hundred thousand
values, or one text of megabytes, and others have the event loop meanwhile.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from json.encoder import encode_basestring as quoted
from typing import Any, Final

from orchestrator_plugin_sdk.capabilities.secrets import pointer_to

BATCH: Final = 256
"""Values that are written at once."""
_PIECE: Final = 65_536
"""Characters of a text that are written at once."""
_MAX_DEPTH: Final = 500


def references(
    document: Any, named: Callable[[str], str | None]
) -> Iterator[tuple[str, str] | None]:
    """The texts that are values in a document and `named` has a name for: those names, and the JSON
    pointers to where they are. Gives None after each `BATCH` of values."""
    begun: list[Iterator[tuple[Any, Any]]] = [iter([(None, document)])]
    keys: list[Any] = []
    looked_at = 0
    while begun:
        for key, value in begun[-1]:
            looked_at += 1
            if looked_at % BATCH == 0:
                yield None
            if isinstance(value, str):
                name = named(value)
                if name is not None:
                    yield name, pointer_to(*keys[1:], *([] if not keys else [key]))
            elif isinstance(value, (Mapping, list, tuple)):
                inside = value.items() if isinstance(value, Mapping) else enumerate(value)
                begun.append(iter(inside))
                keys.append(key)
                break
        else:
            begun.pop()
            if keys:
                keys.pop()


def written(document: Any, replaced: Callable[[str], str]) -> Iterator[str]:
    """A document as JSON, in pieces. Each text that is a value is `replaced` first.

    Raises `ValueError` for what is no JSON.
    """
    made: list[str] = []
    begun: list[_Begun] = []
    value = document
    while True:
        if isinstance(value, str):
            text = replaced(value)
            made.append('"')
            for start in range(0, len(text), _PIECE):
                if start:
                    yield "".join(made)
                    made.clear()
                made.append(quoted(text[start : start + _PIECE])[1:-1])
            made.append('"')
        elif isinstance(value, Mapping):
            begun.append(_Begun(iter(value.items()), "}"))
            made.append("{")
        elif isinstance(value, (list, tuple)):
            begun.append(_Begun(iter(value), "]"))
            made.append("[")
        else:
            made.append(_scalar(value))
        if len(begun) > _MAX_DEPTH:
            raise ValueError("the document nests too deep")
        while begun and (value := begun[-1].step(made)) is _OVER:
            begun.pop()
        if not begun:
            yield "".join(made)
            return
        if len(made) > BATCH:
            yield "".join(made)
            made.clear()


_OVER: Final[Any] = object()


class _Begun:
    """A map or list whose beginning is written."""

    __slots__ = ("_end", "_first", "_items")

    def __init__(self, items: Iterator[Any], end: str) -> None:
        self._items = items
        self._end = end
        self._first = True

    def step(self, made: list[str]) -> Any:
        """The next value in it, with what is before it written; or `_OVER`, with the end."""
        item: Any = next(self._items, _OVER)
        if item is _OVER:
            made.append(self._end)
            return item
        if not self._first:
            made.append(",")
        self._first = False
        if self._end == "]":
            return item
        key, value = item
        made.append(f"{_key(key)}:")
        return value


def _key(key: Any) -> str:
    if not isinstance(key, str):
        return f'"{_scalar(key)}"'
    if len(key) > _PIECE:
        raise ValueError("a key is too long")
    return quoted(key)


def _scalar(value: Any) -> str:
    if value is None:
        return "null"
    if value is True:
        return "true"
    if value is False:
        return "false"
    if isinstance(value, int):
        return int.__repr__(value)
    if isinstance(value, float) and math.isfinite(value):
        return float.__repr__(value)
    raise ValueError(f"a {type(value).__name__} is no JSON")
