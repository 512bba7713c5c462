"""Reading a component's bytes: what is in them, and that other bytes are refused, and no worse."""

from __future__ import annotations

import hashlib
import time
import tracemalloc
from collections.abc import Callable
from contextlib import suppress

import pytest
import wasmtime
from hypothesis import given
from hypothesis import strategies as st
from orchestrator_plugin_host import InvalidComponentError, read_component, with_manifest
from orchestrator_plugin_host.component_file import without_names
from orchestrator_plugin_sdk import PluginType, pack, to_document, validate_manifest
from orchestrator_plugin_sdk.naming import MANIFEST_SECTION
from support.guests import Guest, manifest_of

EMPTY = b"\0asm\x0d\0\x01\0"
MODULE = b"\0asm\x01\0\0\0"
GUEST = Guest(PluginType.EMBEDDER).build()


def assemble(text: str) -> bytes:
    return bytes(wasmtime.wat2wasm(f"(component {text})"))


def section(kind: int, body: bytes, size: int | None = None) -> bytes:
    """A section with a body of fewer than 128 bytes, that may lie about its size."""
    return bytes([kind, len(body) if size is None else size]) + body


SMALL = with_manifest(
    assemble(
        """
        (import "a:b/c@1.0.0" (instance $i (export "f" (func))))
        (alias export $i "f" (func $f))
        (core module (memory 1) (memory 2))
        (component (core module (memory 1)) (component (core module (memory 3))))
        (instance $out (export "g" (func $f)))
        (export "a:b/d@1.0.0" (instance $out))
        """
    ),
    manifest_of(),
)

# --- what is in it -------------------------------------------------------------------------------


def test_names_and_digest() -> None:
    file = read_component(SMALL)
    assert file.imports == (("a:b/c@1.0.0", "instance"),)
    assert file.exports == (("a:b/d@1.0.0", "instance"),)
    assert file.digest == hashlib.sha256(SMALL).hexdigest()
    assert file.data == SMALL
    assert validate_manifest(file.manifest_document) == manifest_of()


def test_names_of_a_guest() -> None:
    file = read_component(GUEST)
    ours = [f"orchestrator:plugin/{name}@1.0.0" for name in ("types", "log", "abort")]
    assert file.imports[:3] == tuple((name, "instance") for name in ours)
    assert {name for name, _ in file.exports} == {
        "orchestrator:plugin/lifecycle@1.0.0",
        "orchestrator:plugin/embedder@1.0.0",
    }


@pytest.mark.parametrize(
    ("text", "memories"),
    [
        ("", 0),
        ("(core module)", 0),
        ("(core module (memory 1))", 1),
        ("(core module (memory 1) (memory 1))", 2),
        ('(core module (import "a" "m" (memory 1)))', 0),
        ("(core module (memory 1)) (core module (memory 1))", 2),
        ("(component (core module (memory 1)) (component (core module (memory 1))))", 2),
    ],
)
def test_memories_are_counted_wherever_they_are(text: str, memories: int) -> None:
    assert read_component(assemble(text)).contents.memories == memories


SORTS = {
    "func": '(import "a" (func))',
    "instance": '(import "a" (instance))',
    "component": '(import "a" (component))',
    "core": '(import "a" (core module))',
    "type": '(import "a" (type (sub resource)))',
}


@pytest.mark.parametrize("sort", SORTS)
def test_sorts_of_imports_and_exports(sort: str) -> None:
    file = read_component(assemble(SORTS[sort]))
    assert file.imports == (("a", sort),)


def test_an_export_with_a_type() -> None:
    text = '(import "a" (func $f (param "x" u8))) (export "b" (func $f) (func (param "x" u8)))'
    assert read_component(assemble(text)).exports == (("b", "func"),)


# --- what is no component ------------------------------------------------------------------------

