"""From what a caller names to a handle; and what the plugins of one host share."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import anyio
from orchestrator_plugin_sdk.context import PluginContext
from orchestrator_plugin_sdk.errors import PluginError, PluginValidationError
from orchestrator_plugin_sdk.manifest import PluginManifest, validate_manifest
from orchestrator_plugin_sdk.plugin import PluginExport

from .admission import AdmittedPlugin, admit_component, admit_export, wasi_imports, world_of
from .backends.base import Backend
from .backends.native import NativeBackend
from .capabilities.http.resolving import Resolver
from .capabilities.observing import Observations
from .component_file import ComponentFile, read_component
from .discovery import PluginSource, resolve
from .errors import PluginRefusedError
from .handles import HANDLES, LoadedPlugin
from .notices import warn
from .pinning import unpinned
from .reaching.plugin import PluginReach
from .reaching.shared import SharedReach
from .sandbox.opening import SharedSandbox
from .settings import HostSettings, Tier

if TYPE_CHECKING:  # wasmtime takes long to load: `SharedSandbox` does
    from .sandbox.loader import ComponentLoader
    from .sandbox.templates import Template

_LOADS: Final = 8
"""Components that are compiled, or taken from the cache, at once: on threads that the application's
own work in threads does not wait for."""


class Loading:
    """What loads the plugins of one host, while it is open, and what they share."""

    def __init__(
        self,
        settings: HostSettings,
        resolver: Resolver | None,
        observations: Observations | None,
    ) -> None:
        """On the event loop that the plugins are for; as `PluginHost` says. Raises `AuditError`."""
        self._settings = settings
        self._is_observed = observations is not None
        self._reach = SharedReach(settings, resolver, observations)
        self._reach.open()
        self.sandbox = SharedSandbox()
        self._loader: ComponentLoader | None = None
        self._loads = anyio.CapacityLimiter(_LOADS)
        self._closed = False

    async def close(self) -> None:
        """Frees what the plugins shared, once each of them has been shut down. Raises
        `PluginError`."""
        self._closed = True
        await anyio.to_thread.run_sync(self.sandbox.close)
        await self._reach.close()

    async def load(
        self,
        source: PluginSource,
        config: Mapping[str, Any],
        context: PluginContext | None,
        settings: HostSettings,
        tier: Tier | None,
        expect: type[LoadedPlugin] | None,
    ) -> LoadedPlugin:
        """A handle that is yet to be started. `tier` is what `PluginHost.load` was told; raises as
        that does."""
        async with self._freed_if_closed():
            most = settings.limits.component_bytes
            found = await resolve(source, most, opened=self.sandbox.prepare)
            required = settings.require_digest
            if isinstance(found, PluginExport):
                admitted = admit_export(
                    found, settings.limits, settings.policy, require_digest=required
                )
                if tier is not None:
                    raise PluginRefusedError(
                        f"plugin {admitted.manifest.name!r} is native: it is not sandboxed, in no "
                        "tier; load it without tier=, or load it as a component"
                    )
            else:
                admit = partial(admit_component, require_digest=required)
                admitted = await anyio.to_thread.run_sync(
                    admit, found, settings.limits, settings.policy
                )
            handle_type = HANDLES[admitted.manifest.type]
            if expect is not None and not issubclass(handle_type, expect):
                raise PluginValidationError(
                    f"plugin {admitted.manifest.name!r} is of the type {admitted.manifest.type}, "
                    f"expected {expect.plugin_type}"
                )
            self._warn_if_unpinned(admitted, settings)
            context = context or PluginContext()
            reach, given = await self._reach.of(admitted, dict(config))
            try:
                backend = await self._backend(admitted, given, context, settings, reach)
            except BaseException:
                await reach.close()
                raise
            if isinstance(admitted.source, ComponentFile):  # its bytes have served
                admitted = replace(
                    admitted, source=replace(admitted.source, data=b"", custom_sections=())
                )
            return handle_type(admitted, backend, context, reach)

    def _warn_if_unpinned(self, admitted: AdmittedPlugin, settings: HostSettings) -> None:
        told = unpinned(settings.policy, admitted.manifest.name, admitted.digest)
        if told is not None and not self._is_observed:  # where the policy is not what holds
            warn(told)

    @asynccontextmanager
    async def _freed_if_closed(self) -> AsyncIterator[None]:
        """Around loading: what was made since the host was closed is freed, too."""
        try:
            yield
        finally:
            if self._closed:
                with anyio.CancelScope(shield=True):
                    await self._reach.close()

    async def manifest_of(self, source: PluginSource) -> PluginManifest | None:
        """The manifest of a plugin, if it is valid."""
        try:
            found = await resolve(source, self._settings.limits.component_bytes)
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
        loader = self._open_loader()
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

    def _open_loader(self) -> ComponentLoader:
        """What loads components, made for the first of them."""
        if self._loader is None:
            from .sandbox.confinement import Confinement
            from .sandbox.loader import ComponentLoader

            settings = self._settings
            self._loader = ComponentLoader(
                self.sandbox.get,
                settings.cache_directory,
                settings.cache_bytes,
                Confinement(required=settings.require_confinement),
            )
        return self._loader

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
                limiter=self._loads,
            )
        finally:
            given_up.set()  # whoever gives up takes the compiler with them


def _manifest_in(found: bytes | PluginExport[Any]) -> PluginManifest:
    if isinstance(found, PluginExport):
        return validate_manifest(found.manifest)
    return validate_manifest(read_component(found).manifest_document)
