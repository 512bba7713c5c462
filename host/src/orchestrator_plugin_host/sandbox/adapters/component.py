"""One adapter: a component that imports functions and exports the same, with what `core` does in
between."""

from __future__ import annotations

from collections.abc import Sequence

from wasmtime import wat2wasm

from ...binary import unsigned
from ...componentize.abi import exported, imported
from ...componentize.encoding import CORE_FUNC, CORE_MEMORY, FUNC, vector
from ...componentize.shape import import_functions, inner_scope
from ...wit import Function, Primitive
from .core import lent_resources, module_text
from .tools import Side, tools_text

ROOM = "room"
"""The name by which an adapter imports the host's function of that name."""
ROOM_TYPE = Function((), Primitive("u32"))


def adapter(functions: Sequence[Function], resources: Sequence[str], side: Side) -> bytes:
    """An adapter for these functions, of one side of a guest. It imports `ROOM`, what
    `componentize.shape.inner_arguments` says, and exports the functions by the same names."""
    out = inner_scope(resources)
    room = out.import_(ROOM, FUNC, FUNC + unsigned(out.function(ROOM_TYPE)))
    behind = import_functions(out, functions)

    lowered = out.canon(b"\x01\0" + unsigned(room) + vector([]), CORE_FUNC)
    host = out.core_exports([(ROOM, CORE_FUNC, lowered)])
    tools = out.core_instance(out.core_module(bytes(wat2wasm(tools_text(side)))), {"host": host})
    memory = out.alias_export(CORE_MEMORY, tools, "memory")
    realloc = out.alias_export(CORE_FUNC, tools, "realloc")
    post_return = out.alias_export(CORE_FUNC, tools, "post-return")
    options = [b"\0", b"\x03" + unsigned(memory), b"\x04" + unsigned(realloc)]

    items = [
        (f"f{i}", CORE_FUNC, out.canon(b"\x01\0" + unsigned(one) + vector(options), CORE_FUNC))
        for i, (_, one) in enumerate(behind)
    ]
    for name in lent_resources(functions):
        dropped = out.canon(b"\x03" + unsigned(out.resources[name]), CORE_FUNC)
        items.append((f"drop-{name}", CORE_FUNC, dropped))
    module = out.core_module(bytes(wat2wasm(module_text(functions, side))))
    main = out.core_instance(module, {"host": out.core_exports(items), "tools": tools})
    for i, (function, (kind, _)) in enumerate(zip(functions, behind, strict=True)):
        core = out.alias_export(CORE_FUNC, main, f"f{i}")
        freed = []
        if len(imported(function).params) > len(exported(function).params):
            freed = [b"\x05" + unsigned(post_return)]
        lifted = b"\0\0" + unsigned(core) + vector([*options, *freed]) + unsigned(kind)
        out.export_(f"f{i}", FUNC, out.canon(lifted, FUNC))
    return out.encoded()
