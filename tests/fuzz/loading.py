"""The one place that knows the host's stages: a component's bytes, from reading to calling.

Compiles in this process, which exists to be lost, and not in the host's own compiling child: a new
process for each of a hundred thousand inputs would take a day. Everything else is the host's.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final

from orchestrator_plugin_host import (
    Limits,
    LoadedEmbedder,
    LoadedPlugin,
    LoadedProvider,
    LoadedToolExecutor,
    LoadedVectorMemoryBackend,
    Policy,
)
from orchestrator_plugin_host.admission import AdmittedPlugin, admit_component, world_of
from orchestrator_plugin_host.backends.wasm import WasmBackend
from orchestrator_plugin_host.calls import Call
from orchestrator_plugin_host.component_file import ComponentFile, read_component, without_names
from orchestrator_plugin_host.errors import InvalidComponentError
from orchestrator_plugin_host.handles import HANDLES
from orchestrator_plugin_host.reaching.shared import SharedReach
from orchestrator_plugin_host.sandbox import _capi
from orchestrator_plugin_host.sandbox.adapters.outer import with_adapters
from orchestrator_plugin_host.sandbox.code import Code
from orchestrator_plugin_host.sandbox.guest import LoadedComponent
from orchestrator_plugin_host.sandbox.inprocess import Sandbox
from orchestrator_plugin_host.sandbox.selfcheck import check_round_trip
from orchestrator_plugin_host.sandbox.templates import InProcessTemplate, ProcessTemplate, Template
from orchestrator_plugin_host.sandbox.typecheck import ComponentTypeError, check_component
from orchestrator_plugin_host.sandbox.workers import StoredCode
from orchestrator_plugin_host.settings import HostSettings, PoolSettings, Tier
from orchestrator_plugin_host.wit import World
from orchestrator_plugin_sdk import PluginContext, PluginError

from .target import Outcome

STAGES: Final = ("read", "admit", "compile", "type check", "instantiate", "init", "call")

LIMITS: Final = Limits(
    fuel=2_000_000,
    deadline_ms=250,
    memory_bytes=8 << 20,
    document_out_bytes=1 << 20,
    log_events=20,
    stream_events=8,
)
"""Small, so that a mutant that runs for ever, or takes all it can, costs little."""

_POLICY: Final = Policy()
_REQUEST: Final = {"messages": [{"role": "user", "content": "Hi"}]}
_TOOLS: Final = {"enabled": True, "allowed_commands": ["x"]}


class Stages:
    """What the inputs of one child share: an engine and an event loop."""

    def __init__(self, limits: Limits = LIMITS, tier: Tier = "in-process") -> None:
        self._limits = limits
        self._tier: Tier = tier
        self._runner = asyncio.Runner()
        self._sandbox = Sandbox()
        check_round_trip(self._sandbox)
        self._reach = SharedReach(HostSettings())

    def close(self) -> None:
        """Frees all of it."""
        self._sandbox.close()
        self._runner.run(self._reach.close())
        self._runner.close()

    def run(self, data: bytes) -> Outcome:
        """Takes a component's bytes as far as they go. Raises what is no `PluginError`."""
        try:
            admitted = admit_component(data, self._limits, _POLICY)
        except PluginError as error:
            return Outcome("admit" if _readable(data) else "read", type(error).__name__)
        assert isinstance(admitted.source, ComponentFile)
        return self._runner.run(self._load(admitted, admitted.source))

    async def _load(self, admitted: AdmittedPlugin, file: ComponentFile) -> Outcome:
        engine, world = self._sandbox.engine, world_of(admitted.kind)
        bare = without_names(file.data)  # which what was read must allow
        try:
            component = _capi.compile_component(engine, with_adapters(engine, bare, world))
        except (_capi.CapiError, InvalidComponentError):
            return self._refused(bare, world)
        try:
            check_component(engine, component, world, ())
        except ComponentTypeError:
            return Outcome("type check", InvalidComponentError.__name__)
        loaded = LoadedComponent.of(component, world, memories=file.contents.memories, wasi=False)
        template: Template = InProcessTemplate(self._sandbox, loaded)
        if self._tier == "process":
            code = Code.of(component.serialize())
            template = ProcessTemplate(
                self._sandbox, StoredCode(world, frozenset(), file.contents.memories, code)
            )
        call = Call(admitted.manifest.name, admitted.limits, PluginContext())
        source = template.source()
        try:
            with call.scope():
                (await source.instance(call)).close()
        except PluginError as error:
            return Outcome("instantiate", type(error).__name__)
        finally:
            await source.close()
        return await self._call(admitted, template)

    def _refused(self, bare: bytes, world: World) -> Outcome:
        """Where a component that could not be compiled with its adapters is wrong by itself."""
        engine = self._sandbox.engine
        try:
            check_component(engine, _capi.compile_component(engine, bare), world, ())
        except ComponentTypeError:
            return Outcome("type check", InvalidComponentError.__name__)
        except _capi.CapiError:
            pass
        return Outcome("compile", InvalidComponentError.__name__)

    async def _call(self, admitted: AdmittedPlugin, template: Template) -> Outcome:
        context = PluginContext()
        try:
            reach, config = await self._reach.of(admitted, {"key": "value"})
        except PluginError as error:
            return Outcome("init", type(error).__name__)
        backend = WasmBackend(
            admitted,
            config,
            template=template,
            tier=self._tier,
            pool=PoolSettings(instances=1, idle=1),
            context=context,
            init_deadline_ms=self._limits.deadline_ms,
            reach=reach,
        )
        plugin = HANDLES[admitted.manifest.type](admitted, backend, context, reach)
        try:
            await plugin.start(self._limits.deadline_ms)
        except PluginError as error:
            return Outcome("init", type(error).__name__)
        ended = await call_everything(plugin)
        return Outcome("call", min(ended - {"works"}, default="works"))


def _readable(data: bytes) -> bool:
    try:
        read_component(data)
    except PluginError:
        return False
    return True


async def call_everything(plugin: LoadedPlugin) -> set[str]:
    """Calls each function of a plugin once, and shuts it down; how the calls ended."""
    ended: set[str] = set()
    async for call in _calls(plugin):
        try:
            await call()
        except PluginError as error:
            ended.add(type(error).__name__)
        else:
            ended.add("works")
    return ended


async def _calls(plugin: LoadedPlugin) -> AsyncIterator[Callable[[], Awaitable[Any]]]:
    yield plugin.health_check
    if isinstance(plugin, LoadedProvider):
        provider = plugin
        yield lambda: provider.generate(_REQUEST)
        yield lambda: _drain(provider)
    elif isinstance(plugin, LoadedEmbedder):
        embedder = plugin
        yield lambda: embedder.embed_texts(["a text"])
    elif isinstance(plugin, LoadedVectorMemoryBackend):
        memory = plugin
        yield lambda: memory.upsert("repo", [])
        yield lambda: memory.query("repo", [1.0, 2.0], 3)
        yield lambda: memory.delete_by_ids("repo", ["an id"])
        yield lambda: memory.wipe_repo("repo")
        yield memory.info
    elif isinstance(plugin, LoadedToolExecutor):
        tools = plugin
        yield lambda: tools.execute({"command": "x"}, _TOOLS)
        yield lambda: tools.is_allowed("x", _TOOLS)
    yield plugin.shutdown


async def _drain(provider: LoadedProvider) -> None:
    stream = provider.stream(_REQUEST)
    try:
        async for _ in stream:
            pass
    finally:
        await stream.aclose()
