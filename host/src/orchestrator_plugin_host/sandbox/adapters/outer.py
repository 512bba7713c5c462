"""The outer component: a guest between its adapters.

It begins as the guest's does, so it has the same imports. Guest and adapters are instances side by
side: wasmtime lets no component call one that it contains.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from wasmtime import Engine
from wasmtime import component as wt

from ...binary import COMPONENT, MAGIC, unsigned
from ...componentize.encoding import CORE_FUNC, FUNC, INSTANCE, TYPE, ComponentScope, Scope, vector
from ...componentize.shape import inner_arguments, shape_of
from ...errors import InvalidComponentError
from ...wit import Function, HandleType, Interface, World, full_name, read_contract
from .. import _capi
from . import ROOM_FUNCTION, ROOM_INTERFACE, drop_export, guest_export
from .component import ROOM, ROOM_TYPE, adapter
from .core import goes_through
from .prefix import Prefix, read_prefix
from .tools import Side

Name = tuple[str, str]
"""A function: its interface, and its name in that."""


def with_adapters(engine: Engine, data: bytes, world: World) -> bytes:
    """A component of `world`, with adapters around it.

    For each resource of the world there is one more export, a function named as `drop_export` says,
    which takes an owned handle and drops it: wasmtime runs a destructor on a fiber only within a
    call of an exported function.

    Raises `InvalidComponentError` or `CapiError` for a component that can't be read, or not be
    given adapters. Whether the types are right is seen when it is compiled.
    """
    return _Outer(engine, data, world).out.encoded()


class _Outer:
    def __init__(self, engine: Engine, data: bytes, world: World) -> None:
        self._world = world
        prefix = read_prefix(data)
        self.out = ComponentScope()
        self.out.pieces.append(prefix.data)
        self.out.counts = Counter(prefix.counts)
        self._name_types()
        self._room = self._import_room()
        given = self._given(prefix, _imported(engine, prefix))
        guest = self.out.instance(self.out.component(data), given)
        self._export(guest)

    def _name_types(self) -> None:
        """What the outer component exports refers to the contract's types by names."""
        for name, one in read_contract().interfaces[full_name("types")].types.items():
            inner = self.out.define(self.out.structure(one))
            self.out.named[one] = self.out.export_(name, TYPE, inner)

    def _import_room(self) -> int:
        scope = Scope()
        scope.export(ROOM_FUNCTION, FUNC + unsigned(scope.function(ROOM_TYPE)))
        kind = self.out.define(scope.instance_type())
        room = self.out.import_(ROOM_INTERFACE, INSTANCE, INSTANCE + unsigned(kind))
        return self.out.alias_export(FUNC, room, ROOM_FUNCTION)

    def _given(
        self, prefix: Prefix, imported: Mapping[str, Mapping[str, bytes]]
    ) -> list[tuple[str, bytes, int]]:
        """What the guest gets for its imports: what the outer component imports, with adapters
        where they are needed."""
        wanted = {
            (name, function): self._world.imports[name].functions[function]
            for name, items in imported.items()
            if name in self._world.imports
            for function, sort in items.items()
            if sort == FUNC and function in self._world.imports[name].functions
        }
        functions = {
            name: self.out.alias_export(FUNC, prefix.imports[name[0]], name[1]) for name in wanted
        }
        functions |= self._adapted(wanted, functions, {}, "imports")
        given = []
        for name, instance in prefix.imports.items():
            if any(interface == name for interface, _ in functions):
                instance = self.out.instance_exports(
                    [
                        (item, sort, functions[name, item])
                        if (name, item) in functions
                        else (item, sort, self.out.alias_export(sort, instance, item))
                        for item, sort in imported[name].items()
                    ]
                )
            given.append((name, INSTANCE, instance))
        return given

    def _adapted(
        self,
        wanted: Mapping[Name, Function],
        functions: Mapping[Name, int],
        resources: Mapping[str, int],
        side: Side,
    ) -> dict[Name, int]:
        """Functions that go through an adapter, of those that there are."""
        names = [name for name, function in wanted.items() if goes_through(function, side)]
        adapted = [wanted[name] for name in names]
        component = self.out.component(adapter(adapted, [*resources], side))
        arguments = inner_arguments(self.out, resources, [functions[name] for name in names])
        instance = self.out.instance(component, [*arguments, (ROOM, FUNC, self._room)])
        return {
            name: self.out.alias_export(FUNC, instance, f"f{i}") for i, name in enumerate(names)
        }

    def _export(self, guest: int) -> None:
        exports = self._world.exports
        instances = {name: self.out.alias_export(INSTANCE, guest, name) for name in exports}
        wanted = {
            (name, function): one
            for name, interface in exports.items()
            for function, one in interface.functions.items()
        }
        functions = {
            name: self.out.alias_export(FUNC, instances[name[0]], name[1]) for name in wanted
        }
        resources = {
            resource: self.out.alias_export(TYPE, instances[name], resource)
            for name, interface in exports.items()
            for resource in sorted(interface.resources)
        }
        functions |= self._adapted(wanted, functions, resources, "exports")
        for name, index in instances.items():
            self.out.export_(guest_export(name), INSTANCE, index)
        for interface in exports.values():
            self._export_interface(interface, resources, functions)
        for resource, index in resources.items():
            self._export_drop(resource, index)

    def _export_interface(
        self, interface: Interface, resources: Mapping[str, int], functions: Mapping[Name, int]
    ) -> None:
        own = {name: resources[name] for name in sorted(interface.resources)}
        arguments = inner_arguments(
            self.out, own, [functions[interface.name, name] for name in interface.functions]
        )
        instance = self.out.instance(self.out.component(shape_of(interface)), arguments)
        exported = self.out.export_(interface.name, INSTANCE, instance)
        for name in own:  # what refers to it from here on may be exported
            self.out.resources[name] = self.out.alias_export(TYPE, exported, name)

    def _export_drop(self, resource: str, index: int) -> None:
        core = self.out.canon(b"\x03" + unsigned(self.out.resources[resource]), CORE_FUNC)
        handle = HandleType(resource, owned=True)
        kind = self.out.function(Function((("handle", handle),), None))
        lifted = b"\0\0" + unsigned(core) + vector([]) + unsigned(kind)
        self.out.export_(drop_export(resource), FUNC, self.out.canon(lifted, FUNC))


def _imported(engine: Engine, prefix: Prefix) -> dict[str, dict[str, bytes]]:
    """What the imported instances have: names and sorts. A component that has nothing but the
    imports is compiled at once."""
    component = _capi.compile_component(engine, MAGIC + COMPONENT + prefix.data)
    found: dict[str, dict[str, bytes]] = {}
    for name, extern in component.type.imports(engine).items():
        kind = extern.ty
        if not isinstance(kind, wt.ComponentInstanceType):
            raise InvalidComponentError(f"the component imports {name!r}, which is no interface")
        found[name] = {
            item: FUNC if isinstance(one.ty, wt.FuncType) else TYPE
            for item, one in kind.exports(engine).items()
        }
    return found
