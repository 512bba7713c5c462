"""What the four kinds share: being loaded, `init`, health, contexts, errors, logging, the end."""

from __future__ import annotations

import datetime
import random
import secrets
import time
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import pytest
from orchestrator_plugin_host import (
    ConcurrencyLimitError,
    DeadlineExceededError,
    DocumentTooLargeError,
    Limits,
    LoadedEmbedder,
    LoadedPlugin,
    LoadedProvider,
    LoadedToolExecutor,
    LoadedVectorMemoryBackend,
    LogLimitError,
    MemoryLimitError,
    PluginAbortedError,
    PluginClosedError,
    PluginHost,
    PluginInitError,
    PluginInputError,
    PluginOutputError,
    PluginRefusedError,
    PoolSettings,
    with_manifest,
)
from orchestrator_plugin_sdk import (
    SDK_VERSION,
    AbortController,
    DocumentError,
    ErrorKind,
    HealthCheckResult,
    LogEvent,
    ManifestLimits,
    MemoryLogger,
    PluginCallError,
    PluginContext,
    PluginExport,
    PluginManifest,
    PluginType,
    PluginValidationError,
    PluginVersionMismatchError,
    SdkVersionRange,
    Usage,
    Vector,
    load_project,
    pack,
)
from orchestrator_plugin_sdk.naming import MANIFEST_SECTION

from .conftest import PROBES, Plugins, methods

pytestmark = pytest.mark.anyio

HANDLES: dict[PluginType, type[LoadedPlugin]] = {
    PluginType.PROVIDER: LoadedProvider,
    PluginType.EMBEDDER: LoadedEmbedder,
    PluginType.VECTOR_MEMORY_BACKEND: LoadedVectorMemoryBackend,
    PluginType.TOOL_EXECUTOR: LoadedToolExecutor,
}
MAIN: dict[PluginType, tuple[str, Callable[..., Awaitable[Any]]]] = {
    PluginType.PROVIDER: (
        "generate",
        lambda plugin, context=None: plugin.generate({"messages": []}, context),
    ),
    PluginType.EMBEDDER: (
        "embed_texts",
        lambda plugin, context=None: plugin.embed_texts(["text"], context),
    ),
    PluginType.VECTOR_MEMORY_BACKEND: (
        "upsert",
        lambda plugin, context=None: plugin.upsert("repo", [], context),
    ),
    PluginType.TOOL_EXECUTOR: (
        "execute",
        lambda plugin, context=None: plugin.execute({"command": "run"}, {"enabled": True}, context),
    ),
}
"""The method of each kind that does its work, and a call of it."""
ONE = PoolSettings(instances=1)


async def under_way(logger: MemoryLogger) -> None:
    """Waits for a call to log something. It may do so on a thread of its own, which could set no
    event of the loop."""
    while not logger.events:
        await anyio.sleep(0.001)


@pytest.fixture(params=list(PluginType))
def kind(request: pytest.FixtureRequest) -> PluginType:
    """Each kind in turn."""
    return request.param


class Bench:
    """A probe of one kind, to try on what all kinds share. `call` calls the method that does its
    work, which `load(main=…)` gives."""

    def __init__(self, kind: PluginType, plugins: Plugins) -> None:
        self.kind, self.plugins = kind, plugins
        self.name = f"probe-{kind.value.replace('_', '-')}"
        self.main, self.call = MAIN[kind]

    async def load(self, main: Callable[..., Any] | None = None, **options: Any) -> Any:
        if main is not None:
            options[self.main] = main
        return await self.plugins.probe(self.kind, **options)

    def with_manifest(self, tmp_path: Path, document: Any) -> Path | PluginExport[Any]:
        """The probe with another manifest, valid or not."""
        source = self.plugins.probe_source(self.kind)
        if isinstance(source, PluginExport):
            return PluginExport(document, source.create_plugin)
        data = source.read_bytes()
        if isinstance(document, PluginManifest):
            data = with_manifest(data, document)
        else:
            # One section more would be one too many: the empty component has none.
            name = MANIFEST_SECTION.encode()
            section = bytes([len(name)]) + name + pack(document)
            data = b"\0asm\x0d\0\x01\0" + b"\0" + _leb128(len(section)) + section
        path = tmp_path / "changed.wasm"
        path.write_bytes(data)
        return path


@pytest.fixture
def bench(kind: PluginType, plugins: Plugins) -> Bench:
    """A bench for each kind."""
    return Bench(kind, plugins)


def _leb128(value: int) -> bytes:
    return bytes([value & 0x7F | 0x80, value >> 7])


# Handles.


