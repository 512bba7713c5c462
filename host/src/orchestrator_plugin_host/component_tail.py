"""Exports that the host adds to a component before it is compiled: functions that drop resources.

wasmtime runs a guest's destructor on a fiber only within a call of an exported function. So the
host appends one function for each resource that the component's world exports. It takes an owned
handle and drops it, and is lifted straight from `resource.drop`: no core module, no core instance
and no memory come with it.

To refer to the exported instance, and to its own definitions, the tail must know how many things
the component defines already. `_Indices` counts them while reading the component's sections, in the
format of `Binary.md` of the component model. Whatever else is invalid is left to the compiler,
which validates the whole.
"""

from __future__ import annotations

from collections import Counter
from typing import Final

from .binary import Cursor, index_type, section, sized, unsigned
from .errors import InvalidComponentError
from .wit import World

_CORE_FUNC: Final = 0x100
_FUNC, _TYPE, _INSTANCE = 1, 3, 5
"""Sorts by their numbers in the format. A core sort is 0x100 plus its own number."""
_WHOLE: Final = {1: 0x111, 4: 4}
"""Sections that define one core module, or one component."""
_LISTS: Final = {2: 0x112, 3: 0x110, 5: _INSTANCE, 7: _TYPE}
"""Sections of a list whose items define one thing each, all of one sort."""
_IMPORTED: Final = {0: 0x111, 1: _FUNC, 3: _TYPE, 4: 4, 5: _INSTANCE}
"""What an import defines, by the first byte of its description."""
_MAX_READ: Final = 20_000
"""Sections, aliases, functions, imports and exports that are read. The largest component of a
Python guest has some 1,500 of them."""


def drop_export(resource: str) -> str:
    """The name of the export that drops a resource, such as `drop-event-stream`."""
    return f"drop-{resource}"


def with_drops(data: bytes, world: World) -> bytes:
    """A component with one more export for each resource of `world`: a function named as
    `drop_export` says, of the type `func(handle: own<resource>)`.

    Returns `data` itself where the world has no resource, or the component does not export the
    resource's interface: comparing it with its world says that better. Raises
    `InvalidComponentError` for a component that can't be read.
    """
    wanted = [
        (interface.name, resource)
        for interface in world.exports.values()
        for resource in sorted(interface.resources)
    ]
    if not wanted:
        return data
    indices = _Indices(data)
    tails = [
        _drop(indices, indices.exported[interface], resource)
        for interface, resource in wanted
        if interface in indices.exported
    ]
    return b"".join([data, *tails]) if tails else data


def _drop(indices: _Indices, instance: int, resource: str) -> bytes:
    """The sections of one such function."""
    aliased, owned, kind = (indices.next(_TYPE) for _ in range(3))
    core, function = indices.next(_CORE_FUNC), indices.next(_FUNC)
    indices.next(_FUNC)  # an export is a definition, too
    alias = bytes([_TYPE, 0]) + unsigned(instance) + sized(resource.encode())
    own_type = b"\x69" + unsigned(aliased)
    func_type = b"\x40\x01" + sized(b"handle") + index_type(owned) + b"\x01\x00"
    dropped = b"\x03" + unsigned(aliased)
    lifted = b"\x00\x00" + unsigned(core) + b"\x00" + unsigned(kind)
    name = b"\x00" + sized(drop_export(resource).encode())
    export = name + bytes([_FUNC]) + unsigned(function) + b"\x00"
    return b"".join(
        [
            section(6, b"\x01" + alias),
            section(7, b"\x02" + own_type + func_type),
            section(8, b"\x02" + dropped + lifted),
            section(11, b"\x01" + export),
        ]
    )


class _Indices:
    """How many things of each sort a component defines, and which instances it exports."""

    def __init__(self, data: bytes) -> None:
        self._counts: Counter[int] = Counter()
        self._read = 0
        self.exported: dict[str, int] = {}
        readers = {6: self._alias, 8: self._canonical, 10: self._import, 11: self._export}
        for kind, body in Cursor(data, 8, len(data)).sections():
            self._count_read()
            if kind in _WHOLE:
                self.next(_WHOLE[kind])
            elif kind in _LISTS:
                self._counts[_LISTS[kind]] += body.unsigned()
            elif kind in readers:
                for _ in range(body.unsigned()):
                    self._count_read()
                    readers[kind](body)
            elif kind != 0:
                raise InvalidComponentError(
                    f"the component has a section of kind {kind}, which this host does not read"
                )

    def next(self, sort: int) -> int:
        """The index of one more definition of this sort."""
        self._counts[sort] += 1
        return self._counts[sort] - 1

    def _count_read(self) -> None:
        self._read += 1
        if self._read > _MAX_READ:
            raise InvalidComponentError(
                f"the component has more than {_MAX_READ:,} sections, aliases, functions, imports "
                "and exports"
            )

    def _sort(self, body: Cursor) -> int:
        sort = body.byte()
        return sort or 0x100 + body.byte()

    def _alias(self, body: Cursor) -> None:
        sort, target = self._sort(body), body.byte()
        body.unsigned()  # the instance, or the component around this one
        if target == 2:
            body.unsigned()
        else:
            body.take(body.unsigned())
        self.next(sort)

    def _canonical(self, body: Cursor) -> None:
        kind = body.byte()
        if kind in (0, 1):  # lift and lower
            body.byte()
            body.unsigned()
            self._options(body)
        elif kind not in (2, 3, 4):  # those that make, drop and look into a resource
            raise InvalidComponentError(
                "the component uses asynchronous functions or threads, which this host does not "
                "support"
            )
        if kind != 1:
            body.unsigned()
        self.next(_FUNC if kind == 0 else _CORE_FUNC)

    def _options(self, body: Cursor) -> None:
        for _ in range(body.unsigned()):
            self._count_read()
            if body.byte() in (3, 4, 5, 7, 8):  # a memory, a function, a type
                body.unsigned()

    def _name(self, body: Cursor) -> str:
        if body.byte() > 1:
            raise InvalidComponentError(
                "the component names an import or export in a way that this host does not read"
            )
        return body.name()

    def _import(self, body: Cursor) -> None:
        self._name(body)
        self.next(self._described(body))

    def _described(self, body: Cursor) -> int:
        kind = body.byte()
        if kind not in _IMPORTED:
            raise InvalidComponentError("the component imports or exports an unknown kind of thing")
        if kind == 0:
            body.byte()
        if kind != 3 or body.byte() == 0:
            body.unsigned()
        return _IMPORTED[kind]

    def _export(self, body: Cursor) -> None:
        name, sort = self._name(body), self._sort(body)
        body.unsigned()
        if body.byte():
            self._described(body)
        index = self.next(sort)
        if sort == _INSTANCE:
            self.exported[name] = index
