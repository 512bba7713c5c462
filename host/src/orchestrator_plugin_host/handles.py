"""Loaded plugins, as callers see them: typed, async, and the same for native and sandboxed ones."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Any, ClassVar, Self, cast
from weakref import WeakSet

import anyio
from orchestrator_plugin_sdk import (
    DocumentError,
    HealthCheckResult,
    ModelRequest,
    ModelResponse,
    PluginContext,
    PluginManifest,
    PluginType,
    ProviderCapabilities,
    SdkVersionRange,
    StreamEvent,
    ToolPolicy,
    ToolRunRequest,
    ToolRunResult,
    VectorBackendInfo,
    VectorItem,
    VectorLike,
    VectorQueryFilter,
    VectorQueryResult,
    Vectors,
)
from orchestrator_plugin_sdk.contract import (
    CAPABILITIES,
    DELETE_BY_IDS,
    DIMS,
    EMBED_TEXTS,
    EXECUTE,
    GENERATE,
    HEALTH_CHECK,
    INFO,
    IS_ALLOWED,
    QUERY,
    STREAM,
    UPSERT,
    WIPE_REPO,
    Operation,
)

from .admission import AdmittedPlugin
from .backends.base import Backend, Isolation
from .calls import Call
from .documents import validate
from .errors import (
    ConcurrencyLimitError,
    PluginClosedError,
    PluginError,
    PluginInputError,
    PluginOutputError,
)
from .limits import UNITS, Limits


class LoadedPlugin:
    """What every loaded plugin has. An async context manager that shuts the plugin down.

    Every call takes an optional `context`; without one it runs in the context given to `load`.
    Every call may raise `PluginCallError` (the plugin said no), `LimitExceededError`,
    `PluginTrapError`, `PluginOutputError`, `PluginInputError`, `PluginAbortedError` or
    `PluginClosedError`.
    """

    plugin_type: ClassVar[PluginType]

    def __init__(self, admitted: AdmittedPlugin, backend: Backend, context: PluginContext) -> None:
        self._admitted = admitted
        self._backend = backend
        self._context = context
        self._active = 0
        self._closed = False
        self._moved = anyio.Event()
        self._streams: WeakSet[AsyncGenerator[Any, None]] = WeakSet()

    @property
    def manifest(self) -> PluginManifest:
        """The plugin's manifest, as it was checked."""
        return self._admitted.manifest

    @property
    def name(self) -> str:
        """The plugin's name."""
        return self.manifest.name

    @property
    def sdk_version(self) -> SdkVersionRange:
        """The SDK versions the plugin works with."""
        return self.manifest.sdk_version

    @property
    def isolation(self) -> Isolation:
        """`sandbox`, or `native`: in this process with all its rights."""
        return self._backend.isolation

    @property
    def limits(self) -> Limits:
        """The limits that hold for the plugin: the operator's, lowered by the manifest's."""
        return self._admitted.limits

    @property
    def closed(self) -> bool:
        """Whether the plugin has been shut down."""
        return self._closed

    async def health_check(self, context: PluginContext | None = None) -> HealthCheckResult:
        """Whether the plugin can work."""
        return cast("HealthCheckResult", await self._call(HEALTH_CHECK, [], context))

    async def shutdown(self) -> None:
        """Shuts the plugin down. Calls under way are waited for, open streams are closed, new
        calls are refused."""
        if self._closed:
            return
        self._closed = True
        with anyio.CancelScope(shield=True):
            while self._active:
                await self._close_streams()
                if self._active:
                    self._moved = anyio.Event()
                    await self._moved.wait()
            call = self._new_call(None)
            async with call.scope():
                await self._backend.close(call)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.shutdown()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name} {self.manifest.version} ({self.isolation})>"

    async def start(self) -> None:
        """Makes the plugin ready. Called once, by the host. If it fails, nothing is left over."""
        try:
            call = self._new_call(None)
            async with call.scope():
                await self._backend.start(call)
            await self._learn()
        except BaseException:
            with suppress(PluginError):
                await self.shutdown()
            raise

    async def _learn(self) -> None:
        """Asks what the handle answers by itself later."""

    async def _close_streams(self) -> None:
        """Closes the streams whose callers are not waiting for an event."""
        for stream in list(self._streams):
            with suppress(RuntimeError):  # it is just being iterated
                await stream.aclose()

    def _new_call(self, context: PluginContext | None) -> Call:
        return Call(self.name, self.limits, context or self._context)

    @contextmanager
    def _entered(self) -> Iterator[None]:
        if self._closed:
            raise PluginClosedError(f"plugin {self.name!r} has been shut down")
        if self._active >= self.limits.concurrent_calls:
            raise ConcurrencyLimitError(
                self.name,
                "concurrent_calls",
                self.limits.concurrent_calls,
                UNITS["concurrent_calls"],
                "has too many calls under way",
            )
        self._active += 1
        try:
            yield
        finally:
            self._active -= 1
            self._moved.set()

    def _arguments(self, operation: Operation, values: Sequence[Any]) -> list[Any]:
        try:
            return [
                validate(wanted, value, name)
                for (name, wanted), value in zip(operation.arguments.items(), values, strict=True)
            ]
        except DocumentError as error:
            raise PluginInputError(f"{operation.method} of plugin {self.name!r}: {error}") from None

    async def _call(
        self, operation: Operation, values: Sequence[Any], context: PluginContext | None
    ) -> Any:
        with self._entered():
            arguments = self._arguments(operation, values)
            call = self._new_call(context)
            try:
                async with call.scope():
                    return await self._backend.call(operation, arguments, call)
            except DocumentError as error:
                raise PluginInputError(
                    f"{operation.method} of plugin {self.name!r}: {error}"
                ) from None


