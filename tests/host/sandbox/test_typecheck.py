"""Components whose types are not the contract's: refused before any of them runs, with a reason.

Each of these would have numbers read as addresses, or worse, if it were called.
"""

from __future__ import annotations

import pytest
from orchestrator_plugin_host import InvalidComponentError
from orchestrator_plugin_sdk import PluginType
from support.guests import Guest

from .conftest import Compile

CALL = '(param "call" $payload)'
ANSWER = "(result (result $payload (error $error)))"
PROVIDER = "orchestrator:plugin/provider@1.0.0"
PAYLOAD = "variant {bytes(list<u8>), latin1(string), base64(string)}"


def refusal(compiled: Compile, guest: Guest) -> str:
    with pytest.raises(InvalidComponentError) as caught:
        compiled(guest)
    message = str(caught.value)
    assert "plugin 'wat-guest' is not" in message
    return message


@pytest.mark.parametrize("kind", PluginType)
def test_the_guests_of_these_tests_fit(compiled: Compile, kind: PluginType) -> None:
    assert compiled(Guest(kind))


# The component's type of `generate`, its core type, what the message says that it takes or gives.
FUNCTIONS: dict[str, tuple[str, str, str]] = {
    "a number for a result": (f"{CALL} (result u64)", "i32 i32 i32 -> i64", "gives u64"),
    "a character": (f"{CALL} (result char)", "i32 i32 i32 -> i32", "gives char"),
    "no result": (CALL, "i32 i32 i32 ->", "gives _"),
    "an answer without an error": (
        f"{CALL} (result (result $payload))",
        "i32 i32 i32 -> i32",
        f"gives result<{PAYLOAD}, _>",
    ),
    "an answer without a value": (
        f"{CALL} (result (result (error $error)))",
        "i32 i32 i32 -> i32",
        "gives result<_, record {",
    ),
    "text for an error": (
        f"{CALL} (result (result $payload (error string)))",
        "i32 i32 i32 -> i32",
        f"gives result<{PAYLOAD}, string>",
    ),
    "an option in the answer": (
        f"{CALL} (result (result (option $payload) (error $error)))",
        "i32 i32 i32 -> i32",
        f"gives result<option<{PAYLOAD}>",
    ),
    "answer and error swapped": (
        f"{CALL} (result (result $error (error $payload)))",
        "i32 i32 i32 -> i32",
        "gives result<record {",
    ),
    "a list of texts": (
        f"{CALL} (result (list string))",
        "i32 i32 i32 -> i32",
        "gives list<string>",
    ),
    "a tuple": (
        f"{CALL} (result (tuple $payload bool))",
        "i32 i32 i32 -> i32",
        f"gives tuple<{PAYLOAD}, bool>",
    ),
    "no parameter": (ANSWER, "-> i32", "takes ()"),
    "one parameter more": (
        f'{CALL} (param "more" u32) {ANSWER}',
        "i32 i32 i32 i32 -> i32",
        f"takes (call: {PAYLOAD}, more: u32)",
    ),
    "a renamed parameter": (
        f'(param "request" $payload) {ANSWER}',
        "i32 i32 i32 -> i32",
        f"takes (request: {PAYLOAD})",
    ),
    "bytes for a parameter": (
        f'(param "call" (list u8)) {ANSWER}',
        "i32 i32 -> i32",
        "takes (call: list<u8>)",
    ),
    "another integer": (f'(param "call" s64) {ANSWER}', "i64 -> i32", "takes (call: s64)"),
    "a float": (f'(param "call" f64) {ANSWER}', "f64 -> i32", "takes (call: f64)"),
    "an error for a parameter": (
        f'(param "call" (option $error)) {ANSWER}',
        "i32 i32 i32 i32 i32 i32 i64 -> i32",
        "takes (call: option<record {kind: enum {",
    ),
    "a stream for a parameter": (
        f'(param "call" (own $event-stream)) {ANSWER}',
        "i32 -> i32",
        "takes (call: event-stream)",
    ),
    "a borrowed stream": (
        f'(param "call" (borrow $event-stream)) {ANSWER}',
        "i32 -> i32",
        "takes (call: borrow<event-stream>)",
    ),
}


