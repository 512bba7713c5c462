"""What is refused before any of it is compiled or run, and what the refusal says."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations
from typing import Any

import pytest
import wasmtime
from orchestrator_plugin_host import (
    ComponentTooLargeError,
    InvalidComponentError,
    Limits,
    PluginRefusedError,
    Policy,
    read_component,
    with_manifest,
)
from orchestrator_plugin_host.admission import (
    admit_component,
    admit_export,
    check_names,
    wasi_imports,
    world_of,
)
from orchestrator_plugin_host.policy import WasiLevel
from orchestrator_plugin_sdk import (
    PluginError,
    PluginExport,
    PluginType,
    PluginValidationError,
    PluginVersionMismatchError,
    SdkVersionRange,
    to_document,
)
from orchestrator_plugin_sdk.contract import KINDS
from sdk.plugins import SMALL_PLUGINS, SmallProvider, small_manifest
from support.guests import Guest, manifest_of

LIMITS = Limits()


@pytest.mark.parametrize("kind", PluginType)
def test_what_fits_is_admitted(kind: PluginType) -> None:
    data = Guest(kind).build(limits={"fuel": 1000})
    sandboxed = admit_component(data, LIMITS, Policy())
    assert sandboxed.manifest == manifest_of(kind, limits={"fuel": 1000})
    assert sandboxed.kind is KINDS[kind]
    assert sandboxed.limits == Limits(fuel=1000)
    assert sandboxed.source == read_component(data)
    export = PluginExport(small_manifest(kind), SMALL_PLUGINS[kind])
    native = admit_export(export, LIMITS)
    assert native.source is export
    assert native.kind is sandboxed.kind


# --- manifests: the same of both -----------------------------------------------------------------

MANIFESTS: dict[str, tuple[dict[str, Any], type[PluginError], str]] = {
    "a name in capitals": (
        {"name": "Nice"},
        PluginValidationError,
        r"manifest of plugin 'Nice' is not valid:\n  - name: expected lower-case",
    ),
    "no version": ({"version": "one"}, PluginValidationError, "version: expected a version like"),
    "an impossible range": (
        {"sdk_version": SdkVersionRange(0)},
        PluginValidationError,
        r"sdk_version\.min_version: expected 1 or more",
    ),
    "a newer SDK": (
        {"sdk_version": SdkVersionRange(2)},
        PluginVersionMismatchError,
        "requires SDK version .*, this is SDK version 1: upgrade the host",
    ),
    "more than is given": (
        {"limits": {"memory_bytes": 1 << 40}},
        PluginRefusedError,
        r"asks for limits\.memory_bytes = .*grant it with Limits\(memory_bytes=1099511627776\)",
    ),
}


@pytest.mark.parametrize("case", MANIFESTS)
def test_a_manifest_is_refused_in_the_same_words_for_both(case: str) -> None:
    fields, error, message = MANIFESTS[case]
    manifest = manifest_of(**fields)
    with pytest.raises(error, match=message) as sandboxed:
        admit_component(with_manifest(Guest().core(), manifest), LIMITS, Policy())
    with pytest.raises(error, match=message) as native:
        admit_export(PluginExport(manifest, SmallProvider), LIMITS)
    assert str(sandboxed.value) == str(native.value)


def test_the_manifest_comes_before_the_version_and_the_limits() -> None:
    # A newer contract may have other keys; then its version would be the thing to say.
    manifest = manifest_of(name="Bad Name", sdk_version=SdkVersionRange(9))
    with pytest.raises(PluginValidationError, match="name: expected lower-case"):
        admit_component(with_manifest(Guest().core(), manifest), LIMITS, Policy())


def test_every_fault_of_a_manifest_is_told() -> None:
    manifest = replace(manifest_of(), name="Bad Name", version="one")
    with pytest.raises(PluginValidationError) as caught:
        admit_component(with_manifest(Guest().core(), manifest), LIMITS, Policy())
    assert [problem.path for problem in caught.value.problems] == ["name", "version"]


def test_a_component_without_a_manifest() -> None:
    with pytest.raises(InvalidComponentError, match="no manifest section"):
        admit_component(Guest().core(), LIMITS, Policy())


def test_an_export_that_can_not_be_called() -> None:
    wrong: Any = None
    with pytest.raises(PluginValidationError, match="create_plugin: expected something to call"):
        admit_export(PluginExport(manifest_of(), wrong), LIMITS)


# --- components ----------------------------------------------------------------------------------


def test_a_file_that_is_too_large() -> None:
    data = Guest().build()
    assert admit_component(data, Limits(component_bytes=len(data)), Policy()).source
    with pytest.raises(ComponentTooLargeError) as caught:
        admit_component(data, Limits(component_bytes=len(data) - 1), Policy())
    assert caught.value.limit == "component_bytes"
    assert "Limits(component_bytes=" in str(caught.value)


@pytest.mark.parametrize(("kind", "said"), list(permutations(PluginType, 2)))
def test_a_component_of_another_world_than_it_says(kind: PluginType, said: PluginType) -> None:
    with pytest.raises(InvalidComponentError) as caught:
        admit_component(Guest(kind).build(type=said), LIMITS, Policy())
    message = str(caught.value)
    assert f"type = '{said}' is the world '{KINDS[said].world}'" in message
    assert f"exports orchestrator:plugin/{said}@1.0.0".replace("_", "-") in message
    own = str(kind).replace("_", "-")
    exported = sorted([f"orchestrator:plugin/{own}@1.0.0", "orchestrator:plugin/lifecycle@1.0.0"])
    assert message.endswith(f"the component exports {', '.join(exported)}")


def component(text: str) -> bytes:
    """A component that is nothing but what the text says."""
    return with_manifest(bytes(wasmtime.wat2wasm(f"(component {text})")), manifest_of())


WASI = "take time, randomness and logging from the interfaces of orchestrator:plugin, and build"
OURS = "The interfaces that plugins may import are those of the package orchestrator:plugin"
IMPORTS = {
    "wasi:cli/environment@0.2.0": WASI,
    "wasi:http/outgoing-handler@0.2.0": WASI,
    "wasi:sockets/tcp@0.2.0": WASI,
    "orchestrator:plugin/log@2.0.0": OURS,
    "orchestrator:plugin/log@1.0.1": OURS,
    "orchestrator:plugin/log": OURS,
    "orchestrator:plugin/provider@1.0.0": OURS,
    "orchestrator:plugin/cookies@1.0.0": OURS,
    "other:plugin/log@1.0.0": OURS,
    "exports": OURS,
}


@pytest.mark.parametrize("name", IMPORTS)
def test_an_import_that_is_not_given(name: str) -> None:
    with pytest.raises(InvalidComponentError) as caught:
        admit_component(component(f'(import "{name}" (instance))'), LIMITS, Policy())
    assert f"imports '{name}', which this host does not give to a provider plugin" in str(
        caught.value
    )
    assert IMPORTS[name] in str(caught.value)


def test_names_that_are_long_or_many_are_cut_in_errors() -> None:
    long = f"a{'b' * 4_000}"
    with pytest.raises(InvalidComponentError) as caught:
        admit_component(component(f'(import "{long}" (instance))'), LIMITS, Policy())
    assert len(str(caught.value)) < 1_000
    many = " ".join(f'(instance $i{n}) (export "{long}{n}" (instance $i{n}))' for n in range(50))
    with pytest.raises(InvalidComponentError, match="and 40 more") as caught:
        admit_component(component(many), LIMITS, Policy())
    assert len(str(caught.value)) < 4_000


@pytest.mark.parametrize("sort", ["(func)", "(component)", "(core module)"])
def test_an_import_of_another_sort(sort: str) -> None:
    with pytest.raises(InvalidComponentError, match="which this host does not give"):
        admit_component(component(f'(import "exports" {sort})'), LIMITS, Policy())


def test_a_component_that_exports_nothing() -> None:
    with pytest.raises(InvalidComponentError, match="the component exports nothing"):
        admit_component(component(""), LIMITS, Policy())


EXTRA = {
    "another interface": '(instance $x) (export "a:b/c@1.0.0" (instance $x))',
    "another of our interfaces": (
        '(instance $x) (export "orchestrator:plugin/embedder@1.0.0" (instance $x))'
    ),
    "a function": '(export "run" (func $lifecycle/shutdown))',
    "a component": '(component $x) (export "inner" (component $x))',
    "a core module": '(core module $x) (export "inner" (core module $x))',
}


@pytest.mark.parametrize("case", EXTRA)
def test_exports_beyond_the_world(case: str) -> None:
    with pytest.raises(InvalidComponentError, match="which is not in the world 'provider-plugin'"):
        admit_component(Guest(exports=EXTRA[case]).build(), LIMITS, Policy())


def test_what_componentize_py_exports_besides_is_let_through() -> None:
    exports = '(instance $x) (export "exports" (instance $x))'
    assert admit_component(Guest(exports=exports).build(), LIMITS, Policy()).source
    function = '(export "exports" (func $lifecycle/shutdown))'
    with pytest.raises(InvalidComponentError, match="exports 'exports', which is not in the world"):
        admit_component(Guest(exports=function).build(), LIMITS, Policy())


def test_an_interface_of_ours_that_is_no_interface() -> None:
    guest = Guest(edits={"(instance $lifecycle))": "(func $lifecycle/shutdown))"})
    with pytest.raises(InvalidComponentError, match="exports 'orchestrator:plugin/lifecycle"):
        admit_component(guest.build(), LIMITS, Policy())


def test_nothing_is_compiled() -> None:
    # A body that ends too early: no engine takes it, and admission does not look.
    broken = with_manifest(Guest().core().replace(b"\x0b\x0b", b"\x00\x00", 1), manifest_of())
    with pytest.raises(wasmtime.WasmtimeError):
        wasmtime.component.Component(wasmtime.Engine(), broken)
    assert admit_component(broken, LIMITS, Policy()).source


def test_names_are_checked_for_a_build_as_well() -> None:
    file = read_component(Guest(PluginType.EMBEDDER).build())
    kind = KINDS[PluginType.PROVIDER]
    with pytest.raises(InvalidComponentError, match="of another world than its manifest says"):
        check_names(file, manifest_of(), world_of(kind), Policy())
    assert to_document(manifest_of())["type"] == kind.type


# --- WASI, as far as the policy goes -------------------------------------------------------------

LEVELS = {
    "wasi:cli/environment@0.2.0": "core",
    "wasi:cli/stdin@0.2.6": "core",
    "wasi:clocks/monotonic-clock@0.2.3": "core",
    "wasi:io/poll@0.2.12": "core",
    "wasi:random/random@0.2.0": "core",
    "wasi:filesystem/types@0.2.3": "core+filesystem",
    "wasi:filesystem/preopens@0.2.0": "core+filesystem",
}


@pytest.mark.parametrize("level", ["none", "core", "core+filesystem"])
@pytest.mark.parametrize("name", LEVELS)
def test_wasi_is_given_by_the_level_of_the_policy(name: str, level: WasiLevel) -> None:
    needed, policy = LEVELS[name], Policy(wasi=level)
    data = component(f'(import "{name}" (instance))')
    file = read_component(data)
    admitted = level != "none" and (needed == "core" or level == "core+filesystem")
    with pytest.raises(InvalidComponentError) as caught:
        check_names(file, manifest_of(), world_of(KINDS[PluginType.PROVIDER]), policy)
    message = str(caught.value)
    if admitted:  # what else is wrong with it
        assert "exports nothing" in message or "which exports" in message
    else:
        assert f"imports {name!r}" in message
        assert f"Policy(wasi={needed!r})" in message
    assert wasi_imports(file) == {name}


@pytest.mark.parametrize(
    "name",
    [
        "wasi:sockets/tcp@0.2.0",
        "wasi:sockets/instance-network@0.2.0",
        "wasi:http/outgoing-handler@0.2.0",
        "wasi:cli/run@0.2.0",
        "wasi:io/poll@0.3.0",
        "wasi:io/poll",
        "wasi:keyvalue/store@0.2.0",
    ],
)
def test_what_no_policy_grants(name: str) -> None:
    policy = Policy(wasi="core+filesystem")
    with pytest.raises(InvalidComponentError, match="No policy grants it"):
        admit_component(component(f'(import "{name}" (instance))'), LIMITS, policy)


# --- how much is in it ---------------------------------------------------------------------------

MANY = {
    "modules": ("(core module)" * 11, 10),
    "functions": ("(core module (func) (func)) (core module (func))", 2),
    "data_segments": ('(core module (memory 1) (data "a") (data "b"))', 1),
}


@pytest.mark.parametrize("limit", MANY)
def test_a_component_with_too_much_in_it(limit: str) -> None:
    text, most = MANY[limit]
    with pytest.raises(ComponentTooLargeError) as caught:
        admit_component(component(text), Limits(**{limit: most}), Policy())
    assert (caught.value.limit, caught.value.value) == (limit, most)
    with pytest.raises(InvalidComponentError, match="exports nothing"):
        admit_component(component(text), Limits(**{limit: most + 1}), Policy())


def test_the_digits_of_a_wasi_version_are_ascii() -> None:
    assert Policy(wasi="core").admits("wasi:cli/exit@0.2.3")
    assert not Policy(wasi="core").admits("wasi:cli/exit@0.2.\N{ARABIC-INDIC DIGIT THREE}")
