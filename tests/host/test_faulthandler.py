"""Traps and `faulthandler`: a guest that crashes must not take the process with it.

wasmtime learns of traps by signals, and so does `faulthandler`; each passes on what isn't its own
to whoever had the signal before. That works when `faulthandler` came first. Each case runs in a
process of its own.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from support.guests import Guest

TRAPS = {
    "unreachable": "(unreachable)",
    "out-of-bounds memory access": "(drop (i32.load (i32.const -8))) (unreachable)",
    "integer division by zero": "(i32.div_u (i32.const 1) (i32.const 0))",
    "indirect call to null": "(call_indirect (result i32) (i32.const 0))",
    "stack overflow": "(call $deep (i32.const 0))",
}
FIELDS = """
    (func $deep (param i32) (result i32) (i32.add (call $deep (local.get 0)) (i32.const 1)))
    (table 4 funcref)
"""

CODE = """
import faulthandler, sys
sys.path[:0] = {path!r}
if "before" in {when!r}:
    faulthandler.enable()
from pathlib import Path
import anyio
from orchestrator_plugin_host import HostSettings, PluginHost, PluginTrapError, SignalsTakenError

async def main():
    async with PluginHost(HostSettings(cache_directory=Path({cache!r}))) as host:
        for file in {files!r}:
            plugin = await host.load(file)
            if "after" in {when!r}:
                faulthandler.enable()
            if "disabled" in {when!r}:
                faulthandler.disable()
            try:
                await plugin.generate({{"messages": []}})
            except PluginTrapError as error:
                print(error.trap, (await plugin.health_check()).healthy, flush=True)
            except SignalsTakenError as error:
                print("refused,", "faulthandler" in str(error) and "faulthandler named")
                return

try:
    anyio.run(main)
except SignalsTakenError:
    pass  # the plugin's own shutdown was refused as well
"""


def traps(tmp_path: Path, cache: Path, when: str) -> tuple[int, list[str]]:
    files = []
    for i, body in enumerate(TRAPS.values()):
        path = tmp_path / f"{i}.wasm"
        path.write_bytes(Guest(functions={"generate": body}, fields=FIELDS).build())
        files.append(str(path))
    code = CODE.format(path=sys.path, when=when, cache=str(cache), files=files)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    return done.returncode, done.stdout.splitlines()


EXPECTED = (0, [f"{trap} True" for trap in TRAPS])


@pytest.mark.parametrize("when", ["never", "before", "before and again after"])
def test_no_trap_ends_the_process(tmp_path: Path, cache_directory: Path, when: str) -> None:
    assert traps(tmp_path, cache_directory, when) == EXPECTED


@pytest.mark.skipif(sys.platform != "linux", reason="other systems tell of traps in another way")
@pytest.mark.parametrize("when", ["after", "before, then disabled"])
def test_calls_are_refused_when_wasmtimes_signals_were_taken(
    tmp_path: Path, cache_directory: Path, when: str
) -> None:
    code, printed = traps(tmp_path, cache_directory, when)
    assert code == 0
    assert printed == ["refused, faulthandler named"]