@pytest.mark.parametrize("case", FUNCTIONS)
def test_a_function_of_another_type(compiled: Compile, case: str) -> None:
    kind, core, says = FUNCTIONS[case]
    params, _, result = core.partition("->")
    guest = Guest(
        types={"generate": kind},
        signatures={"generate": f"(param {params}) (result {result})"},
        functions={"generate": "(unreachable)"},
    )
    message = refusal(compiled, guest)
    assert f"export {PROVIDER}#generate {says}" in message
    wanted = f"(call: {PAYLOAD})" if "takes" in says else f"result<{PAYLOAD}, record {{kind: enum"
    assert f", the contract says {wanted}" in message


SWAPPED = {
    "generate-stream": (f"{CALL} {ANSWER}", f"gives result<{PAYLOAD}", "result<event-stream, "),
    "[method]event-stream.next": (
        f'(param "self" (borrow $event-stream)) {ANSWER}',
        f"gives result<{PAYLOAD}",
        f"result<option<{PAYLOAD}>",
    ),
    "capabilities": (
        "(result (result (own $event-stream) (error $error)))",
        "gives result<event-stream",
        f"result<{PAYLOAD}",
    ),
}


@pytest.mark.parametrize("function", SWAPPED)
def test_streams_and_documents_swapped(compiled: Compile, function: str) -> None:
    kind, says, wanted = SWAPPED[function]
    guest = Guest(types={function: kind}, functions={function: "(unreachable)"})
    message = refusal(compiled, guest)
    assert f"{PROVIDER}#{function} {says}" in message
    assert f"the contract says {wanted}" in message


@pytest.mark.parametrize("function", ["health-check", "shutdown"])
def test_the_lifecycle_is_compared_too(compiled: Compile, function: str) -> None:
    guest = Guest(
        types={function: "(result u64)"},
        signatures={function: "(result i64)"},
        functions={function: "(unreachable)"},
    )
    assert f"lifecycle@1.0.0#{function} gives u64, the contract" in refusal(compiled, guest)


LATIN1, BASE64 = '(case "latin1" string)', '(case "base64" string)'
MESSAGE, RETRYABLE = '(field "message" string)', '(field "retryable" bool)'
ABORTED = '(export "is-aborted" (func ('


def within(definitions: str, export: str) -> dict[str, str]:
    """The edit that exports one thing more from the interface `lifecycle`."""
    begins = "(instance $lifecycle ("
    return {begins: f'{definitions} (instance $lifecycle (export "more" ({export})) ('}


# Pieces of the text replaced, and what the message says.
EDITS: dict[str, tuple[dict[str, str], str]] = {
    "an enum in another order": (
        {'"invalid-request" "unauthenticated"': '"unauthenticated" "invalid-request"'},
        "types@1.0.0 has a type 'error-kind' that is enum {unauthenticated, invalid-request, ",
    ),
    "an enum with a name more": (
        {'"invalid-request"': '"teapot" "invalid-request"'},
        "a type 'error-kind' that is enum {teapot, invalid-request, ",
    ),
    "a record in another order": (
        {f"{MESSAGE} {RETRYABLE}": f"{RETRYABLE} {MESSAGE}"},
        "a type 'error' that is record {kind: enum {",
    ),
    "a record with another type": (
        {"(option u64)": "(option s64)"},
        "retry-after-ms: option<s64>}, the contract says record",
    ),
    "a variant in another order": (
        {f"{LATIN1} {BASE64}": f"{BASE64} {LATIN1}"},
        f"variant {{bytes(list<u8>), base64(string), latin1(string)}}, the contract says {PAYLOAD}",
    ),
    "a variant with another type": (
        {'(case "bytes" (list u8))': '(case "bytes" (list s8))'},
        "'payload' that is variant {bytes(list<s8>), ",
    ),
    "an imported function of another result": (
        {'"is-aborted" (func (result bool))': '"is-aborted" (func (result u32))'},
        "import orchestrator:plugin/abort@1.0.0#is-aborted gives u32, the contract says bool",
    ),
    "an imported function of another list": (
        {"(result (list u8))))": "(result string)))"},
        "random@1.0.0#get-bytes gives string, the contract says list<u8>",
    ),
    "an imported function of another parameter": (
        {'(param "duration-ms" u64)': '(param "duration-ms" s64)'},
        "clock@1.0.0#sleep takes (duration-ms: s64), the contract says (duration-ms: u64)",
    ),
    "an import that the contract has not": (
        {'(export "emit" (func (': '(export "flush" (func)) (export "emit" (func ('},
        "import orchestrator:plugin/log@1.0.0 has a function 'flush', the contract has not",
    ),
    "a resource imported": (
        {ABORTED: f'(export "gate" (type (sub resource))) {ABORTED}'},
        "import orchestrator:plugin/abort@1.0.0 has a resource 'gate', the contract has not",
    ),
    "flags imported": (
        {ABORTED: f'(type $f (flags "a" "b")) (export "gate" (type (eq $f))) {ABORTED}'},
        "import orchestrator:plugin/abort@1.0.0 has a type 'gate', the contract has not",
    ),
    "an interface that is a function": (
        {"(instance $lifecycle))": "(func $lifecycle/shutdown))"},
        "export orchestrator:plugin/lifecycle@1.0.0 is not an interface",
    ),
    "one function more": (
        within("", "func $lifecycle/shutdown"),
        "lifecycle@1.0.0 has a function 'more', the contract has not",
    ),
    "an instance within": (
        within("(component $c) (instance $c (instantiate $c))", "instance $c"),
        "lifecycle@1.0.0 has an item 'more', the contract has not",
    ),
    "a core module within": (
        within("(core module $c)", "core module $c"),
        "lifecycle@1.0.0 has an item 'more', the contract has not",
    ),
    "a resource of another name": (
        {'"event-stream"': '"other-stream"', "method]event-stream": "method]other-stream"},
        "has a resource 'other-stream', the contract has not",
    ),
}