async def test_a_handle_says_what_was_loaded(bench: Bench) -> None:
    plugin = await bench.load()
    manifest = load_project(PROBES / bench.kind.value).manifest
    assert type(plugin) is HANDLES[bench.kind]
    assert isinstance(manifest, PluginManifest)
    # The build adds the forms of a payload that a component reads.
    assert replace(plugin.manifest, payload_encodings=("bytes",)) == manifest
    assert (plugin.name, plugin.sdk_version) == (bench.name, SdkVersionRange(1, 1))
    assert plugin.plugin_type is plugin.manifest.type is bench.kind
    assert plugin.isolation == bench.plugins.isolation
    assert plugin.limits == Limits()
    assert not plugin.closed


async def test_the_expected_kind_is_given(bench: Bench) -> None:
    plugin = await bench.load(options={"expect": HANDLES[bench.kind]})
    assert type(plugin) is HANDLES[bench.kind]
    assert await plugin.health_check() == HealthCheckResult(True)


async def test_another_kind_than_expected_is_refused(bench: Bench) -> None:
    for kind, handle in HANDLES.items():
        if kind is not bench.kind:
            with pytest.raises(PluginValidationError) as caught:
                await bench.load(options={"expect": handle})
            assert type(caught.value) is PluginValidationError
            assert str(caught.value) == (
                f"plugin {bench.name!r} is of the type {bench.kind}, expected {kind}"
            )


# Manifests.


async def test_a_plugin_for_another_sdk_is_refused(bench: Bench, tmp_path: Path) -> None:
    manifest = load_project(PROBES / bench.kind.value).manifest
    assert isinstance(manifest, PluginManifest)
    wanted = SdkVersionRange(2, 3)
    source = bench.with_manifest(tmp_path, replace(manifest, sdk_version=wanted))
    with pytest.raises(PluginVersionMismatchError) as caught:
        await bench.plugins.host.load(source)
    assert type(caught.value) is PluginVersionMismatchError
    assert caught.value.plugin_name == bench.name
    assert caught.value.required_range == wanted
    assert caught.value.current_version == SDK_VERSION == 1
    assert str(caught.value) == (
        f"plugin {bench.name!r} requires SDK version 2 to 3, this is SDK version 1: "
        "upgrade the host"
    )
    safe = await bench.plugins.host.safe_load(source)
    assert (safe.success, safe.plugin) == (False, None)
    assert safe.manifest is not None
    assert safe.manifest.sdk_version == wanted
    assert (type(safe.error), str(safe.error)) == (type(caught.value), str(caught.value))


GOOD = {"name": "good", "type": "provider", "version": "1.0.0", "sdk_version": {"min_version": 1}}
BAD_MANIFESTS: dict[str, tuple[Any, str, list[str]]] = {
    "no-map": ([1], "the manifest is not valid: expected a map, got list", []),
    "empty": (
        {},
        "the manifest is not valid:",
        ["name: missing", "sdk_version: missing", "type: missing", "version: missing"],
    ),
    "wrong-types": (
        {**GOOD, "sdk_version": {"min_version": "1"}, "stateful": 1, "limits": {"fuel": 1.5}},
        "the manifest of plugin 'good' is not valid:",
        [
            "sdk_version.min_version: expected an integer, got '1'",
            "stateful: expected true or false, got 1",
            "limits.fuel: expected an integer, got 1.5",
        ],
    ),
    "unknown-type": (
        {**GOOD, "type": "oracle"},
        "the manifest of plugin 'good' is not valid:",
        [f"type: expected {' or '.join(repr(str(one)) for one in PluginType)}, got 'oracle'"],
    ),
    "values-out-of-range": (
        {**GOOD, "version": "1", "sdk_version": {"min_version": 3, "max_version": 2}},
        "the manifest of plugin 'good' is not valid:",
        [
            "version: expected a version like 1.0.0, got '1'",
            "sdk_version.max_version: expected 3 or more",
        ],
    ),
}


@pytest.mark.parametrize(
    ("document", "title", "problems"), BAD_MANIFESTS.values(), ids=BAD_MANIFESTS
)
async def test_a_broken_manifest_is_refused(
    document: Any, title: str, problems: list[str], plugins: Plugins, tmp_path: Path
) -> None:
    message = "\n  - ".join([title, *problems])
    source = Bench(PluginType.PROVIDER, plugins).with_manifest(tmp_path, document)
    with pytest.raises(PluginValidationError) as caught:
        await plugins.host.load(source)
    assert type(caught.value) is PluginValidationError
    assert str(caught.value) == message
    assert [str(problem) for problem in caught.value.problems] == problems
    safe = await plugins.host.safe_load(source)
    assert (safe.success, safe.plugin, safe.manifest) == (False, None, None)
    assert (type(safe.error), str(safe.error)) == (PluginValidationError, message)


