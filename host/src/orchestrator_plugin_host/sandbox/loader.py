"""From an admitted component's bytes to one that can be instantiated: cached, or compiled."""

from __future__ import annotations

import threading
from pathlib import Path

from ..component_file import ComponentFile, without_names
from ..errors import InvalidComponentError
from ..wit import World
from . import _capi
from .cache import ComponentCache
from .engine import SandboxEngine
from .instance import LoadedComponent
from .typecheck import ComponentTypeError, check_component


class ComponentLoader:
    """Compiles components, each at most once, and keeps them on disk. Thread-safe."""

    def __init__(self, engine: SandboxEngine, directory: Path) -> None:
        self._engine = engine
        self._cache = ComponentCache(directory)
        self._lock = threading.Lock()
        self._loaded: dict[tuple[str, str], LoadedComponent] = {}

    def load(self, plugin: str, file: ComponentFile, world: World) -> LoadedComponent:
        """A component, compiled and compared with its world, type for type.

        Raises `InvalidComponentError`.
        """
        key = (file.digest, world.name)
        with self._lock:  # one compilation at a time: it uses every core by itself
            if key not in self._loaded:
                self._loaded[key] = self._load(plugin, file, world)
            return self._loaded[key]

    def _load(self, plugin: str, file: ComponentFile, world: World) -> LoadedComponent:
        component = None
        stored = self._cache.get(file.digest, self._engine.fingerprint)
        try:
            if stored is not None:
                component = _capi.deserialize_component(self._engine.engine, stored)
        except _capi.CapiError:
            stored = None  # not of this engine after all: compile it anew
        if component is None:
            try:
                component = _capi.compile_component(self._engine.engine, without_names(file.data))
            except _capi.CapiError as error:
                raise InvalidComponentError(
                    f"plugin {plugin!r} is not a valid component for this host: {error}"
                ) from None
        try:
            check_component(self._engine.engine, component, world)
        except ComponentTypeError as error:
            raise InvalidComponentError(
                f"plugin {plugin!r} is not of the world {world.name!r}: {error}. Build it against "
                "the WIT files of this version of the host"
            ) from None
        if stored is None:
            self._cache.put(file.digest, self._engine.fingerprint, bytes(component.serialize()))
        return LoadedComponent.of(component, world, file.memories)