@pytest.mark.parametrize("case", EDITS)
def test_other_types(compiled: Compile, case: str) -> None:
    edits, says = EDITS[case]
    assert says in refusal(compiled, Guest(edits=edits))


@pytest.mark.parametrize(
    "function", ["init", "health-check", "shutdown", "capabilities", "generate"]
)
def test_a_missing_function(compiled: Compile, function: str) -> None:
    message = refusal(compiled, Guest(leave_out=frozenset({function})))
    assert f"@1.0.0 lacks '{function}'" in message


def test_several_missing_functions(compiled: Compile) -> None:
    guest = Guest(leave_out=frozenset({"init", "shutdown"}))
    assert "lifecycle@1.0.0 lacks 'init', 'shutdown'" in refusal(compiled, guest)


def test_a_component_within_does_not_compile(compiled: Compile) -> None:
    message = refusal(compiled, Guest(edits=within("(component $c)", "component $c")))
    assert "exporting a component from the root component is not supported" in message


@pytest.mark.parametrize("kind", ["stream", "future"])
def test_concurrent_types_do_not_compile(compiled: Compile, kind: str) -> None:
    extra = f'(component $c (type $t ({kind} u8)) (import "a" (func (param "b" $t))))'
    assert "not a valid component for this host" in refusal(compiled, Guest(extra=extra))


def test_types_that_nest_deep(compiled: Compile) -> None:
    deep = "(list " * 40 + "u8" + ")" * 40
    guest = Guest(
        types={"generate": f'(param "call" {deep}) {ANSWER}'},
        signatures={"generate": "(param i32 i32) (result i32)"},
        functions={"generate": "(unreachable)"},
    )
    assert "a type is larger than any of the contract's" in refusal(compiled, guest)


LONG = "a" + "b" * 5_000
FIELDS = " ".join(f'(field "f{number}" u8)' for number in range(900))
LARGE: dict[str, tuple[dict[str, str], str]] = {
    "a record of 900 fields": (
        {ABORTED: f'(type $r (record {FIELDS})) (export "gate" (type (eq $r))) {ABORTED}'},
        "a type 'gate', the contract has not",
    ),
    "a record of 900 fields for an error": (
        {'(record (field "kind" $kind) (field "message" string)': f"(record {FIELDS}"},
        "a type is larger than any of the contract's",
    ),
    "10,000 functions": (
        {ABORTED: " ".join(f'(export "f{n}" (func))' for n in range(10_000)) + ABORTED},
        "abort@1.0.0 has 10,001 items; 1,000 may be",
    ),
    "a function of a long name": (
        {ABORTED: f'(export "{LONG}" (func)) {ABORTED}'},
        "the contract has not",
    ),
    "a type of long names": (
        {'(enum "invalid-request"': f'(enum "{LONG}"'},
        "…, the contract says enum",
    ),
}


@pytest.mark.parametrize("case", LARGE)
def test_types_that_are_large_are_refused_in_few_words(compiled: Compile, case: str) -> None:
    edits, says = LARGE[case]
    message = refusal(compiled, Guest(edits=edits))
    assert says in message
    assert len(message) < 2_000
