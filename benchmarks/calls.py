"""What a call through the sandbox costs, layer by layer, beside what it is compared with.

    python benchmarks/calls.py [--json]

Three tables, each made in one run:

1. The C-API layer alone: a guest that answers with its own payload, by form and size.
2. Whole calls through a handle, native and in each tier, of the same trivial answer.
3. Loading: compiling, loading from the cache, a fresh instance.

Machines differ, so each row also gives a ratio to something measured in the same run.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import anyio

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from orchestrator_plugin_host import HostSettings, Limits, LoadedProvider, PluginHost, Policy
from orchestrator_plugin_host.admission import admit_component, world_of
from orchestrator_plugin_host.calls import Call
from orchestrator_plugin_host.component_file import ComponentFile
from orchestrator_plugin_host.sandbox.instance import Instance, Sandbox
from orchestrator_plugin_host.sandbox.loader import ComponentLoader, Template
from orchestrator_plugin_host.wit import full_name
from orchestrator_plugin_sdk import (
    HealthCheckResult,
    ModelResponse,
    PluginContext,
    PluginExport,
    ProviderAdapterPlugin,
    ProviderCapabilities,
    SdkVersionRange,
)
from orchestrator_plugin_sdk.payload import from_text, to_text
from rich.console import Console
from rich.progress import track
from rich.table import Table
from support.guests import Guest, manifest_of

ECHO = Guest(
    memory="1024",
    functions={"generate": "(call $ok_payload (local.get 0) (local.get 1) (local.get 2))"},
    realloc="(global.set $top (i32.const 65536))",
)
LIMITS = Limits(fuel=10**18, deadline_ms=3_600_000)
SIZES = (16, 1_000, 10_000, 100_000, 1_000_000)


def median_us(function: Callable[[], Any], seconds: float = 0.3) -> float:
    """Microseconds a call takes: the median of batches that fill `seconds`."""
    function()
    started = time.perf_counter()
    function()
    once = max(time.perf_counter() - started, 1e-7)
    batch = max(1, int(seconds / 20 / once))
    times = []
    ends = time.perf_counter() + seconds
    while time.perf_counter() < ends or len(times) < 3:
        started = time.perf_counter()
        for _ in range(batch):
            function()
        times.append((time.perf_counter() - started) / batch)
    return statistics.median(times) * 1e6


async def median_us_async(function: Callable[[], Awaitable[Any]], seconds: float = 1.0) -> float:
    """The same, of a coroutine function, call by call."""
    times = []
    ends = time.perf_counter() + seconds
    while time.perf_counter() < ends or len(times) < 3:
        started = time.perf_counter()
        await function()
        times.append(time.perf_counter() - started)
    return statistics.median(times) * 1e6


class Layer:
    """The layer over wasmtime's C API, with an echoing guest in it."""

    def __init__(self, cache: Path) -> None:
        self.sandbox = Sandbox()
        self.source = self.load(cache).source()
        self.call = Call("echo", LIMITS, PluginContext())
        self.instance = self.fresh()

    def load(self, cache: Path) -> Template:
        """The guest, by a loader that has nothing in memory."""
        admitted = admit_component(ECHO.build(), LIMITS, Policy())
        assert isinstance(admitted.source, ComponentFile)
        return ComponentLoader(self.sandbox, cache, 1 << 30).load(
            "echo",
            admitted.source,
            world_of(admitted.kind),
            frozenset(),
            LIMITS,
            "in-process",
            threading.Event(),
        )

    def fresh(self) -> Instance:
        """A new instance."""
        return self.source.instance(self.call)

    def echo(self, payload: tuple[str, Any]) -> tuple[str, Any]:
        """One call."""
        answer = self.instance.invoke(full_name("provider"), "generate", payload)
        assert isinstance(answer.value, tuple)
        return answer.value

    def close(self) -> None:
        """Frees everything."""
        self.instance.close()
        self.sandbox.close()


