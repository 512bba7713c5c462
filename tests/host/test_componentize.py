"""Components made of core modules."""

from __future__ import annotations

from pathlib import Path

import pytest
import wasmtime
from orchestrator_plugin_host import (
    HostSettings,
    LoadedPlugin,
    PluginBuildError,
    PluginHost,
    PluginTrapError,
    with_manifest,
)
from orchestrator_plugin_host.admission import world_of
from orchestrator_plugin_host.binary import index_type
from orchestrator_plugin_host.build import build, embed_manifest
from orchestrator_plugin_host.component_file import read_component
from orchestrator_plugin_host.componentize import componentize
from orchestrator_plugin_host.componentize.abi import Signature, exported, imported, post_return
from orchestrator_plugin_host.wit import (
    EnumType,
    FlagsType,
    Function,
    HandleType,
    ListType,
    OptionType,
    Primitive,
    RecordType,
    ResultType,
    TupleType,
    Type,
    VariantType,
    World,
)
from orchestrator_plugin_sdk import (
    MemoryLogger,
    PluginContext,
    PluginType,
    StreamEnd,
    StreamTextDelta,
    pack,
)
from orchestrator_plugin_sdk.capabilities.registry import REACHED_BY_ACCESS
from orchestrator_plugin_sdk.contract import KINDS
from support.guests import manifest_of

KIND = pytest.mark.parametrize("kind", list(PluginType))
DEFAULTS = {
    "health-check": {"healthy": True},
    "capabilities": {},
    "generate": {"text": "hi"},
    "embed-texts": {"dims": 2, "data": bytes(8)},
    "query": [],
    "info": {"backend": "core", "dims": 0},
    "execute": {"exit_code": 0, "duration_ms": 0},
}

DIMS = (
    "(i64.store (i32.const 1024) (i64.const 0)) (i32.store (i32.const 1032) (i32.const 2))"
    "(i32.const 1024)"
)


def text_of(one: Signature) -> str:
    """A core type, as text."""
    params = "".join(f" (param {value})" for value in one.params)
    return params + "".join(f" (result {value})" for value in one.results)


def escaped(data: bytes) -> str:
    return "".join(f"\\{byte:02x}" for byte in data)


def core(
    world: World,
    *,
    imports: str | None = "",
    fields: str = "",
    bodies: dict[str, str] | None = None,
    leave_out: frozenset[str] = frozenset(),
    memory: str = '(memory (export "memory") 2)',
    realloc: str = "(param i32 i32 i32 i32) (result i32) (i32.const 65536)",
) -> bytes:
    """A core module of a world. Each function answers well, or has the body it is given. Without
    `imports`, it imports everything there is."""
    if imports is None:
        imports = "".join(
            f'(import "{interface.name}" "{name}" (func {text_of(imported(one))}))'
            for interface in world.imports.values()
            for name, one in interface.functions.items()
        )
    functions, segments, at = [], [], 4096
    for interface in world.exports.values():
        for name, one in interface.functions.items():
            if name in leave_out:
                continue
            body = {"dims": DIMS, **(bodies or {})}.get(name)
            if body is None:
                document = pack(DEFAULTS.get(name))
                segments.append(f'(data (i32.const {at}) "{escaped(document)}")')
                # The result's place: ok, the form bytes, address and length.
                body = (
                    f"(i64.store (i32.const 1024) (i64.const 0)) (i64.store (i32.const 1032) "
                    f"(i64.const {at << 32})) (i32.store (i32.const 1040) "
                    f"(i32.const {len(document)})) (i32.const 1024)"
                )
                at += len(document)
            functions.append(
                f'(func (export "{interface.name}#{name}") {text_of(exported(one))} {body})'
            )
    text = (
        f'(module {imports} {memory} (func (export "cabi_realloc") {realloc}) '
        f"{' '.join(functions)} {' '.join(segments)} {fields})"
    )
    return bytes(wasmtime.wat2wasm(text))


@pytest.fixture
async def loading(anyio_backend, cache_directory, tmp_path):
    """Loads a component of a core module."""
    async with PluginHost(HostSettings(cache_directory=cache_directory)) as host:

        async def load(kind: PluginType, module: bytes, logger: MemoryLogger | None = None):
            path = tmp_path / "plugin.wasm"
            made = componentize(module, world_of(KINDS[kind]))
            path.write_bytes(with_manifest(made, manifest_of(kind)))
            return await host.load(
                path, context=PluginContext(logger=logger) if logger else None, expect=LoadedPlugin
            )

        yield load


