"""The one place that knows how the host loads with its cache of compiled components."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import anyio
from orchestrator_plugin_host import Limits
from orchestrator_plugin_host.admission import admit_component, world_of
from orchestrator_plugin_host.calls import Call
from orchestrator_plugin_host.component_file import ComponentFile
from orchestrator_plugin_host.policy import Policy
from orchestrator_plugin_host.sandbox.cache import ComponentCache
from orchestrator_plugin_host.sandbox.fingerprint import fingerprint
from orchestrator_plugin_host.sandbox.inprocess import Sandbox
from orchestrator_plugin_host.sandbox.loader import ComponentLoader
from orchestrator_plugin_host.sandbox.templates import Template
from orchestrator_plugin_host.sandbox.values import Ok
from orchestrator_plugin_host.wit import full_name
from orchestrator_plugin_sdk import PluginContext, unpack
from orchestrator_plugin_sdk.payload import from_text

_LIMITS = Limits()


class CachedLoading:
    """Loads components by way of a folder, and asks what they say."""

    def __init__(self) -> None:
        self._sandbox = Sandbox()

    def close(self) -> None:
        """Frees the engine."""
        self._sandbox.close()

    def load(self, data: bytes, folder: Path) -> Template:
        """A component, by a loader that has never loaded anything. Raises `PluginError`."""
        admitted = admit_component(data, _LIMITS, Policy())
        assert isinstance(admitted.source, ComponentFile)
        loader = ComponentLoader(lambda: self._sandbox, folder, 1 << 40)
        return loader.load(
            admitted.manifest.name,
            admitted.source,
            world_of(admitted.kind),
            frozenset(),
            admitted.limits,
            "in-process",
            threading.Event(),
        )

    def is_well(self, loaded: Template) -> bool:
        """Whether a loaded component says that it is well."""
        answer = anyio.run(_asked, loaded)
        if not isinstance(answer, Ok):
            return False
        form, data = answer.value
        return bool(unpack(from_text(form, data.decode())) == {"healthy": True})

    def stored(self, data: bytes, folder: Path) -> bytes | None:
        """What the cache gives for a component. Raises `CacheError`."""
        admitted = admit_component(data, _LIMITS, Policy())
        assert isinstance(admitted.source, ComponentFile)
        cache = ComponentCache(folder)
        found = cache.get(admitted.source.digest, fingerprint())
        return None if found is None else bytes(found.read())


async def _asked(loaded: Template) -> Any:
    call = Call("wat-guest", _LIMITS, PluginContext())
    with call.scope():
        instance = await loaded.source().instance(call)
    try:
        return await instance.run(call, full_name("lifecycle"), "health-check")
    finally:
        instance.close()