NONE = {
    "nothing": (b"", "it is empty"),
    "text": (b"hello", "not WebAssembly"),
    "WebAssembly text": (b"  (component)", "looks like WebAssembly text; assemble it first"),
    "an ELF file": (b"\x7fELF" + bytes(60), "not WebAssembly"),
    "half a magic number": (b"\0as", "not WebAssembly"),
    "no version": (b"\0asm", r"unknown WebAssembly version \(none\)"),
    "half a version": (b"\0asm\x0d", r"unknown WebAssembly version \(0d\)"),
    "a core module": (MODULE, "core WebAssembly module, not a component"),
    "an older component": (b"\0asm\x0c\0\x01\0", "unknown WebAssembly version"),
    "a section of unknown kind": (EMPTY + section(13, b""), "section of unknown kind 13"),
    "a section that is too long": (EMPTY + section(0, b"\x01a", 100), "truncated or malformed"),
    "a section without a size": (EMPTY + b"\x00", "truncated or malformed"),
    "a size that never ends": (EMPTY + b"\x00" + b"\xff" * 20, "a number is too long"),
    "a size that is too large": (EMPTY + b"\x00\xff\xff\xff\xff\x7f", "a number is too large"),
    "a name that is too long": (EMPTY + section(0, b"\xff\x7f"), "a name is too long"),
    "a name past its section": (EMPTY + section(0, b"\x05ab"), "truncated or malformed"),
    "a name that is not UTF-8": (EMPTY + section(0, b"\x02\xff\xfe"), "isn't UTF-8"),
    "more imports than there are": (EMPTY + section(10, b"\x7f"), "truncated or malformed"),
    "an import named oddly": (EMPTY + section(10, b"\x01\x07\x01a\x01\x00"), "does not read"),
    "an import of an unknown sort": (EMPTY + section(10, b"\x01\x00\x01a\x09\x00"), "unknown kind"),
    "an import of a value": (EMPTY + section(10, b"\x01\x00\x01a\x02\x00"), "unknown kind"),
    "an export of an unknown sort": (EMPTY + section(11, b"\x01\x00\x01a\x09\x00"), "unknown kind"),
    "a module without a header": (EMPTY + section(1, b"\0asm"), "truncated or malformed"),
    "a module with a section whose name is not UTF-8": (
        EMPTY + section(1, MODULE + section(0, b"\x02\xff\xfe")),
        "isn't UTF-8",
    ),
    "a module with a section whose name is too long": (
        EMPTY + section(4, EMPTY + section(1, MODULE + section(0, b"\xff\x7f"))),
        "a name is too long",
    ),
    "a module with a section without a name": (
        EMPTY + section(1, MODULE + section(0, b"")),
        "truncated or malformed",
    ),
    "a module with a broken section": (
        EMPTY + section(1, MODULE + b"\x05\x7f"),
        "truncated or malformed",
    ),
}


@pytest.mark.parametrize("case", NONE)
def test_what_is_no_component(case: str) -> None:
    data, message = NONE[case]
    with pytest.raises(InvalidComponentError, match=message):
        read_component(data)
    with pytest.raises(InvalidComponentError, match=message):
        with_manifest(data, manifest_of())


def test_components_in_one_another() -> None:
    nested = EMPTY
    for _ in range(8):
        nested = EMPTY + section(4, nested)
    assert read_component(nested).contents.memories == 0
    for _ in range(12):
        nested = EMPTY + b"\x04" + bytes([len(nested) & 0x7F | 0x80, len(nested) >> 7]) + nested
    with pytest.raises(InvalidComponentError, match="nests deeper than 16 levels"):
        read_component(nested)


@pytest.mark.parametrize("length", range(len(SMALL)))
def test_truncated_at_every_byte(length: int) -> None:
    with suppress(InvalidComponentError):
        file = read_component(SMALL[:length])
        # What can be read ends with a whole section, so that the last, the manifest, is missing.
        with pytest.raises(InvalidComponentError, match="no manifest section"):
            _ = file.manifest_document


@given(st.binary(max_size=300))
def test_any_bytes_in_a_component(data: bytes) -> None:
    with suppress(InvalidComponentError):
        read_component(EMPTY + data)


@given(st.lists(st.tuples(st.integers(0, 12), st.binary(max_size=40)), max_size=6))
def test_any_sections(sections: list[tuple[int, bytes]]) -> None:
    with suppress(InvalidComponentError):
        read_component(EMPTY + b"".join(section(*one) for one in sections))