@KIND
@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_core_module_of_each_world_is_a_plugin(kind: PluginType, loading) -> None:
    plugin = await loading(kind, core(world_of(KINDS[kind])))
    assert (await plugin.health_check()).healthy
    await plugin.shutdown()


@KIND
@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_core_module_may_import_everything(kind: PluginType, loading) -> None:
    plugin = await loading(kind, core(world_of(KINDS[kind]), imports=None))
    assert (await plugin.health_check()).healthy


@KIND
def test_only_what_is_used_is_imported(kind: PluginType) -> None:
    world = world_of(KINDS[kind])
    log = '(import "orchestrator:plugin/log@1.0.0" "emit" (func (param i32 i32 i32)))'
    everything = {"log", "abort", "clock", "random", *REACHED_BY_ACCESS}
    for imports, names in (("", set()), (log, {"log"}), (None, everything)):
        file = read_component(componentize(core(world, imports=imports), world))
        found = {name.partition("/")[2].partition("@")[0] for name, _ in file.imports}
        assert found == {"types", *names}
        assert {name for name, _ in file.exports} == set(world.exports)
        assert file.contents.memories == 1


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_imports_work_and_post_return_and_initialize_are_called(loading) -> None:
    kind = PluginType.TOOL_EXECUTOR
    event = pack({"type": "x", "level": "info", "message": "from within", "fields": {}})
    counted = "(global.set $calls (i32.add (global.get $calls) (i32.const 1)))"
    lifecycle = "orchestrator:plugin/lifecycle@1.0.0"
    module = core(
        world_of(KINDS[kind]),
        imports='(import "orchestrator:plugin/log@1.0.0" "emit" (func $emit (param i32 i32 i32)))'
        '(import "orchestrator:plugin/random@1.0.0" "get-bytes" (func $random (param i32 i32)))',
        fields="(global $calls (mut i32) (i32.const 0))"
        f'(func (export "_initialize") {counted})'
        f'(func (export "cabi_post_{lifecycle}#health-check") (param i32) {counted})'
        f'(data (i32.const 9000) "{escaped(event)}")',
        bodies={
            # Healthy as long as it has been initialised, and each result freed.
            "is-allowed": f"(call $emit (i32.const 0) (i32.const 9000) (i32.const {len(event)}))"
            "(call $random (i32.const 16) (i32.const 2048))"
            "(if (i32.ne (i32.load (i32.const 2052)) (i32.const 16)) (then unreachable))"
            "(i64.store (i32.const 1024) (i64.const 0))"
            "(i32.store8 (i32.const 1032) (i32.eq (global.get $calls) (i32.const 3)))"
            "(i32.const 1024)",
        },
    )
    logger = MemoryLogger()
    plugin = await loading(kind, module, logger)
    for _ in range(2):
        await plugin.health_check()
    assert await plugin.is_allowed("any", {"enabled": True})
    assert [event.message for event in logger.events] == ["from within"]


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_resources_are_made_and_dropped(loading) -> None:
    kind = PluginType.PROVIDER
    own = "orchestrator:plugin/provider@1.0.0"
    events = [
        pack({"type": "text_delta", "text": "a"}),
        pack({"type": "end", "finish_reason": "stop"}),
    ]
    module = core(
        world_of(KINDS[kind]),
        imports=f'(import "[export]{own}" "[resource-new]event-stream"'
        "  (func $new (param i32) (result i32)))"
        f'(import "[export]{own}" "[resource-rep]event-stream"'
        "  (func $rep (param i32) (result i32)))",
        fields=f'(func (export "{own}#[dtor]event-stream") (param i32)'
        "  (i32.store (i32.const 3000) (local.get 0)))"
        "(global $handle (mut i32) (i32.const 0))"
        + "".join(f'(data (i32.const {9000 + 100 * i}) "{escaped(one)}")'
                  for i, one in enumerate(events)),
        bodies={
            "generate-stream": "(if (i32.load (i32.const 3000)) (then unreachable))"
            "(global.set $handle (call $new (i32.const 77)))"
            "(if (i32.ne (call $rep (global.get $handle)) (i32.const 77)) (then unreachable))"
            "(i64.store (i32.const 1024) (i64.const 0))"
            "(i32.store (i32.const 1032) (global.get $handle)) (i32.const 1024)",
            "[method]event-stream.next": "(if (i32.ne (local.get 0) (i32.const 77))"
            "  (then unreachable))"
            "(i64.store (i32.const 1024) (i64.const 0)) (i32.store (i32.const 1032)"
            "  (i32.lt_u (i32.load (i32.const 3100)) (i32.const 2)))"
            "(i32.store (i32.const 1036) (i32.const 0))"
            "(i32.store (i32.const 1040) (i32.add (i32.const 9000)"
            "  (i32.mul (i32.const 100) (i32.load (i32.const 3100)))))"
            "(i32.store (i32.const 1044) (select"
            f"  (i32.const {len(events[1])}) (i32.const {len(events[0])})"
            "  (i32.load (i32.const 3100))))"
            "(i32.store (i32.const 3100) (i32.add (i32.load (i32.const 3100)) (i32.const 1)))"
            "(i32.const 1024)",
        },
    )  # fmt: skip
    plugin = await loading(kind, module)
    found = [event async for event in plugin.stream({"messages": []})]
    assert [type(event) for event in found] == [StreamTextDelta, StreamEnd]
    with pytest.raises(PluginTrapError):  # the destructor has written what is looked for here
        _ = [event async for event in plugin.stream({"messages": []})]