async def test_an_unknown_key_of_a_manifest_is_refused(plugins: Plugins, tmp_path: Path) -> None:
    source = Bench(PluginType.PROVIDER, plugins).with_manifest(tmp_path, {**GOOD, "sdk": 1})
    with pytest.raises(PluginValidationError) as caught:
        await plugins.host.load(source)
    (problem,) = caught.value.problems
    assert problem.path == "sdk"
    assert problem.message.startswith("unknown key; known are name, type, sdk_version, version")


async def test_more_than_the_operator_gives_is_refused(bench: Bench, tmp_path: Path) -> None:
    manifest = load_project(PROBES / bench.kind.value).manifest
    assert isinstance(manifest, PluginManifest)
    asks = replace(manifest, limits=ManifestLimits(log_events=11))
    source = bench.with_manifest(tmp_path, asks)
    with pytest.raises(PluginRefusedError) as caught:
        await bench.plugins.host.load(source, limits=Limits(log_events=10))
    assert str(caught.value) == (
        f"plugin {bench.name!r} asks for limits.log_events = 11 events in its manifest, the "
        "operator gives 10: grant it with Limits(log_events=11), or lower limits.log_events in "
        "the manifest"
    )


# init.


async def test_init_gets_the_config_and_the_context(bench: Bench) -> None:
    async def on_init(self, config, ctx):
        ctx.logger.info("init", run_id=ctx.run_id, given=config["given"])
        ctx.logger.info(
            "types", aborted=ctx.abort_signal.aborted, left=type(ctx.deadline_ms).__name__
        )

    given = {
        "text": "żółć 🦊 \0 \n",
        "numbers": [0, -1, 2**63, 1.5, -0.0],
        "nothing": None,
        "flags": [True, False],
        "bytes": b"\x00\xff",
        "nested": {"": [{"deep": []}, {}]},
    }
    logger = MemoryLogger()
    context = PluginContext(run_id="run-🏃", logger=logger)
    await bench.load(on_init=on_init, config={"given": given}, context=context)
    assert logger.events == [
        LogEvent("init", fields={"run_id": "run-🏃", "given": given}),
        LogEvent("types", fields={"aborted": False, "left": "int"}),
    ]


async def test_without_a_config_init_gets_an_empty_one(plugins: Plugins, kind: PluginType) -> None:
    plugin = await plugins.load(PROBES / kind.value)
    assert (await plugin.health_check()).healthy


SAID = [kind for kind in ErrorKind if kind is not ErrorKind.OUT_OF_MEMORY]
"""The kinds that a caller gets as they are. Running out of memory is a limit in the sandbox, and
natively there is none."""


@pytest.mark.parametrize("error_kind", SAID)
async def test_an_init_that_says_no(bench: Bench, error_kind: ErrorKind) -> None:
    async def on_init(self, config, ctx):
        raise PluginCallError(config["kind"], "no key 🔑", retryable=True, retry_after_ms=7)

    with pytest.raises(PluginInitError) as caught:
        await bench.load(on_init=on_init, config={"kind": error_kind.value})
    assert type(caught.value) is PluginInitError
    assert str(caught.value) == (
        f"plugin {bench.name!r} failed to initialise: {error_kind}: no key 🔑"
    )
    cause = caught.value.__cause__
    assert isinstance(cause, PluginCallError)
    assert (cause.kind, cause.message) == (error_kind, "no key 🔑")
    assert (cause.retryable, cause.retry_after_ms) == (True, 7)


async def test_an_init_that_fails(bench: Bench) -> None:
    async def on_init(self, config, ctx):
        raise ValueError("api_key is missing")

    with pytest.raises(PluginInitError) as caught:
        await bench.load(on_init=on_init)
    assert str(caught.value) == (
        f"plugin {bench.name!r} failed to initialise: internal: ValueError: api_key is missing"
    )
    source = bench.plugins.probe_source(bench.kind)
    safe = await bench.plugins.host.safe_load(source, methods({"on_init": on_init}))
    assert (safe.success, safe.plugin) == (False, None)
    assert safe.manifest is not None
    assert safe.manifest.name == bench.name
    assert (type(safe.error), str(safe.error)) == (type(caught.value), str(caught.value))
    plugin = await bench.load()
    assert (await plugin.health_check()).healthy


async def test_a_config_that_is_no_document_is_refused(bench: Bench) -> None:
    with pytest.raises(PluginInputError, match="a set can't be in a document"):
        await bench.load(config={"given": {1, 2}})


async def test_a_plugin_keeps_no_hold_on_the_callers_config(bench: Bench) -> None:
    async def on_init(self, config, ctx):
        config["given"].append(2)

    given = [1]
    await bench.load(on_init=on_init, config={"given": given})
    assert given == [1]


# Health.


