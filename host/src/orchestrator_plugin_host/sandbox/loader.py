"""From an admitted component to one that instances can be made of: cached, or compiled."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections import deque
from contextlib import suppress
from pathlib import Path
from typing import Any, Final
from weakref import WeakValueDictionary

from wasmtime.component import Component

from ..calls import Call
from ..component_file import ComponentFile
from ..errors import InvalidComponentError
from ..limits import Limits
from ..settings import Tier
from ..wit import World
from . import _capi
from .cache import ComponentCache
from .code import Code, StoredCode
from .compiler import compile_component, type_error
from .fingerprint import fingerprint
from .guest import LoadedComponent
from .inprocess import InProcessInstance, Sandbox
from .instance import Instance, InstanceSource
from .sources import WorkerSource
from .typecheck import ComponentTypeError, check_component

_RECENT: Final = 8
"""Components kept in memory for the next who loads them."""


class Template(ABC):
    """What instances of one component are made of, in one tier. Shared by its plugins."""

    @abstractmethod
    def source(self) -> InstanceSource:
        """Makes instances for one plugin."""


class _InProcessTemplate(Template, InstanceSource):
    def __init__(self, sandbox: Sandbox, loaded: LoadedComponent) -> None:
        self._sandbox = sandbox
        self._loaded = loaded

    def source(self) -> InstanceSource:
        return self

    async def instance(self, call: Call) -> Instance:
        return await InProcessInstance.made(self._sandbox, self._loaded, call)


class _ProcessTemplate(Template):
    def __init__(self, sandbox: Sandbox, stored: StoredCode) -> None:
        self._sandbox = sandbox
        self._stored = stored

    def source(self) -> InstanceSource:
        return WorkerSource(self._stored, self._sandbox.computing)


class ComponentLoader:
    """Compiles components, each at most once, and keeps them on disk. Thread-safe.

    What is loaded stays in memory as long as a plugin that was made of it, the last few longer.
    """

    def __init__(self, sandbox: Sandbox, directory: Path, cache_bytes: int) -> None:
        """`cache_bytes` is what `directory` may grow to. Raises `CacheError`."""
        self._sandbox = sandbox
        self._cache = ComponentCache(directory, cache_bytes)
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
        Raises `InvalidComponentError`, `CompileLimitError`, `CompilerLostError`.
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
        component = None
        if code is not None and tier == "in-process":
            component = self._deserialized(code)  # none if not of this engine after all
        if code is None or (component is None and tier == "in-process"):
            compiled = compile_component(plugin, file, world, wasi, limits, given_up)
            self._cache.put(file.digest, self._fingerprint, compiled)
            code = Code.of(compiled)
        if tier == "process":
            return _ProcessTemplate(
                self._sandbox, StoredCode(world, wasi, file.contents.memories, code)
            )
        component = component or self._deserialized(code)
        if component is None:
            raise InvalidComponentError(f"plugin {plugin!r} was compiled for another engine")
        try:
            check_component(self._sandbox.engine, component, world, wasi)
        except ComponentTypeError as error:
            raise type_error(plugin, world, str(error)) from None
        loaded = LoadedComponent.of(
            component, world, memories=file.contents.memories, wasi=bool(wasi)
        )
        return _InProcessTemplate(self._sandbox, loaded)

    def _deserialized(self, code: Code) -> Component | None:
        """A component of this engine's; none if the code is another's."""
        engine = self._sandbox.engine
        if code.path is not None:
            # Where it can't be mapped (there may be no /proc), it is copied.
            with suppress(_capi.CapiError):
                return _capi.deserialize_component_file(engine, code.path)
        try:
            return _capi.deserialize_component(engine, code.read())
        except _capi.CapiError:
            return None


class _Lock:
    """A lock that can be referred to weakly."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
