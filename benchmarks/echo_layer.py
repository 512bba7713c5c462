"""One guest at the lowest layer: its exports called through wasmtime's C API, with no call, pool or
handle around it. The one module of the benchmarks that knows how the host is made.

    with EchoLayer("guest.wasm", cache) as layer:
        assert layer.echo(b"...") == b"..."
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from orchestrator_plugin_host import Limits, Policy
from orchestrator_plugin_host.admission import admit_component, world_of
from orchestrator_plugin_host.backends.base import context_document
from orchestrator_plugin_host.calls import Call
from orchestrator_plugin_host.component_file import ComponentFile
from orchestrator_plugin_host.operations import codecs_of
from orchestrator_plugin_host.payload_text import Payload, payload_for
from orchestrator_plugin_host.payloads import payload_bytes
from orchestrator_plugin_host.pieces import at_once
from orchestrator_plugin_host.sandbox import _capi
from orchestrator_plugin_host.sandbox.cache import ComponentCache
from orchestrator_plugin_host.sandbox.compiler import compile_component
from orchestrator_plugin_host.sandbox.confinement import Confinement
from orchestrator_plugin_host.sandbox.fingerprint import fingerprint
from orchestrator_plugin_host.sandbox.guest import Guest, LoadedComponent
from orchestrator_plugin_host.sandbox.imports import answer_at_once, import_rooms, room_for
from orchestrator_plugin_host.sandbox.inprocess import Sandbox
from orchestrator_plugin_host.sandbox.instance import store_limits
from orchestrator_plugin_host.sandbox.steps import Asked, Done, Step
from orchestrator_plugin_host.wit import full_name
from orchestrator_plugin_sdk import PayloadEncoding, PluginContext, unpack
from orchestrator_plugin_sdk.contract import INIT, Operation

_ALL_FORMS: Final[tuple[PayloadEncoding, ...]] = ("bytes", "latin1", "base64")
_LIMITS: Final = Limits(fuel=10**18, deadline_ms=3_600_000)


class EchoLayer:
    """A component's one instance. For one thread."""

    def __init__(self, component: Path, cache: Path) -> None:
        """Compiles the component, unless `cache` has it, and instantiates it."""
        admitted = admit_component(component.read_bytes(), _LIMITS, Policy())
        file = admitted.source
        assert isinstance(file, ComponentFile)
        world = world_of(admitted.kind)
        stored = ComponentCache(cache)
        found = stored.get(file.digest, fingerprint())
        code = None if found is None else found.read()
        if code is None:
            no_wasi: frozenset[str] = frozenset()
            code = compile_component(
                admitted.manifest.name,
                file,
                world,
                no_wasi,
                _LIMITS,
                threading.Event(),
                Confinement(),
            )
            stored.put(file.digest, fingerprint(), code)
        self._sandbox = Sandbox()
        self._loaded = LoadedComponent.of(
            _capi.deserialize_component(self._sandbox.engine, code),
            world,
            memories=file.contents.memories,
            wasi=False,
        )
        self._codecs = codecs_of(admitted.manifest.name, admitted.kind, _LIMITS)
        self._call = Call(admitted.manifest.name, _LIMITS, PluginContext())
        self._rooms = import_rooms(_LIMITS)
        self._room = room_for(_LIMITS.document_out_bytes)
        self._guest = Guest(
            self._sandbox.engine, self._sandbox.imports, self._loaded, store_limits(_LIMITS)
        )
        self._result(self._guest.instantiate(_LIMITS.fuel, self._rooms))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._guest.close()
        self._sandbox.close()

    def echo(self, document: bytes, forms: Sequence[PayloadEncoding] = _ALL_FORMS) -> bytes:
        """Passes a document to a guest whose `generate` returns it, in the form that the host
        would choose among `forms`, and takes it back."""
        answer = self._run(full_name("provider"), "generate", _payload(document, forms))
        return payload_bytes(answer.value, _LIMITS.document_out_bytes)

    def initialise(self) -> None:
        """Runs `init`, as the host does with an instance that is new."""
        self.run(INIT, self.payload(INIT, [{}]))

    def payload(self, operation: Operation, arguments: Sequence[Any]) -> Payload:
        """The arguments of an operation as they cross the boundary."""
        codec = self._codecs[operation.method]
        context = context_document(operation, self._call)
        document = codec.encode(codec.validate_arguments(arguments), context)
        assert document is not None
        return _payload(document, _ALL_FORMS)

    def run(self, operation: Operation, payload: Payload) -> Any:
        """Runs an operation; returns its payload as it came, or `None`."""
        return self._run(full_name(operation.interface), operation.function, payload).value

    def document(self, payload: Payload) -> Any:
        """What a payload holds."""
        return unpack(payload_bytes(payload, _LIMITS.document_out_bytes))

    def _run(self, interface: str, function: str, payload: Payload) -> Any:
        step = self._guest.start(
            interface,
            function,
            (payload,),
            fuel=_LIMITS.fuel,
            room=self._room,
            rooms=self._rooms,
        )
        return step.value if type(step) is Done else self._result(step)

    def _result(self, step: Step) -> Any:
        while type(step) is not Done:
            if type(step) is Asked:
                answered, value = answer_at_once(self._call, step)
                assert answered, step
                self._guest.answer(value)
            step = self._guest.proceed()
        return step.value


def _payload(document: bytes, forms: Sequence[PayloadEncoding]) -> Payload:
    return at_once(payload_for(document, forms))
