"""A worker that a guest has taken over: whatever it says, its caller gets a typed error.

The other end is a process that does what a test's own code says, started where the worker would be.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest
from orchestrator_plugin_host import (
    DeadlineExceededError,
    DocumentTooLargeError,
    Limits,
    LogLimitError,
    PluginOutputError,
    PluginTrapError,
    WorkerLostError,
    read_component,
)
from orchestrator_plugin_host.admission import world_of
from orchestrator_plugin_host.calls import Call
from orchestrator_plugin_host.sandbox.inprocess import Sandbox
from orchestrator_plugin_host.sandbox.loader import ComponentLoader
from orchestrator_plugin_host.sandbox.processes import ProcessInstance
from orchestrator_plugin_host.sandbox.templates import Template
from orchestrator_plugin_host.sandbox.worker import spawn
from orchestrator_plugin_sdk import PluginContext, PluginError, PluginType
from orchestrator_plugin_sdk.contract import KINDS
from support.guests import Guest
from support.heartbeat import MAX_GAP_SECONDS, undisturbed
from support.processes import HANG_SECONDS, alive, resident_bytes, wait_until

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

MANY_BYTES = 400_000_000
"""More memory than any message may cost the host."""

PRELUDE = """
import json, os, socket, sys, threading, time
given = json.loads(sys.argv[1])
sys.path += given["paths"]
import msgpack
end = socket.socket(fileno=given["channel"])
def receive(size=None):
    if size is None:
        return receive(int.from_bytes(receive(4), "little"))
    data = b""
    while len(data) < size:
        piece = end.recv(size - len(data))
        if not piece:
            os._exit(0)
        data += piece
    return data
def raw(data):
    end.sendall(len(data).to_bytes(4, "little") + data)
def say(*words):
    raw(msgpack.packb(list(words)))
def imports(interface, name, *values):
    say("asked", interface, name, list(values))
