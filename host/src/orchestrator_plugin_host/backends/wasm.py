"""Sandboxed plugins: components in wasmtime, an instance for each call under way."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from typing import Any, Final

import anyio
from orchestrator_plugin_sdk import (
    AbortSignal,
    DocumentError,
    ErrorKind,
    PluginCallError,
    PluginContext,
    unpack,
)
from orchestrator_plugin_sdk.contract import INIT, SHUTDOWN, Operation

from ..admission import AdmittedPlugin
from ..calls import Call
from ..documents import validate
from ..errors import MemoryLimitError, PluginInitError, PluginOutputError
from ..limits import UNITS
from ..reach import Reach
from ..sandbox.instance import Instance
from ..sandbox.loader import Template
from ..sandbox.payloads import Payload, payload_bytes, payload_of, payload_size
from ..sandbox.values import Err
from ..settings import PoolSettings, Tier
from ..wit import full_name
from .base import Backend, Isolation, own_call, packed_arguments
from .pool import InstancePool

_MAX_MESSAGE: Final = 4096
"""Characters of what a plugin says when it refuses."""


class WasmBackend(Backend):
    """A component, its pool of initialised instances, and the documents in and out of them."""

    isolation: Isolation = "sandbox"

    def __init__(
        self,
        admitted: AdmittedPlugin,
        config: Mapping[str, Any],
        *,
        template: Template,
        tier: Tier,
        pool: PoolSettings,
        context: PluginContext,
        init_deadline_ms: int,
        reach: Reach,
    ) -> None:
        """`context` is that of `init` and `shutdown`, `init_deadline_ms` the time of an `init`."""
        self._manifest = admitted.manifest
        self._config = config
        self.tier = tier
        self._source = template.source()
        self._limits = admitted.limits
        # Whoever waits for an instance can abort; whoever loaded the plugin no longer.
        self._context = context.with_(abort_signal=AbortSignal())
        self._init_deadline_ms = init_deadline_ms
        self._reach = reach
        if admitted.manifest.keeps_state:
            pool = PoolSettings(instances=1, idle=1)
        fresh = admitted.manifest.fresh_instances
        self._pool = InstancePool(self._make, self._discard, pool, fresh=fresh)

    async def start(self, call: Call) -> None:
        """Makes the first instance, so that a plugin whose `init` fails is not loaded."""
        with call.scope():
            await self._pool.fill()

    async def call(self, operation: Operation, arguments: Sequence[Any], call: Call) -> Any:
        """Runs the operation on an instance of the pool."""
        payload = self._payload(operation, arguments, call)
        instance = self._pool.taken() or await self._borrowed(call)
        try:
            return await self._invoke(instance, operation, payload, call)
        finally:
            if not self._pool.kept(instance):
                await self._pool.give_up(instance, call)

    async def _borrowed(self, call: Call) -> Instance:
        with call.scope():
            return await self._pool.borrowed(call)

    @asynccontextmanager
    async def stream(
        self, operation: Operation, arguments: Sequence[Any], call: Call
    ) -> AsyncIterator[AsyncIterator[Any]]:
        """Holds an instance until the stream ends or is left."""
        payload = self._payload(operation, arguments, call)
        instance = self._pool.taken() or await self._borrowed(call)
        try:
            resource = await self._invoke(instance, operation, payload, call)
            try:
                async with aclosing(self._events(instance, resource, operation, call)) as events:
                    yield events
            finally:
                with anyio.CancelScope(shield=True):
                    await self._end_stream(instance, resource, call)
        finally:
            if not self._pool.kept(instance):
                await self._pool.give_up(instance, call)

    async def _end_stream(self, instance: Instance, resource: int, call: Call) -> None:
        if not instance.usable:
            instance.forget(resource)
            return
        try:
            async with self._own_call("close", int(call.time_to_end() * 1000)) as ending:
                await instance.drop(ending, resource)
        except Exception:
            return  # the instance is thrown away, nothing is lost

    async def _events(
        self, instance: Instance, resource: int, operation: Operation, call: Call
    ) -> AsyncGenerator[Any, None]:
        interface = full_name(operation.interface)
        while True:
            answer = await instance.run(call, interface, "[method]event-stream.next", resource)
            payload = self._accept(answer, operation, call)
            if payload is None:
                return
            yield self._document(payload, operation, call)

    async def close(self, call: Call) -> None:
        """Shuts every idle instance down and frees it."""
        try:
            with call.scope():
                await self._pool.close(call)
        finally:
            await self._source.close()

    async def _invoke(
        self, instance: Instance, operation: Operation, payload: Payload | None, call: Call
    ) -> Any:
        arguments = () if payload is None else (payload,)
        answer = await instance.run(
            call, full_name(operation.interface), operation.function, *arguments
        )
        value = self._accept(answer, operation, call)
        if operation.form == "document":
            return self._document(value, operation, call)
        if operation.form == "scalar":
            return self._validated(value, operation, call)
        return value

    def _accept(self, answer: Any, operation: Operation, call: Call) -> Any:
        """What is in a `result`. Raises what the plugin said."""
        if not isinstance(answer, Err):
            return answer.value
        said = answer.value
        if said["kind"] == ErrorKind.OUT_OF_MEMORY:
            raise MemoryLimitError(
                call.plugin,
                "memory_bytes",
                call.limits.memory_bytes,
                UNITS["memory_bytes"],
                f"ran out of memory in {operation.method}",
            )
        raise PluginCallError(
            said["kind"],
            said["message"][:_MAX_MESSAGE],
            retryable=said["retryable"],
            retry_after_ms=said["retry-after-ms"],
        )

    def _document(self, payload: Payload, operation: Operation, call: Call) -> Any:
        call.check_document_out(payload_size(payload))
        try:
            data = payload_bytes(payload)
            call.check_document_out(len(data))
            document = unpack(data)
        except DocumentError as error:
            raise PluginOutputError(
                f"what plugin {call.plugin!r} answered to {operation.method} {error}"
            ) from None
        return self._validated(document, operation, call)

    def _validated(self, value: Any, operation: Operation, call: Call) -> Any:
        what = f"what plugin {call.plugin!r} answered to {operation.method}"
        try:
            return validate(operation.result, value, what, from_plugin=True)
        except DocumentError as error:
            raise PluginOutputError(str(error)) from None

    def _payload(
        self, operation: Operation, arguments: Sequence[Any], call: Call
    ) -> Payload | None:
        packed = packed_arguments(operation, arguments, call)
        if packed is None:
            return None
        return payload_of(packed, self._manifest.payload_encodings)

    # Instances.

    async def _make(self) -> Instance:
        try:
            async with self._own_call(INIT.method, self._init_deadline_ms) as call:
                payload = self._payload(INIT, [self._config], call)
                with call.scope():
                    instance = await self._source.instance(call)
                try:
                    await self._invoke(instance, INIT, payload, call)
                except BaseException:
                    instance.close()
                    raise
                return instance
        except PluginCallError as error:
            raise PluginInitError(
                f"plugin {self._manifest.name!r} failed to initialise: {error}"
            ) from error

    async def _discard(self, instance: Instance, call: Call) -> None:
        try:
            if instance.usable:
                left = int(call.time_to_end() * 1000)
                async with self._own_call(SHUTDOWN.method, left) as ending:
                    await self._invoke(instance, SHUTDOWN, None, ending)
        finally:
            instance.close()

    def _own_call(self, operation: str, deadline_ms: int) -> AbstractAsyncContextManager[Call]:
        """A call that is nobody's: its log and its limits are those the plugin was loaded with."""
        limits = self._limits.model_copy(update={"deadline_ms": deadline_ms})
        call = Call(
            self._manifest.name, limits, self._context, operation=operation, reach=self._reach
        )
        return own_call(call)
