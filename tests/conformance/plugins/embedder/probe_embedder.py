"""An embedder whose methods a test writes.

The config's `methods` are `{method: [function, source]}`. A method that is not there does the
plainest thing that fits the interface. `on_init` is called at the end of `init`.
"""

from __future__ import annotations

import array
import datetime
import random
import secrets
import time
import uuid
from collections.abc import Sequence
from types import MethodType
from typing import Any

import orchestrator_plugin_sdk.public
from orchestrator_plugin_sdk import (
    EmbedderPlugin,
    HealthCheckResult,
    PluginConfig,
    PluginContext,
    SdkVersionRange,
    Vectors,
)

NAMES = {
    **vars(orchestrator_plugin_sdk.public),
    **{module.__name__: module for module in (array, datetime, random, secrets, time, uuid)},
}
"""What the source of a method may use."""


class ProbeEmbedder(EmbedderPlugin):
    """The probe of its kind."""

    name = "probe-embedder"
    sdk_version = SdkVersionRange(1, 1)

    async def init(self, config: PluginConfig, ctx: PluginContext) -> None:
        self.ctx = ctx
        for method, (function, source) in config.get("methods", {}).items():
            names: dict[str, Any] = dict(NAMES)
            exec(source, names)
            setattr(self, method, MethodType(names[function], self))
        await self.on_init(config, ctx)

    async def on_init(self, config: PluginConfig, ctx: PluginContext) -> None:
        pass

    async def health_check(self) -> HealthCheckResult:
        return HealthCheckResult(True)

    async def shutdown(self) -> None:
        pass

    def dims(self) -> int:
        return 2

    async def embed_texts(self, texts: Sequence[str], ctx: PluginContext) -> Vectors:
        return Vectors([[len(text), 0.5] for text in texts], 2)

    main = embed_texts
    """What `embed_texts` does plainly, for a method that does something besides."""


def create_plugin() -> ProbeEmbedder:
    """The entry that `plugin.toml` names."""
    return ProbeEmbedder()