class LoadedProvider(LoadedPlugin):
    """A large language model."""

    plugin_type = PluginType.PROVIDER

    def capabilities(self) -> ProviderCapabilities:
        """What the provider can do. Asked once, when it was loaded."""
        return self._capabilities

    async def _learn(self) -> None:
        self._capabilities: ProviderCapabilities = await self._call(CAPABILITIES, [], None)

    async def generate(
        self, request: ModelRequest | Mapping[str, Any], context: PluginContext | None = None
    ) -> ModelResponse:
        """One whole answer. `request` may be a mapping with the same keys."""
        return cast("ModelResponse", await self._call(GENERATE, [request], context))

    def stream(
        self, request: ModelRequest | Mapping[str, Any], context: PluginContext | None = None
    ) -> AsyncGenerator[StreamEvent, None]:
        """The answer, piece by piece.

        A sandboxed plugin's instance is held until the stream ends: iterate to the end, or close
        the generator (`contextlib.aclosing`).
        """
        stream = self._stream(request, context)
        self._streams.add(stream)
        return stream

    async def _stream(
        self, request: ModelRequest | Mapping[str, Any], context: PluginContext | None
    ) -> AsyncGenerator[StreamEvent, None]:
        with self._entered():
            arguments = self._arguments(STREAM, [request])
            call = self._new_call(context)
            async with self._backend.stream(STREAM, arguments, call) as events:
                async for event in events:
                    call.count_stream_event()
                    self._moved.set()
                    yield event
                    if self._closed:
                        raise PluginClosedError(f"plugin {self.name!r} has been shut down")


class LoadedEmbedder(LoadedPlugin):
    """Texts to vectors."""

    plugin_type = PluginType.EMBEDDER

    def dims(self) -> int:
        """How many components each vector has. Asked once, when it was loaded."""
        return self._dims

    async def _learn(self) -> None:
        self._dims: int = await self._call(DIMS, [], None)

    async def embed_texts(
        self, texts: Iterable[str], context: PluginContext | None = None
    ) -> Vectors:
        """One vector a text: float32 `[len(texts), dims]`."""
        asked = tuple(texts) if not isinstance(texts, str) else texts
        vectors: Vectors = await self._call(EMBED_TEXTS, [asked], context)
        if len(vectors) != len(asked) or (asked and vectors.dims != self._dims):
            raise PluginOutputError(
                f"plugin {self.name!r} answered {len(asked)} texts with {len(vectors)} vectors of "
                f"{vectors.dims} dims; it says that it has {self._dims}"
            )
        return vectors


class LoadedVectorMemoryBackend(LoadedPlugin):
    """A store of vectors with metadata, kept apart by repository."""

    plugin_type = PluginType.VECTOR_MEMORY_BACKEND

    async def upsert(
        self,
        repo_id: str,
        items: Iterable[VectorItem | Mapping[str, Any]],
        context: PluginContext | None = None,
    ) -> None:
        """Adds items, or replaces those whose id is there already. All or none."""
        await self._call(UPSERT, [repo_id, tuple(items)], context)

    async def query(
        self,
        repo_id: str,
        vector: VectorLike,
        top_k: int,
        context: PluginContext | None = None,
        filter: VectorQueryFilter | Mapping[str, Any] | None = None,
    ) -> tuple[VectorQueryResult, ...]:
        """The `top_k` items nearest to `vector` (float32 `[dims]`), best first."""
        if isinstance(top_k, int) and top_k < 1:
            raise PluginInputError(f"query of plugin {self.name!r}: top_k must be 1 or more")
        found: tuple[VectorQueryResult, ...] = await self._call(
            QUERY, [repo_id, vector, top_k, filter], context
        )
        if len(found) > top_k:
            raise PluginOutputError(
                f"plugin {self.name!r} answered a query for {top_k} items with {len(found)}"
            )
        return found

    async def delete_by_ids(
        self, repo_id: str, ids: Iterable[str], context: PluginContext | None = None
    ) -> None:
        """Removes items. Ids that are not there are no error."""
        asked = tuple(ids) if not isinstance(ids, str) else ids
        await self._call(DELETE_BY_IDS, [repo_id, asked], context)

    async def wipe_repo(self, repo_id: str, context: PluginContext | None = None) -> None:
        """Removes everything of one repository."""
        await self._call(WIPE_REPO, [repo_id], context)

    async def info(self, context: PluginContext | None = None) -> VectorBackendInfo:
        """What this store is."""
        return cast("VectorBackendInfo", await self._call(INFO, [], context))


class LoadedToolExecutor(LoadedPlugin):
    """Runs the tools an agent asks for."""

    plugin_type = PluginType.TOOL_EXECUTOR

    async def execute(
        self,
        request: ToolRunRequest | Mapping[str, Any],
        policy: ToolPolicy | Mapping[str, Any],
        context: PluginContext | None = None,
    ) -> ToolRunResult:
        """Runs one command under a policy. A tool that fails is a result with an exit code."""
        return cast("ToolRunResult", await self._call(EXECUTE, [request, policy], context))

    async def is_allowed(
        self,
        command: str,
        policy: ToolPolicy | Mapping[str, Any],
        context: PluginContext | None = None,
    ) -> bool:
        """Whether `execute` would run this command under this policy, without running it."""
        return cast("bool", await self._call(IS_ALLOWED, [command, policy], context))


HANDLES: Mapping[PluginType, type[LoadedPlugin]] = {
    handle.plugin_type: handle
    for handle in (LoadedProvider, LoadedEmbedder, LoadedVectorMemoryBackend, LoadedToolExecutor)
}
