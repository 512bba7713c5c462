"""From an admitted component to one that instances can be made of: cached, or compiled."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakValueDictionary

from ..component_file import ComponentFile
from ..errors import InvalidComponentError
from ..limits import Limits
from ..settings import Tier
from ..wit import World
from .cache import ComponentCache
from .code import Code
from .compiler import compile_component, type_error
from .confinement import Confinement
from .fingerprint import fingerprint

if TYPE_CHECKING:
    from .inprocess import Sandbox
    from .templates import Template

_RECENT: Final = 8
"""Components kept in memory for the next who loads them."""


class ComponentLoader:
    """Compiles components, each at most once, and keeps them on disk. Thread-safe.

    What is loaded stays in memory as long as a plugin that was made of it, the last few longer.
    """

    def __init__(
        self,
        sandbox: Callable[[], Sandbox],
        directory: Path,
        cache_bytes: int,
        confinement: Confinement | None = None,
    ) -> None:
        """`sandbox` gives the host's, which may take its time; `cache_bytes` is what `directory`
        may grow to; `confinement` is the host's, without it one that warns. Raises
        `CacheError`."""
        self._sandbox = sandbox
        self._cache = ComponentCache(directory, cache_bytes)
        self._confinement = confinement or Confinement()
        self._fingerprint = fingerprint()
        self._lock = threading.Lock()
        self._locks: WeakValueDictionary[str, _Lock] = WeakValueDictionary()
        self._loaded: WeakValueDictionary[Any, Template] = WeakValueDictionary()
        self._recent: deque[Template] = deque(maxlen=_RECENT)

    def load(
        self,
        plugin: str,
        file: ComponentFile,
        world: World,
        wasi: frozenset[str],
        limits: Limits,
        tier: Tier,
        given_up: threading.Event,
    ) -> Template:
        """A component, compiled and compared with its world, type for type.

        `wasi` are the interfaces of WASI that it was admitted with; `given_up` ends compiling.
        Raises `InvalidComponentError`, `CompileLimitError`, `CompilerLostError`,
        `ConfinementError`.
        """
        key = (file.digest, world.name, wasi, tier)
        with self._lock:
            of_file = self._locks.setdefault(file.digest, _Lock())
        with of_file.lock:  # whoever else loads it waits, and finds it
            found = self._loaded.get(key)
            if found is None:
                found = self._load(plugin, file, world, wasi, limits, tier, given_up)
                self._loaded[key] = found
                self._recent.append(found)
            return found

    def _load(
        self,
        plugin: str,
        file: ComponentFile,
        world: World,
        wasi: frozenset[str],
        limits: Limits,
        tier: Tier,
        given_up: threading.Event,
    ) -> Template:
        code = self._cache.get(file.digest, self._fingerprint)
        # Here, so that wasmtime may be loaded while code is read.
        from .templates import InProcessTemplate, ProcessTemplate
        from .typecheck import ComponentTypeError

        memories = file.contents.memories
        sandbox = self._sandbox()

        def in_process(code: Code) -> Template | None:
            try:
                return InProcessTemplate.of(sandbox, code, world, wasi, memories)
            except ComponentTypeError as error:
                raise type_error(plugin, world, str(error)) from None

        made = None
        if code is not None and tier == "in-process":
            made = in_process(code)  # none if not of this engine after all
        if code is None or (made is None and tier == "in-process"):
            compiled = compile_component(
                plugin, file, world, wasi, limits, given_up, self._confinement
            )
            self._cache.put(file.digest, self._fingerprint, compiled)
            code = Code.of(compiled)
        if tier == "process":
            from .workers import StoredCode

            stored = StoredCode(world, wasi, memories, code, self._confinement)
            return ProcessTemplate(sandbox, stored)
        made = made or in_process(code)
        if made is None:
            raise InvalidComponentError(f"plugin {plugin!r} was compiled for another engine")
        return made


class _Lock:
    """A lock that can be referred to weakly."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
