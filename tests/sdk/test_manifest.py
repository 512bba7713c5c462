"""The one manifest check and the one version check."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType
from typing import Any, get_args

import pytest
from hypothesis import given
from orchestrator_plugin_sdk import (
    SDK_VERSION,
    ManifestLimits,
    PayloadEncoding,
    PluginManifest,
    PluginType,
    PluginValidationError,
    PluginVersionMismatchError,
    SdkVersionRange,
    check_version,
    to_document,
    validate_manifest,
)
from sdk.plugins import small_manifest
from sdk.strategies import PLAIN, nearly

GOOD: dict[str, Any] = {
    "name": "my-provider",
    "type": "provider",
    "sdk_version": {"min_version": 1},
    "version": "1.0.0",
}
WHOLE = PluginManifest(
    name="my-provider",
    type=PluginType.PROVIDER,
    sdk_version=SdkVersionRange(1, 2),
    version="1.0.0",
    description="Custom LLM provider",
    author="A",
    license="Apache-2.0",
    homepage="https://example.org",
    payload_encodings=get_args(PayloadEncoding),
    stateful=True,
    limits=ManifestLimits(1, 2, 3, 4, 5, 0, 0, 8, 9),
)


def test_a_short_manifest_gets_its_defaults() -> None:
    manifest = validate_manifest(GOOD)
    assert manifest == PluginManifest(
        "my-provider", PluginType.PROVIDER, SdkVersionRange(1), "1.0.0"
    )
    assert manifest.payload_encodings == ("bytes",)


@pytest.mark.parametrize(
    "given",
    [
        WHOLE,
        to_document(WHOLE),
        MappingProxyType(
            {**to_document(WHOLE), "limits": MappingProxyType(to_document(WHOLE.limits))}
        ),
        {**to_document(WHOLE), "type": PluginType.PROVIDER, "sdk_version": SdkVersionRange(1, 2)},
    ],
    ids=["manifest", "document", "mappings", "parts"],
)
def test_a_manifest_in_any_form_is_the_same_manifest(given: Any) -> None:
    assert validate_manifest(given) == WHOLE


NAMES = ["a", "7", "my-provider", "a-1-b", "a" * 64]
NOT_NAMES = [
    *("", "A", "a_b", "-a", "a-", "a--b", "a b", "a.b", "a/b", "é", "a\n", "١", "a" * 65),
    "../a",
]
VERSIONS = [
    "0.0.0",
    "1.2.3",
    "10.20.30",
    "1.0.0-rc.1",
    "1.0.0-0a",
    "1.0.0--",
    "1.0.0+b.01",
    "1.0.0-a+b",
]
NOT_VERSIONS = [
    *("", "1", "1.0", "1.0.0.0", "v1.0.0", "01.0.0", "1.0.0-", "1.0.0+", "1.0.0-a..b", "1.0.0-01"),
    *("1.0.0\n", " 1.0.0", "1.0.1\u0663", "1.0.0-é", "1.0.0+a+b", "-1.0.0"),
]


@pytest.mark.parametrize("name", NAMES)
def test_a_good_name(name: str) -> None:
    assert validate_manifest({**GOOD, "name": name}).name == name


@pytest.mark.parametrize("version", VERSIONS)
def test_a_good_version(version: str) -> None:
    assert validate_manifest({**GOOD, "version": version}).version == version


LIMITS = ManifestLimits.__slots__
FAULTS: list[tuple[dict[str, Any], list[tuple[str, str]]]] = [
    *(({"name": name}, [("name", "expected lower-case letters")]) for name in NOT_NAMES),
    *(({"version": text}, [("version", "expected a version like 1.0.0")]) for text in NOT_VERSIONS),
    ({"name": 5}, [("name", "expected text, got 5")]),
    ({"type": "agent"}, [("type", "'tool_executor', got 'agent'")]),
    ({"type": None}, [("type", "got nil")]),
    ({"sdk_version": 1}, [("sdk_version", "expected a map, got 1")]),
    ({"sdk_version": {}}, [("sdk_version.min_version", "missing")]),
    ({"sdk_version": {"min_version": "1"}}, [("sdk_version.min_version", "expected an integer")]),
    ({"sdk_version": {"min_version": 0}}, [("sdk_version.min_version", "expected 1 or more")]),
    (
        {"sdk_version": {"min_version": 2, "max_version": 1}},
        [("sdk_version.max_version", "expected 2 or more")],
    ),
    (
        {"sdk_version": {"min_version": 0, "max_version": -1}},
        [
            ("sdk_version.min_version", "expected 1 or more"),
            ("sdk_version.max_version", "expected 0 or more"),
        ],
    ),
    ({"payload_encodings": "bytes"}, [("payload_encodings", "expected a list")]),
    ({"payload_encodings": ["utf8"]}, [("payload_encodings[0]", "expected 'bytes' or 'latin1'")]),
    ({"stateful": 1}, [("stateful", "expected true or false")]),
    ({"limits": {"fuel": 1.5}}, [("limits.fuel", "expected an integer, got 1.5")]),
    ({"limits": {"memory": 1}}, [("limits.memory", "unknown key; known are fuel, ")]),
    *(({"limits": {name: -1}}, [(f"limits.{name}", "or more, got -1")]) for name in LIMITS),
    ({"sdkVersion": {"min_version": 1}}, [("sdkVersion", "unknown key; known are name, ")]),
    ({"name": "A", "version": "1"}, [("name", "expected"), ("version", "expected")]),
]


@pytest.mark.parametrize(("changes", "faults"), FAULTS)
def test_a_faulty_manifest_is_told_every_fault(
    changes: dict[str, Any], faults: list[tuple[str, str]]
) -> None:
    with pytest.raises(PluginValidationError) as raised:
        validate_manifest({**GOOD, **changes})
    problems = raised.value.problems
    assert [problem.path for problem in problems] == [path for path, _ in faults]
    for problem, (_, says) in zip(problems, faults, strict=True):
        assert says in problem.message


@pytest.mark.parametrize("missing", GOOD)
def test_what_a_manifest_must_have(missing: str) -> None:
    short = {key: value for key, value in GOOD.items() if key != missing}
    with pytest.raises(PluginValidationError, match=f"{missing}: missing"):
        validate_manifest(short)


HUGE = 16**5000
"""More digits than Python writes out. TOML may have such a number, a MessagePack document not."""


@pytest.mark.parametrize("number", [2**64, HUGE, -HUGE], ids=["65 bits", "huge", "huge, negative"])
@pytest.mark.parametrize(
    ("changes", "path"),
    [
        *((lambda n, name=name: {"limits": {name: n}}, f"limits.{name}") for name in LIMITS),
        (lambda n: {"sdk_version": {"min_version": n}}, "sdk_version.min_version"),
        (
            lambda n: {"sdk_version": {"min_version": 1, "max_version": n}},
            "sdk_version.max_version",
        ),
    ],
)
def test_a_number_of_more_than_64_bits(changes: Any, path: str, number: int) -> None:
    with pytest.raises(PluginValidationError) as raised:
        validate_manifest({**GOOD, **changes(number)})
    assert [problem.path for problem in raised.value.problems] == [path]
    assert "expected at most 64 bits" in raised.value.problems[0].message


@pytest.mark.parametrize("name", LIMITS)
def test_a_limit_of_nothing_is_for_logs_alone(name: str) -> None:
    manifest = {**GOOD, "limits": {name: 0}}
    if name in ("log_events", "log_bytes"):
        assert getattr(validate_manifest(manifest).limits, name) == 0
    else:
        with pytest.raises(PluginValidationError, match="expected 1 or more, got 0"):
            validate_manifest(manifest)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (None, "expected a map, got NoneType"),
        ([("name", "a")], "expected a map, got list"),
        ("name", "expected a map, got str"),
        (PluginManifest, "expected a map, got type"),
        ({1: 2}, "keys of a map are strings; 1 is not"),
        ({**GOOD, "author": {1}}, "a set can't be in a document"),
        (replace(WHOLE, author=object()), "a object can't be in a document"),
    ],
)
def test_what_is_no_manifest(given: Any, says: str) -> None:
    with pytest.raises(PluginValidationError, match=says):
        validate_manifest(given)


@pytest.mark.parametrize(
    "changes",
    [{"name": "A"}, {"type": "agent"}, {"sdk_version": None}, {"limits": ManifestLimits(fuel=0)}],
    ids=str,
)
def test_a_manifest_made_in_python_is_checked_too(changes: dict[str, Any]) -> None:
    with pytest.raises(PluginValidationError, match=f"is not valid:\n  - {next(iter(changes))}"):
        validate_manifest(replace(WHOLE, **changes))


@given(nearly(PluginManifest) | PLAIN)
def test_anything_is_a_manifest_or_a_validation_error(given: Any) -> None:
    try:
        manifest = validate_manifest(given)
    except PluginValidationError:
        return
    assert validate_manifest(to_document(manifest)) == manifest


def test_the_error_names_the_plugin() -> None:
    with pytest.raises(PluginValidationError, match="the manifest of plugin 'my-provider' is not"):
        validate_manifest({**GOOD, "version": ""})


@pytest.mark.parametrize("type", PluginType)
@pytest.mark.parametrize("stateful", [None, True, False])
def test_vector_memory_backends_keep_state_unless_they_say_otherwise(
    type: PluginType, stateful: bool | None
) -> None:
    manifest = small_manifest(type, stateful=stateful)
    unless_said = type is PluginType.VECTOR_MEMORY_BACKEND
    assert manifest.keeps_state is (unless_said if stateful is None else stateful)


@pytest.mark.parametrize(
    "wanted",
    [SdkVersionRange(SDK_VERSION), SdkVersionRange(1, SDK_VERSION), SdkVersionRange(1, 99)],
)
def test_a_version_that_fits(wanted: SdkVersionRange) -> None:
    check_version(small_manifest(sdk_version=wanted))


@pytest.mark.parametrize(
    "wanted", [SdkVersionRange(SDK_VERSION + 1), SdkVersionRange(0, SDK_VERSION - 1)]
)
def test_a_version_that_does_not_fit(wanted: SdkVersionRange) -> None:
    with pytest.raises(PluginVersionMismatchError) as raised:
        check_version(small_manifest(sdk_version=wanted))
    assert raised.value.plugin_name == "small"
    assert raised.value.required_range == wanted
    assert raised.value.current_version == SDK_VERSION
