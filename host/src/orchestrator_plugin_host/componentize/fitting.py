"""Whether a core module fits a world, name for name and type for type."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from ..errors import PluginBuildError
from ..wit import Interface, World
from .abi import Signature, exported, imported, post_return
from .bridge import INITIALIZE
from .core import CoreModule

MEMORY: Final = "memory"
REALLOC: Final = "cabi_realloc"
_REALLOC_TYPE: Final = Signature(("i32",) * 4, ("i32",))
_RESOURCE: Final = re.compile(r"\[resource-(new|rep|drop)\](.+)")
_RESOURCE_TYPES: Final = {
    "new": Signature(("i32",), ("i32",)),
    "rep": Signature(("i32",), ("i32",)),
    "drop": Signature(("i32",)),
}


def exports_module(interface: Interface) -> str:
    """The module from which a plugin imports what makes its own resources."""
    return f"[export]{interface.name}"


def resource_function(field: str) -> tuple[str, str]:
    """What such an import does, and to which resource."""
    found = _RESOURCE.fullmatch(field)
    return (found[1], found[2]) if found else ("", "")


def destructor(interface: Interface, resource: str) -> tuple[str, str]:
    """The name under which a resource's destructor is called through the table."""
    return exports_module(interface), f"{interface.name}#[dtor]{resource}"


def fit(module: CoreModule, world: World) -> dict[tuple[str, str], Signature]:
    """The functions that have to be called through a table, with their types: what the module
    imports of the host, and the destructors it exports.

    Raises `PluginBuildError` that lists whatever does not fit.
    """
    problems = [*_problems_of_imports(module, world), *_problems_of_exports(module, world)]
    if problems:
        listed = "".join(f"\n  - {problem}" for problem in problems)
        raise PluginBuildError(f"the core module is not of the world {world.name!r}:{listed}")
    bridged = {
        (name, field): imported(world.imports[name].functions[field])
        for name, field in module.imports
        if name in world.imports
    }
    for interface in world.exports.values():
        for resource in sorted(interface.resources):
            name = destructor(interface, resource)
            if name[1] in module.exports:
                bridged[name] = Signature(("i32",))
    return bridged


def _problems_of_imports(module: CoreModule, world: World) -> Iterator[str]:
    own = {exports_module(one): one for one in world.exports.values()}
    for (name, field), found in module.imports.items():
        if name in world.imports and field in world.imports[name].functions:
            wanted = imported(world.imports[name].functions[field])
        elif name in own and resource_function(field)[1] in own[name].resources:
            wanted = _RESOURCE_TYPES[resource_function(field)[0]]
        else:
            yield f"it imports {field!r} of {name!r}, which no plugin gets{_remedy(name)}"
            continue
        yield from _difference(f"the import {field!r} of {name!r}", found, wanted)


def _remedy(module: str) -> str:
    if module.startswith("wasi"):
        return ": compile it without WASI, for a target like wasm32-freestanding"
    if module == "env":
        return ": something it calls is not linked into it"
    return ""


def _problems_of_exports(module: CoreModule, world: World) -> Iterator[str]:
    optional: dict[str, Signature] = {INITIALIZE: Signature()}
    required: dict[str, Signature | str] = {MEMORY: "memory", REALLOC: _REALLOC_TYPE}
    for interface in world.exports.values():
        for name, function in interface.functions.items():
            required[f"{interface.name}#{name}"] = exported(function)
            optional[f"cabi_post_{interface.name}#{name}"] = post_return(function)
        for resource in interface.resources:
            optional[destructor(interface, resource)[1]] = Signature(("i32",))
    for name, wanted in required.items():
        if name not in module.exports:
            yield f"it does not export {name!r}, {_described(wanted)}"
        else:
            yield from _difference(f"the export {name!r}", module.exports[name], wanted)
    for name, wanted in optional.items():
        if name in module.exports:
            yield from _difference(f"the export {name!r}", module.exports[name], wanted)
    for name in module.exports:
        if "#" in name and name not in required and name not in optional:
            yield f"it exports {name!r}, which is not in the world"


def _difference(what: str, found: Signature | str, wanted: Signature | str) -> Iterator[str]:
    if found != wanted:
        yield f"{what} is {_described(found)}, it should be {_described(wanted)}"


def _described(one: Signature | str) -> str:
    return f"a function {one}" if isinstance(one, Signature) else f"a {one}"
