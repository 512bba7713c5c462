"""The table of operations says what the WIT files and the Python interfaces say."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from orchestrator_plugin_sdk import (
    PayloadEncoding,
    PluginType,
    from_document,
    pack,
    to_document,
    unpack,
)
from orchestrator_plugin_sdk.capabilities.registry import REACHED_BY_ACCESS
from orchestrator_plugin_sdk.contract import (
    DOCUMENTS,
    KINDS,
    Operation,
)
from orchestrator_plugin_sdk.version import PACKAGE, PACKAGE_VERSION
from sdk.strategies import values_of

WIT = {
    path.stem: path.read_text("utf-8") for path in (Path(__file__).parents[2] / "wit").glob("*.wit")
}
OPERATIONS = {
    operation.method: operation for kind in KINDS.values() for operation in kind.operations
}
FUNCTION = re.compile(
    r"(?P<doc>(?:^    ///.*\n)*)"
    r"^    (?P<name>[a-z-]+): func\((?P<takes>.*?)\)(?: -> (?P<gives>.*))?;",
    re.MULTILINE,
)
EVERY_OPERATION = pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)


def functions(interface: str) -> dict[str, re.Match[str]]:
    """The functions of an interface (those of its resources excepted), by name."""
    return {found["name"]: found for found in FUNCTION.finditer(WIT[interface])}


def test_every_file_is_of_the_package() -> None:
    for text in WIT.values():
        assert text.startswith(f"package {PACKAGE}@{PACKAGE_VERSION};\n")


@pytest.mark.parametrize("interface", sorted({o.interface for o in OPERATIONS.values()}))
def test_an_interface_has_the_functions_of_the_table_and_no_other(interface: str) -> None:
    assert f"interface {interface} {{" in WIT[interface]
    of_table = {o.function for o in OPERATIONS.values() if o.interface == interface}
    assert set(functions(interface)) == of_table


def test_there_is_no_interface_beside_those_of_the_table() -> None:
    assert set(WIT) == {o.interface for o in OPERATIONS.values()} | {
        "host",
        *REACHED_BY_ACCESS,
        "types",
        "worlds",
    }


@EVERY_OPERATION
def test_a_function_takes_one_document_or_nothing(operation: Operation) -> None:
    takes = functions(operation.interface)[operation.function]["takes"]
    has_document = bool(operation.arguments) or operation.with_context
    assert takes == ("call: payload" if has_document else "")


@EVERY_OPERATION
def test_a_function_gives_its_result_in_the_form_of_the_table(operation: Operation) -> None:
    gives = functions(operation.interface)[operation.function]["gives"]
    scalar = {int: "u32", bool: "bool"}.get(operation.result)
    form = {
        "nothing": "_",
        "document": "payload",
        "stream": "event-stream",
        "scalar": scalar,
    }[operation.form]
    assert gives == f"result<{form}, error>"


@EVERY_OPERATION
def test_the_comment_of_a_function_names_the_keys_of_its_document(operation: Operation) -> None:
    doc = functions(operation.interface)[operation.function]["doc"].replace("\n    ///", "")
    if operation.function == "generate-stream":
        assert "Document: as for `generate`." in doc
        assert operation.arguments == OPERATIONS["generate"].arguments
        return
    said = re.search(r"Document: `\{(.*?)\}`", doc)
    keys = re.findall(r"(\w+): ", said[1]) if said else []
    assert keys == [*(["context"] if operation.with_context else []), *operation.arguments]


@EVERY_OPERATION
def test_the_method_takes_the_arguments_of_the_table_in_its_order(operation: Operation) -> None:
    for kind in KINDS.values():
        if operation not in kind.operations:
            continue
        method = getattr(kind.interface, operation.method)
        parameters = [name for name in inspect.signature(method).parameters if name != "self"]
        expected = list(operation.arguments)
        if operation.with_context:
            expected.insert(operation.context_position, "ctx")
        renamed = {"req": "request"} if operation.interface == "provider" else {}
        assert [renamed.get(name, name) for name in parameters] == expected
        assert not operation.with_context or parameters[operation.context_position] == "ctx"


@pytest.mark.parametrize("type", PluginType)
def test_a_kind_has_the_world_that_exports_its_interfaces(type: PluginType) -> None:
    kind = KINDS[type]
    assert kind.type is type
    world = re.search(
        rf"/// A plugin whose manifest says `type = \"{type}\"`\.\nworld {kind.world} {{(.*?)\n}}",
        WIT["worlds"],
        re.DOTALL,
    )
    assert world is not None
    exports = re.findall(r"export ([a-z-]+);", world[1])
    assert exports == list(dict.fromkeys(operation.interface for operation in kind.operations))


@pytest.mark.parametrize("type", PluginType)
def test_a_kind_has_every_abstract_method_of_its_interface(type: PluginType) -> None:
    abstract = KINDS[type].interface.__abstractmethods__
    assert abstract <= {operation.method for operation in KINDS[type].operations}


def test_the_forms_of_a_payload_are_those_of_the_contract() -> None:
    variant = re.search(r"variant payload \{(.*?)\n    \}", WIT["types"], re.DOTALL)
    assert variant is not None
    assert tuple(re.findall(r"^ {8}(\w+)\(", variant[1], re.MULTILINE)) == get_args(PayloadEncoding)


@pytest.mark.parametrize("name", [name for name in DOCUMENTS if name != "PluginManifest"])
def test_the_contract_names_every_document(name: str) -> None:
    assert re.search(rf"\b{name}\b", "".join(WIT.values()))


def test_every_document_that_the_contract_names_is_in_the_table() -> None:
    named = {name for text in WIT.values() for name in re.findall(r"\b[A-Z][a-z]+[A-Z]\w+\b", text)}
    assert named - {"MessagePack"} <= set(DOCUMENTS)


TRAVELLING: dict[str, Any] = {
    f"{operation.method}({name})": wanted
    for operation in OPERATIONS.values()
    for name, wanted in operation.arguments.items()
} | {
    f"{operation.method}()": operation.result
    for operation in OPERATIONS.values()
    if operation.form in ("document", "stream")
}


@pytest.mark.parametrize("name", TRAVELLING)
@given(data=st.data())
def test_every_argument_and_result_survives_the_way_there_and_back(
    name: str, data: st.DataObject
) -> None:
    value = data.draw(values_of(TRAVELLING[name]))
    assert from_document(TRAVELLING[name], unpack(pack(to_document(value)))) == value
