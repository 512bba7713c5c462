"""The reader of WIT: what the contract says, and what is refused."""

from __future__ import annotations

import re
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
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
    full_name,
    parse,
    read_contract,
    wit_directory,
)
from orchestrator_plugin_sdk import ErrorKind
from orchestrator_plugin_sdk.capabilities.registry import REACHED_BY_ACCESS as REACHED
from orchestrator_plugin_sdk.contract import KINDS, Kind, Operation
from orchestrator_plugin_sdk.version import PACKAGE, PACKAGE_VERSION

CONTRACT = read_contract()
TYPES = CONTRACT.interfaces[full_name("types")].types
PAYLOAD, ERROR = TYPES["payload"], TYPES["error"]
U8, U32, U64 = Primitive("u8"), Primitive("u32"), Primitive("u64")
STRING, BOOL = Primitive("string"), Primitive("bool")

# --- the contract --------------------------------------------------------------------------------


def test_every_file_says_the_package_and_its_version() -> None:
    for path in wit_directory().glob("*.wit"):
        assert path.read_text("utf-8").startswith(f"package {PACKAGE}@{PACKAGE_VERSION};\n")


def test_the_shared_types() -> None:
    kind = EnumType(tuple(map(str, ErrorKind)))
    assert {
        "payload": VariantType((("bytes", ListType(U8)), ("latin1", STRING), ("base64", STRING))),
        "error-kind": kind,
        "error": RecordType(
            (
                ("kind", kind),
                ("message", STRING),
                ("retryable", BOOL),
                ("retry-after-ms", OptionType(U64)),
            )
        ),
    } == TYPES


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.world)
def test_the_worlds_have_the_operations_of_the_sdk(kind: Kind) -> None:
    world = CONTRACT.worlds[kind.world]
    imports = {full_name(name) for name in ("log", "abort", "clock", "random", *REACHED)}
    assert set(world.imports) == imports
    operations = {(full_name(one.interface), one.function) for one in kind.operations}
    functions = {
        (name, function)
        for name, interface in world.exports.items()
        for function in interface.functions
        if not function.startswith("[method]")
    }
    assert functions == operations


RESULTS: dict[str, Type | None] = {
    "nothing": None,
    "document": PAYLOAD,
    "stream": HandleType("event-stream", owned=True),
}
SCALARS = {"dims": U32, "is-allowed": BOOL}


@pytest.mark.parametrize(
    "operation",
    [one for kind in KINDS.values() for one in kind.operations],
    ids=lambda one: one.function,
)
def test_every_operations_type(operation: Operation) -> None:
    has_document = operation.with_context or operation.arguments
    result = SCALARS[operation.function] if operation.form == "scalar" else RESULTS[operation.form]
    function = CONTRACT.interfaces[full_name(operation.interface)].functions[operation.function]
    assert function == Function(
        (("call", PAYLOAD),) if has_document else (), ResultType(result, ERROR)
    )


def test_the_streams_resource() -> None:
    provider = CONTRACT.interfaces[full_name("provider")]
    assert provider.resources == {"event-stream"}
    assert provider.functions["[method]event-stream.next"] == Function(
        (("self", HandleType("event-stream", owned=False)),),
        ResultType(OptionType(PAYLOAD), ERROR),
    )


def test_the_contract_is_read_once() -> None:
    assert read_contract() is read_contract()


# --- the language --------------------------------------------------------------------------------


def type_of(text: str) -> Type:
    contract = parse({"a.wit": f"interface a {{ resource r {{ }} f: func() -> {text}; }}"})
    result = contract.interfaces[full_name("a")].functions["f"].result
    assert result is not None
    return result


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("u8", U8),
        ("list<u8>", ListType(U8)),
        ("list<list<u8>>", ListType(ListType(U8))),
        ("option<string>", OptionType(STRING)),
        ("result", ResultType(None, None)),
        ("result<u8>", ResultType(U8, None)),
        ("result<_, u8>", ResultType(None, U8)),
        ("result<u8, string>", ResultType(U8, STRING)),
        ("tuple<u8, string,>", TupleType((U8, STRING))),
        ("r", HandleType("r", owned=True)),
        ("borrow<r>", HandleType("r", owned=False)),
    ],
)
def test_types(text: str, wanted: Type) -> None:
    assert type_of(text) == wanted


