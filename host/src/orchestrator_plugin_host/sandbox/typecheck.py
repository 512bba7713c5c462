"""Whether a compiled component is of one of our worlds, type for type.

wasmtime links by name and converts by the guest's types: a guest that exports a function of the
right name and another type would have its numbers read as addresses. So every function of a
component is compared with the contract, recursively, before any of it runs.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

from wasmtime import Engine
from wasmtime import component as wt

from ..wit import (
    EnumType,
    FlagsType,
    Function,
    HandleType,
    Interface,
    ListType,
    OptionType,
    Primitive,
    RecordType,
    ResultType,
    TupleType,
    Type,
    VariantType,
    World,
    full_name,
    read_contract,
)
from .adapters import ROOM_INTERFACE, guest_export

_MAX_DEPTH: Final = 16
_MAX_NODES: Final = 500
_MAX_ITEMS: Final = 1_000
_MAX_SHOWN: Final = 400
"""Of a type, how deep it may nest and how many types it may be made of; imports, exports and items
of an interface; characters of a type or a name that an error repeats."""


class ComponentTypeError(Exception):
    """The component is not of the world it should be. The message says where it differs."""


def check_component(
    engine: Engine, component: wt.Component, world: World, wasi: Collection[str]
) -> None:
    """Raises `ComponentTypeError` unless the component's imports are among the world's and its
    exports are the world's, with the same types.

    It may also import the interfaces of `wasi`; wasmtime, which implements them, compares their
    types itself when it makes an instance. The first difference ends the comparison, and names are
    compared before types: apart from listing what there is, it takes as long as the contract is.
    The compiler's process makes it first, so that what is compared again elsewhere has passed it.
    """
    types = full_name("types")
    allowed = {**world.imports, types: read_contract().interfaces[types]}
    for name, item in _items("the component", component.type.imports(engine)).items():
        if name in wasi and isinstance(item, wt.ComponentInstanceType):
            continue
        if name == ROOM_INTERFACE:  # the adapters', whose type is the host's own
            continue
        if name not in allowed:
            raise ComponentTypeError(f"it imports {_cut(name)!r}, which the host does not give")
        _check_interface(engine, f"import {name}", item, allowed[name], complete=False)
    exports = _items("the component", component.type.exports(engine))
    for name, interface in world.exports.items():
        if name not in exports:
            raise ComponentTypeError(f"it does not export {name!r}")
        for item in (exports.get(guest_export(name)), exports[name]):
            if item is not None:
                _check_interface(engine, f"export {name}", item, interface, complete=True)


def _cut(text: str) -> str:
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}…"


def _items(where: str, externs: Mapping[str, Any]) -> dict[str, Any]:
    if len(externs) > _MAX_ITEMS:
        raise ComponentTypeError(f"{where} has {len(externs):,} items; {_MAX_ITEMS:,} may be")
    found = {}
    for name, extern in externs.items():
        try:
            found[name] = extern.ty
        except TypeError as error:  # a kind of type that these bindings do not know
            raise ComponentTypeError(
                f"{_cut(name)!r} has a type that is not supported: {_cut(str(error))}"
            ) from None
    return found


def _check_interface(
    engine: Engine, where: str, item: Any, interface: Interface, *, complete: bool
) -> None:
    if not isinstance(item, wt.ComponentInstanceType):
        raise ComponentTypeError(f"{where} is not an interface")
    items = _items(where, item.exports(engine))
    for name, one in items.items():
        kind, known = _kind(one, interface)
        if name not in known:
            raise ComponentTypeError(f"{where} has {kind} {_cut(name)!r}, the contract has not")
    missing = interface.functions.keys() - items.keys()
    if complete and missing:
        raise ComponentTypeError(f"{where} lacks {', '.join(map(repr, sorted(missing)))}")
    resources = {name: one for name, one in items.items() if isinstance(one, wt.ResourceType)}
    for name, one in items.items():
        if isinstance(one, wt.FuncType):
            _check_function(f"{where}#{name}", one, interface.functions[name], resources)
        elif name not in resources and (
            (found := _read(one, resources, 0)) != interface.types[name]
        ):
            raise ComponentTypeError(
                f"{where} has a type {name!r} that is {_shown(found)}, the contract says "
                f"{show(interface.types[name])}"
            )


def _kind(item: Any, interface: Interface) -> tuple[str, Collection[str]]:
    """What an item is, and the names of those that the contract has."""
    if isinstance(item, wt.FuncType):
        return "a function", interface.functions
    if isinstance(item, wt.ResourceType):
        return "a resource", interface.resources
    if isinstance(item, (wt.ComponentType, wt.ComponentInstanceType, wt.ModuleType)):
        return "an item", ()
    return "a type", interface.types


def _check_function(where: str, found: Any, wanted: Function, resources: Mapping[str, Any]) -> None:
    try:
        params = tuple((name, _read(one, resources, 0)) for name, one in found.params)
        result = None if found.result is None else _read(found.result, resources, 0)
    except TypeError as error:
        raise ComponentTypeError(
            f"{where} has a type that is not supported: {_cut(str(error))}"
        ) from None
    if params != wanted.params:
        raise ComponentTypeError(
            f"{where} takes ({_cut(_show_params(params))}), the contract says "
            f"({_show_params(wanted.params)})"
        )
    if result != wanted.result:
        raise ComponentTypeError(
            f"{where} gives {_shown(result)}, the contract says {show(wanted.result)}"
        )


_PRIMITIVES: Mapping[type[Any], str] = {
    wt.Bool: "bool", wt.S8: "s8", wt.S16: "s16", wt.S32: "s32", wt.S64: "s64",
    wt.U8: "u8", wt.U16: "u16", wt.U32: "u32", wt.U64: "u64", wt.F32: "f32", wt.F64: "f64",
    wt.Char: "char", wt.String: "string",
}  # fmt: skip


def _read(
    found: Any, resources: Mapping[str, Any], depth: int, seen: list[None] | None = None
) -> Type:
    """A component's type as one of ours. A handle is of the resource that the same interface
    exports; any other resource is none of ours."""
    seen = [] if seen is None else seen
    seen.append(None)
    if depth > _MAX_DEPTH or len(seen) > _MAX_NODES:  # a few types can stand for millions
        raise ComponentTypeError("a type is larger than any of the contract's")

    def inner(one: Any) -> Type:
        return _read(one, resources, depth + 1, seen)

    def maybe(one: Any) -> Type | None:
        return None if one is None else inner(one)

    kind = type(found)
    if kind in _PRIMITIVES:
        return Primitive(_PRIMITIVES[kind])
    if kind is wt.ListType:
        return ListType(inner(found.element))
    if kind is wt.OptionType:
        return OptionType(inner(found.payload))
    if kind is wt.ResultType:
        return ResultType(maybe(found.ok), maybe(found.err))
    if kind is wt.TupleType:
        return TupleType(tuple(inner(one) for one in found.elements))
    if kind is wt.RecordType:
        return RecordType(tuple((name, inner(one)) for name, one in found.fields))
    if kind is wt.VariantType:
        return VariantType(tuple((name, maybe(one)) for name, one in found.cases))
    if kind is wt.EnumType:
        return EnumType(tuple(found.names))
    if kind is wt.FlagsType:
        return FlagsType(tuple(found.names))
    if kind in (wt.OwnType, wt.BorrowType):
        for name, resource in resources.items():
            if resource == found.ty:
                return HandleType(name, owned=kind is wt.OwnType)
        return HandleType("(another resource)", owned=kind is wt.OwnType)
    raise ComponentTypeError(f"a type is a {kind.__name__}, which no function of ours has")


def _shown(one: Type | None) -> str:
    return _cut(show(one))


def _show_params(params: tuple[tuple[str, Type], ...]) -> str:
    return ", ".join(f"{name}: {show(one)}" for name, one in params)


def show(one: Type | None) -> str:
    """A type in WIT's words, records and variants written out."""
    if one is None:
        return "_"
    if isinstance(one, Primitive):
        return one.name
    if isinstance(one, ListType):
        return f"list<{show(one.element)}>"
    if isinstance(one, OptionType):
        return f"option<{show(one.some)}>"
    if isinstance(one, ResultType):
        return f"result<{show(one.ok)}, {show(one.err)}>"
    if isinstance(one, TupleType):
        return f"tuple<{', '.join(map(show, one.elements))}>"
    if isinstance(one, RecordType):
        return f"record {{{_show_params(one.fields)}}}"
    if isinstance(one, VariantType):
        cases = (name if case is None else f"{name}({show(case)})" for name, case in one.cases)
        return f"variant {{{', '.join(cases)}}}"
    if isinstance(one, EnumType):
        return f"enum {{{', '.join(one.names)}}}"
    if isinstance(one, FlagsType):
        return f"flags {{{', '.join(one.names)}}}"
    return one.resource if one.owned else f"borrow<{one.resource}>"