@given(st.data())
def test_a_component_with_bytes_changed(data: st.DataObject) -> None:
    mutated = bytearray(SMALL)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(mutated) - 1))
        mutated[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    with suppress(InvalidComponentError):
        read_component(bytes(mutated)).manifest_document  # noqa: B018  # read for its errors


# --- the manifest --------------------------------------------------------------------------------


def test_a_component_without_a_manifest() -> None:
    with pytest.raises(InvalidComponentError, match="orchestrator-plugin build"):
        _ = read_component(Guest().core()).manifest_document


def test_two_manifests() -> None:
    name = MANIFEST_SECTION.encode()
    one = section(0, bytes([len(name)]) + name + pack({}))
    with pytest.raises(InvalidComponentError, match="has 2 manifest section"):
        _ = read_component(EMPTY + one + one).manifest_document


@pytest.mark.parametrize("body", [b"", b"\xc1", pack({}) * 2, b"\x91" * 70 + b"\x90"])
def test_a_manifest_that_is_no_document(body: bytes) -> None:
    name = MANIFEST_SECTION.encode()
    data = EMPTY + section(0, bytes([len(name)]) + name + body)
    with pytest.raises(InvalidComponentError, match="the component's manifest"):
        _ = read_component(data).manifest_document


def test_a_manifest_in_an_inner_component_does_not_count() -> None:
    inner = with_manifest(EMPTY, manifest_of(description=""))
    outer = EMPTY + b"\x04" + bytes([len(inner) & 0x7F | 0x80, len(inner) >> 7]) + inner
    with pytest.raises(InvalidComponentError, match="no manifest section"):
        _ = read_component(outer).manifest_document


def test_adding_a_manifest_twice_changes_nothing() -> None:
    once = with_manifest(Guest().core(), manifest_of())
    assert with_manifest(once, manifest_of()) == once


def test_a_manifest_is_replaced_and_the_rest_stays() -> None:
    other = manifest_of(description="other " * 500)  # its size takes two bytes
    replaced = with_manifest(SMALL, other)
    assert read_component(replaced).manifest_document == to_document(other)
    assert with_manifest(replaced, manifest_of()) == SMALL
    before, after = read_component(SMALL), read_component(replaced)
    assert (before.imports, before.exports, before.contents) == (
        after.imports,
        after.exports,
        after.contents,
    )
    assert before.digest != after.digest


def test_other_custom_sections_are_kept() -> None:
    data = EMPTY + section(0, b"\x04notekept")
    made = read_component(with_manifest(data, manifest_of()))
    assert made.custom_sections[0] == ("note", b"kept")
    assert made.custom_sections[1][0] == MANIFEST_SECTION


# --- the names of functions ----------------------------------------------------------------------

NAMED = assemble(
    """
    (core module $outer (func $a_name_to_be_told))
    (component $inner (core module $deep (func $another_name_to_be_told)))
    """
)


def test_names_are_taken_out_wherever_they_are() -> None:
    assert b"name_to_be_told" in NAMED
    bare = without_names(NAMED)
    assert b"name_to_be_told" not in bare
    assert b"outer" not in bare
    assert without_names(bare) == bare


@pytest.mark.parametrize("kind", PluginType)
def test_nothing_else_is_taken_out(kind: PluginType) -> None:
    data = Guest(kind).build()
    before, after = read_component(data), read_component(without_names(data))
    assert before.imports == after.imports
    assert before.exports == after.exports
    assert before.contents == after.contents
    assert before.manifest_document == after.manifest_document
    wasmtime.component.Component(wasmtime.Engine(), after.data)


@given(st.binary(max_size=300))
def test_taking_names_out_of_any_bytes(data: bytes) -> None:
    with suppress(InvalidComponentError):
        without_names(EMPTY + data)


INNER = st.lists(st.tuples(st.integers(0, 12), st.binary(max_size=9)), max_size=4)


@given(INNER, st.sampled_from([(1, MODULE), (1, EMPTY), (4, EMPTY), (4, MODULE)]))
def test_names_can_be_taken_out_of_whatever_can_be_read(
    sections: list[tuple[int, bytes]], outer: tuple[int, bytes]
) -> None:
    kind, header = outer
    data = EMPTY + section(kind, header + b"".join(section(*one) for one in sections))
    try:
        read_component(data)
    except InvalidComponentError:
        return
    without_names(data)


# --- what would take long to read ----------------------------------------------------------------


def number(value: int) -> bytes:
    """A number of up to 21 bits, in three bytes."""
    return bytes([value & 0x7F | 0x80, value >> 7 & 0x7F | 0x80, value >> 14])


def named(kind: int, name: bytes) -> bytes:
    """A custom section of this name (0), or an import of an instance (10)."""
    body = number(len(name)) + name
    if kind == 10:
        body = b"\x01\0" + body + b"\x05\0"
    return bytes([kind]) + number(len(body)) + body


def module_of(sections: bytes) -> bytes:
    body = MODULE + sections
    return b"\x01" + number(len(body)) + body


EXPENSIVE: dict[str, tuple[Callable[[], bytes], str]] = {
    "sections": (lambda: section(7, b"") * 10_001, "more than 10,000 sections"),
    "64 million sections": (lambda: section(7, b"") * 64_000_000, "more than 10,000 sections"),
    "sections of modules": (
        lambda: module_of(section(1, b"\0") * 200_000) * 2,
        "more than 10,000 sections",
    ),
    "modules": (lambda: section(1, MODULE) * 10_001, "more than 10,000 sections"),
    "custom sections": (lambda: named(0, b"a") * 101, "more than 100 custom sections"),
    "imports at once": (
        lambda: b"\x0a" + number(3) + number(1_001),
        "more than 1,000 imports and exports",
    ),
    "imports one by one": (lambda: named(10, b"a") * 1_001, "more than 1,000 imports and exports"),
    "exports and imports": (
        lambda: named(10, b"a") * 600 + (b"\x0b" + number(3) + number(600)),
        "more than 1,000 imports and exports",
    ),
    "bytes of names": (
        lambda: named(10, "é".encode() * 2_000) * 300,
        "more than 1,048,576 bytes of names",
    ),
    "bytes of names in modules": (
        lambda: module_of(named(0, b"a" * 4_000) * 300),
        "more than 1,048,576 bytes of names",
    ),
    "4 billion imports": (lambda: b"\x0a\x05\xff\xff\xff\xff\x0f", "more than 1,000 imports"),
}


@pytest.mark.parametrize("name", EXPENSIVE)
def test_more_than_any_component_has(name: str) -> None:
    """Refused in little time and memory, however much of it there is."""
    make, message = EXPENSIVE[name]
    data = EMPTY + make()
    tracemalloc.start()
    began = time.thread_time()
    try:
        with pytest.raises(InvalidComponentError, match=message):
            read_component(data)
        assert time.thread_time() - began < 0.2  # measuring memory takes most of that
        assert tracemalloc.get_traced_memory()[1] < 8_000_000
    finally:
        tracemalloc.stop()


def test_nothing_is_copied_to_read_a_large_component() -> None:
    nested = module_of(
        named(0, b"a") + section(11, b"\0") + b"\0" + number(1 << 20) + b"\0" * (1 << 20)
    )
    for _ in range(12):
        nested = b"\x04" + number(len(EMPTY + nested)) + EMPTY + nested
    data = with_manifest(EMPTY + nested, manifest_of())
    tracemalloc.start()
    try:
        file = read_component(data)
        assert tracemalloc.get_traced_memory()[1] < 100_000
        tracemalloc.reset_peak()
        assert len(without_names(data)) == len(data)
        assert tracemalloc.get_traced_memory()[1] < 100_000
    finally:
        tracemalloc.stop()
    assert file.contents.sections == 12 + 1 + 3 + 1


def test_a_manifest_that_is_too_large() -> None:
    with pytest.raises(InvalidComponentError, match=r"the manifest has 65,\d+ bytes, it may"):
        with_manifest(EMPTY, manifest_of(description="x" * 65_536))
    body = number(len(MANIFEST_SECTION)) + MANIFEST_SECTION.encode() + bytes(65_537)
    data = EMPTY + b"\0" + number(len(body)) + body
    with pytest.raises(InvalidComponentError, match="manifest has 65,537 bytes, it may"):
        _ = read_component(data).manifest_document


@pytest.mark.parametrize("depth", [0, 1])
def test_sections_are_counted_at_all_depths(depth: int) -> None:
    sections = section(2, b"\0") * 6_000
    if depth:
        sections = b"\x04" + number(len(EMPTY + sections)) + EMPTY + sections
    assert read_component(EMPTY + sections).contents.sections == 6_000 + depth
    with pytest.raises(InvalidComponentError, match="more than 10,000 sections"):
        read_component(EMPTY + sections * 2)
