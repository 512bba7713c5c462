"""Tool executors: requests, policies, results, and the example `text-tools`."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import pytest
from orchestrator_plugin_host import (
    DeadlineExceededError,
    DocumentTooLargeError,
    HostSettings,
    Limits,
    LoadedToolExecutor,
    PluginAbortedError,
    PluginHost,
    PluginInputError,
    PluginOutputError,
)
from orchestrator_plugin_sdk import (
    AbortController,
    ErrorKind,
    LogEvent,
    MemoryLogger,
    PluginCallError,
    PluginContext,
    PluginType,
    ToolExecutorPlugin,
    ToolPolicy,
    ToolRunRequest,
    ToolRunResult,
    load_plugin,
    load_project,
    to_document,
)
from support.building import EXAMPLES
from support.heartbeat import unhindered
from support.tool_policies import cases

from .conftest import Plugins

pytestmark = pytest.mark.anyio

NAME = "probe-tool-executor"
ALL = ToolPolicy(enabled=True)
RUN = ToolRunRequest("run")


async def probe(plugins: Plugins, **how: Any) -> LoadedToolExecutor:
    """An executor with methods of a test's own."""
    loaded = await plugins.probe(PluginType.TOOL_EXECUTOR, **how)
    assert isinstance(loaded, LoadedToolExecutor)
    return loaded


# The example.


RUNS: dict[str, ToolRunRequest] = {
    "count": ToolRunRequest("text.count", stdin="one two\nżółć 🦊\n"),
    "grep": ToolRunRequest("text.grep", ("-in", "FOX"), "a fox\nno\nFox 🦊\n"),
    "no-match": ToolRunRequest("text.grep", ("x",), "abc\n"),
    "bad-pattern": ToolRunRequest("text.grep", ("-Z", "x"), "abc\n"),
    "replace": ToolRunRequest("text.replace", (r"(\w+)@", r"\1 at "), "me@home\0\n"),
    "sort": ToolRunRequest("text.sort", ("-rn",), "10\n9\n-1.5\nx\n"),
    "json": ToolRunRequest("text.json", ("a.1",), '{"a": [1, {"ż": null}]}'),
    "diff": ToolRunRequest("text.diff", ("a\nb\n", "a\nc")),
    "hash": ToolRunRequest("text.hash", ("blake2b",), "data"),
    "slug": ToolRunRequest("text.slug", stdin="Crème brûlée!\nŁódź 漢字\n"),
    "help": ToolRunRequest("text.help"),
}


@pytest.mark.parametrize("run", RUNS.values(), ids=RUNS)
async def test_text_tools_run_the_same_everywhere(run: ToolRunRequest, plugins: Plugins) -> None:
    executor = await plugins.example("text-tools")
    itself = await load_plugin(load_project(EXAMPLES / "text-tools"))
    assert isinstance(itself, ToolExecutorPlugin)
    expected = await itself.execute(run, ALL, PluginContext())
    for result in (
        await executor.execute(run, ALL),
        await executor.execute(to_document(run), to_document(ALL)),
    ):
        assert replace(result, duration_ms=0) == replace(expected, duration_ms=0)
        assert result.duration_ms >= 0


async def test_text_tools_keep_to_the_policy(plugins: Plugins) -> None:
    executor = await plugins.example("text-tools")
    policies = (
        (ALL, True),
        (ToolPolicy(), False),
        ({"enabled": True, "allowed_commands": ["text.c*"]}, True),
        (ToolPolicy(True, ("text.*",), ("*.count",)), False),
    )
    for policy, allowed in policies:
        assert await executor.is_allowed("text.count", policy) is allowed
        if allowed:
            assert (await executor.execute({"command": "text.count"}, policy)).exit_code == 0
            continue
        with pytest.raises(PluginCallError) as caught:
            await executor.execute({"command": "text.count"}, policy)
        assert caught.value.kind is ErrorKind.PERMISSION_DENIED
        assert caught.value.message.startswith("the policy does not allow 'text.count': ")
    with pytest.raises(PluginCallError) as caught:
        await executor.execute({"command": "rm"}, ALL)
    assert caught.value.kind is ErrorKind.NOT_FOUND


async def test_text_tools_cut_their_output(plugins: Plugins) -> None:
    executor = await plugins.example("text-tools")
    request = ToolRunRequest("text.sort", stdin="🦊🦊\n")
    result = await executor.execute(request, ToolPolicy(True, max_output_bytes=6))
    assert (result.stdout, result.truncated) == ("🦊", True)


