"""The host: loads plugins, owns everything that they share, and closes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar, overload

import anyio

from .errors import PluginClosedError, PluginError
from .handles import LoadedPlugin
from .settings import HostSettings, PoolSettings, Tier

if TYPE_CHECKING:  # all of this comes with `loading`, when the first host is opened
    from orchestrator_plugin_sdk.context import PluginContext
    from orchestrator_plugin_sdk.manifest import PluginManifest

    from .capabilities.http.resolving import Resolver
    from .capabilities.observing import Observations
    from .discovery import PluginSource
    from .limits import Limits
    from .loading import Loading
    from .policy import Policy, PolicyFile

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
        data and artifacts folders, whatever manifest and policy say; what it uses is noted. Random
        texts stand in for secrets whose origins the policy does not name. For finding out what a
        plugin needs, never for running one.
        """
        self.settings = settings or HostSettings()
        self._resolver = resolver
        self._observations = observations
        self._plugins: list[LoadedPlugin] = []
        self._loading: Loading | None = None
        self._open = False
        self._closing = anyio.Lock()

    async def __aenter__(self) -> Self:
        if not self._open:
            from .loading import Loading  # here, so that importing the host does not import it all

            self._closing = anyio.Lock()  # of this event loop
            self._loading = Loading(self.settings, self._resolver, self._observations)
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
        loading, self._loading = self._loading, None
        if loading is not None:
            try:
                await loading.close()
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
        `ConfinementError`, `CacheError`, or what a first call may raise.
        """
        if not self._open or self._loading is None:
            raise PluginClosedError("the host is not open: use `async with PluginHost() as host`")
        settings = self._settings_with(limits=limits, pool=pool, policy=policy, tier=tier)
        plugin = await self._loading.load(source, config or {}, context, settings, tier, expect)
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
        return None if self._loading is None else await self._loading.manifest_of(source)
