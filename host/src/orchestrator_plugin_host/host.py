"""The host: loads plugins, owns everything that they share, and closes it."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Generic, Self, TypeVar, overload

import anyio
from orchestrator_plugin_sdk import (
    PluginContext,
    PluginExport,
    PluginManifest,
    PluginValidationError,
    validate_manifest,
)

from .admission import (
    AdmittedPlugin,
    admit_component,
    admit_export,
    wasi_imports,
    world_of,
)
from .backends.base import Backend
from .backends.native import NativeBackend
from .capabilities.observing import Observations
from .capabilities.reach import PluginReach
from .capabilities.resolving import Resolver
from .capabilities.shared import SharedReach
from .component_file import ComponentFile, read_component
from .discovery import PluginSource, resolve
from .errors import PluginClosedError, PluginError, PluginRefusedError
from .handles import HANDLES, LoadedPlugin
from .limits import Limits
from .policy import Policy, PolicyFile
from .sandbox.opening import SharedSandbox
from .settings import HostSettings, PoolSettings, Tier

if TYPE_CHECKING:  # wasmtime takes long to load: `SharedSandbox` does
    from .sandbox.loader import ComponentLoader
    from .sandbox.templates import Template

_LOADS: Final = 8
"""Components that are compiled, or taken from the cache, at once: on threads that the application's
own work in threads does not wait for."""

HandleT = TypeVar("HandleT", bound=LoadedPlugin)


@dataclass(frozen=True, slots=True)
class SafeLoad(Generic[HandleT]):
    """What became of a `safe_load`: a plugin, or an error.

    `manifest` is there as soon as it was found valid, even when loading failed later.
    """

    success: bool
    plugin: HandleT | None = None
    manifest: PluginManifest | None = None
    error: PluginError | None = None


class PluginHost:
    """Loads and runs plugins. An async context manager; leaving it shuts every plugin down.

    Works on asyncio and on trio; belongs to the event loop it was entered on.

    >>> async def main() -> None:
    ...     async with PluginHost() as host:
    ...         provider = await host.load("markov-provider.wasm", expect=LoadedProvider)
    """

    def __init__(
        self,
        settings: HostSettings | None = None,
        *,
        resolver: Resolver | None = None,
        observations: Observations | None = None,
    ) -> None:
        """`resolver` finds the addresses that plugins' requests go to, instead of the system's.

        With `observations` a plugin may make every request but those to special addresses, and has
        data and artifacts folders, whatever manifest and policy say; what it uses is noted. For
        finding out what a plugin needs, never for running one.
        """
        self.settings = settings or HostSettings()
        self._reach = SharedReach(self.settings, resolver, observations)
        self._plugins: list[LoadedPlugin] = []
        self._sandbox = SharedSandbox()
        self._loader: ComponentLoader | None = None
        self._open = False
        self._loading = anyio.CapacityLimiter(_LOADS)
        self._opening = anyio.Lock()
        self._closing = anyio.Lock()

    async def __aenter__(self) -> Self:
        if not self._open:
            self._opening, self._closing = anyio.Lock(), anyio.Lock()  # of this event loop
            self._loading = anyio.CapacityLimiter(_LOADS)
            self._reach.open()
            self._sandbox = SharedSandbox()
        self._open = True
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Shuts every plugin down and frees what they shared. Whoever closes it a second time
        waits for the first."""
        self._open = False
        with anyio.CancelScope(shield=True):
            async with self._closing:
                failures = await self._close()
        if failures:
            raise failures[0]

    async def _close(self) -> list[BaseException]:
        failures: list[BaseException] = []
        while self._plugins:
            try:
                await self._plugins.pop().shutdown()
            except BaseException as error:  # also what a caller's logger raises
                failures.append(error)
        self._loader = None
        await anyio.to_thread.run_sync(self._sandbox.close)
        try:
            await self._reach.close()
        except PluginError as error:
            failures.append(error)
        return failures

    @overload
    async def load(
        self,
        source: PluginSource,
        config: Mapping[str, Any] | None = None,
        context: PluginContext | None = None,
        *,
        expect: None = None,
        limits: Limits | None = None,
        pool: PoolSettings | None = None,
        policy: Policy | PolicyFile | None = None,
        tier: Tier | None = None,
    ) -> LoadedPlugin: ...
    @overload
    async def load(
        self,
        source: PluginSource,
        config: Mapping[str, Any] | None = None,
        context: PluginContext | None = None,
        *,
        expect: type[HandleT],
        limits: Limits | None = None,
        pool: PoolSettings | None = None,
        policy: Policy | PolicyFile | None = None,
        tier: Tier | None = None,
    ) -> HandleT: ...
    async def load(
        self,
        source: PluginSource,
        config: Mapping[str, Any] | None = None,
        context: PluginContext | None = None,
        *,
        expect: type[LoadedPlugin] | None = None,
        limits: Limits | None = None,
        pool: PoolSettings | None = None,
        policy: Policy | PolicyFile | None = None,
        tier: Tier | None = None,
    ) -> LoadedPlugin:
        """Admits a plugin, makes it ready, and gives the handle to call it by.

        `source` is a `.wasm` path, the name of an installed entry point (group
        `orchestrator.plugins`), or a `PluginExport`. `config` goes to the plugin's `init`;
        `context` holds for every call that brings none. `expect` says which kind the plugin must
        be, and types the handle. `limits`, `pool`, `policy` and `tier` take the place of the
        host's settings.

        Raises `ValueError` for a setting that is none, `PluginNotFoundError`,
        `PluginValidationError`, `PluginVersionMismatchError`, `PluginRefusedError`,
        `PluginInitError`, `SecretError`, `FilesError`, `CompileLimitError`, `CompilerLostError`,
        `CacheError`, or what a first call may raise.
        """
        if not self._open:
            raise PluginClosedError("the host is not open: use `async with PluginHost() as host`")
        settings = self._settings_with(limits=limits, pool=pool, policy=policy, tier=tier)
        found = await resolve(source, settings.limits.component_bytes)
        if isinstance(found, PluginExport):
            admitted = admit_export(found, settings.limits, settings.policy)
            if tier is not None:
                raise PluginRefusedError(
                    f"plugin {admitted.manifest.name!r} is native: it is not sandboxed, in no "
                    "tier; load it without tier=, or load it as a component"
                )
        else:
            self._sandbox.prepare()
            admitted = await anyio.to_thread.run_sync(
                admit_component, found, settings.limits, settings.policy
            )
        handle_type = HANDLES[admitted.manifest.type]
        if expect is not None and not issubclass(handle_type, expect):
            raise PluginValidationError(
                f"plugin {admitted.manifest.name!r} is of the type {admitted.manifest.type}, "
                f"expected {expect.plugin_type}"
            )
        context = context or PluginContext()
        reach, given = await self._reach.of(admitted, dict(config or {}))
        try:
            backend = await self._backend(admitted, given, context, settings, reach)
        except BaseException:
            await reach.close()
            raise
        if isinstance(admitted.source, ComponentFile):  # its bytes have served
            admitted = replace(
                admitted, source=replace(admitted.source, data=b"", custom_sections=())
            )
        plugin = handle_type(admitted, backend, context, reach)
        await plugin.start(self.settings.init_deadline_ms)
        if not self._open:
            await plugin.shutdown()
            raise PluginClosedError("the host was closed while the plugin was being loaded")
        self._plugins = [one for one in self._plugins if not one.closed]
        self._plugins.append(plugin)
        return plugin

    @overload
    async def safe_load(
        self,
        source: PluginSource,
        config: Mapping[str, Any] | None = None,
        context: PluginContext | None = None,
        *,
        expect: None = None,
        limits: Limits | None = None,
        pool: PoolSettings | None = None,
        policy: Policy | PolicyFile | None = None,
        tier: Tier | None = None,
    ) -> SafeLoad[LoadedPlugin]: ...
    @overload
    async def safe_load(
        self,
        source: PluginSource,
        config: Mapping[str, Any] | None = None,
        context: PluginContext | None = None,
        *,
        expect: type[HandleT],
        limits: Limits | None = None,
        pool: PoolSettings | None = None,
        policy: Policy | PolicyFile | None = None,
        tier: Tier | None = None,
    ) -> SafeLoad[HandleT]: ...
    async def safe_load(
        self,
        source: PluginSource,
        config: Mapping[str, Any] | None = None,
        context: PluginContext | None = None,
        *,
        expect: type[LoadedPlugin] | None = None,
        limits: Limits | None = None,
        pool: PoolSettings | None = None,
        policy: Policy | PolicyFile | None = None,
        tier: Tier | None = None,
    ) -> SafeLoad[Any]:
        """`load`, with a `PluginError` in the result rather than raised."""
        try:
            plugin = await self.load(
                source,
                config,
                context,
                expect=expect or LoadedPlugin,
                limits=limits,
                pool=pool,
                policy=policy,
                tier=tier,
            )
        except PluginError as error:
            return SafeLoad(False, manifest=await self._manifest_of(source), error=error)
        return SafeLoad(True, plugin=plugin, manifest=plugin.manifest)

    def _settings_with(self, **given: Any) -> HostSettings:
        """The host's settings with those that `load` was given, checked as the host's own are."""
        changed = {name: value for name, value in given.items() if value is not None}
        return HostSettings.model_validate(dict(self.settings) | changed)

    async def _manifest_of(self, source: PluginSource) -> PluginManifest | None:
        try:
            found = await resolve(source, self.settings.limits.component_bytes)
            return await anyio.to_thread.run_sync(_manifest_in, found)
        except PluginError:
            return None

    async def _backend(
        self,
        admitted: AdmittedPlugin,
        config: Mapping[str, Any],
        context: PluginContext,
        settings: HostSettings,
        reach: PluginReach,
    ) -> Backend:
        if not isinstance(admitted.source, ComponentFile):
            return NativeBackend(
                admitted,
                config,
                context=context,
                init_deadline_ms=settings.init_deadline_ms,
                reach=reach,
            )
        if settings.tier == "in-process" and wasi_imports(admitted.source):
            raise PluginRefusedError(
                f"plugin {admitted.manifest.name!r} imports WASI, whose functions block whoever "
                "calls them: load it with tier='process', where a call that blocks is ended with "
                "its worker process, or build it without WASI"
            )
        loader = await self._open_loader()
        template = await self._template(loader, admitted, admitted.source, settings.tier)
        from .backends.wasm import WasmBackend  # now that the sandbox is there

        return WasmBackend(
            admitted,
            config,
            template=template,
            tier=settings.tier,
            pool=settings.pool,
            context=context,
            init_deadline_ms=settings.init_deadline_ms,
            reach=reach,
        )

    async def _open_loader(self) -> ComponentLoader:
        """What loads components, made for the first of them."""
        async with self._opening:
            self._check_open()
            if self._loader is None:
                from .sandbox.loader import ComponentLoader

                settings = self.settings
                self._loader = ComponentLoader(
                    self._sandbox.get, settings.cache_directory, settings.cache_bytes
                )
            return self._loader

    def _check_open(self) -> None:
        if not self._open:  # what is made now, nobody would free
            raise PluginClosedError("the host was closed while the plugin was being loaded")

    async def _template(
        self, loader: ComponentLoader, admitted: AdmittedPlugin, file: ComponentFile, tier: Tier
    ) -> Template:
        given_up = threading.Event()
        try:
            return await anyio.to_thread.run_sync(
                loader.load,
                admitted.manifest.name,
                file,
                world_of(admitted.kind),
                wasi_imports(file),
                admitted.limits,
                tier,
                given_up,
                abandon_on_cancel=True,
                limiter=self._loading,
            )
        finally:
            given_up.set()  # whoever gives up takes the compiler with them


def _manifest_in(found: bytes | PluginExport[Any]) -> PluginManifest:
    if isinstance(found, PluginExport):
        return validate_manifest(found.manifest)
    return validate_manifest(read_component(found).manifest_document)