# Requests.


async def _execute(self, request, policy, ctx):
    ctx.logger.info("request", type=type(request).__name__, request=to_document(request))
    ctx.logger.info("policy", type=type(policy).__name__, policy=to_document(policy))
    return ToolRunResult(0, 0)


def _is_allowed(self, command, policy):
    self.ctx.logger.info("is_allowed", command=command, policy=to_document(policy))
    return policy.allows(command)


async def test_every_field_of_a_request_arrives(plugins: Plugins) -> None:
    logger = MemoryLogger()
    executor = await probe(plugins, execute=_execute, is_allowed=_is_allowed)
    request = ToolRunRequest(
        "run 🏃", ("-x", "", "a b\0"), "in\nput\0 żółć", "/w", {"PATH": "/bin", "": "🔑"}, 2**40
    )
    policy = ToolPolicy(True, ("run *", "?"), ("rm",), True, 2**40, 50_000)
    for asked in ((request, policy), (to_document(request), to_document(policy))):
        await executor.execute(*asked, PluginContext(logger=logger))
    await executor.execute({"command": "c"}, {"enabled": True}, PluginContext(logger=logger))
    defaults = to_document(ToolRunRequest("c")), to_document(ALL)
    assert logger.events == [
        LogEvent(name, fields={"type": kind, name: document})
        for sent in [(to_document(request), to_document(policy))] * 2 + [defaults]
        for name, kind, document in zip(
            ("request", "policy"), ("ToolRunRequest", "ToolPolicy"), sent, strict=True
        )
    ]


async def test_is_allowed_gets_the_command_and_the_policy(plugins: Plugins) -> None:
    logger = MemoryLogger()
    executor = await probe(plugins, is_allowed=_is_allowed, context=PluginContext(logger=logger))
    policy = ToolPolicy(True, ("żółć *", ""))
    assert await executor.is_allowed("żółć \0", policy) is True
    assert await executor.is_allowed("", to_document(policy)) is True
    assert logger.events == [
        LogEvent("is_allowed", fields={"command": command, "policy": to_document(policy)})
        for command in ("żółć \0", "")
    ]