EMBEDDER = world_of(KINDS[PluginType.EMBEDDER])
WRONG = {
    "nothing exported": (b"\0asm\x01\0\0\0", "it does not export 'memory', a memory"),
    "a function missing": (
        core(EMBEDDER, leave_out=frozenset({"dims"})),
        r"it does not export 'orchestrator:plugin/embedder@1.0.0#dims', a function \(\) -> \(i32\)",
    ),
    "another type": (
        core(
            EMBEDDER,
            leave_out=frozenset({"dims"}),
            fields='(func (export "orchestrator:plugin/embedder@1.0.0#dims") (param i32))',
        ),
        r"#dims' is a function \(i32\) -> \(\), it should be a function \(\) -> \(i32\)",
    ),
    "no function": (
        core(
            EMBEDDER,
            leave_out=frozenset({"dims"}),
            fields='(global (export "orchestrator:plugin/embedder@1.0.0#dims") i32 (i32.const 0))',
        ),
        "#dims' is a global, it should be",
    ),
    "another world's": (
        core(EMBEDDER, fields='(func (export "orchestrator:plugin/provider@1.0.0#capabilities"))'),
        "it exports 'orchestrator:plugin/provider@1.0.0#capabilities', which is not in the world",
    ),
    "no memory": (core(EMBEDDER, memory="(memory 1)"), "it does not export 'memory', a memory"),
    "no allocator": (
        core(EMBEDDER, realloc="(param i32) (result i32) (i32.const 8)"),
        r"the export 'cabi_realloc' is a function \(i32\) -> \(i32\), it should be",
    ),
    "WASI": (
        core(EMBEDDER, imports='(import "wasi_snapshot_preview1" "fd_write" (func))'),
        "imports 'fd_write' of 'wasi_snapshot_preview1', which no plugin gets: compile it without",
    ),
    "not linked": (
        core(EMBEDDER, imports='(import "env" "malloc" (func (param i32) (result i32)))'),
        "imports 'malloc' of 'env', which no plugin gets: something it calls is not linked",
    ),
    "a memory of others": (
        core(EMBEDDER, imports='(import "env" "memory" (memory 1 2))', memory=""),
        "imports 'memory' of 'env'",
    ),
    "a table of others": (
        core(EMBEDDER, imports='(import "env" "t" (table 1 funcref))'),
        "imports 't' of 'env'",
    ),
    "a global of others": (
        core(EMBEDDER, imports='(import "env" "g" (global (mut i32)))'),
        "imports 'g' of 'env'",
    ),
    "an import of another type": (
        core(
            EMBEDDER,
            imports='(import "orchestrator:plugin/clock@1.0.0" "sleep" (func (param i32)))',
        ),
        r"the import 'sleep' of .* is a function \(i32\) -> \(\), it should be a function \(i64\)",
    ),
    "an import that is not there": (
        core(EMBEDDER, imports='(import "orchestrator:plugin/clock@1.0.0" "wake" (func))'),
        "imports 'wake' of 'orchestrator:plugin/clock@1.0.0', which no plugin gets",
    ),
    "another's resource": (
        core(
            EMBEDDER,
            imports='(import "[export]orchestrator:plugin/embedder@1.0.0" "[resource-new]x"'
            " (func (param i32) (result i32)))",
        ),
        "which no plugin gets",
    ),
    "twice the same": (
        core(
            EMBEDDER,
            imports='(import "orchestrator:plugin/clock@1.0.0" "sleep" (func (param i64)))' * 2,
        ),
        "imports 'sleep' of 'orchestrator:plugin/clock@1.0.0' twice",
    ),
    "no module": (b"\x7fELF", "is not a core WebAssembly module"),
    "a component": (
        b"\0asm\x0d\0\x01\0",
        "is not a core WebAssembly module",
    ),
    "half a module": (core(EMBEDDER)[:60], "the core module is truncated or malformed"),
}


