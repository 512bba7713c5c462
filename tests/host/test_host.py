"""The host: what loading gives and refuses, closing, and whose error is whose under load."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest
from orchestrator_plugin_host import (
    CacheError,
    DeadlineExceededError,
    HostSettings,
    InvalidComponentError,
    Limits,
    LoadedEmbedder,
    LoadedPlugin,
    LoadedProvider,
    LoadedToolExecutor,
    LoadedVectorMemoryBackend,
    PluginClosedError,
    PluginHost,
    PluginNotFoundError,
    PluginRefusedError,
    PluginTrapError,
    PoolSettings,
    loading,
)
from orchestrator_plugin_host.admission import admit_component
from orchestrator_plugin_host.settings import Tier
from orchestrator_plugin_sdk import (
    LogEvent,
    PluginCallError,
    PluginContext,
    PluginError,
    PluginExport,
    PluginLogger,
    PluginType,
    PluginValidationError,
    PluginVersionMismatchError,
    SdkVersionRange,
    pack,
    to_document,
)
from sdk.plugins import SMALL_PLUGINS, SmallProvider, small_manifest
from support.guests import DATA, Guest
from support.processes import HANG_SECONDS, wait_until

from .conftest import Load

pytestmark = pytest.mark.anyio

REQUEST: dict[str, Any] = {"messages": []}
EVENT = pack(to_document(LogEvent("hello")))
EMIT = f"(call $emit (i32.const 0) (i32.const {DATA}) (i32.const {len(EVENT)}))"
HANDLES: dict[PluginType, type[LoadedPlugin]] = {
    PluginType.PROVIDER: LoadedProvider,
    PluginType.EMBEDDER: LoadedEmbedder,
    PluginType.VECTOR_MEMORY_BACKEND: LoadedVectorMemoryBackend,
    PluginType.TOOL_EXECUTOR: LoadedToolExecutor,
}


def native(type: PluginType = PluginType.PROVIDER, plugin: Any = None) -> PluginExport[Any]:
    return PluginExport(small_manifest(type), plugin or SMALL_PLUGINS[type])


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A provider."""
    path = tmp_path / "provider.wasm"
    path.write_bytes(Guest().build())
    return path


# --- loading -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", PluginType)
async def test_each_kind_has_its_handle(load: Load, host: PluginHost, kind: PluginType) -> None:
    sandboxed, direct = await load(Guest(kind)), await host.load(native(kind))
    assert type(sandboxed) is type(direct) is HANDLES[kind]
    assert (sandboxed.isolation, direct.isolation) == ("sandbox", "native")
    assert repr(sandboxed) == f"<{HANDLES[kind].__name__} wat-guest 1.0.0 (sandbox)>"


@pytest.mark.parametrize("expected", PluginType)
@pytest.mark.parametrize("kind", PluginType)
async def test_expecting_a_kind(
    load: Load, host: PluginHost, kind: PluginType, expected: PluginType
) -> None:
    wanted = HANDLES[expected]
    if kind is expected:
        assert isinstance(await load(Guest(kind), expect=wanted), wanted)
        return
    message = f"is of the type {kind}, expected {expected}"
    with pytest.raises(PluginValidationError, match=message):
        await load(Guest(kind), expect=wanted)
    with pytest.raises(PluginValidationError, match=message):
        await host.load(native(kind), expect=wanted)


async def test_loading_twice_gives_two_plugins(host: PluginHost, file: Path) -> None:
    first, second = await host.load(file), await host.load(str(file))
    await first.shutdown()
    with pytest.raises(PluginClosedError, match="'wat-guest' has been shut down"):
        await first.health_check()
    assert (await second.health_check()).healthy


@pytest.mark.parametrize("tier", ["in-process", "process"])
async def test_a_loaded_plugin_does_not_keep_its_file(
    host: PluginHost, file: Path, tier: Tier
) -> None:
    loaded = [await host.load(file, tier=tier) for _ in range(3)]
    whole = file.read_bytes()
    copies = {
        id(held)
        for one in gc.get_objects()
        for held in gc.get_referents(one)
        if type(held) is bytes and held == whole and held is not whole
    }
    assert not copies
    assert len(loaded) == 3


async def test_loading_many_at_once(host: PluginHost, file: Path) -> None:
    loaded: list[LoadedPlugin] = []

    async def one() -> None:
        loaded.append(await host.load(file))

    async with anyio.create_task_group() as group:
        for _ in range(10):
            group.start_soon(one)
    for plugin in loaded:
        assert (await plugin.health_check()).healthy


