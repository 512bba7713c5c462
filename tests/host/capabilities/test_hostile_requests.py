"""What a guest could pass to `http` and `files`: it is told no, or its call ends; nothing else."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest
from orchestrator_plugin_host import (
    DocumentTooLargeError,
    HostSettings,
    HttpLimitError,
    Limits,
    LoadedProvider,
    PluginHost,
    PluginTrapError,
    Policy,
)
from orchestrator_plugin_host.settings import Tier
from orchestrator_plugin_sdk import (
    ErrorKind,
    FilesRequirement,
    HttpRequirement,
    PluginCallError,
    pack,
)
from support.guests import DATA, Guest
from support.servers import serving

pytestmark = pytest.mark.anyio

BYTES, LATIN1, BASE64 = range(3)
HUGE = (1 << 64) - 1


def send(data: bytes, form: int = BYTES) -> Guest:
    body = (
        f"(call $send (i32.const {form}) (i32.const {DATA}) (i32.const {len(data)}) "
        "(i32.const 512)) (call $as_answered)"
    )
    return Guest(reaching=True, data=data, functions={"generate": body}, memory="100")


def on_file(function: str, path: bytes, *arguments: str) -> Guest:
    body = (
        f"(call $file_{function} (i32.const {DATA}) (i32.const {len(path)}) "
        f"{' '.join(arguments)} (i32.const 512)) (call $as_answered)"
    )
    return Guest(reaching=True, data=path, functions={"generate": body}, memory="100")


def large(form: int) -> Guest:
    body = (
        f"(call $send (i32.const {form}) (i32.const 400000) (i32.const 6000000) (i32.const 512)) "
        "(call $as_answered)"
    )
    return Guest(reaching=True, memory="100", functions={"generate": body})


def without_end() -> Guest:
    data = pack({"method": "GET", "url": "http://not.granted/"})
    once = f"(call $send (i32.const 0) (i32.const {DATA}) (i32.const {len(data)}) (i32.const 512))"
    return Guest(
        reaching=True,
        data=data,
        functions={"generate": f"(loop $on {once} (br $on)) (unreachable)"},
    )


def i64(value: int) -> str:
    return f"(i64.const {value if value < 1 << 63 else value - (1 << 64)})"


INVALID = ErrorKind.INVALID_REQUEST
DENIED = ErrorKind.PERMISSION_DENIED

# A guest, and what its caller sees: nothing wrong, a refusal of this kind, or this error.
Case = tuple[Guest, ErrorKind | type[Exception] | None]


def cases(url: str) -> dict[str, Case]:
    """By what is wrong with it."""
    good = {"method": "GET", "url": url}

    def request(**changes: Any) -> Guest:
        return send(pack({**good, **changes}))

    return {
        "a good request": (request(), None),
        "the same in base64": (send(base64.b64encode(pack(good)), BASE64), None),
        "the same in latin1": (send(pack(good).decode("latin-1").encode(), LATIN1), None),
        "nothing": (send(b""), INVALID),
        "no MessagePack": (send(b"\xc1"), INVALID),
        "a huge list": (send(b"\xdd\xff\xff\xff\xff"), INVALID),
        "a list": (send(pack([1, 2])), INVALID),
        "nested deep": (send(b"\x91" * 50_000 + b"\xc0"), INVALID),
        "bad base64": (send(b"****", BASE64), INVALID),
        "beyond latin1": (send("\u20ac".encode(), LATIN1), INVALID),
        "no URL": (send(pack({"method": "GET"})), INVALID),
        "an unknown key": (request(proxy="http://evil"), INVALID),
        "a number as URL": (request(url=7), INVALID),
        "a header of three": (request(headers=[["a", "b", "c"]]), INVALID),
        "a header of one": (request(headers=[["a"]]), INVALID),
        "many headers": (request(headers=[["a", "b"]] * 101), INVALID),
        "an unknown method": (request(method="BREW"), INVALID),
        "a method with a line": (request(method="GET / HTTP/1.1\r\n"), INVALID),
        "an empty method": (request(method=""), INVALID),
        "body and json": (request(body=b"a", json={}), INVALID),
        "a json that is none": (request(json={"a": float("nan")}), INVALID),
        "a URL of 50 kB": (request(url="http://a/" + "a" * 50_000), INVALID),
        "more than the limit": (large(LATIN1), DocumentTooLargeError),
        "more than the limit, as a list": (large(BYTES), DocumentTooLargeError),
        "beyond the memory": (
            Guest(
                memory="100",
                reaching=True,
                functions={
                    "generate": "(call $send (i32.const 0) (i32.const -8) (i32.const 100) "
                    "(i32.const 512)) (call $as_answered)"
                },
            ),
            PluginTrapError,
        ),
        "no form of a payload": (send(pack(good), 3), PluginTrapError),
        "text that is no UTF-8": (send(b"\xff\xfe", LATIN1), PluginTrapError),
        "requests without end": (without_end(), HttpLimitError),
        "a response that is not there": (
            Guest(
                memory="100",
                reaching=True,
                functions={
                    "generate": "(call $http_read (i32.const 7) (i32.const -1) (i32.const 512)) "
                    "(call $http_close (i32.const 7)) (call $http_close (i32.const -1)) "
                    "(call $as_answered)"
                },
            ),
            None,
        ),
        "a file": (on_file("stat", b"data"), None),
        "no file": (on_file("stat", b"data/none"), ErrorKind.NOT_FOUND),
        "a method that is a line of a policy": (
            request(method='GET"]\n[[plugins.wat-guest.http]]\nurl = "https://*'),
            INVALID,
        ),
        "a folder that is a line of a policy": (
            on_file("stat", b'folders/a"]\n[plugins.wat-guest.files.folders]\nb = "/'),
            INVALID,
        ),
        "a folder that nobody grants": (on_file("stat", b"folders/docs"), DENIED),
        "no path": (on_file("stat", b""), INVALID),
        "an absolute path": (on_file("stat", b"/etc/passwd"), INVALID),
        "a way up": (on_file("stat", b"data/../../etc"), INVALID),
        "a path with a NUL": (on_file("stat", b"data/a\0b"), INVALID),
        "another root": (on_file("stat", b"etc/passwd"), INVALID),
        "a path of 50 kB": (on_file("stat", b"data/" + b"a" * 50_000), INVALID),
        "a path of 10,000 folders": (on_file("stat", b"data" + b"/a" * 10_000), INVALID),
        "a path that is no UTF-8": (on_file("stat", b"data/\xff"), PluginTrapError),
        "a read of everything": (
            on_file("read", b"data/none", i64(HUGE), "(i32.const -1)"),
            ErrorKind.NOT_FOUND,
        ),
        "a write at the end of the world": (
            on_file(
                "write", b"data/a", i64(HUGE), "(i32.const 0)", "(i32.const 0)", "(i32.const 8)"
            ),
            INVALID,
        ),
        "a file of 16 EiB": (on_file("resize", b"data/a", i64(HUGE)), ErrorKind.NOT_FOUND),
        "removing the root": (on_file("remove", b"data"), INVALID),
    }


@pytest.mark.parametrize("tier", ["in-process", "process"])
async def test_whatever_a_guest_asks_for(
    anyio_backend: str, cache_directory: Path, tmp_path: Path, tier: Tier
) -> None:
    settings = HostSettings(cache_directory=cache_directory, data_directory=tmp_path, tier=tier)
    limits = Limits(document_out_bytes=2_000_000)
    manifest = {
        "http": (HttpRequirement("http://*:*"),),
        "files": FilesRequirement(data=True),
    }
    with serving({"/": lambda exchange: exchange.answer(200, b"hello")}) as server:
        policy = Policy(http=[{"url": server.origin}], files={"data": {}})
        async with PluginHost(settings) as host:
            for i, (name, (guest, expected)) in enumerate(cases(server.origin).items()):
                path = tmp_path / "guest.wasm"
                path.write_bytes(guest.build(name=f"guest-{i}", **manifest))  # whose data it is
                plugin = await host.load(path, policy=policy, limits=limits, expect=LoadedProvider)
                await _sees(plugin, expected, name)
                await plugin.shutdown()


async def _sees(
    plugin: LoadedProvider, expected: ErrorKind | type[Exception] | None, name: str
) -> None:
    if expected is None:
        assert (await plugin.generate({"messages": []})).text == "hi", name
    elif isinstance(expected, ErrorKind):
        with pytest.raises(PluginCallError) as refused:
            await plugin.generate({"messages": []})
        assert refused.value.kind is expected, (name, refused.value)
    else:
        with pytest.raises(expected):
            await plugin.generate({"messages": []})
    assert (await plugin.health_check()).healthy, name