@pytest.mark.parametrize(("module", "match"), WRONG.values(), ids=WRONG)
def test_what_does_not_fit_is_explained(module: bytes, match: str) -> None:
    with pytest.raises(PluginBuildError, match=match):
        componentize(module, EMBEDDER)


def test_everything_that_does_not_fit_is_listed() -> None:
    with pytest.raises(PluginBuildError) as caught:
        componentize(b"\0asm\x01\0\0\0", EMBEDDER)
    assert str(caught.value).count("\n  - it does not export") == 2 + 3 + 2


U8, U32, U64, F32, F64, STRING = map(Primitive, ("u8", "u32", "u64", "f32", "f64", "string"))
FLAT: dict[str, tuple[Type, tuple[str, ...]]] = {
    "numbers": (TupleType((U8, U32, U64, F32, F64)), ("i32", "i32", "i64", "f32", "f64")),
    "list": (ListType(U64), ("i32", "i32")),
    "record": (RecordType((("a", STRING), ("b", F64))), ("i32", "i32", "f64")),
    "option": (OptionType(U64), ("i32", "i64")),
    "enum": (EnumType(("a", "b")), ("i32",)),
    "flags": (FlagsType(tuple(f"f{i}" for i in range(33))), ("i32", "i32")),
    "handle": (HandleType("r", owned=True), ("i32",)),
    "float or number": (ResultType(F32, U32), ("i32", "i32")),
    "long or double": (ResultType(U64, F64), ("i32", "i64")),
    "some": (VariantType((("a", None), ("b", STRING), ("c", U64))), ("i32", "i64", "i32")),
}  # fmt: skip


@pytest.mark.parametrize(("one", "flat"), FLAT.values(), ids=FLAT)
def test_types_are_flattened(one: Type, flat: tuple[str, ...]) -> None:
    function = Function((("a", one),), one)
    if len(flat) > 1:
        assert imported(function) == Signature((*flat, "i32"))
        assert exported(function) == Signature(flat, ("i32",))
        assert post_return(function) == Signature(("i32",))
    else:
        assert imported(function) == exported(function) == Signature(flat, flat)


def test_many_parameters_go_through_memory() -> None:
    function = Function(tuple((f"p{i}", STRING) for i in range(9)), None)
    assert imported(function) == exported(function) == Signature(("i32",))
    assert post_return(function) == Signature()


@pytest.mark.parametrize(
    ("index", "encoded"), [(0, "00"), (63, "3f"), (64, "c000"), (127, "ff00"), (128, "8001")]
)
def test_types_are_told_from_primitives_by_their_sign(index: int, encoded: str) -> None:
    assert index_type(index).hex() == encoded


def test_a_core_module_of_another_toolchain_gets_its_manifest_too(tmp_path: Path) -> None:
    (tmp_path / "plugin.toml").write_text(MANIFEST % ("zig", "zig"))
    module = tmp_path / "core.wasm"
    module.write_bytes(core(world_of(KINDS[PluginType.TOOL_EXECUTOR])))
    file = read_component(embed_manifest(tmp_path, module).read_bytes())
    assert file.manifest_document["name"] == "compiled"
    module.write_bytes(core(EMBEDDER))
    with pytest.raises(PluginBuildError, match="not of the world 'tool-executor-plugin'"):
        embed_manifest(tmp_path, module)


# Compilers.