async def test_health(bench: Bench) -> None:
    async def health_check(self):
        details = {"queue": [1, {"at": 0.5}], "🩺": None, "raw": b"\xff", "ok": False}
        return HealthCheckResult(False, "the database is down 🔥", details)

    plugin = await bench.load(health_check=health_check)
    assert await plugin.health_check() == HealthCheckResult(
        False,
        "the database is down 🔥",
        {"queue": [1, {"at": 0.5}], "🩺": None, "raw": b"\xff", "ok": False},
    )


async def test_a_method_may_be_synchronous(bench: Bench) -> None:
    def health_check(self):
        return HealthCheckResult(True, "at once")

    plugin = await bench.load(health_check=health_check)
    assert await plugin.health_check() == HealthCheckResult(True, "at once")


def _none(self):
    return None


def _text(self):
    return "fine"


def _another_shape(self):
    return {"healthy": "yes", "extra": 1}


def _no_document(self):
    return HealthCheckResult(True, details={"when": datetime.datetime(2020, 1, 1)})


def _lone_surrogate(self):
    return HealthCheckResult(True, "\ud800")


def _huge_integer(self):
    return HealthCheckResult(True, details={"n": 1 << 64})


def _number_key(self):
    return HealthCheckResult(True, details={1: 2})


def _too_deep(self):
    deep = []
    for _ in range(80):
        deep = [deep]
    return HealthCheckResult(True, details={"deep": deep})


NOT_SENT = {
    _no_document: "a datetime can't be in a document",
    _lone_surrogate: "can't be written as MessagePack",
    _huge_integer: "can't be written as MessagePack",
    _number_key: "keys of a map are strings",
    _too_deep: "a document may nest 64 deep",
}


@pytest.mark.parametrize("health_check", [_none, _text, _another_shape])
async def test_an_answer_that_does_not_fit_is_refused(
    health_check: Callable[..., Any], bench: Bench
) -> None:
    plugin = await bench.load(health_check=health_check)
    for _ in range(2):
        with pytest.raises(PluginOutputError) as caught:
            await plugin.health_check()
        assert type(caught.value) is PluginOutputError
        assert str(caught.value).startswith(
            f"what plugin {bench.name!r} answered to health_check does not fit its schema"
        )


@pytest.mark.parametrize(("health_check", "why"), NOT_SENT.items())
async def test_an_answer_that_can_not_be_sent_is_a_fault_of_the_plugin(
    health_check: Callable[..., Any], why: str, bench: Bench
) -> None:
    plugin = await bench.load(health_check=health_check)
    for _ in range(2):
        with pytest.raises(PluginCallError) as caught:
            await plugin.health_check()
        assert caught.value.kind is ErrorKind.INTERNAL
        assert caught.value.message.startswith(f"the answer to health_check can't be sent: {why}")


# What a plugin raises.


@pytest.mark.parametrize("error_kind", SAID)
async def test_a_plugin_that_says_no(bench: Bench, error_kind: ErrorKind) -> None:
    async def main(self, *args):
        self.count = getattr(self, "count", 0) + 1
        says = PluginCallError(self.kind, "no 🙅")
        if self.count == 2:
            says = PluginCallError(self.kind, "", retryable=True, retry_after_ms=2**63)
        if self.count == 3:
            says = PluginCallError(self.kind, "no\0", retryable=False, retry_after_ms=0)
        raise says

    async def on_init(self, config, ctx):
        self.kind = config["kind"]

    plugin = await bench.load(
        main, on_init=on_init, config={"kind": error_kind.value}, options={"pool": ONE}
    )
    by_itself = error_kind in (ErrorKind.RATE_LIMITED, ErrorKind.UNAVAILABLE, ErrorKind.TIMEOUT)
    for said in (
        ("no 🙅", by_itself, None),
        ("", True, 2**63),
        ("no\0", False, 0),
    ):
        with pytest.raises(PluginCallError) as caught:
            await bench.call(plugin)
        error = caught.value
        assert type(error) is PluginCallError
        assert error.kind is error_kind
        assert (error.message, error.retryable, error.retry_after_ms) == said
        assert str(error) == f"{error_kind}: {said[0]}"


async def test_a_plugin_out_of_memory(bench: Bench) -> None:
    async def main(self, *args):
        raise MemoryError

    plugin = await bench.load(main)
    if bench.plugins.isolation == "sandbox":
        with pytest.raises(MemoryLimitError) as reached:
            await bench.call(plugin)
        assert reached.value.limit == "memory_bytes"
    else:
        with pytest.raises(PluginCallError) as caught:
            await bench.call(plugin)
        assert caught.value.kind is ErrorKind.OUT_OF_MEMORY
        assert caught.value.message == "the plugin ran out of memory"
    assert (await plugin.health_check()).healthy


