"""Sandboxed plugins: components in wasmtime, an instance for each call under way."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from typing import Any

import anyio
from orchestrator_plugin_sdk.context import AbortSignal, PluginContext
from orchestrator_plugin_sdk.contract import INIT, SHUTDOWN, Operation
from orchestrator_plugin_sdk.errors import ErrorKind, PluginCallError

from ..admission import AdmittedPlugin
from ..calls import Call
from ..errors import MemoryLimitError, PluginInitError
from ..limits import UNITS
from ..operations import LARGE, codecs_of
from ..payload_text import Payload, payload_for
from ..pieces import at_once, in_turns
from ..reach import Reach
from ..sandbox.instance import Instance
from ..sandbox.templates import Template
from ..sandbox.values import Err
from ..settings import PoolSettings, Tier
from ..text_payload import TextPayload
from ..timing import give_way
from ..wit import full_name
from .base import Backend, Isolation, context_document, own_call
from .pool import InstancePool


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
        self.codecs = codecs_of(admitted.manifest.name, admitted.kind, admitted.limits)
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
        payload = await self._payload(operation, arguments, call)
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
        payload = await self._payload(operation, arguments, call)
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
            reading = self._next(answer, operation, call)
            del answer  # a large one is gone as soon as it was read
            if reading is None:
                return
            yield await reading

    def _next(self, answer: Any, operation: Operation, call: Call) -> Awaitable[Any] | None:
        """What reads the next event of a stream, or `None` at its end."""
        payload = self._accept(answer, operation, call)
        return None if payload is None else self._document(payload, operation, call)

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
        del answer
        if operation.form == "document":
            reading = self._document(value, operation, call)
            del value
            return await reading
        if operation.form == "scalar":
            return self.codecs[operation.method].accept(value)
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
            said["message"],
            retryable=said["retryable"],
            retry_after_ms=said["retry-after-ms"],
        )

    async def _document(self, payload: Payload, operation: Operation, call: Call) -> Any:
        codec = self.codecs[operation.method]
        form, data = payload
        if len(data) <= LARGE:
            return codec.decode(form, data)
        del payload
        work = codec.decode_pieces(form, data)
        del data  # nobody else has it: it can go as soon as it was read
        with call.scope():
            return await in_turns(work)

    async def _payload(
        self, operation: Operation, arguments: Sequence[Any], call: Call
    ) -> TextPayload | None:
        document = self.codecs[operation.method].encode(
            arguments, context_document(operation, call)
        )
        if document is None:
            return None
        readable = self._manifest.payload_encodings
        if "latin1" in readable and document.isascii():
            return TextPayload(("latin1", document))
        work = payload_for(document, readable)
        if len(document) <= LARGE:
            return at_once(work)
        with call.scope():
            await give_way()  # to pack it has taken its time
            return await in_turns(work)

    # Instances.

    async def _make(self) -> Instance:
        try:
            async with self._own_call(INIT.method, self._init_deadline_ms) as call:
                payload = await self._payload(INIT, [self._config], call)
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
