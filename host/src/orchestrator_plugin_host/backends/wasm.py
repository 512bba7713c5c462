"""Sandboxed plugins: components in wasmtime, an instance for each call under way."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
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
from ..sandbox.payloads import payload_bytes, payload_of
from ..sandbox.threads import WorkerThreads
from ..sandbox.values import Err
from ..settings import PoolSettings, Tier
from ..wit import full_name
from .base import Backend, Isolation, packed_arguments
from .pool import InstancePool

_MAX_MESSAGE: Final = 4096
"""Characters of what a plugin says when it says no."""


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
        owner: str,
        threads: WorkerThreads,
        pool: PoolSettings,
        context: PluginContext,
        init_deadline_ms: int,
        reach: Reach,
    ) -> None:
        """`owner` is what the plugin's threads are counted under; `context` is that of `init` and
        `shutdown`, `init_deadline_ms` the time of an `init`."""
        self._manifest = admitted.manifest
        self._config = config
        self.tier = tier
        self._source = template.source()
        self._owner = owner
        self._threads = threads
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
        await self._pool.fill()

    async def call(self, operation: Operation, arguments: Sequence[Any], call: Call) -> Any:
        """Runs the operation on an instance of the pool."""
        payload = self._payload(operation, arguments, call)
        async with self._pool.borrowed(call) as instance:
            return await self._run(
                instance, call, lambda: self._invoke(instance, operation, payload, call)
            )

    @asynccontextmanager
    async def stream(
        self, operation: Operation, arguments: Sequence[Any], call: Call
    ) -> AsyncIterator[AsyncIterator[Any]]:
        """Holds an instance until the stream ends or is left."""
        payload = self._payload(operation, arguments, call)
        async with AsyncExitStack() as stack:
            async with call.scope():
                instance = await stack.enter_async_context(self._pool.borrowed(call))
                try:
                    resource = await self._run(
                        instance, call, lambda: self._invoke(instance, operation, payload, call)
                    )
                except anyio.get_cancelled_exc_class():
                    instance.usable = False  # it may hold a stream that nobody knows
                    raise
            try:
                async with aclosing(self._events(instance, resource, operation, call)) as events:
                    yield events
            finally:
                with anyio.CancelScope(shield=True):
                    await self._end_stream(instance, resource, call)

    async def _end_stream(self, instance: Instance, resource: int, call: Call) -> None:
        async def end() -> None:
            async with self._own_call("close", int(call.time_to_end() * 1000)) as ending:

                def drop() -> None:
                    if instance.usable:
                        instance.begin(ending)
                    instance.drop(resource)

                await self._run(instance, ending, drop)

        try:
            await end()
        except Exception:
            instance.usable = False  # it is thrown away, nothing is lost

    async def _events(
        self, instance: Instance, resource: int, operation: Operation, call: Call
    ) -> AsyncGenerator[Any, None]:
        interface = full_name(operation.interface)

        def step() -> Any:
            answer = instance.invoke(interface, "[method]event-stream.next", resource)
            payload = self._accept(answer, operation, call)
            return None if payload is None else self._document(payload, operation, call)

        while True:
            async with call.scope():
                event = await self._run(instance, call, step)
            if event is None:
                return
            yield event

    async def close(self, call: Call) -> None:
        """Shuts every idle instance down and frees it."""
        try:
            await self._pool.close(call)
        finally:
            self._source.close()

    async def _run(self, instance: Instance, call: Call, function: Callable[[], Any]) -> Any:
        return await self._threads.run(self._owner, call, function, abandoned=instance.close)

    # On a worker thread.

    def _invoke(
        self, instance: Instance, operation: Operation, payload: tuple[str, Any] | None, call: Call
    ) -> Any:
        instance.begin(call)
        arguments = () if payload is None else (payload,)
        answer = instance.invoke(full_name(operation.interface), operation.function, *arguments)
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

    def _document(self, payload: tuple[str, Any], operation: Operation, call: Call) -> Any:
        form, value = payload
        size = len(value)
        if form == "base64":
            size = size * 3 // 4 - value[-2:].count("=")
        call.check_document_out(size)
        try:
            document = unpack(payload_bytes(payload))
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

    # On the event loop.

    def _payload(
        self, operation: Operation, arguments: Sequence[Any], call: Call
    ) -> tuple[str, Any] | None:
        packed = packed_arguments(operation, arguments, call)
        if packed is None:
            return None
        return payload_of(packed, self._manifest.payload_encodings)

    async def _make(self) -> Instance:
        try:
            async with self._own_call(INIT.method, self._init_deadline_ms) as call:
                payload = self._payload(INIT, [self._config], call)

                def make() -> Instance:
                    instance = self._source.instance(call)
                    try:
                        self._invoke(instance, INIT, payload, call)
                    except BaseException:
                        instance.close()
                        raise
                    return instance

                return await self._threads.run(
                    self._owner, call, make, discard=lambda instance: instance.close()
                )
        except PluginCallError as error:
            raise PluginInitError(
                f"plugin {self._manifest.name!r} failed to initialise: {error}"
            ) from error

    async def _discard(self, instance: Instance, call: Call) -> None:
        try:
            if instance.usable:
                left = int(call.time_to_end() * 1000)
                async with self._own_call(SHUTDOWN.method, left) as ending:
                    await self._run(
                        instance, ending, lambda: self._invoke(instance, SHUTDOWN, None, ending)
                    )
        finally:
            instance.close()

    @asynccontextmanager
    async def _own_call(self, operation: str, deadline_ms: int) -> AsyncIterator[Call]:
        """A call that is nobody's, in its scope: its log and its limits are those the plugin was
        loaded with."""
        limits = self._limits.model_copy(update={"deadline_ms": deadline_ms})
        call = Call(
            self._manifest.name, limits, self._context, operation=operation, reach=self._reach
        )
        async with call.closing(), call.scope():
            yield call
