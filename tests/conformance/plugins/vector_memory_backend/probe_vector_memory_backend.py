"""A vector memory backend whose methods a test writes.

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
    HealthCheckResult,
    PluginConfig,
    PluginContext,
    SdkVersionRange,
    Vector,
    VectorBackendInfo,
    VectorItem,
    VectorMemoryBackendPlugin,
    VectorQueryFilter,
    VectorQueryResult,
)

NAMES = {
    **vars(orchestrator_plugin_sdk.public),
    **{module.__name__: module for module in (array, datetime, random, secrets, time, uuid)},
}
"""What the source of a method may use."""


class ProbeVectors(VectorMemoryBackendPlugin):
    """The probe of its kind."""

    name = "probe-vector-memory-backend"
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

    async def upsert(self, repo_id: str, items: Sequence[VectorItem], ctx: PluginContext) -> None:
        pass

    async def query(
        self,
        repo_id: str,
        vector: Vector,
        top_k: int,
        ctx: PluginContext,
        filter: VectorQueryFilter | None = None,
    ) -> Sequence[VectorQueryResult]:
        return []

    async def delete_by_ids(self, repo_id: str, ids: Sequence[str], ctx: PluginContext) -> None:
        pass

    async def wipe_repo(self, repo_id: str, ctx: PluginContext) -> None:
        pass

    async def info(self) -> VectorBackendInfo:
        return VectorBackendInfo(self.name, 0)

    main = upsert
    """What `upsert` does plainly, for a method that does something besides."""


def create_plugin() -> ProbeVectors:
    """The entry that `plugin.toml` names."""
    return ProbeVectors()