BAD_CALLS: dict[str, Callable[[LoadedToolExecutor], Any]] = {
    "no-request": lambda e: e.execute(None, {}),  # type: ignore[arg-type]
    "request-is-text": lambda e: e.execute("run", {}),  # type: ignore[arg-type]
    "no-command": lambda e: e.execute({}, {}),
    "command-is-a-list": lambda e: e.execute({"command": ["run"]}, {}),
    "args-are-text": lambda e: e.execute({"command": "run", "args": "-x"}, {}),
    "args-are-numbers": lambda e: e.execute({"command": "run", "args": [1]}, {}),
    "args-of-an-object-are-numbers": lambda e: e.execute(ToolRunRequest("run", (1,)), {}),  # type: ignore[arg-type]
    "stdin-is-bytes": lambda e: e.execute({"command": "run", "stdin": b"in"}, {}),
    "stdin-of-an-object-is-bytes": lambda e: e.execute(ToolRunRequest("run", stdin=b"in"), {}),  # type: ignore[arg-type]
    "env-of-numbers": lambda e: e.execute({"command": "run", "env": {"A": 1}}, {}),
    "env-with-a-number-key": lambda e: e.execute({"command": "run", "env": {1: "A"}}, {}),
    "unknown-key": lambda e: e.execute({"command": "run", "shell": True}, {}),
    "no-policy": lambda e: e.execute(RUN, None),  # type: ignore[arg-type]
    "policy-is-a-flag": lambda e: e.execute(RUN, True),  # type: ignore[arg-type]
    "policy-unknown-key": lambda e: e.execute(RUN, {"enable": True}),
    "policy-number-for-flag": lambda e: e.execute(RUN, {"enabled": 1}),
    "policy-object-number-for-flag": lambda e: e.execute(RUN, ToolPolicy(1)),  # type: ignore[arg-type]
    "policy-text-for-list": lambda e: e.execute(RUN, {"allowed_commands": "*"}),
    "huge-timeout": lambda e: e.execute(ToolRunRequest("run", timeout_ms=2**64), ALL),
    "lone-surrogate": lambda e: e.execute(ToolRunRequest("\udcff"), ALL),
    "is-allowed-without-command": lambda e: e.is_allowed(None, {}),  # type: ignore[arg-type]
    "is-allowed-without-policy": lambda e: e.is_allowed("run", None),  # type: ignore[arg-type]
    "is-allowed-unknown-key": lambda e: e.is_allowed("run", {"enable": True}),
    "is-allowed-object-text-for-flag": lambda e: e.is_allowed("run", ToolPolicy("yes")),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("call", BAD_CALLS.values(), ids=BAD_CALLS)
async def test_a_bad_request_is_not_passed_on(
    call: Callable[[LoadedToolExecutor], Any], plugins: Plugins
) -> None:
    logger = MemoryLogger()
    executor = await probe(
        plugins,
        execute=_execute,
        is_allowed=_is_allowed,
        context=PluginContext(logger=logger),
    )
    with pytest.raises(PluginInputError, match=f"of plugin {NAME!r}: ") as caught:
        await call(executor)
    assert type(caught.value) is PluginInputError
    assert logger.events == []


async def test_more_than_a_document_holds(plugins: Plugins) -> None:
    executor = await probe(plugins, options={"limits": Limits(document_in_bytes=1000)})
    assert (await executor.execute(ToolRunRequest("run", stdin="x" * 100), ALL)).stdout == "x" * 100
    for call in (
        lambda: executor.execute(ToolRunRequest("run", stdin="x" * 1000), ALL),
        lambda: executor.is_allowed("x" * 1000, ALL),
    ):
        with pytest.raises(DocumentTooLargeError) as caught:
            await call()
        assert (caught.value.limit, caught.value.value) == ("document_in_bytes", 1000)


async def _waits(self, request, policy, ctx):
    await ctx.sleep(20)
    return ToolRunResult(0, 0)


@pytest.mark.parametrize(("of_request", "of_policy"), [(50, None), (None, 50), (50, 9_000)])
async def test_a_timeout_is_the_deadline(
    plugins: Plugins, of_request: int | None, of_policy: int | None
) -> None:
    executor = await probe(plugins, execute=_waits)
    request = ToolRunRequest("run", timeout_ms=of_request)
    with pytest.raises(DeadlineExceededError) as caught:
        await executor.execute(request, ToolPolicy(True, timeout_ms=of_policy))
    assert (caught.value.limit, caught.value.value) == ("timeout_ms", 50)
    assert "timeout_ms in the request" in str(caught.value)
    executor = await probe(plugins, execute=_waits, options={"limits": Limits(deadline_ms=40)})
    with pytest.raises(DeadlineExceededError) as caught:
        await executor.execute(request, ToolPolicy(True, timeout_ms=of_policy))
    assert (caught.value.limit, caught.value.value) == ("deadline_ms", 40)


async def _is_told(self, request, policy, ctx):
    return ToolRunResult(0, ctx.deadline_ms)


async def test_a_tool_is_told_its_timeout(plugins: Plugins) -> None:
    executor = await probe(plugins, execute=_is_told)
    told = await executor.execute(ToolRunRequest("run", timeout_ms=20_000), ALL)
    assert told.duration_ms <= 20_000


@pytest.mark.parametrize("timeout", [0, -1])
async def test_a_timeout_that_is_none_is_refused(plugins: Plugins, timeout: int) -> None:
    executor = await probe(plugins)
    with pytest.raises(PluginInputError, match="timeout_ms"):
        await executor.execute(ToolRunRequest("run", timeout_ms=timeout), ALL)
    with pytest.raises(PluginInputError, match="timeout_ms"):
        await executor.execute(RUN, ToolPolicy(True, timeout_ms=timeout))


# The policy. None of these probes looks at it.


async def _runs_everything(self, request, policy, ctx):
    ctx.logger.info("reached")
    return ToolRunResult(0, 0)


def _allows_everything(self, command, policy):
    self.ctx.logger.info("reached")
    return True


async def lax(plugins: Plugins, logger: MemoryLogger) -> LoadedToolExecutor:
    """An executor that runs everything, and says so, and logs whenever it is reached."""
    context = PluginContext(logger=logger)
    return await probe(
        plugins, execute=_runs_everything, is_allowed=_allows_everything, context=context
    )


async def test_what_the_policy_does_not_allow_reaches_no_plugin(plugins: Plugins) -> None:
    logger = MemoryLogger()
    executor = await lax(plugins, logger)
    for name, (policy, command, allowed) in cases().items():
        before = len(logger.events)
        assert await executor.is_allowed(command, policy) is allowed, name
        if allowed:
            assert (await executor.execute(ToolRunRequest(command), policy)).exit_code == 0
        else:
            with pytest.raises(PluginCallError) as caught:
                await executor.execute(ToolRunRequest(command), policy)
            assert caught.value.kind is ErrorKind.PERMISSION_DENIED, name
            assert caught.value.retryable is False
            assert caught.value.message.startswith("the policy does not allow ")
            assert caught.value.message.endswith(f": {policy.denial(command)}")
            assert len(caught.value.message) < 400
        assert len(logger.events) - before == 2 * allowed, name


async def test_a_plugin_may_be_stricter_than_the_policy(plugins: Plugins) -> None:
    def only_run(self, command, policy):
        return command == "run"

    executor = await probe(plugins, is_allowed=only_run)
    assert await executor.is_allowed("run", ALL) is True
    assert await executor.is_allowed("walk", ALL) is False
    assert await executor.is_allowed("run", ToolPolicy(True, denied_commands=("r*",))) is False


@pytest.mark.parametrize(
    "pattern", ["a*" * 500 + "b", "*" + "a" * 1000 + "b", "*[ab]?" * 150 + "d"]
)
async def test_matching_keeps_nobody_waiting(plugins: Plugins, pattern: str) -> None:
    logger = MemoryLogger()
    executor = await lax(plugins, logger)
    command = ToolRunRequest("a" * 65_535 + "c")
    policy = ToolPolicy(True, (pattern,) * 10 + ("b",))
    async with unhindered():
        with pytest.raises(PluginCallError, match="no pattern in allowed_commands"):
            await executor.execute(command, policy)
    assert logger.events == []


async def test_matching_ends_with_the_call(plugins: Plugins) -> None:
    executor = await probe(plugins)
    command = ToolRunRequest("a" * 65_536, timeout_ms=1)
    policy = ToolPolicy(True, ("*" + "a" * 1000 + "b",) * 1000)
    with pytest.raises(DeadlineExceededError) as caught:
        await executor.execute(command, policy)
    assert caught.value.limit == "timeout_ms"
    signal = AbortController()
    signal.abort()
    with pytest.raises(PluginAbortedError):
        await executor.is_allowed(
            command.command, policy, PluginContext(abort_signal=signal.signal)
        )
    assert await executor.is_allowed("run", ALL)


async def test_a_denial_is_a_call_in_the_audit(
    where: str, cache_directory: Path, tmp_path: Path
) -> None:
    file = tmp_path / "audit.jsonl"
    settings = HostSettings(cache_directory=cache_directory, audit_file=file)
    async with PluginHost(settings) as host:
        plugins = Plugins(host, where)
        executor = await probe(plugins)
        with pytest.raises(PluginCallError):
            await executor.execute(RUN, {})
        assert not await executor.is_allowed("run", {})
        await plugins.close()
    lines = map(json.loads, (await anyio.Path(file).read_text()).splitlines())
    told = [(one["operation"], one["outcome"]) for one in lines if "outcome" in one]
    assert ("execute", "PluginCallError") in told
    assert ("is_allowed", "ok") in told


# Results.


async def test_every_field_of_a_result_arrives(plugins: Plugins) -> None:
    """Those that name files are in `test_files.py`."""

    async def execute(self, request, policy, ctx):
        return ToolRunResult(-9, 2**40, "out 🦊\0\r\n", "err\x1b[0m", truncated=True)

    executor = await probe(plugins, execute=execute)
    assert await executor.execute(RUN, ALL) == ToolRunResult(
        -9, 2**40, "out 🦊\0\r\n", "err\x1b[0m", truncated=True
    )


async def test_a_tool_that_fails_is_a_result(plugins: Plugins) -> None:
    def execute(self, request, policy, ctx):
        return {"exit_code": 127, "duration_ms": 1, "stderr": "not found"}

    executor = await probe(plugins, execute=execute)
    assert await executor.execute(RUN, ALL) == ToolRunResult(127, 1, stderr="not found")


def _prints(self, request, policy, ctx):
    return {"exit_code": 0, "duration_ms": 0, request.args[0]: request.stdin}


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
async def test_output_is_held_to_the_policy(plugins: Plugins, stream: str) -> None:
    executor = await probe(plugins, execute=_prints)
    for text, most in (("", 0), ("é🦊", 6), ("x" * 300_000, 300_000), ("é" * 300_000, 600_000)):
        request = ToolRunRequest("run", (stream,), text)
        result = await executor.execute(request, ToolPolicy(True, max_output_bytes=most))
        assert getattr(result, stream) == text
    for text, most in (("x", 0), ("é🦊", 5), ("x" * 300_000, 299_999), ("é" * 300_000, 599_999)):
        request = ToolRunRequest("run", (stream,), text)
        with pytest.raises(PluginOutputError) as caught:
            await executor.execute(request, ToolPolicy(True, max_output_bytes=most))
        assert type(caught.value) is PluginOutputError
        assert f"returned {most + 1:,} bytes of {stream} from execute" in str(caught.value)
        assert f"max_output_bytes of the tool policy is {most:,}" in str(caught.value)


async def test_the_default_is_a_megabyte_of_output(plugins: Plugins) -> None:
    executor = await probe(plugins, execute=_prints)
    request = ToolRunRequest("run", ("stdout",), "x" * 1_000_000)
    assert len((await executor.execute(request, ALL)).stdout) == 1_000_000
    with pytest.raises(PluginOutputError, match="is 1,000,000"):
        await executor.execute(replace(request, stdin=request.stdin + "x"), ALL)


async def test_less_than_no_output_is_refused(plugins: Plugins) -> None:
    executor = await probe(plugins)
    with pytest.raises(PluginInputError, match="max_output_bytes: expected 0 or more, got -1"):
        await executor.execute(RUN, ToolPolicy(True, max_output_bytes=-1))


def _nothing(self, request, policy, ctx):
    return None


def _an_exit_code(self, request, policy, ctx):
    return 0


def _bytes(self, request, policy, ctx):
    return ToolRunResult(0, 0, stdout=b"out")


def _float_code(self, request, policy, ctx):
    return ToolRunResult(0.0, 0)


def _flag_code(self, request, policy, ctx):
    return ToolRunResult(True, 0)


def _no_duration(self, request, policy, ctx):
    return {"exit_code": 0}


def _more_keys(self, request, policy, ctx):
    return {"exit_code": 0, "duration_ms": 0, "signal": 9}


@pytest.mark.parametrize(
    "execute",
    [_nothing, _an_exit_code, _bytes, _float_code, _flag_code, _no_duration, _more_keys],
)
async def test_a_bad_result_is_refused(execute: Callable[..., Any], plugins: Plugins) -> None:
    executor = await probe(plugins, execute=execute)
    for _ in range(2):
        with pytest.raises(PluginOutputError) as caught:
            await executor.execute(RUN, ALL)
        assert type(caught.value) is PluginOutputError
        assert f"what plugin {NAME!r} answered to execute does not fit" in str(caught.value)


def _one(self, command, policy):
    return 1


def _yes(self, command, policy):
    return "yes"


def _maybe(self, command, policy):
    return None


@pytest.mark.parametrize("is_allowed", [_one, _yes, _maybe])
async def test_what_is_neither_true_nor_false_is_refused(
    is_allowed: Callable[..., Any], plugins: Plugins
) -> None:
    executor = await probe(plugins, is_allowed=is_allowed)
    for _ in range(2):
        with pytest.raises(PluginCallError) as caught:
            await executor.is_allowed("run", ALL)
        assert caught.value.kind is ErrorKind.INTERNAL
        assert caught.value.message.startswith(
            "the answer to is_allowed can't be sent: expected bool, got "
        )


async def test_both_methods_may_say_no(plugins: Plugins) -> None:
    def no(self, *args):
        raise PluginCallError("permission-denied", "not today 🙅")

    executor = await probe(plugins, execute=no, is_allowed=no)
    for call in (lambda: executor.execute(RUN, ALL), lambda: executor.is_allowed("run", ALL)):
        with pytest.raises(PluginCallError) as caught:
            await call()
        assert caught.value.kind is ErrorKind.PERMISSION_DENIED
        assert (caught.value.message, caught.value.retryable) == ("not today 🙅", False)


async def test_more_output_than_allowed(plugins: Plugins) -> None:
    executor = await probe(plugins, options={"limits": Limits(document_out_bytes=1000)})
    with pytest.raises(DocumentTooLargeError) as caught:
        await executor.execute(ToolRunRequest("run", stdin="é" * 500), ALL)
    assert (caught.value.limit, caught.value.value) == ("document_out_bytes", 1000)
    assert (await executor.execute(ToolRunRequest("run", stdin="é" * 60), ALL)).stdout
