"""A core module's bytes, read for what it imports and exports."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from ..binary import MAGIC, MODULE, Cursor
from ..errors import InvalidComponentError, PluginBuildError
from .abi import Signature

_VALUES: Final = {0x7F: "i32", 0x7E: "i64", 0x7D: "f32", 0x7C: "f64", 0x7B: "v128"}
_KINDS: Final = ("function", "table", "memory", "global", "tag")


@dataclass(slots=True)
class CoreModule:
    """What a core module imports, by the names of module and field, and what it exports. Of a
    function its type is known, of all else the kind."""

    imports: dict[tuple[str, str], Signature | str] = field(default_factory=dict)
    exports: dict[str, Signature | str] = field(default_factory=dict)


def read_core(data: bytes) -> CoreModule:
    """Reads a core module. Raises `PluginBuildError` for what isn't one, or imports a function
    twice."""
    if data[:8] != MAGIC + MODULE:
        raise PluginBuildError("what was compiled is not a core WebAssembly module")
    try:
        return _read(Cursor(data, 8, len(data), "core module"))
    except InvalidComponentError as error:
        raise PluginBuildError(str(error)) from None


def _read(cursor: Cursor) -> CoreModule:
    module = CoreModule()
    types: list[Signature] = []
    functions: list[Signature] = []
    for kind, body in cursor.sections():
        if kind == 1:
            types = list(_types(body))
        elif kind == 2:
            _imports(body, types, functions, module)
        elif kind == 3:
            functions += [_at(types, body.unsigned()) for _ in range(body.unsigned())]
        elif kind == 7:
            for _ in range(body.unsigned()):
                name, sort, index = body.name(), body.byte(), body.unsigned()
                module.exports[name] = _at(functions, index) if sort == 0 else _kind(sort)
    return module


def _types(body: Cursor) -> Iterator[Signature]:
    for _ in range(body.unsigned()):
        if body.byte() != 0x60:
            raise PluginBuildError(
                "the core module has types of garbage-collected values, which this host does not "
                "run: compile it without them"
            )
        params = tuple(_value(body) for _ in range(body.unsigned()))
        yield Signature(params, tuple(_value(body) for _ in range(body.unsigned())))


def _value(body: Cursor) -> str:
    return _VALUES.get(body.byte(), "a reference")


def _imports(
    body: Cursor, types: list[Signature], functions: list[Signature], module: CoreModule
) -> None:
    for _ in range(body.unsigned()):
        name = body.name(), body.name()
        sort = body.byte()
        if name in module.imports:
            raise PluginBuildError(
                f"the core module imports {name[1]!r} of {name[0]!r} twice: once is enough"
            )
        if sort == 0:
            functions.append(_at(types, body.unsigned()))
            module.imports[name] = functions[-1]
            continue
        module.imports[name] = _kind(sort)
        if sort in (1, 3, 4):  # a table's type, a global's, a tag's: a byte before what follows
            body.byte()
        if sort in (1, 2):
            limits = body.byte()
            for _ in range(1 + limits % 2):
                body.unsigned()
        elif sort == 3:
            body.byte()
        else:
            body.unsigned()


def _kind(sort: int) -> str:
    if sort >= len(_KINDS):
        raise PluginBuildError("the core module imports or exports an unknown kind of thing")
    return _KINDS[sort]


def _at(several: list[Signature], index: int) -> Signature:
    if index >= len(several):
        raise PluginBuildError("the core module is malformed: an index leads nowhere")
    return several[index]
