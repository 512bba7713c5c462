"""Write plugins for LLM orchestrators.

There are four kinds: providers, embedders, vector memory backends and tool executors.
One source of a plugin runs natively in Python and, unchanged, compiled to a WebAssembly component.

The names, and what they are, are those of `public`, which is loaded when the first of them is used:
a host needs some of the modules alone.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .public import *  # noqa: F403  # its `__all__` says which
    from .public import __all__ as __all__


def __getattr__(name: str) -> Any:
    if name == "__all__" or not name.startswith("_"):
        public = import_module(".public", __name__)
        if name == "__all__" or name in public.__all__:
            value = globals()[name] = getattr(public, name)
            return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *import_module(".public", __name__).__all__})