ERROR = {"kind": "internal", "message": "", "retryable": False, "retry-after-ms": None}
receive()
"""
READY = 'say("ready", [])\nreceive()\n'
MADE = READY + 'say("done", None)\nreceive()\n'
WAIT = "\ntime.sleep(3600)\n"

NONSENSE: dict[str, tuple[str, type[PluginError]]] = {
    "leaves": ("os._exit(0)", WorkerLostError),
    "leaves with a status": ("os._exit(3)", WorkerLostError),
    "ends itself by a signal without a name": ("os.kill(os.getpid(), 40)", WorkerLostError),
    "closes the channel and stays": ("end.shutdown(2); end.close()", WorkerLostError),
    "closes its half": ("end.shutdown(1)", WorkerLostError),
    "garbage": ("end.sendall(os.urandom(100_000))", WorkerLostError),
    "a huge length": ('end.sendall(b"\\xff" * 4)', WorkerLostError),
    "a length and nothing": ('end.sendall(b"\\x10\\0\\0\\0")', DeadlineExceededError),
    "half a length": ('end.sendall(b"\\x10\\0")', DeadlineExceededError),
    "silence": ("", DeadlineExceededError),
    "a byte now and then": (
        'end.sendall(b"\\0\\x80\\0\\0")\nwhile True: end.sendall(b"x"); time.sleep(0.001)',
        DeadlineExceededError,
    ),
    "a message of no bytes": ('raw(b"")', WorkerLostError),
    "two documents in one": ('raw(b"\\x01\\x02")', WorkerLostError),
    "an extension": ('raw(b"\\x91\\xd4\\x05a")', WorkerLostError),
    "a timestamp": ("raw(msgpack.packb([msgpack.Timestamp(1)]))", WorkerLostError),
    "a timestamp of no time": ('raw(b"\\x91\\xc7\\x0c\\xff" + b"\\xff" * 12)', WorkerLostError),
    "text that is none": ('raw(b"\\x91\\xa2\\xff\\xfe")', WorkerLostError),
    "a map with odd keys": ('raw(b"\\x91\\x81\\x91\\x01\\x02")', WorkerLostError),
    "deep nesting": ('raw(b"\\x91" * 100_000)', WorkerLostError),
    "lists said to be long": (
        'n = 8_000_000\nraw((b"\\xdd" + n.to_bytes(4, "big")) * 500 + b"\\x80" * n)',
        WorkerLostError,
    ),
    "many maps": ('raw(b"\\xdc\\x03\\xe8" + b"\\xdc\\x03\\xe8" * 2000)', WorkerLostError),
    "a thousand lists of a thousand items": (
        'raw(b"\\xdc\\x03\\xe8" + (b"\\xdc\\x03\\xe8" + b"\\xc0" * 1000) * 1000)',
        WorkerLostError,
    ),
    "a million texts": (
        'raw(b"\\xdd" + (1_000_000).to_bytes(4, "big") + b"\\xa1a" * 1_000_000)',
        WorkerLostError,
    ),
    "a number": ("raw(msgpack.packb(7))", PluginOutputError),
    "an empty list": ("say()", PluginOutputError),
    "a list that begins with a list": ("say([], 1)", PluginOutputError),
    "an unknown word": ('say("hello")', PluginOutputError),
    "a word alone": ('say("done")', PluginOutputError),
    "too many words": ('say("done", None, None)', PluginOutputError),
    "an answer of another time": ('say("compiled", 4)', PluginOutputError),
    "a trap without words": ('say("trap", 9, None)', PluginOutputError),
    "a trap of no code": ('say("trap", "9", "words")', PluginOutputError),
    "an import alone": ('say("asked")', PluginOutputError),
    "an unknown import": ('imports("log", "empty")', PluginOutputError),
    "an import of an unknown interface": ('imports("network", "connect")', PluginOutputError),
    "an import with odd names": ('say("asked", 1, [], {})', PluginOutputError),
    "an import of more than it takes": ('imports("clock", "wall-now", 1)', PluginOutputError),
    "a slice of fuel": ('say("yielded")', PluginOutputError),
    "a step of no guest": ('say("instantiate", [], 1, {})', PluginOutputError),
}
"""What makes no sense at any time, and the error of it."""

FLOOD = """
threading.Thread(target=lambda: [end.recv(1 << 20) for _ in iter(int, 1)]).start()
one = msgpack.packb([{}])
many = (len(one).to_bytes(4, "little") + one) * max(1, 250_000 // len(one))
while True: end.sendall(many)
"""
"""Asks thousands of times at once, and takes the answers."""

LARGE_TEXT = '"\\U0001f98a" * 8_000_000'
"""Of 32 MB, and as much work to decode as there can be."""

ANSWERS: dict[str, tuple[str, type[PluginError]]] = {
    "a result of another type": ('say("done", [True, 7])', PluginOutputError),
    "a payload of an unknown form": ('say("done", [True, ["gzip", b""]])', PluginOutputError),
    "a payload of another type": ('say("done", [True, ["latin1", "text"]])', PluginOutputError),
    "a list of bytes": ('say("done", [True, ["bytes", b"\\x80"]])', PluginOutputError),
    "no result": ('say("done", None)', PluginOutputError),
    "an error of an unknown kind": (
        'say("done", [False, ERROR | {"kind": "odd"}])',
        PluginOutputError,
    ),
    "an error with less": ('say("done", [False, {"kind": "internal"}])', PluginOutputError),
    "an error with a negative time": (
        'say("done", [False, ERROR | {"retry-after-ms": -1}])',
        PluginOutputError,
    ),
    "a trap of an unknown code": ('say("trap", 2**63, "words")', PluginTrapError),
    "a trap of many words": ('say("trap", None, "w" * 10_000_000)', PluginTrapError),
    "many words of a value": ('say("value", "w" * 10_000_000)', PluginOutputError),
    "many words of an import": (
        'say("import-value", "log", "w" * 10_000_000)',
        PluginOutputError,
    ),
    "a negative size": ('say("large", -1)', DocumentTooLargeError),
    "a large import of an odd name": ('say("import-large", "odd", 2**62)', DocumentTooLargeError),
    "a large log": ('say("import-large", "log", 2**62)', LogLimitError),
    "a large import of no size": ('say("import-large", "log", -1)', PluginOutputError),
    "a large import of another type": ('say("import-large", "log", "1")', PluginOutputError),
    "a log of no payload": ('imports("log", "emit", 7)', PluginOutputError),
    "a log of no event": ('imports("log", "emit", ["base64", b"wQ=="])', PluginOutputError),
    "a log of no latin-1": (
        'imports("log", "emit", ["latin1", b"\\xe2\\x82\\xac"])',
        PluginOutputError,
    ),
    "a log of no text": ('imports("log", "emit", ["latin1", b"\\xff"])', PluginOutputError),
    "a log of no bytes": ('imports("log", "emit", ["latin1", "text"])', PluginOutputError),
    "a log of no base64": ('imports("log", "emit", ["base64", b"?"])', PluginOutputError),
    "a log too many": ('imports("log", "emit", ["latin1", bytes(5_000_000)])', LogLimitError),
    "a sleep of less than nothing": ('imports("clock", "sleep", -1)', PluginOutputError),
    "a sleep of too many bits": ('imports("clock", "sleep", "1")', PluginOutputError),
    "a sleep for ever": ('imports("clock", "sleep", 2**64 - 1)', DeadlineExceededError),
    "much randomness": ('imports("random", "get-bytes", 2**32 - 1)', PluginOutputError),
    "arguments that are missing": ('imports("random", "get-bytes")', PluginOutputError),
    "imports for ever": (
        'while True:\n    imports("clock", "wall-now")\n    receive()',
        DeadlineExceededError,
    ),
    "imports for ever, unheard": (
        'while True: imports("random", "get-bytes", 60_000)',
        DeadlineExceededError,
    ),
    "small imports for ever, many at once": (
        FLOOD.format('"asked", "abort", "is-aborted", []'),
        DeadlineExceededError,
    ),
    "a payload that is a large text": (
        f'say("done", [True, ["latin1", {LARGE_TEXT}]])',
        PluginOutputError,
    ),
    "an import of an interface with a large name": (
        f'say("asked", {LARGE_TEXT}, "emit", [])',
        PluginOutputError,
    ),
    "an error of an unknown kind with a large text": (
        f'say("done", [False, ERROR | {{"kind": "odd", "message": {LARGE_TEXT}}}])',
        PluginOutputError,
    ),
    "a large log of no event": (
        'imports("log", "emit", ["latin1", b"\\x01" * 1_000_000])',
        PluginOutputError,
    ),
    "log events for ever": (
        FLOOD.format(
            '"asked", "log", "emit", [["latin1", msgpack.packb('
            '{"type": "t", "level": "info", "message": "m", "fields": {}})'
            '.decode("latin-1").encode()]]'
        ),
        LogLimitError,
    ),
    "sleeps of nothing, for ever": (
        FLOOD.format('"asked", "clock", "sleep", [0]'),
        DeadlineExceededError,
    ),
    "large requests that are refused, for ever": (
        FLOOD.format('"asked", "http", "send", [["latin1", b"x" * 15_000_000]]'),
        DeadlineExceededError,
    ),
    "large requests of many items, for ever": (
        FLOOD.format(
            '"asked", "http", "send", '
            '[["latin1", b"\\xc2\\x81\\xc2\\xa1a\\xc3\\x9c\\xc3\\x83\\x50" + b"\\x01" * 50_000]]'
        ),
        DeadlineExceededError,
    ),
    "requests that are refused, for ever": (
        FLOOD.format('"asked", "http", "close", [7]'),
        DeadlineExceededError,
    ),
}
"""What makes no sense in answer to a call."""


@pytest.fixture(scope="module")
def template(cache_directory: Path) -> Iterator[Template]:
    """What real workers would run."""
    sandbox = Sandbox()
    loader = ComponentLoader(lambda: sandbox, cache_directory, 1 << 40)
    yield loader.load(
        "wat-guest",
        read_component(Guest().core()),
        world_of(KINDS[PluginType.PROVIDER]),
        frozenset(),
        Limits(),
        "process",
        threading.Event(),
    )
    sandbox.close()


def one_call(*, to_be_late: bool) -> Call:
    deadline_ms = 500 if to_be_late else 20_000  # a busy machine takes long to start a worker
    return Call("wat-guest", Limits(deadline_ms=deadline_ms), PluginContext())


async def used(template: Template, pids: list[int], *, late: bool, invoke: bool) -> None:
    """Makes an instance in a worker, and calls it."""
    source = template.source()
    try:
        call = one_call(to_be_late=late and not invoke)
        with call.scope():
            instance = await source.instance(call)
        assert isinstance(instance, ProcessInstance)
        pids.append(instance.pid)
        try:
            await instance.run(
                one_call(to_be_late=late),
                "orchestrator:plugin/provider@1.0.0",
                "generate",
                ("latin1", b""),
            )
        finally:
            assert not instance.usable
    finally:
        await source.close()


async def fails(template: Template, error: type[PluginError], *, invoke: bool) -> None:
    """The worker's end comes with this error, is bounded in time and memory, and leaves the event
    loop alone meanwhile."""
    late = error is DeadlineExceededError
    pids: list[int] = []
    before = resident_bytes(os.getpid())
    attempts = 0

    async def attack() -> None:
        nonlocal attempts
        attempts += 1
        with anyio.fail_after(HANG_SECONDS), pytest.raises(PluginError) as raised:
            await used(template, pids, late=late, invoke=invoke)
        assert type(raised.value) is error, raised.value
        assert len(str(raised.value)) < 10_000

    beating = await undisturbed(attack)
    assert beating.gap < MAX_GAP_SECONDS
    assert resident_bytes(os.getpid()) < before + MANY_BYTES
    assert len(pids) == invoke * attempts
    for pid in pids:
        wait_until(lambda pid=pid: not alive(pid), "the worker's end")


@pytest.mark.parametrize("stage", ["", MADE], ids=["started", "made"])
@pytest.mark.parametrize("case", NONSENSE)
async def test_nonsense(
    template: Template, monkeypatch: pytest.MonkeyPatch, case: str, stage: str
) -> None:
    code, error = NONSENSE[case]
    monkeypatch.setattr(spawn, "_START", PRELUDE + stage + code + WAIT)
    await fails(template, error, invoke=stage == MADE)


@pytest.mark.parametrize("case", ANSWERS)
async def test_answers_to_a_call(
    template: Template, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    code, error = ANSWERS[case]
    monkeypatch.setattr(spawn, "_START", PRELUDE + MADE + code + WAIT)
    await fails(template, error, invoke=True)
