"""Guests that answer with something that is dear to read: a bounded cost, and a typed error.

Memory is measured in a process of its own.
"""

from __future__ import annotations

import asyncio
import base64
import subprocess
import sys
from pathlib import Path
from typing import Any

import anyio
import pytest
from orchestrator_plugin_host import (
    HostSettings,
    InvalidComponentError,
    Limits,
    LoadedProvider,
    PluginHost,
    PoolSettings,
    with_manifest,
)
from orchestrator_plugin_sdk import PluginManifest, PluginType, SdkVersionRange, pack
from orchestrator_plugin_sdk.naming import MANIFEST_SECTION
from support.guests import DATA, Guest

from .conftest import Load

pytestmark = pytest.mark.anyio
REQUEST: dict[str, Any] = {"messages": []}


def array_of(count: int, item: bytes) -> bytes:
    """A MessagePack list of `count` equal items."""
    return b"\xdd" + count.to_bytes(4, "big") + item * count


ANSWERS = {
    "a million faults": b"\x82" + pack("text") + pack("x") + pack("tool_calls")
    + array_of(1_000_000, b"\x01"),
    "a hundred thousand unknown keys": b"\xdf" + (100_000).to_bytes(4, "big")
    + b"".join(pack(f"key{i}") + b"\xc0" for i in range(100_000)),
    "a million empty lists": b"\x82" + pack("text") + pack("x") + pack("metadata") + b"\x81"
    + pack("lists") + array_of(1_000_000, b"\x90"),
}  # fmt: skip

# Puts what the guest is given behind its answer.
BEYOND = """(if (i32.lt_u (global.get $top) (i32.const 4000000))
  (then (global.set $top (i32.const 4000000))))"""

CHILD = """
import resource, sys
sys.path[:0] = {path!r}
from pathlib import Path
import anyio
from orchestrator_plugin_host import DocumentTooLargeError, HostSettings, PluginHost, PoolSettings

async def main():
    async with PluginHost(HostSettings(cache_directory=Path({cache!r}))) as host:
        plugin = await host.load({file!r}, pool=PoolSettings(instances=1))
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        try:
            await plugin.generate({{"messages": []}})
        except DocumentTooLargeError as error:
            assert error.limit == "document_values", error
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        print((await plugin.health_check()).healthy, grown // 1024)

anyio.run(main)
"""


@pytest.mark.parametrize("name", ANSWERS)
def test_answers_that_are_expensive_to_read(
    name: str, tmp_path: Path, cache_directory: Path
) -> None:
    answer = base64.b64encode(ANSWERS[name])
    body = f"(call $ok_payload (i32.const 2) (i32.const {DATA}) (i32.const {len(answer)}))"
    file = tmp_path / "guest.wasm"
    guest = Guest(functions={"generate": body}, data=answer, memory="128", realloc=BEYOND)
    file.write_bytes(guest.build())
    code = CHILD.format(path=sys.path, cache=str(cache_directory), file=str(file))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    healthy, grown = done.stdout.split()
    assert healthy == "True"
    assert int(grown) < 60  # MiB; unbounded, each took gigabytes


def cxx_name(steps: int) -> str:
    """A C++ name that doubles in length with each step, written in full."""
    digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    parts = ["1AIiiE"]
    for last in range(1, steps + 1):
        reference = f"S{digits[last - 1]}_"
        parts.append(f"S_I{reference}{reference}E")
    return "_Z1f" + "".join(parts)


async def test_a_functions_name_is_never_written_out(load: Load) -> None:
    name = cxx_name(35)  # 34 billion letters
    plugin = await load(
        Guest(
            functions={"generate": f'(call $"{name}") (unreachable)'},
            fields=f'(func $"{name}" (drop (call $realloc (i32.const 1) (i32.const -1) '
            "(i32.const 1) (i32.const -1))) (unreachable))",
        )
    )
    with anyio.fail_after(20), pytest.raises(Exception, match="crashed in generate"):
        await plugin.generate(REQUEST)
    assert (await plugin.health_check()).healthy


async def test_a_large_manifest(load: Load) -> None:
    body = bytes([len(MANIFEST_SECTION)]) + MANIFEST_SECTION.encode() + array_of(70_000, b"\x90")
    encoded = bytearray()
    value = len(body)
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    with pytest.raises(InvalidComponentError, match="it may have 65,536"):
        await load(Guest().core() + b"\0" + bytes(encoded) + body)


async def test_a_plugins_long_message_is_cut(load: Load) -> None:
    body = "(call $err (i32.const 10) (i32.const 131072) (i32.const 100000))"
    plugin = await load(Guest(functions={"generate": body}))
    with pytest.raises(Exception, match="internal") as caught:
        await plugin.generate(REQUEST)
    assert len(str(caught.value)) < 5_000


def test_a_task_cancelled_twice_does_not_free_a_running_guest(
    tmp_path: Path, settings: HostSettings
) -> None:
    file = tmp_path / "guest.wasm"
    file.write_bytes(Guest(functions={"generate": "(loop $s (br $s)) (unreachable)"}).build())

    async def main() -> None:
        async with PluginHost(settings) as host:
            plugin = await host.load(file, expect=LoadedProvider, pool=PoolSettings(instances=1))
            for _ in range(5):
                task = asyncio.ensure_future(plugin.generate(REQUEST))
                await asyncio.sleep(0.05)
                task.cancel()
                await asyncio.sleep(0)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
                assert (await plugin.health_check()).healthy

    asyncio.run(main())


async def test_a_manifest_of_the_limits_size_is_read(load: Load) -> None:
    manifest = PluginManifest(
        "long", PluginType.PROVIDER, SdkVersionRange(1), "1.0.0", description="x" * 60_000
    )
    plugin = await load(with_manifest(Guest().core(), manifest), limits=Limits())
    assert len(plugin.manifest.description) == 60_000