async def test_a_file_that_changes_is_loaded_anew(host: PluginHost, file: Path) -> None:
    assert (await host.load(file)).manifest.version == "1.0.0"
    write(file, Guest().build(version="2.0.0"))
    assert (await host.load(file)).manifest.version == "2.0.0"


async def test_the_same_component_as_another_kind(load: Load) -> None:
    # Its types are compared with each world it is loaded as.
    await load(Guest())
    with pytest.raises(InvalidComponentError):
        await load(Guest(), manifest={"type": PluginType.EMBEDDER})


FAILURES: dict[str, tuple[Callable[[Path], Any], type[PluginError], bool]] = {
    "no such file": (lambda path: path / "none.wasm", PluginNotFoundError, False),
    "no such entry point": (lambda path: "none", PluginNotFoundError, False),
    "no component": (lambda path: write(path, b"text"), InvalidComponentError, False),
    "another version": (
        lambda path: write(path, Guest().build(sdk_version=SdkVersionRange(2))),
        PluginVersionMismatchError,
        True,
    ),
    "a trap in init": (
        lambda path: write(path, Guest(functions={"init": "(unreachable)"}).build()),
        PluginTrapError,
        True,
    ),
    "a native plugin that fails": (
        lambda path: native(plugin=lambda: 1 / 0),
        PluginValidationError,
        True,
    ),
}


def write(path: Path, data: bytes) -> Path:
    """Writes a plugin to a file, or to one in a folder."""
    file = path / "plugin.wasm" if path.is_dir() else path
    file.write_bytes(data)
    return file


@pytest.mark.parametrize("case", FAILURES)
async def test_safe_load_of_what_fails(host: PluginHost, tmp_path: Path, case: str) -> None:
    source, error, has_manifest = FAILURES[case]
    found = await host.safe_load(source(tmp_path))
    assert (found.success, found.plugin) == (False, None)
    assert isinstance(found.error, error)
    assert (found.manifest is not None) == has_manifest
    with pytest.raises(error):
        await host.load(source(tmp_path))


async def test_safe_load_of_what_works(host: PluginHost, file: Path) -> None:
    found = await host.safe_load(file, expect=LoadedProvider)
    assert found.success
    assert found.error is None
    assert found.plugin is not None
    assert found.manifest == found.plugin.manifest
    assert (await found.plugin.generate(REQUEST)).text == "hi"


async def test_safe_load_of_an_unexpected_kind(host: PluginHost, file: Path) -> None:
    found = await host.safe_load(file, expect=LoadedEmbedder)
    assert isinstance(found.error, PluginValidationError)
    assert found.manifest is not None


async def test_a_cache_that_can_not_be_used(tmp_path: Path, file: Path, anyio_backend: str) -> None:
    (tmp_path / "cache").write_text("")
    before = threading.active_count()
    async with PluginHost(HostSettings(cache_directory=tmp_path / "cache")) as host:
        for _ in range(3):
            with pytest.raises(CacheError, match="choose another"):
                await host.load(file)
        await host.load(native())
    assert computing() == []
    assert threading.active_count() <= before + 2  # threads that read files may stay


# --- closing -------------------------------------------------------------------------------------


async def test_a_host_that_is_not_open(file: Path, settings: HostSettings) -> None:
    host = PluginHost(settings)
    for _ in range(2):
        with pytest.raises(PluginClosedError, match="async with PluginHost"):
            await host.load(file)
        async with host:
            plugin = await host.load(file)
        assert plugin.closed
        with pytest.raises(PluginClosedError):
            await plugin.health_check()


async def test_a_host_can_be_opened_again(file: Path, settings: HostSettings) -> None:
    host = PluginHost(settings)
    for _ in range(3):
        async with host:
            plugin = await host.load(file, expect=LoadedProvider)
            assert (await plugin.generate(REQUEST)).text == "hi"
            assert (await (await host.load(native())).health_check()).healthy


async def test_closing_twice(host: PluginHost, file: Path) -> None:
    await host.load(file)
    await host.close()
    await host.close()


class FailingShutdown(SmallProvider):
    async def shutdown(self) -> None:
        raise PluginCallError("internal", "native says no")


class OddError(BaseException):
    pass


class RaisingLogger(PluginLogger):
    def __init__(self, error: BaseException) -> None:
        self.error = error

    def emit(self, event: LogEvent) -> None:
        raise self.error


