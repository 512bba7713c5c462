"""Compiled code between where it was authenticated and where it runs: nothing changes it."""

from __future__ import annotations

import mmap
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from orchestrator_plugin_host import HostSettings, PluginHost
from orchestrator_plugin_host.sandbox.code import Code
from support.guests import Guest

linux = pytest.mark.skipif(sys.platform != "linux", reason="memory files are Linux's")


def none_left(*_: Any, **__: Any) -> Any:
    raise OSError(24, "Too many open files")


def in_one_buffer() -> Iterator[memoryview]:
    """Pieces, each of which takes the place of the one before."""
    piece = bytearray(4)
    for number in range(3):
        piece[:] = b"%04d" % number
        yield memoryview(piece)


@pytest.fixture(params=["file", "bytes"])
def in_memory(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a memory file, and where none can be made."""
    if request.param == "bytes":
        monkeypatch.setattr(os, "memfd_create", none_left, raising=False)


@pytest.mark.usefixtures("in_memory")
def test_code_that_comes_in_pieces() -> None:
    assert bytes(Code.gathered(in_one_buffer()).read()) == b"000000010002"
    assert bytes(Code.gathered([]).read()) == b""
    assert bytes(Code.of(bytearray(b"code")).read()) == b"code"


@linux
def test_nothing_changes_it() -> None:
    code = Code.of(b"code")
    assert code.descriptor is not None
    with pytest.raises(PermissionError):
        os.pwrite(code.descriptor, b"C", 0)
    with pytest.raises(PermissionError):
        os.ftruncate(code.descriptor, 0)
    with pytest.raises(PermissionError):
        mmap.mmap(code.descriptor, 4)
    assert code.read() == b"code"


@linux
def test_the_file_is_closed_with_it() -> None:
    code = Code.of(b"code")
    descriptor = code.descriptor
    assert descriptor is not None
    os.fstat(descriptor)
    del code
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)


@linux
def test_no_file_is_left_of_code_that_could_not_be_read() -> None:
    before = os.listdir("/proc/self/fd")

    def broken() -> Iterator[bytes]:
        yield b"code"
        raise OSError(5, "Input/output error")

    with pytest.raises(OSError, match="Input/output error"):
        Code.gathered(broken())
    assert len(os.listdir("/proc/self/fd")) == len(before)


@pytest.mark.anyio
@pytest.mark.parametrize("how", ["mapped", "no memory file", "no /proc"])
async def test_a_component_from_the_cache(
    anyio_backend: str, how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    component = tmp_path / "guest.wasm"
    component.write_bytes(Guest().build())
    settings = HostSettings(cache_directory=tmp_path / "cache")
    async with PluginHost(settings) as host:
        await host.load(component)
    (stored,) = (tmp_path / "cache").glob("*.cwasm")
    compiled = stored.stat().st_ino
    if how == "no memory file":
        monkeypatch.setattr(os, "memfd_create", none_left, raising=False)
    if how == "no /proc":
        monkeypatch.setattr(Code, "path", property(lambda _: str(tmp_path / "nothing")))
    async with PluginHost(settings) as host:
        assert (await (await host.load(component)).health_check()).healthy
    assert stored.stat().st_ino == compiled  # it was not compiled again