MANIFEST = """
name = "compiled"
type = "tool_executor"
version = "1.0.0"
sdk_version = { min_version = 1 }
[build]
language = "%s"
entry = "src/main.%s"
"""
ZIG = r"""
const documents = .{ "\x81\xa7healthy\xc3", "\x82\xa9exit_code\x07\xabduration_ms\x00" };
const Answer = extern struct {
    is_error: u8 = 0,
    form: u32 align(8) = 0,
    at: [*]const u8 = undefined,
    size: usize = 0,
};
var answer: Answer = .{};
var space: [65536]u8 = undefined;
pub const panic = @import("std").debug.no_panic;

fn say(comptime document: []const u8) *Answer {
    answer = .{ .at = document.ptr, .size = document.len };
    return &answer;
}
fn realloc(_: u32, _: u32, _: u32, size: u32) callconv(.c) [*]u8 {
    return space[0..size].ptr;
}
fn init(_: u32, _: [*]u8, _: u32) callconv(.c) *Answer { return say(""); }
fn health() callconv(.c) *Answer { return say(documents[0]); }
fn shutdown() callconv(.c) *Answer { return say(""); }
fn execute(_: u32, _: [*]u8, _: u32) callconv(.c) *Answer { return say(documents[1]); }
fn allowed(_: u32, _: [*]u8, _: u32) callconv(.c) *Answer {
    answer = .{ .form = 1 };
    return &answer;
}
comptime {
    const lifecycle = "orchestrator:plugin/lifecycle@1.0.0#";
    const tools = "orchestrator:plugin/tool-executor@1.0.0#";
    @export(&realloc, .{ .name = "cabi_realloc" });
    @export(&init, .{ .name = lifecycle ++ "init" });
    @export(&health, .{ .name = lifecycle ++ "health-check" });
    @export(&shutdown, .{ .name = lifecycle ++ "shutdown" });
    @export(&execute, .{ .name = tools ++ "execute" });
    @export(&allowed, .{ .name = tools ++ "is-allowed" });
}
"""
C = r"""
#include <stddef.h>
#include <stdint.h>
#define EXPORT(name) __attribute__((export_name(name)))
#define LIFECYCLE "orchestrator:plugin/lifecycle@1.0.0#"
#define TOOLS "orchestrator:plugin/tool-executor@1.0.0#"
static struct {
    uint8_t is_error, unused[7];
    uint32_t form;
    const char *at;
    size_t size;
} answer;
static char space[65536];
static void *say(const char *document, size_t size) {
    answer.form = 0; answer.at = document; answer.size = size;
    return &answer;
}
EXPORT("cabi_realloc") void *take(void *old, size_t was, size_t align, size_t size) {
    return size <= sizeof space ? space : NULL;
}
EXPORT(LIFECYCLE "init") void *init(int form, char *at, size_t size) { return say("", 0); }
EXPORT(LIFECYCLE "health-check") void *health(void) { return say("\x81\xa7healthy\xc3", 10); }
EXPORT(LIFECYCLE "shutdown") void *shutdown(void) { return say("", 0); }
EXPORT(TOOLS "execute") void *execute(int form, char *at, size_t size) {
    return say("\x82\xa9" "exit_code\x07\xab" "duration_ms\x00", 25);
}
EXPORT(TOOLS "is-allowed") void *allowed(int form, char *at, size_t size) {
    answer.form = 1;
    return &answer;
}
"""
SOURCES = {"zig": ZIG, "c": C}


def project(folder: Path, language: str, source: str | None) -> Path:
    """A plugin's folder."""
    (folder / "src").mkdir()
    (folder / "plugin.toml").write_text(MANIFEST % (language, language))
    if source is not None:
        (folder / "src" / f"main.{language}").write_text(source)
    return folder


@pytest.mark.anyio
@pytest.mark.parametrize("language", SOURCES)
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_compiled_plugin(language: str, tmp_path: Path, cache_directory: Path) -> None:
    said: list[str] = []
    made = build(project(tmp_path, language, SOURCES[language]), progress=said.append)
    assert made == tmp_path / "build" / "compiled.wasm"
    assert said[1:] == [
        "compiling to WebAssembly",
        "making a component of it",
        "adding the manifest",
    ]
    async with PluginHost(HostSettings(cache_directory=cache_directory)) as host:
        plugin = await host.load(made)
        assert (await plugin.health_check()).healthy
        policy = {"enabled": True}
        assert (await plugin.execute({"command": "x"}, policy)).exit_code == 7
        assert await plugin.is_allowed("x", policy)


@pytest.mark.parametrize("language", SOURCES)
def test_what_the_compiler_says_is_passed_on(language: str, tmp_path: Path) -> None:
    with pytest.raises(
        PluginBuildError, match=r"(?s)'compiled' could not be built; zig says:.*err"
    ):
        build(project(tmp_path, language, "this is no program"))
    assert not (tmp_path / "build").exists()


def test_a_source_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(PluginBuildError, match=r"there is no .*src/main.zig, which build.entry"):
        build(project(tmp_path, "zig", None))


def test_a_compiler_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(PluginBuildError, match=r"pip install 'orchestrator-plugin-host\[zig\]'"):
        build(project(tmp_path, "zig", ZIG))