def _value_error(self, *args):
    raise ValueError("dims 🧨")


def _key_error(self, *args):
    return {}["missing"]


def _own_error(self, *args):
    class QuotaError(Exception):
        pass

    raise QuotaError


def _not_implemented(self, *args):
    raise NotImplementedError("no images")


def _not_implemented_at_all(self, *args):
    raise NotImplementedError


def _document_error(self, *args):
    raise DocumentError("bad filter")


def _validation_error(self, *args):
    raise PluginValidationError("my own manifest")


def _stop(self, *args):
    raise StopIteration("enough")


async def _stop_later(self, *args):
    raise StopIteration


def _exit(self, *args):
    raise SystemExit(3)


RAISED = {
    _value_error: ("internal", "ValueError: dims 🧨"),
    _key_error: ("internal", "KeyError: 'missing'"),
    _own_error: ("internal", "QuotaError: "),
    _not_implemented: ("unsupported", "no images"),
    _not_implemented_at_all: ("unsupported", "the plugin does not do this"),
    _document_error: ("invalid-request", "bad filter"),
    _validation_error: ("internal", "PluginValidationError: my own manifest"),
    _stop: ("internal", "StopIteration: enough"),
    _stop_later: ("internal", "RuntimeError: coroutine raised StopIteration"),
    _exit: ("internal", "SystemExit: 3"),
}


@pytest.mark.parametrize(("main", "said"), RAISED.items())
async def test_an_exception_becomes_an_error_of_a_kind(
    main: Callable[..., Any], said: tuple[str, str], bench: Bench
) -> None:
    plugin = await bench.load(main)
    with pytest.raises(PluginCallError) as caught:
        await bench.call(plugin)
    assert type(caught.value) is PluginCallError
    assert (caught.value.kind, caught.value.message) == said
    assert (caught.value.retryable, caught.value.retry_after_ms) == (False, None)
    assert (await plugin.health_check()).healthy


# Contexts and logging.


async def test_a_call_runs_in_its_own_context_or_that_of_the_load(bench: Bench) -> None:
    async def main(self, *args):
        ctx = args[-1]
        ctx.logger.info("called", run_id=ctx.run_id, aborted=ctx.abort_signal.aborted)
        return await self.main(*args)

    of_load, of_call = MemoryLogger(), MemoryLogger()
    plugin = await bench.load(main, context=PluginContext(run_id="load", logger=of_load))
    await bench.call(plugin)
    await bench.call(plugin, PluginContext(run_id="call", logger=of_call))
    await bench.call(plugin, PluginContext(logger=of_call))
    assert of_load.events == [LogEvent("called", fields={"run_id": "load", "aborted": False})]
    assert of_call.events == [
        LogEvent("called", fields={"run_id": "call", "aborted": False}),
        LogEvent("called", fields={"run_id": None, "aborted": False}),
    ]


async def test_a_call_is_told_its_deadline(bench: Bench) -> None:
    async def main(self, *args):
        ctx = args[-1]
        ctx.logger.info("called", left=ctx.deadline_ms)
        return await self.main(*args)

    logger = MemoryLogger()
    plugin = await bench.load(main, options={"limits": Limits(deadline_ms=20_000)})
    await bench.call(plugin, PluginContext(logger=logger, deadline_ms=1_000_000))
    (event,) = logger.events
    left = event.fields["left"]
    assert type(left) is int
    assert 0 < left <= 20_000


async def test_log_events_arrive_as_they_were(bench: Bench) -> None:
    async def main(self, *args):
        log = args[-1].logger
        log.debug("one")
        log.info("two 🪵", number=2, nested={"list": [1, None, 0.5], "raw": b"\0"})
        log.warning("three\0\n", flag=True)
        log.error("four", message_of="another", ErrorKind="x")
        log.emit(LogEvent("five", type="tool.start", level="debug", fields={"": []}))
        log.log({"message": "six", "type": "log", "level": "error", "fields": {"a": 1}, "b": 2})
        log.log({})
        log.log(LogEvent("eight"))
        return await self.main(*args)

    logger = MemoryLogger()
    plugin = await bench.load(main)
    await bench.call(plugin, PluginContext(logger=logger))
    assert logger.events == [
        LogEvent("one", level="debug"),
        LogEvent("two 🪵", fields={"number": 2, "nested": {"list": [1, None, 0.5], "raw": b"\0"}}),
        LogEvent("three\0\n", level="warning", fields={"flag": True}),
        LogEvent("four", level="error", fields={"message_of": "another", "ErrorKind": "x"}),
        LogEvent("five", type="tool.start", level="debug", fields={"": []}),
        LogEvent("six", level="error", fields={"b": 2, "a": 1}),
        LogEvent(""),
        LogEvent("eight"),
    ]
    assert {type(event) for event in logger.events} == {LogEvent}


