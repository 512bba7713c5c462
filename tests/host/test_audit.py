"""The audit: what is in it, who may read it, and what happens when it can't be written."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar

import anyio
import pytest
from hypothesis import HealthCheck, given, settings
from orchestrator_plugin_host import (
    AuditError,
    HostSettings,
    Limits,
    LoadedProvider,
    PluginHost,
    Policy,
)
from orchestrator_plugin_host.audit import AuditLog
from orchestrator_plugin_sdk import (
    FilesRequirement,
    ModelRequest,
    ModelResponse,
    PluginCallError,
    PluginContext,
    PluginError,
    PluginExport,
)
from support.guests import Guest
from support.servers import Exchange, Server, serving
from support.texts import WITH_HALVES, hidden_in

from .capabilities.conftest import Fetching, fetch, manifest

pytestmark = pytest.mark.anyio


@pytest.fixture
def server() -> Iterator[Server]:
    with serving({}) as opened:
        yield opened


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "audit" / "audit.jsonl"


@pytest.fixture
async def host(anyio_backend: str, cache_directory: Path, path: Path) -> AsyncIterator[PluginHost]:
    settings = HostSettings(cache_directory=cache_directory, audit_file=path)
    async with PluginHost(settings) as opened:
        yield opened


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


async def test_every_decision_is_a_line(
    host: PluginHost, path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEY", "sk-value-of-the-key")
    server.answers["/"] = lambda exchange: exchange.answer(200, b"x" * 1000)
    policy = Policy(
        http=[{"url": server.origin, "methods": ["POST"]}],
        secrets={"api_key": {"env": "KEY", "urls": [server.origin]}},
    )
    plugin = await host.load(
        PluginExport(manifest(), Fetching), policy=policy, expect=LoadedProvider
    )
    context = PluginContext(run_id="run-7")
    request = {
        "messages": [],
        "metadata": {"url": f"{server.origin}/?q=private", "method": "POST",
                     "headers": {"authorization": "SECRET"}},
    }  # fmt: skip
    await plugin.generate(request, context)
    with pytest.raises(PluginCallError):
        await fetch(plugin, server.origin)  # GET
    with pytest.raises(PluginCallError):
        await fetch(plugin, "https://example.com")
    await host.close()
    found = [one for one in lines(path) if one["operation"] == "generate"]
    made, called, method, failed, origin, _ = found
    assert made["allowed"]
    assert (made["method"], made["origin"], made["status"]) == ("POST", server.origin, 200)
    assert made["secrets"] == ["api_key"]
    assert made["down_bytes"] == 1000
    assert made["up_bytes"] > 0
    assert made["ms"] >= 0
    assert made["plugin"] == "small"
    assert made["digest"] is None  # it is native
    assert made["run"] == "run-7"
    assert made["call"] == called["call"] != failed["call"]
    assert datetime.fromisoformat(made["time"]).tzinfo is not None
    assert (called["kind"], called["outcome"], called["requests"]) == ("call", "ok", 1)
    assert (failed["kind"], failed["outcome"]) == ("call", "PluginCallError")
    assert not method["allowed"]
    assert method["reason"] == "method not in policy"
    assert origin["reason"] == "origin not in policy"
    # Neither what was sent nor what it was sent about.
    assert "sk-value" not in path.read_text()
    assert "private" not in path.read_text()


async def test_denied_files_are_lines(host: PluginHost, path: Path) -> None:
    class Writing(Fetching):
        async def generate(self, req: ModelRequest, ctx: PluginContext) -> ModelResponse:
            await ctx.files.write("data/x", b"1")
            return ModelResponse("")

    asked = replace(manifest(), files=FilesRequirement(data=True))
    plugin = await host.load(PluginExport(asked, Writing), expect=LoadedProvider)
    with pytest.raises(PluginCallError, match="the policy does not grant it"):
        await plugin.generate({"messages": []})
    await host.close()
    (denied,) = [one for one in lines(path) if one["kind"] == "files"]
    assert (denied["allowed"], denied["path"]) == (False, "data/x")


async def test_a_component_is_named_by_its_digest(
    host: PluginHost, path: Path, tmp_path: Path
) -> None:
    (tmp_path / "a.wasm").write_bytes(Guest().build())
    plugin = await host.load(tmp_path / "a.wasm")
    await plugin.health_check()
    await host.close()
    assert len(lines(path)[-1]["digest"]) == 64


async def test_it_is_this_users_alone_and_grows(host: PluginHost, path: Path) -> None:
    await host.close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.write_text("before\n")
    async with host:
        plugin = await host.load(PluginExport(manifest(), Fetching))
        await plugin.health_check()
    assert path.read_text().startswith("before\n{")


async def test_a_file_that_can_not_be_opened_opens_no_host(tmp_path: Path) -> None:
    for place in (tmp_path, Path("/proc/audit.jsonl"), tmp_path / "link"):
        if place.name == "link":
            place.symlink_to(tmp_path / "elsewhere")
        with pytest.raises(AuditError, match="can't be opened"):
            async with PluginHost(HostSettings(audit_file=place)):
                pass


async def test_what_can_not_be_audited_does_not_happen(
    cache_directory: Path, server: Server
) -> None:
    server.answers["/"] = lambda exchange: exchange.answer(200)
    settings = HostSettings(cache_directory=cache_directory, audit_file=Path("/dev/full"))
    with pytest.raises(AuditError, match="No space left"):
        async with PluginHost(settings) as host:
            policy = Policy(http=[{"url": server.origin}])
            plugin = await host.load(
                PluginExport(manifest(), Fetching), policy=policy, expect=LoadedProvider
            )
            for _ in range(100):
                await fetch(plugin, server.origin)


def test_lines_of_many_threads_are_whole(path: Path) -> None:
    log = AuditLog(path)

    def write(name: int) -> None:
        for i in range(500):
            log.write({"name": name, "i": i, "text": "ü\n\ud800" * 20})

    threads = [threading.Thread(target=write, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    log.close()
    found = lines(path)
    assert len(found) == 4000
    for name in range(8):
        assert [one["i"] for one in found if one["name"] == name] == list(range(500))
    assert not any(
        one.name.startswith("orchestrator-plugin-audit") for one in threading.enumerate()
    )
    assert os.path.exists(path)


@pytest.mark.parametrize("how", ["no connection", "no answer", "late", "given up"])
async def test_a_request_that_fails_is_a_line(
    host: PluginHost, path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """It may have gone out, with a secret in it."""
    monkeypatch.setenv("KEY", "sk-value-of-the-key")
    arrived = threading.Event()

    def nothing(exchange: Exchange) -> None:
        arrived.set()
        exchange.close_connection = True
        if how in ("late", "given up"):
            over.wait(30)

    over = threading.Event()
    with ExitStack() as open_server:
        server = open_server.enter_context(serving({"/": nothing}))
        if how == "no connection":
            open_server.close()
        policy = Policy(
            http=[{"url": server.origin}],
            secrets={"api_key": {"env": "KEY", "urls": [server.origin]}},
        )
        limits = Limits(http_ms=200) if how == "late" else None
        export = PluginExport(manifest(), Fetching)
        plugin = await host.load(export, policy=policy, limits=limits, expect=LoadedProvider)
        asked = {"url": server.origin, "headers": {"authorization": "SECRET"}}
        if how == "given up":
            async with anyio.create_task_group() as group:
                group.start_soon(plugin.generate, {"messages": [], "metadata": asked})
                await anyio.to_thread.run_sync(arrived.wait)
                group.cancel_scope.cancel()
        else:
            with pytest.raises(PluginError):
                await plugin.generate({"messages": [], "metadata": asked})
        over.set()
    await host.close()
    [made] = [one for one in lines(path) if one["kind"] == "http"]
    assert made["allowed"]
    assert (made["origin"], made["secrets"]) == (server.origin, ["api_key"])
    assert (
        made["failed"]
        in {
            "no connection": {f"{server.origin}: no connection"},
            "no answer": {f"{server.origin}: it closed the connection without a response"},
            "late": {"HttpLimitError"},
            "given up": {"CancelledError", "Cancelled"},
        }[how]
    )
    assert made["ms"] >= 0
    assert "status" not in made


def test_an_audit_that_is_closed_takes_nothing(path: Path) -> None:
    log = AuditLog(path)
    log.write({"kind": "first"})
    log.close()
    with pytest.raises(AuditError, match="closed"):
        log.write({"kind": "second"})
    assert [one["kind"] for one in lines(path)] == ["first"]


class Slow(Fetching):
    """Makes a request in its `init`, when it is told to."""

    begun: ClassVar[threading.Event] = threading.Event()

    async def init(self, config: Mapping[str, Any], ctx: PluginContext) -> None:
        self.begun.set()
        await anyio.sleep(0.2)
        await ctx.http.request("GET", config["url"])


async def test_a_host_that_is_closed_lets_nothing_happen_unseen(
    host: PluginHost, path: Path, server: Server
) -> None:
    policy = Policy(http=[{"url": server.origin}])
    failed: list[PluginError] = []
    Slow.begun.clear()

    async def load() -> None:
        try:
            export = PluginExport(manifest(), Slow)
            await host.load(export, {"url": f"{server.origin}/"}, policy=policy)
        except PluginError as error:
            failed.append(error)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(load)
        await anyio.to_thread.run_sync(Slow.begun.wait)
        await host.close()
    assert isinstance(failed[0], AuditError)
    audited = [one for one in lines(path) if one["kind"] == "http"]
    assert len(audited) == len(server.seen), "a request that is in no audit"


def test_a_host_that_nobody_closes_keeps_no_interpreter_and_loses_no_line(path: Path) -> None:
    code = (
        "import sys; from pathlib import Path\n"
        "from orchestrator_plugin_host.audit import AuditLog\n"
        "log = AuditLog(Path(sys.argv[1]))\n"
        "for i in range(2000): log.write({'i': i})\n"
    )
    subprocess.run([sys.executable, "-c", code, str(path)], check=True, timeout=60)
    assert [one["i"] for one in lines(path)] == list(range(2000))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])  # the file is made anew
@given(text=WITH_HALVES)
def test_a_record_is_one_line_that_hides_nothing(tmp_path: Path, text: str) -> None:
    path = tmp_path / "audit.jsonl"
    path.unlink(missing_ok=True)
    log = AuditLog(path)
    log.write({"path": text, text: [text], "ż": "ż"})
    log.close()
    written = path.read_bytes().decode()
    assert written.endswith("\n")
    assert not hidden_in(written[:-1])
    assert json.loads(written) == json.loads(json.dumps({"path": text, text: [text], "ż": "ż"}))
    assert "ż" in written
