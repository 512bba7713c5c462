"""One example, loaded natively and sandboxed, asked the same."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from orchestrator_plugin_sdk.project import load_project
from orchestrator_plugin_sdk.vectors import Vectors

from ...host import PluginHost
from ...settings import HostSettings
from ..output import milliseconds
from .calls import Answer, Asked, ask
from .display import Display
from .examples import Example, how, load


@dataclass(frozen=True)
class Compared:
    """The answers of both. `compiled` says that the component was not in the cache."""

    example: Example
    type: str
    load_ms: float
    compiled: bool
    native: dict[str, Answer]
    sandboxed: dict[str, Answer]
    vectors: Vectors | None = field(repr=False)

    def agrees(self, call: str) -> bool:
        """Whether both answered a call, and the same. An error is no answer."""
        native, sandboxed = self.native[call].document, self.sandboxed[call].document
        failed = isinstance(native, dict) and "error" in native
        return bool(native == sandboxed) and not failed

    @property
    def how(self) -> str:
        """How the component came to be, in words."""
        return how(self.example, self.load_ms, compiled=self.compiled)

    @property
    def agree(self) -> bool:
        """Whether they agree in every call."""
        return all(map(self.agrees, self.native))

    def document(self) -> dict[str, Any]:
        """This as JSON."""
        return {
            "name": self.example.name,
            "type": self.type,
            "component": str(self.example.component),
            "build_milliseconds": self.example.build_ms,
            "load_milliseconds": self.load_ms,
            "compiled": self.compiled,
            "agree": self.agree,
            "calls": [
                {
                    "call": call,
                    "agree": self.agrees(call),
                    "native": native.document,
                    "native_milliseconds": native.milliseconds,
                    "sandboxed": self.sandboxed[call].document,
                    "sandboxed_milliseconds": self.sandboxed[call].milliseconds,
                }
                for call, native in self.native.items()
            ],
        }


async def compare(
    example: Example, settings: HostSettings, display: Display, before: Sequence[Compared]
) -> Compared:
    """Loads an example both ways and asks both. The vectors of those before are passed on.

    Raises what `PluginHost.load` raises.
    """
    vectors = next((one.vectors for one in before if one.vectors is not None), None)
    asked_native = Asked(partial(display.speak, "natively"), vectors)
    asked_sandboxed = Asked(partial(display.speak, "sandboxed"), vectors)
    async with PluginHost(settings) as host:
        started = time.perf_counter()
        with display.step(example.name, "compiling"):
            sandboxed, compiled = await load(host, example)
        load_ms = milliseconds(started)
        native = await host.load(load_project(example.directory))
        with display.step(example.name, "answering"):
            await ask(native, asked_native)
            await ask(sandboxed, asked_sandboxed)
        display.ready(example.name, how(example, load_ms, compiled=compiled))
    return Compared(
        example,
        str(native.manifest.type),
        load_ms,
        compiled,
        asked_native.answers,
        asked_sandboxed.answers,
        asked_sandboxed.vectors,
    )