async def test_log_fields_arrive_as_plain_data(bench: Bench) -> None:
    async def main(self, *args):
        log = args[-1].logger
        fields = {"pair": (1, 2)}
        log.info(
            "values", kind=ErrorKind.TIMEOUT, usage=Usage(1, 2, 3), vector=Vector([1]), **fields
        )
        fields["pair"] = "changed afterwards"
        return await self.main(*args)

    logger = MemoryLogger()
    plugin = await bench.load(main)
    await bench.call(plugin, PluginContext(logger=logger))
    (event,) = logger.events
    assert event.fields == {
        "kind": "timeout",
        "usage": {
            "input_tokens": 1,
            "output_tokens": 2,
            "total_tokens": 3,
            "cached_input_tokens": 0,
            "reasoning_tokens": 0,
        },
        "vector": b"\0\0\x80?",
        "pair": [1, 2],
    }
    assert type(event.fields["kind"]) is str


async def _logs_an_object(self, *args):
    args[-1].logger.info("bad", thing=object())


async def _logs_at_no_level(self, *args):
    args[-1].logger.log({"level": "fatal"})


async def _logs_a_number(self, *args):
    args[-1].logger.info(5)


@pytest.mark.parametrize("main", [_logs_an_object, _logs_at_no_level, _logs_a_number])
async def test_a_bad_log_event_is_a_fault_of_the_plugin(
    main: Callable[..., Any], bench: Bench
) -> None:
    logger = MemoryLogger()
    plugin = await bench.load(main)
    with pytest.raises(PluginCallError, match="this is no log event: ") as caught:
        await bench.call(plugin, PluginContext(logger=logger))
    assert caught.value.kind is ErrorKind.INTERNAL
    assert logger.events == []
    assert (await plugin.health_check()).healthy


async def test_a_plugin_that_logs_too_much(bench: Bench) -> None:
    async def main(self, *args):
        ctx = args[-1]
        for number in range(10):
            ctx.logger.info("event", number=number)

    logger = MemoryLogger()
    plugin = await bench.load(main, options={"limits": Limits(log_events=3)})
    with pytest.raises(LogLimitError) as caught:
        await bench.call(plugin, PluginContext(logger=logger))
    assert (caught.value.limit, caught.value.value) == ("log_events", 3)
    assert [event.fields["number"] for event in logger.events] == [0, 1, 2]


async def test_time_and_randomness(bench: Bench) -> None:
    async def main(self, *args):
        ctx = args[-1]
        before = ctx.monotonic(), time.monotonic(), time.perf_counter()
        await ctx.sleep(0.002)
        time.sleep(0.001)  # noqa: ASYNC251  # as plugins do
        after = ctx.monotonic(), time.monotonic(), time.perf_counter()
        ctx.logger.info(
            "time",
            passed=[b - a for a, b in zip(before, after, strict=True)],
            wall=[
                ctx.wall_time(),
                time.time(),
                time.time_ns() / 1e9,
                datetime.datetime.now(datetime.UTC).timestamp(),
            ],
            year=[datetime.date.today().year, time.gmtime().tm_year],
        )
        ctx.logger.info(
            "random",
            floats=[random.random() for _ in range(4)],
            bytes=[ctx.random_bytes(16), secrets.token_bytes(16), random.randbytes(16)],
            hex=secrets.token_hex(8),
            uuid=str(uuid.uuid4()),
            many=len(ctx.random_bytes(200_000)),
            none=ctx.random_bytes(0),
        )
        return await self.main(*args)

    logger = MemoryLogger()
    plugin = await bench.load(main)
    now = time.time()
    await bench.call(plugin, PluginContext(logger=logger))
    await bench.call(plugin, PluginContext(logger=logger))
    first_times, first, _, second = (event.fields for event in logger.events)
    assert all(passed > 0 for passed in first_times["passed"])
    assert all(abs(wall - now) < 3600 for wall in first_times["wall"])
    assert {abs(year - time.gmtime(now).tm_year) for year in first_times["year"]} <= {0, 1}
    assert all(0 <= number < 1 for number in first["floats"])
    assert len({*first["floats"], *second["floats"]}) == 8
    assert len({*first["bytes"], *second["bytes"]}) == 6
    assert {len(one) for one in first["bytes"]} == {16}
    assert uuid.UUID(first["uuid"]).version == 4
    assert len({first["uuid"], second["uuid"], first["hex"], second["hex"]}) == 4
    assert (first["many"], first["none"]) == (200_000, b"")


