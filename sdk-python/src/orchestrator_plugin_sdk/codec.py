"""Documents: SDK values as plain data, plain data as MessagePack, and back to plain data.

::

    SDK value  --to_document-->  dict, list, str …  --pack-->    bytes
    SDK value  <-from_document-  dict, list, str …  <-unpack--   bytes

The rules of a document are those of `types.payload` in the WIT contract; `from_document` is in
`schema`. Nothing here needs more than the standard library and `msgpack`, so it runs in any guest.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any, cast

import msgpack

from .errors import DocumentError
from .vectors import Vector, Vectors

MAX_DEPTH = 64
"""How deep a document may nest."""
MAX_CONTAINERS = 200_000
"""How many maps and lists a document may have: in Python one costs a hundred times its bytes."""
MAX_LENGTH = 2_000_000
"""How many items a map or list of a document may have."""

_SCALARS = (str, int, float, bytes)


def to_document(value: Any, depth: int = MAX_DEPTH) -> Any:
    """An SDK value as plain data: maps, lists, strings, numbers, bytes, booleans, none.

    Raises `DocumentError` for what has no place in a document (another type, a key that isn't a
    string, more than `MAX_DEPTH` levels).
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, _SCALARS):
        return value
    if isinstance(value, Vector):
        return value.data
    if depth == 0:
        raise DocumentError(f"a document may nest {MAX_DEPTH} deep; this is deeper")
    if isinstance(value, Vectors):
        return {"dims": value.dims, "data": value.data}
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: to_document(getattr(value, f.name), depth - 1) for f in fields(value)}
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                raise DocumentError(f"keys of a map are strings; {key!r} is not")
        return {key: to_document(item, depth - 1) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_document(item, depth - 1) for item in value]
    raise DocumentError(
        f"a {type(value).__name__} can't be in a document: use strings, numbers, booleans, "
        "bytes, none, lists and maps"
    )


def pack(document: Any) -> bytes:
    """Plain data as MessagePack. Raises `DocumentError` for what MessagePack can't hold."""
    try:
        return cast("bytes", msgpack.packb(document, use_bin_type=True))
    except (TypeError, ValueError, OverflowError, RecursionError, UnicodeError) as error:
        raise DocumentError(f"can't be written as MessagePack: {error}") from None


def unpack(data: bytes) -> Any:
    """MessagePack as plain data. Raises `DocumentError` for whatever the rules forbid."""
    containers = _Containers()
    # msgpack makes a list as long as its header says before it has read one item: a few bytes
    # would cost megabytes, many times over in lists that nest.
    length = min(MAX_LENGTH, len(data))
    try:
        document = msgpack.unpackb(
            data,
            raw=False,
            strict_map_key=True,
            object_pairs_hook=containers.map,
            list_hook=containers.list,
            ext_hook=_no_ext,
            max_array_len=length,
            max_map_len=length,
        )
    except DocumentError:
        raise
    except (ValueError, TypeError, RecursionError, OverflowError, MemoryError) as error:
        # ValueError is also the base of msgpack's own errors: format, extra data, stack.
        reason = str(error) or type(error).__name__
        raise DocumentError(f"is not a MessagePack document: {reason}") from None
    _check_nodes(document)
    return document


class _Containers:
    """Makes the maps and lists of a document, and counts them."""

    def __init__(self) -> None:
        self._made = 0

    def _count(self) -> None:
        self._made += 1
        if self._made > MAX_CONTAINERS:
            raise DocumentError(
                f"a document may have {MAX_CONTAINERS:,} maps and lists; this has more"
            )

    def list(self, items: list[Any]) -> list[Any]:
        self._count()
        return items

    def map(self, pairs: Iterable[tuple[Any, Any]]) -> dict[str, Any]:
        self._count()
        return _strict_map(pairs)


_NODES = (dict, list, msgpack.Timestamp)


def _check_nodes(document: Any) -> None:
    """Refuses more than `MAX_DEPTH` levels, and timestamps, which msgpack gives to no hook."""
    level, depth = [document], 0
    while level:
        deeper: list[Any] = []
        for node in level:
            if isinstance(node, msgpack.Timestamp):
                _no_ext(-1, b"")
            if isinstance(node, (dict, list)):
                if depth == MAX_DEPTH:
                    raise DocumentError(f"a document may nest {MAX_DEPTH} deep; this is deeper")
                inside = node.values() if isinstance(node, dict) else node
                deeper.extend(item for item in inside if isinstance(item, _NODES))
        level, depth = deeper, depth + 1


def _strict_map(pairs: Iterable[tuple[Any, Any]]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for key, value in pairs:
        if type(key) is not str:
            raise DocumentError("keys of a map are strings; this document has another")
        if key in made:
            raise DocumentError(f"keys of a map appear once; {key!r} is there twice")
        made[key] = value
    return made


def _no_ext(code: int, data: bytes) -> Any:
    raise DocumentError(f"extension types are not used; this document has type {code}")