def computing() -> list[str]:
    """The threads of hosts that are there."""
    names = [one.name for one in threading.enumerate()]
    return [name for name in names if name.startswith("orchestrator-plugin")]


async def close_with(host: PluginHost, error: type[BaseException], match: str) -> None:
    sandbox = host._loading.sandbox.made
    assert sandbox is not None
    with pytest.raises(error, match=match):
        await host.close()
    assert sandbox.imports.guests == {}
    assert not sandbox.imports.linker.address
    assert computing() == []
    await host.close()


async def test_a_shutdown_that_fails_keeps_no_other_from_closing(
    host: PluginHost, file: Path
) -> None:
    first, last = await host.load(file), await host.load(file)
    await host.load(native(plugin=FailingShutdown))
    await close_with(host, PluginCallError, "native says no")
    assert first.closed
    assert last.closed


@pytest.mark.parametrize("error", [ValueError("mine"), OddError("mine")], ids=repr)
async def test_a_logger_that_raises_in_shutdown_keeps_no_other_from_closing(
    host: PluginHost, load: Load, file: Path, error: BaseException
) -> None:
    guest = Guest(functions={"shutdown": f"{EMIT} (call $ok_unit)"}, data=EVENT)
    first = await host.load(file)
    await load(guest, context=PluginContext(logger=RaisingLogger(error)))
    last = await host.load(file)
    await close_with(host, type(error), "mine")
    assert first.closed
    assert last.closed


async def test_closing_waits_for_calls_under_way(host: PluginHost, load: Load) -> None:
    body = "(call $sleep (i64.const 100)) $document_2096"
    plugin = await load(Guest(functions={"generate": body}))
    texts: list[str] = []

    async def one() -> None:
        texts.append((await plugin.generate(REQUEST)).text)

    async with anyio.create_task_group() as group:
        group.start_soon(one)
        await anyio.wait_all_tasks_blocked()
        await host.close()
        assert texts == ["hi"]


@pytest.mark.parametrize("tier", ["in-process", "process"])
async def test_closing_while_guests_compute(host: PluginHost, load: Load, tier: Tier) -> None:
    # They are waited for, and end when their time is up.
    spin = Guest(functions={"generate": "(loop $spin (br $spin)) (unreachable)"})
    plugin = await load(
        spin, tier=tier, limits=Limits(deadline_ms=1000), pool=PoolSettings(instances=3)
    )

    async def one() -> None:
        with pytest.raises(DeadlineExceededError):
            await plugin.generate(REQUEST)

    with anyio.fail_after(HANG_SECONDS):
        async with anyio.create_task_group() as group:
            for _ in range(3):
                group.start_soon(one)
            await anyio.sleep(0.1)
            await host.close()
    assert plugin.closed
    wait_until(lambda: not computing(), "the threads' end")


async def test_closing_while_loading(host: PluginHost, load: Load) -> None:
    guest = Guest(functions={"init": "(call $sleep (i64.const 100)) (call $ok_unit)"})
    errors: list[PluginError] = []

    async def one() -> None:
        try:
            await load(guest)
        except PluginError as error:
            errors.append(error)

    async with anyio.create_task_group() as group:
        group.start_soon(one)
        await anyio.sleep(0.02)
        await host.close()
    assert [type(error) for error in errors] == [PluginClosedError]
    assert host._loading is None
    assert host._plugins == []