async def test_printing(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    async def main(self, *args):
        print("one 🖨\ntwo", end="\n\n")
        print("three", "four", sep="\t", flush=True)
        return await self.main(*args)

    logger = MemoryLogger()
    plugin = await bench.load(main)
    await bench.call(plugin, PluginContext(logger=logger))
    printed = ["one 🖨", "two", "three\tfour"]
    if bench.plugins.isolation == "sandbox":  # there is nowhere else to print to
        assert logger.events == [LogEvent(line, type="output") for line in printed]
        assert capsys.readouterr().out == ""
    else:
        assert logger.events == []
        assert capsys.readouterr().out == "one 🖨\ntwo\n\nthree\tfour\n"


async def test_a_sleep_of_no_length_ends(bench: Bench) -> None:
    async def main(self, *args):
        ctx = args[-1]
        await ctx.sleep(0)
        try:
            await ctx.sleep(-1)
        except ValueError as error:
            ctx.logger.info(str(error))
        return await self.main(*args)

    logger = MemoryLogger()
    plugin = await bench.load(main, context=PluginContext(logger=logger))
    await bench.call(plugin)
    assert logger.events == [LogEvent("sleep length must be non-negative")]


# Giving up.


async def test_an_aborted_call_is_not_made(bench: Bench) -> None:
    async def main(self, *args):
        self.ctx.logger.info("called")
        return await self.main(*args)

    logger = MemoryLogger()
    plugin = await bench.load(main, context=PluginContext(logger=logger))
    controller = AbortController()
    controller.abort("no time 🕰")
    with pytest.raises(PluginAbortedError) as caught:
        await bench.call(plugin, PluginContext(abort_signal=controller.signal))
    assert str(caught.value) == f"plugin {bench.name!r}: no time 🕰"
    assert logger.events == []
    await bench.call(plugin)


class Aborts(MemoryLogger):
    """Gives up at the first event."""

    def __init__(self) -> None:
        super().__init__()
        self.controller = AbortController()

    def emit(self, event: LogEvent) -> None:
        super().emit(event)
        self.controller.abort("seen enough")


async def _sleeps(self, *args):
    ctx = args[-1]
    ctx.logger.info("asleep")
    await ctx.sleep(3600)


async def _polls(self, *args):
    ctx = args[-1]
    ctx.logger.info("polling")
    for _ in range(1000):
        ctx.abort_signal.throw_if_aborted()
        await ctx.sleep(0.01)


async def _asks_once(self, *args):
    ctx = args[-1]
    ctx.logger.info("asking")
    ctx.abort_signal.throw_if_aborted()
    return await self.main(*args)


@pytest.mark.parametrize("main", [_sleeps, _polls, _asks_once])
async def test_an_abort_ends_a_call(main: Callable[..., Any], bench: Bench) -> None:
    plugin = await bench.load(main)
    logger = Aborts()
    context = PluginContext(logger=logger, abort_signal=logger.controller.signal)
    with pytest.raises(PluginAbortedError) as caught:
        await bench.call(plugin, context)
    assert type(caught.value) is PluginAbortedError
    assert str(caught.value) == f"plugin {bench.name!r}: seen enough"
    assert len(logger.events) == 1
    assert (await plugin.health_check()).healthy


async def test_a_cancelled_call_ends(bench: Bench) -> None:
    plugin = await bench.load(_sleeps)
    logger = MemoryLogger()
    async with anyio.create_task_group() as group:
        group.start_soon(bench.call, plugin, PluginContext(logger=logger))
        await under_way(logger)
        group.cancel_scope.cancel()
    assert (await plugin.health_check()).healthy


async def test_a_deadline_ends_a_call(bench: Bench) -> None:
    plugin = await bench.load(_sleeps, options={"limits": Limits(deadline_ms=60)})
    with pytest.raises(DeadlineExceededError) as caught:
        await bench.call(plugin)
    assert type(caught.value) is DeadlineExceededError
    assert (caught.value.limit, caught.value.value) == ("deadline_ms", 60)


# Budgets of documents and calls.


async def test_an_answer_may_be_as_large_as_its_limit(bench: Bench) -> None:
    async def health_check(self):
        self.size = getattr(self, "size", 400) + 1
        return HealthCheckResult(True, details={"raw": bytes(range(256)) * 3 + bytes(self.size)})

    most = pack({"healthy": True, "message": None, "details": {"raw": bytes(768 + 401)}})
    plugin = await bench.load(
        health_check=health_check,
        options={"limits": Limits(document_out_bytes=len(most)), "pool": ONE},
    )
    assert len((await plugin.health_check()).details["raw"]) == 768 + 401
    with pytest.raises(DocumentTooLargeError) as caught:
        await plugin.health_check()
    assert (caught.value.limit, caught.value.value) == ("document_out_bytes", len(most))
    assert f"returned a document of {len(most) + 1:,} bytes" in str(caught.value)


async def test_more_calls_at_once_than_allowed(bench: Bench) -> None:
    plugin = await bench.load(_sleeps, options={"limits": Limits(concurrent_calls=1)})
    logger = MemoryLogger()
    async with anyio.create_task_group() as group:
        group.start_soon(bench.call, plugin, PluginContext(logger=logger))
        await under_way(logger)
        with pytest.raises(ConcurrencyLimitError) as caught:
            await bench.call(plugin)
        group.cancel_scope.cancel()
    assert (caught.value.limit, caught.value.value) == ("concurrent_calls", 1)


# State and the end.


async def test_state_lasts_from_call_to_call(bench: Bench) -> None:
    async def health_check(self):
        self.count = getattr(self, "count", 0) + 1
        return HealthCheckResult(True, str(self.count))

    one = await bench.load(health_check=health_check, options={"pool": ONE})
    other = await bench.load(health_check=health_check, options={"pool": ONE})
    assert [(await one.health_check()).message for _ in range(3)] == ["1", "2", "3"]
    assert (await other.health_check()).message == "1"


async def _logs_its_end(self):
    self.ctx.logger.info("shutdown")


async def _refuses_to_end(self):
    self.ctx.logger.info("shutdown")
    raise PluginCallError("unavailable", "still busy")


async def test_shutdown(bench: Bench) -> None:
    logger = MemoryLogger()
    plugin = await bench.load(shutdown=_logs_its_end, context=PluginContext(logger=logger))
    await bench.call(plugin)
    assert logger.events == []
    await plugin.shutdown()
    assert plugin.closed
    await plugin.shutdown()
    assert logger.events == [LogEvent("shutdown")]
    for call in (bench.call, HANDLES[bench.kind].health_check):
        with pytest.raises(PluginClosedError) as caught:
            await call(plugin)
        assert str(caught.value) == f"plugin {bench.name!r} has been shut down"
    assert logger.events == [LogEvent("shutdown")]


async def test_a_handle_is_a_context_manager(bench: Bench) -> None:
    logger = MemoryLogger()
    plugin = await bench.load(shutdown=_logs_its_end, context=PluginContext(logger=logger))
    async with plugin as same:
        assert same is plugin
        assert not plugin.closed
    assert plugin.closed
    assert logger.events == [LogEvent("shutdown")]


async def test_a_shutdown_that_fails(bench: Bench) -> None:
    logger = MemoryLogger()
    plugin = await bench.load(shutdown=_refuses_to_end, context=PluginContext(logger=logger))
    with pytest.raises(PluginCallError) as caught:
        await plugin.shutdown()
    assert (caught.value.kind, caught.value.message) == ("unavailable", "still busy")
    assert plugin.closed
    await plugin.shutdown()
    assert logger.events == [LogEvent("shutdown")]


async def test_shutdown_waits_for_calls_under_way(bench: Bench) -> None:
    async def main(self, *args):
        ctx = args[-1]
        ctx.logger.info("began")
        await ctx.sleep(0.2)
        ctx.logger.info("done")
        return await self.main(*args)

    logger = MemoryLogger()
    plugin = await bench.load(
        main, shutdown=_logs_its_end, context=PluginContext(logger=logger), options={"pool": ONE}
    )
    async with anyio.create_task_group() as group:
        group.start_soon(bench.call, plugin)
        await under_way(logger)
        await plugin.shutdown()
    assert [event.message for event in logger.events] == ["began", "done", "shutdown"]


async def test_a_host_shuts_its_plugins_down(
    bench: Bench, anyio_backend: str, cache_directory: Path
) -> None:
    logger = MemoryLogger()
    source, config = bench.plugins.probe_source(bench.kind), methods({"shutdown": _logs_its_end})
    async with PluginHost(bench.plugins.host.settings) as host:
        plugin = await host.load(source, config, PluginContext(logger=logger))
        await bench.call(plugin)
        assert logger.events == []
    assert plugin.closed
    assert logger.events == [LogEvent("shutdown")]
    with pytest.raises(PluginClosedError, match="the host is not open"):
        await host.load(source)


async def test_a_failed_shutdown_does_not_keep_a_host_from_closing_the_rest(bench: Bench) -> None:
    logger = MemoryLogger()
    source, context = bench.plugins.probe_source(bench.kind), PluginContext(logger=logger)
    host = PluginHost(bench.plugins.host.settings)
    await host.__aenter__()
    plugins = [
        await host.load(source, methods({"shutdown": shutdown}), context)
        for shutdown in (_logs_its_end, _refuses_to_end, _logs_its_end)
    ]
    with pytest.raises(PluginCallError, match="still busy"):
        await host.close()
    assert all(plugin.closed for plugin in plugins)
    assert logger.events == [LogEvent("shutdown")] * 3
