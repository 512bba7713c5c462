"""What instances of one component are made of, in each tier."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import suppress

from wasmtime import Engine
from wasmtime.component import Component

from ..calls import Call
from ..wit import World
from . import _capi
from .code import Code
from .guest import LoadedComponent
from .inprocess import InProcessInstance, Sandbox
from .instance import Instance, InstanceSource
from .sources import WorkerSource
from .typecheck import check_component
from .workers import StoredCode


class Template(ABC):
    """What instances of one component are made of, in one tier. Shared by its plugins."""

    @abstractmethod
    def source(self) -> InstanceSource:
        """Makes instances for one plugin."""


class InProcessTemplate(Template, InstanceSource):
    """A component in this process's memory."""

    def __init__(self, sandbox: Sandbox, loaded: LoadedComponent) -> None:
        self._sandbox = sandbox
        self._loaded = loaded

    @classmethod
    def of(
        cls, sandbox: Sandbox, code: Code, world: World, wasi: frozenset[str], memories: int
    ) -> InProcessTemplate | None:
        """A component's code, compared with its world, type for type; none if it was compiled for
        another engine. Raises `ComponentTypeError`."""
        component = _deserialized(sandbox.engine, code)
        if component is None:
            return None
        check_component(sandbox.engine, component, world, wasi)
        return cls(
            sandbox, LoadedComponent.of(component, world, memories=memories, wasi=bool(wasi))
        )

    def source(self) -> InstanceSource:
        """See `Template`."""
        return self

    async def instance(self, call: Call) -> Instance:
        """See `InstanceSource`."""
        return await InProcessInstance.made(self._sandbox, self._loaded, call)


class ProcessTemplate(Template):
    """A component for worker processes, which compare it with its world themselves."""

    def __init__(self, sandbox: Sandbox, stored: StoredCode) -> None:
        self._sandbox = sandbox
        self._stored = stored

    def source(self) -> InstanceSource:
        """See `Template`."""
        return WorkerSource(self._stored, self._sandbox.computing)


def _deserialized(engine: Engine, code: Code) -> Component | None:
    """A component of this engine; none if the code is another's."""
    if code.path is not None:
        # Where it can't be mapped (there may be no /proc), it is copied.
        with suppress(_capi.CapiError):
            return _capi.deserialize_component_file(engine, code.path)
    try:
        return _capi.deserialize_component(engine, code.read())
    except _capi.CapiError:
        return None
