"""What the kernel holds for a guest besides its memory: tables of pages, which no limit counts."""

from __future__ import annotations

import os
import sys

import pytest
from orchestrator_plugin_host import Limits
from orchestrator_plugin_host.sandbox.processes import ProcessInstance
from orchestrator_plugin_host.sandbox.values import Ok
from support.guests import Guest
from support.processes import kernel_bytes

from .conftest import Make, ask

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc"),
]

MEMORY = 256 << 20
MEMORIES = 8
PAGES = MEMORY // MEMORIES // 65_536
READS = f"""
  (core module $reads{{number}} (memory {PAGES}) (global $sum (mut i32) (i32.const 0))
    (func $read (local $at i32)
      (loop $more
        (global.set $sum (i32.add (global.get $sum) (i32.load8_u (local.get $at))))
        (local.set $at (i32.add (local.get $at) (i32.const {{step}})))
        (br_if $more (i32.lt_u (local.get $at) (i32.const {PAGES * 65_536})))))
    (start $read))
  (core instance (instantiate $reads{{number}}))
"""
"""A memory of which a byte is read in each step: no page of it holds anything."""


@pytest.mark.parametrize("step", [4096, 2 << 20])
async def test_they_are_bounded_by_the_guests_memory(make: Make, step: int) -> None:
    limits = Limits(memory_bytes=MEMORY, memories=MEMORIES)
    reads = (READS.format(number=number, step=step) for number in range(MEMORIES - 1))
    guest = Guest(extra="".join(reads))
    read = MEMORY // MEMORIES * (MEMORIES - 1)
    before = kernel_bytes(os.getpid())
    made = await make(guest, limits=limits)
    here = kernel_bytes(os.getpid()) - before
    there = kernel_bytes(made.pid) if isinstance(made, ProcessInstance) else 0
    # Eight bytes for each page of 4 KiB, and some pages for each memory and the process itself.
    if isinstance(made, ProcessInstance):
        assert there >= read // 512  # so that it is this that is measured
    assert max(here, there) <= MEMORY // 512 + (1 << 20)
    assert isinstance(await ask(made, limits=limits), Ok)
