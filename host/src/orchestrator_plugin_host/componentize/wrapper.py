"""The component around a core module."""

from __future__ import annotations

from ..binary import unsigned
from ..wit import Interface, World, full_name, read_contract
from .abi import Signature
from .bridge import INITIALIZE, TABLE, calls_through_table, fills_table
from .core import CoreModule, read_core
from .encoding import (
    CORE_FUNC,
    CORE_MEMORY,
    FUNC,
    INSTANCE,
    TYPE,
    ComponentScope,
    Scope,
    vector,
)
from .fitting import MEMORY, REALLOC, destructor, fit, resource_function
from .shape import inner_arguments, shape_of

_TYPES = full_name("types")


def componentize(core: bytes, world: World) -> bytes:
    """A component of `world`, of a core module that imports and exports its functions.

    It imports those interfaces alone that the module does. Raises `PluginBuildError` that lists
    whatever of the module does not fit.
    """
    module = read_core(core)
    fitting = fit(module, world)
    return _Wrapper(core, module, world, fitting).encoded()


class _Wrapper:
    def __init__(
        self,
        core: bytes,
        module: CoreModule,
        world: World,
        bridged: dict[tuple[str, str], Signature],
    ) -> None:
        self.module = module
        self.world = world
        # What the module imports of the host, and its destructors, which have to be there before
        # it is: by module and field, in the order of their places in the table.
        self.bridged = bridged
        self.places = {name: place for place, name in enumerate(bridged)}
        self.out = ComponentScope()
        self._import_types()
        self.imported = {
            name: self._import(world.imports[name])
            for name in dict.fromkeys(module for module, _ in bridged)
            if name in world.imports
        }
        shim = self.out.core_module(calls_through_table(list(bridged.values())))
        self.shim = self.out.core_instance(shim, {})
        for interface in world.exports.values():
            for resource in sorted(interface.resources):
                self._define_resource(interface, resource)
        self.main = self._instantiate(core)
        self.memory = self.out.alias_export(CORE_MEMORY, self.main, MEMORY)
        self.realloc = self._of_main(REALLOC)
        self._fill()
        for interface in world.exports.values():
            self._export(interface)

    def encoded(self) -> bytes:
        return self.out.encoded()

    def _of_main(self, name: str) -> int:
        return self.out.alias_export(CORE_FUNC, self.main, name)

    def _of_shim(self, name: tuple[str, str]) -> int:
        return self.out.alias_export(CORE_FUNC, self.shim, str(self.places[name]))

    def _import_types(self) -> None:
        """The types of the contract have their names from an interface that is imported."""
        types = read_contract().interfaces[_TYPES].types
        scope = Scope()
        for name, one in types.items():
            scope.export(name, TYPE + b"\0" + unsigned(scope.define(scope.structure(one))))
            scope.named[one] = scope.count(TYPE)
        instance = self.out.import_(
            _TYPES, INSTANCE, INSTANCE + unsigned(self.out.define(scope.instance_type()))
        )
        for name, one in types.items():
            self.out.named[one] = self.out.alias_export(TYPE, instance, name)

    def _import(self, interface: Interface) -> int:
        """Imports an interface: those of its functions that the module calls."""
        scope = Scope()
        for name, one in interface.types.items():
            known = self.out.named.get(one)
            inner = (
                scope.define(scope.structure(one))
                if known is None
                else scope.alias(b"\x02\x01" + unsigned(known))
            )
            scope.export(name, TYPE + b"\0" + unsigned(inner))
            scope.named[one] = scope.count(TYPE)
        for name, function in interface.functions.items():
            if (interface.name, name) in self.bridged:
                scope.export(name, FUNC + unsigned(scope.function(function)))
        kind = self.out.define(scope.instance_type())
        return self.out.import_(interface.name, INSTANCE, INSTANCE + unsigned(kind))

    def _define_resource(self, interface: Interface, resource: str) -> None:
        name = destructor(interface, resource)
        dropped = b"\0"
        if name in self.bridged:
            dropped = b"\x01" + unsigned(self._of_shim(name))
        self.out.resources[resource] = self.out.define(b"\x3f\x7f" + dropped)

    def _instantiate(self, core: bytes) -> int:
        """The module, with its imports as they will be."""
        given: dict[str, list[tuple[str, bytes, int]]] = {}
        for module, field in self.module.imports:
            if (module, field) in self.bridged:
                index = self._of_shim((module, field))
            else:
                what, resource = resource_function(field)
                kind = unsigned(self.out.resources[resource])
                index = self.out.canon({"new": b"\x02", "drop": b"\x03", "rep": b"\x04"}[what]
                                       + kind, CORE_FUNC)  # fmt: skip
            given.setdefault(module, []).append((field, CORE_FUNC, index))
        arguments = {name: self.out.core_exports(items) for name, items in given.items()}
        return self.out.core_instance(self.out.core_module(core), arguments)

    def _fill(self) -> None:
        """Puts the functions in their places: the module may run from here on."""
        items = []
        for (module, field), place in self.places.items():
            if module in self.imported:
                function = self.out.alias_export(FUNC, self.imported[module], field)
                lowered = b"\x01\0" + unsigned(function) + self._options()
                index = self.out.canon(lowered, CORE_FUNC)
            else:
                index = self._of_main(field)
            items.append((str(place), CORE_FUNC, index))
        initializes = INITIALIZE in self.module.exports
        if initializes:
            items.append((INITIALIZE, CORE_FUNC, self._of_main(INITIALIZE)))
        items.append((TABLE, b"\x00\x01", self.out.alias_export(b"\x00\x01", self.shim, TABLE)))
        filling = self.out.core_module(
            fills_table(list(self.bridged.values()), initializes=initializes)
        )
        self.out.core_instance(filling, {"": self.out.core_exports(items)})

    def _options(self, post_return: int | None = None) -> bytes:
        """UTF-8, the memory, the allocator, and what frees a result."""
        options = [b"\0", b"\x03" + unsigned(self.memory), b"\x04" + unsigned(self.realloc)]
        if post_return is not None:
            options.append(b"\x05" + unsigned(post_return))
        return vector(options)

    def _export(self, interface: Interface) -> None:
        lifted = []
        for name, function in interface.functions.items():
            core = f"{interface.name}#{name}"
            index = self._of_main(core)
            post = f"cabi_post_{core}"
            frees = self._of_main(post) if post in self.module.exports else None
            kind = self.out.function(function)
            definition = b"\0\0" + unsigned(index) + self._options(frees) + unsigned(kind)
            lifted.append(self.out.canon(definition, FUNC))
        resources = {name: self.out.resources[name] for name in sorted(interface.resources)}
        shape = self.out.component(shape_of(interface))
        instance = self.out.instance(shape, inner_arguments(self.out, resources, lifted))
        self.out.export_(interface.name, INSTANCE, instance)