def test_everything_that_an_interface_can_define() -> None:
    text = """
    package a:b@1.0.0; // a comment
    /* another,
       of two lines */
    interface first {
        type id = u64;
        record point { x: s32, y: s32 }
        flags rights { read, write, }
        enum colour { red, green }
        variant shape { dot(point), none }
    }
    interface second {
        use first.{point, shape};
        move: func(one: point, to: shape) -> tuple<id-less, u8>;
        type id-less = u8;
    }
    """
    ordered = text.replace("move: func(one: point, to: shape) -> tuple<id-less, u8>;", "").replace(
        "type id-less = u8;",
        "type id-less = u8; move: func(one: point, to: shape) -> tuple<id-less, u8>; go: func();",
    )
    found = parse({"a.wit": ordered}).interfaces
    point = RecordType((("x", Primitive("s32")), ("y", Primitive("s32"))))
    shape = VariantType((("dot", point), ("none", None)))
    assert found[full_name("first")].types == {
        "id": U64,
        "point": point,
        "rights": FlagsType(("read", "write")),
        "colour": EnumType(("red", "green")),
        "shape": shape,
    }
    assert found[full_name("second")].functions == {
        "move": Function((("one", point), ("to", shape)), TupleType((U8, U8))),
        "go": Function((), None),
    }
    with pytest.raises(ValueError, match="unknown type 'id-less'"):
        parse({"a.wit": text})


def test_worlds_that_include_worlds() -> None:
    text = """
    interface a { f: func(); } interface b { } interface c { }
    world one { import a; export b; }
    world two { include one; import c; }
    """
    two = parse({"a.wit": text}).worlds["two"]
    assert set(two.imports) == {full_name("a"), full_name("c")}
    assert set(two.exports) == {full_name("b")}


MALFORMED = {
    "nothing known": "banana",
    "an odd character": "interface a { f: func() -> $; }",
    "a package without an end": "package a:b@1.0.0",
    "an interface without a body": "interface a",
    "an interface without an end": "interface a {",
    "an interface without a name": "interface { }",
    "an interface twice": "interface a { } interface a { }",
    "a function without an end": "interface a { f: func() }",
    "a function without a type": "interface a { f: ; }",
    "a function that never ends": "interface a { f: func(",
    "a parameter without a type": "interface a { f: func(x) ; }",
    "a parameter without a name": "interface a { f: func(: u8); }",
    "an unknown type": "interface a { f: func() -> nothing; }",
    "an unknown generic type": "interface a { f: func() -> map<u8>; }",
    "a stream": "interface a { f: func() -> stream<u8>; }",
    "an asynchronous function": "interface a { f: async func(); }",
    "an empty list": "interface a { f: func() -> list<>; }",
    "a list of two": "interface a { f: func() -> list<u8, u8>; }",
    "a list of nothing": "interface a { f: func() -> list<_>; }",
    "an option of two": "interface a { f: func() -> option<u8, u8>; }",
    "a result of three": "interface a { f: func() -> result<u8, u8, u8>; }",
    "a tuple of nothing": "interface a { f: func() -> tuple<_>; }",
    "a list without an end": "interface a { f: func() -> list<u8; }",
    "a borrowed number": "interface a { f: func(x: borrow<u8>); }",
    "an unknown resource": "interface a { f: func(x: borrow<r>); }",
    "a record without types": "interface a { record r { x } }",
    "a record without names": "interface a { record r { : u8 } }",
    "a type twice": "interface a { type t = u8; type t = u16; }",
    "a case without an end": "interface a { variant v { x(u8 } }",
    "an enum without commas": "interface a { enum e { x y } }",
    "use of an unknown interface": "interface a { use b.{c}; }",
    "use of an unknown type": "interface b { } interface a { use b.{c}; }",
    "a world of unknown interfaces": "world w { import a; }",
    "a world of unknown worlds": "world w { include v; }",
    "a world that includes itself": "world w { include w; }",
    "worlds that include each other": "world w { include v; } world v { include w; }",
    "a world that does something else": "interface a { } world w { use a; }",
    "a world without an end": "interface a { } world w { import a;",
    "a world with a function": "world w { import f: func(); }",
}


@pytest.mark.parametrize("case", MALFORMED)
def test_malformed_wit_is_refused(case: str) -> None:
    with pytest.raises(ValueError):
        parse({"a.wit": MALFORMED[case]})


FILES = sorted(wit_directory().glob("*.wit"), key=lambda path: path.name != "types.wit")
SOURCE = "\n".join(path.read_text("utf-8") for path in FILES)
TOKENS = re.findall(r"->|[\w-]+|[{}()<>,:;=.@/]", re.sub(r"//[^\n]*", "", SOURCE))


def test_the_contract_in_one_file_is_the_same() -> None:
    assert parse({"all.wit": " ".join(TOKENS)}) == CONTRACT


@given(st.data())
def test_the_contract_with_a_token_changed(data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(TOKENS) - 1))
    other = data.draw(st.sampled_from([*sorted(set(TOKENS)), "", "$"]))
    with suppress(ValueError):
        parse({"types.wit": " ".join([*TOKENS[:at], other, *TOKENS[at + 1 :]])})


@given(st.text("{}()<>,:; \n/*_-u8abinterfacefunclst", max_size=60))
def test_any_text(text: str) -> None:
    with suppress(ValueError):
        parse({"a.wit": f"interface a {{ {text}"})