async def test_closing_while_admitting_leaves_nothing(
    host: PluginHost, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    admitting, closed = threading.Event(), threading.Event()

    def slowly(*given: Any, **options: Any) -> Any:
        admitting.set()
        closed.wait(10)
        return admit_component(*given, **options)

    monkeypatch.setattr(loading, "admit_component", slowly)

    async def load() -> None:
        with pytest.raises(PluginClosedError):
            await host.load(file)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(load)
        await anyio.to_thread.run_sync(admitting.wait)
        await host.close()
        closed.set()
    assert host._loading is None


async def test_leaving_with_an_error_closes(settings: HostSettings, file: Path) -> None:
    plugins: list[LoadedPlugin] = []

    async def fail() -> None:
        async with PluginHost(settings) as host:
            plugins.append(await host.load(file))
            raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        await fail()
    assert plugins[0].closed


async def test_cancelled_while_open(settings: HostSettings, file: Path) -> None:
    with anyio.CancelScope() as scope:
        async with PluginHost(settings) as host:
            plugin = await host.load(file)
            scope.cancel()
            await anyio.sleep_forever()
    assert scope.cancelled_caught
    assert plugin.closed


# --- every error to its own caller ---------------------------------------------------------------


class MineError(Exception):
    """Of one call, told by its number."""


class OwnLogger(PluginLogger):
    def __init__(self, number: tuple[int, int]) -> None:
        self.error = MineError(number)

    def emit(self, event: LogEvent) -> None:
        raise self.error


LOGGING = Guest(functions={"generate": f"{EMIT} $document_2096"}, data=EVENT)


async def calls(plugin: Any, caller: int, count: int) -> list[str]:
    """What went wrong in `count` calls, each third of which has a logger that raises."""
    wrong = []
    for i in range(count):
        if i % 3:
            text = (await plugin.generate(REQUEST)).text
            if text != "hi":
                wrong.append(text)
            continue
        logger = OwnLogger((caller, i))
        try:
            await plugin.generate(REQUEST, PluginContext(logger=logger))
        except MineError as error:
            if error is not logger.error:
                wrong.append(f"{error} in place of {logger.error}")
        else:
            wrong.append(f"nothing in place of {logger.error}")
    return wrong


async def test_errors_of_many_tasks(load: Load) -> None:
    plugin = await load(LOGGING, pool=PoolSettings(instances=8, idle=8))
    wrong: list[str] = []

    async def one(caller: int) -> None:
        wrong.extend(await calls(plugin, caller, 100))

    async with anyio.create_task_group() as group:
        for caller in range(8):
            group.start_soon(one, caller)
    assert wrong == []


def test_errors_of_many_threads(settings: HostSettings, tmp_path: Path) -> None:
    file = write(tmp_path, LOGGING.build())
    wrong: list[str] = []
    finished: list[int] = []

    async def one(caller: int) -> None:
        async with PluginHost(settings) as host:
            plugin = await host.load(file, limits=Limits(deadline_ms=300_000))
            wrong.extend(await calls(plugin, caller, 500))
        finished.append(caller)

    threads = [
        threading.Thread(target=anyio.run, args=(one, caller), kwargs={"backend": backend})
        for caller, backend in enumerate(["asyncio", "trio"] * 4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert sorted(finished) == list(range(8))


async def test_a_host_has_one_engine(host: PluginHost, file: Path) -> None:
    await host.load(file)
    assert host._loading.sandbox.made is not None
    engine = host._loading.sandbox.made.engine
    await host.load(file)
    assert host._loading.sandbox.made.engine is engine


SLOW_TO_GO = Guest(functions={"shutdown": "(call $sleep (i64.const 300)) (call $ok_unit)"})


@pytest.mark.anyio
async def test_whoever_closes_a_host_second_waits_for_the_first(
    settings: HostSettings, tmp_path: Path
) -> None:
    path = tmp_path / "slow.wasm"
    path.write_bytes(SLOW_TO_GO.build())
    host = await PluginHost(settings).__aenter__()
    plugin = await host.load(path)
    closed: list[bool] = []

    async def close() -> None:
        await host.close()
        closed.append(plugin._shut_down.is_set())

    async with anyio.create_task_group() as group:
        group.start_soon(close)
        group.start_soon(close)
    assert closed == [True, True]


@pytest.mark.anyio
@pytest.mark.parametrize(
    "given",
    [
        {"tier": "proccess"},
        {"tier": "PROCESS"},
        {"tier": 1},
        {"policy": {"wasi": "all"}},
        {"policy": {"wasy": "core"}},
        {"policy": "core"},
        {"limits": {"speed": 1}},
        {"pool": 4},
    ],
    ids=repr,
)
async def test_a_setting_that_is_none_is_not_guessed_at(
    host: PluginHost, tmp_path: Path, given: dict[str, Any]
) -> None:
    path = tmp_path / "good.wasm"
    path.write_bytes(Guest().build())
    with pytest.raises(ValueError, match=next(iter(given))):
        await host.load(path, **given)
    assert (await (await host.load(path)).health_check()).healthy


@pytest.mark.anyio
@pytest.mark.parametrize("tier", ["in-process", "process"])
async def test_a_native_plugin_is_not_run_as_if_it_were_in_a_tier(
    host: PluginHost, tier: Tier
) -> None:
    export = PluginExport(small_manifest(PluginType.PROVIDER), SmallProvider)
    with pytest.raises(PluginRefusedError, match="is native: it is not sandboxed, in no tier"):
        await host.load(export, tier=tier)
    assert (await host.load(export)).tier is None
