"""The beginning of a component: its imports, with the types that they are of.

Toolchains write imports first. So the outer component can begin with the same bytes, and has
imports of the same types, whatever those are; the rest of a component need not be read for that.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Final

from ...binary import Cursor
from ...componentize.encoding import FUNC, INSTANCE, TYPE
from ...errors import InvalidComponentError

_CUSTOM, _CORE_TYPE, _ALIAS, _TYPE, _IMPORT = 0, 3, 6, 7, 10
_COMPONENT: Final = b"\x04"
_CORE_TYPE_SORT: Final = b"\x00\x10"
_CORE_MODULE: Final = b"\x00\x11"
_IMPORTED: Final = {0: _CORE_MODULE, 1: FUNC, 3: TYPE, 4: _COMPONENT, 5: INSTANCE}
"""What an import defines, by the first byte of its description."""
_MAX_READ: Final = 20_000
"""Aliases and imports that are read."""


@dataclass(frozen=True, slots=True)
class Prefix:
    """`data` is the sections of a component up to its last import, without custom ones; `counts`,
    how many definitions of each sort they make; `imports`, the index of each imported instance."""

    data: bytes
    counts: Counter[bytes]
    imports: dict[str, int]


def read_prefix(data: bytes) -> Prefix:
    """The beginning of a component.

    Raises `InvalidComponentError` if it can't be read, or other definitions stand before imports.
    """
    return _Reader(data).prefix


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._counts: Counter[bytes] = Counter()
        self._imports: dict[str, int] = {}
        self._read = 0
        self.prefix = Prefix(b"", Counter(), {})
        kept: list[bytes] = []
        only_imports = True
        cursor = Cursor(data, 8, len(data))
        while cursor.at < cursor.end:
            start = cursor.at
            kind, body = cursor.byte(), cursor.take(cursor.unsigned())
            if kind == _CUSTOM:
                continue
            if kind == _IMPORT and not only_imports:
                raise InvalidComponentError(
                    "the component imports something after it has defined modules, instances or "
                    "functions: its imports must come first, as toolchains write them"
                )
            only_imports = only_imports and self._section(kind, body)
            if only_imports:
                kept.append(data[start : cursor.at])
            if kind == _IMPORT:
                self.prefix = Prefix(b"".join(kept), self._counts.copy(), dict(self._imports))

    def _section(self, kind: int, body: Cursor) -> bool:
        """Counts what a section defines. Whether it is one that may stand before an import."""
        if kind == _TYPE:
            self._counts[TYPE] += body.unsigned()
        elif kind == _CORE_TYPE:
            self._counts[_CORE_TYPE_SORT] += body.unsigned()
        elif kind in (_ALIAS, _IMPORT):
            for _ in range(body.unsigned()):
                self._read += 1
                if self._read > _MAX_READ:
                    raise InvalidComponentError(
                        f"the component has more than {_MAX_READ:,} imports and aliases before "
                        "its first definition"
                    )
                (self._alias if kind == _ALIAS else self._import)(body)
        else:
            return False
        return True

    def _alias(self, body: Cursor) -> None:
        first = body.byte()
        sort = bytes([first, body.byte()]) if first == 0 else bytes([first])
        target = body.byte()
        body.unsigned()  # the instance, or the component around this one
        if target == 2:
            body.unsigned()
        else:
            body.take(body.unsigned())
        self._counts[sort] += 1

    def _import(self, body: Cursor) -> None:
        if body.byte() > 1:
            raise InvalidComponentError(
                "the component names an import in a way that this host does not read"
            )
        name, kind = body.name(), body.byte()
        if kind not in _IMPORTED:
            raise InvalidComponentError("the component imports an unknown kind of thing")
        if kind == 0:
            body.byte()
        if kind != 3 or body.byte() == 0:
            body.unsigned()
        if kind == 5:
            self._imports[name] = self._counts[INSTANCE]
        self._counts[_IMPORTED[kind]] += 1