def payload_rows(layer: Layer) -> list[dict[str, Any]]:
    """Table 1. Encoding to the form and decoding from it are part of the time."""
    rows = []
    for size in track(SIZES, "payloads", console=Console(stderr=True)):
        text = (b"The quick brown fox jumps over the lazy dog. " * (size // 45 + 1))[:size]
        for kind, document in (("text", text), ("random", os.urandom(size))):
            row: dict[str, Any] = {"document": kind, "bytes": size}

            def as_bytes(document: bytes = document) -> None:
                assert layer.echo(("bytes", document))[1] == document

            def as_text(form: Any, document: bytes = document) -> None:
                assert from_text(form, layer.echo((form, to_text(form, document)))[1]) == document

            row["copy_us"] = median_us(lambda document=document: bytearray(document))
            row["latin1_us"] = median_us(lambda: as_text("latin1"))
            row["base64_us"] = median_us(lambda: as_text("base64"))
            row["bytes_us"] = median_us(as_bytes) if size <= 100_000 else None
            best = min(row["latin1_us"], row["base64_us"])
            row["best_to_copy"] = best / row["copy_us"]
            rows.append(row)
    return rows


class Hi(ProviderAdapterPlugin):
    """The native plugin that does what the guest does."""

    name = "wat-guest"
    sdk_version = SdkVersionRange(1)

    async def init(self, config: Any, ctx: PluginContext) -> None:
        """Does nothing."""

    async def health_check(self) -> HealthCheckResult:
        """Well."""
        return HealthCheckResult(True)

    async def shutdown(self) -> None:
        """Does nothing."""

    def capabilities(self) -> ProviderCapabilities:
        """The least."""
        return ProviderCapabilities()

    async def generate(self, req: Any, ctx: PluginContext) -> ModelResponse:
        """Always the same."""
        return ModelResponse("hi")


async def call_rows(cache: Path) -> list[dict[str, Any]]:
    """Table 2."""
    request = {"messages": [{"role": "user", "content": "Hello!"}]}
    async with PluginHost(HostSettings(cache_directory=cache)) as host:
        path = cache / "hi.wasm"
        path.write_bytes(Guest().build())
        sandboxed = await host.load(path, expect=LoadedProvider, limits=LIMITS)
        worker = await host.load(path, expect=LoadedProvider, limits=LIMITS, tier="process")
        native = await host.load(PluginExport(manifest_of(), Hi), expect=LoadedProvider)
        in_sandbox = await median_us_async(lambda: sandboxed.generate(request))
        in_worker = await median_us_async(lambda: worker.generate(request))
        natively = await median_us_async(lambda: native.generate(request))
    return [
        {"call": "generate, native", "us": natively, "to_native": 1.0},
        {"call": "generate, in-process tier", "us": in_sandbox, "to_native": in_sandbox / natively},
        {"call": "generate, process tier", "us": in_worker, "to_native": in_worker / natively},
    ]


def loading_rows(layer: Layer) -> list[dict[str, Any]]:
    """Table 3."""
    with tempfile.TemporaryDirectory() as scratch:

        def load() -> None:
            layer.load(Path(scratch) / "cache")

        started = time.perf_counter()
        load()
        compiling = (time.perf_counter() - started) * 1e6
        cached = median_us(load)
    instance = median_us(lambda: layer.fresh().close())
    return [
        {"step": "compile", "us": compiling, "to_instance": compiling / instance},
        {"step": "load from the cache", "us": cached, "to_instance": cached / instance},
        {"step": "fresh instance", "us": instance, "to_instance": 1.0},
    ]


def show(title: str, rows: list[dict[str, Any]]) -> None:
    """Prints a table."""
    table = Table(title=title, title_justify="left")
    for name in rows[0]:
        table.add_column(name.replace("_", " "), justify="right")
    for row in rows:
        table.add_row(
            *(
                "–"
                if value is None
                else f"{value:,.1f}"
                if isinstance(value, float)
                else str(value)
                for value in row.values()
            )
        )
    Console().print(table)


def main() -> None:
    """Measures and prints."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--json", action="store_true", help="print one JSON document")
    as_json = arguments.parse_args().json
    with tempfile.TemporaryDirectory() as scratch:
        cache = Path(scratch) / "components"
        layer = Layer(cache)
        try:
            tables = {
                "payloads": payload_rows(layer),
                "calls": anyio.run(call_rows, cache),
                "loading": loading_rows(layer),
            }
        finally:
            layer.close()
    if as_json:
        print(json.dumps(tables, indent=2))
        return
    show("An echo through the C-API layer, one thread", tables["payloads"])
    show("A whole call through a handle", tables["calls"])
    show("Loading a small component", tables["loading"])


if __name__ == "__main__":
    main()
