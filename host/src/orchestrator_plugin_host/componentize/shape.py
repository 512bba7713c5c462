"""Components within: what they import, and those that give functions the names of an interface."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ..binary import unsigned
from ..wit import Function, Interface, full_name, read_contract
from .encoding import FUNC, TYPE, ComponentScope


def inner_scope(resources: Iterable[str]) -> ComponentScope:
    """A component within, begun: it imports the types of the contract, and these resources."""
    out = ComponentScope()
    for i, one in enumerate(read_contract().interfaces[full_name("types")].types.values()):
        inner = out.define(out.structure(one))
        out.named[one] = out.import_(f"type-{i}", TYPE, TYPE + b"\0" + unsigned(inner))
    for name in resources:
        out.resources[name] = out.import_(f"resource-{name}", TYPE, TYPE + b"\x01")
    return out


def import_functions(out: ComponentScope, functions: Iterable[Function]) -> list[tuple[int, int]]:
    """Imports these functions into a component within: the index of the type of each, and its
    own."""
    made = []
    for i, function in enumerate(functions):
        kind = out.function(function)
        made.append((kind, out.import_(f"f{i}", FUNC, FUNC + unsigned(kind))))
    return made


def inner_arguments(
    out: ComponentScope, resources: Mapping[str, int], functions: Iterable[int]
) -> list[tuple[str, bytes, int]]:
    """What a component within `out` is instantiated with: the contract's types, which are in
    `out.named`, and these resources and functions."""
    types = read_contract().interfaces[full_name("types")].types.values()
    return [
        *((f"type-{i}", TYPE, out.named[one]) for i, one in enumerate(types)),
        *((f"resource-{name}", TYPE, index) for name, index in resources.items()),
        *((f"f{i}", FUNC, index) for i, index in enumerate(functions)),
    ]


def shape_of(interface: Interface) -> bytes:
    """A component that exports what it imports, by the names of an interface: only so can the
    types of its functions refer to a resource by name."""
    out = inner_scope(sorted(interface.resources))
    functions = import_functions(out, interface.functions.values())
    for name in sorted(interface.resources):
        out.resources[name] = out.export_(name, TYPE, out.resources[name])
    for (name, function), (_, index) in zip(interface.functions.items(), functions, strict=True):
        out.export_(name, FUNC, index, FUNC + unsigned(out.function(function)))
    return out.encoded()
