"""The public surface: what it lists, that all of it is documented, and what it must have."""

from __future__ import annotations

import ast
import inspect
import os
import re
import subprocess
import sys
from dataclasses import fields, is_dataclass
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import orchestrator_plugin_sdk as sdk
import pytest

PACKAGE = Path(sdk.__file__).parent


def isort_order(name: str) -> tuple[int, list[tuple[int, int | str]]]:
    """The order of ruff's RUF022: CONSTANTS, Classes, functions; numbers in names by value."""
    group = 0 if name.isupper() else 1 if name[0].isupper() else 2
    parts = re.findall(r"\d+|\D+", name)
    return group, [(0, int(part)) if part.isdigit() else (1, part) for part in parts]


def test_all_is_sorted() -> None:
    assert sdk.__all__ == sorted(sdk.__all__, key=isort_order)


def test_all_lists_the_public_names_and_no_other() -> None:
    public = {
        name
        for name, value in vars(import_module("orchestrator_plugin_sdk.public")).items()
        if not name.startswith("_") and not isinstance(value, ModuleType)
    }
    assert set(sdk.__all__) == public
    assert len(sdk.__all__) == len(public)


def test_names_are_loaded_when_they_are_used() -> None:
    code = (
        "import sys, orchestrator_plugin_sdk as sdk; assert 'msgpack' not in sys.modules;"
        "from orchestrator_plugin_sdk import *; pack, PluginManifest;"
        "assert 'PluginManifest' in dir(sdk)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    with pytest.raises(AttributeError, match="no attribute 'Plug'"):
        getattr(sdk, "Plug")  # noqa: B009


def comments_of_assignments() -> dict[str, str]:
    """The docstrings under assignments in the package's modules, by the name assigned."""
    found = {}
    for path in PACKAGE.glob("*.py"):
        body = ast.parse(path.read_text("utf-8")).body
        for statement, after in pairwise(body):
            match statement, after:
                case (
                    ast.Assign(targets=[ast.Name(id=name)])
                    | ast.AnnAssign(target=ast.Name(id=name)),
                    ast.Expr(value=ast.Constant(value=str(comment))),
                ):
                    found[name] = comment
    return found


@pytest.mark.parametrize("name", sdk.__all__)
def test_every_public_object_is_documented(name: str) -> None:
    value = getattr(sdk, name)
    if inspect.isclass(value) or inspect.isfunction(value):
        documentation = value.__doc__ or ""
        # What `dataclass` writes where there is nothing.
        assert not documentation.startswith(f"{name}(")
    else:
        documentation = comments_of_assignments().get(name, "")
    assert len(documentation) > 10


CLASSES = [name for name in sdk.__all__ if inspect.isclass(getattr(sdk, name))]


@pytest.mark.parametrize("name", CLASSES)
def test_every_public_method_is_documented(name: str) -> None:
    value = getattr(sdk, name)
    methods = {
        attribute: found
        for attribute, found in vars(value).items()
        if not attribute.startswith("_")
        and (inspect.isfunction(found) or isinstance(found, (property, classmethod)))
    }
    assert [attribute for attribute, found in methods.items() if not found.__doc__] == []


def test_the_sdk_needs_msgpack_and_the_standard_library_alone() -> None:
    code = """
import sys
before = set(sys.modules)
import orchestrator_plugin_sdk.public, orchestrator_plugin_sdk.contract
for name in set(sys.modules) - before:
    if getattr(sys.modules[name], "__file__", None):
        print(name.partition(".")[0])
"""
    path = os.pathsep.join(sys.path)
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    needed = set(done.stdout.split()) - sys.stdlib_module_names
    assert needed == {"msgpack", "orchestrator_plugin_sdk"}


# --- the names of the reference ------------------------------------------------------------------


def snake_case(name: str) -> str:
    """`maxTokens` as `max_tokens`; names of classes and constants stay."""
    if not name[0].islower():
        return name
    return re.sub(r"(?<=[a-z0-9])([A-Z])", lambda capital: "_" + capital[1].lower(), name)


TYPES = """
    SDK_VERSION PluginManifest PluginExport PluginConfig PluginContext HealthCheckResult
    SdkVersionRange ProviderAdapterPlugin ModelRequest ModelResponse ProviderCapabilities
    StreamEvent EmbedderPlugin VectorMemoryBackendPlugin VectorItem VectorQueryResult
    VectorQueryFilter VectorBackendInfo ToolExecutorPlugin ToolRunRequest ToolRunResult ToolPolicy
    PluginValidationError PluginVersionMismatchError loadPlugin safeLoadPlugin
"""
FIELDS = {
    "SdkVersionRange": "minVersion maxVersion",
    "PluginManifest": "name description type sdkVersion version",
    "PluginExport": "manifest createPlugin",
    "PluginContext": "runId logger abortSignal",
    "HealthCheckResult": "healthy message",
    "ProviderCapabilities": (
        "supportsStreaming supportsToolCalling supportsJsonMode modality latencyClass"
    ),
    "ModelRequest": "messages maxTokens",
    "Message": "role content",
    "ModelResponse": "text usage",
    "Usage": "inputTokens outputTokens totalTokens",
    "VectorBackendInfo": "backend dims embedderId location supportsFilters",
    "ToolRunResult": "exitCode durationMs stdoutPath stderrPath truncated",
    "ToolPolicy": "enabled",
    "SafeLoadResult": "success plugin manifest error",
}
LIFECYCLE = {"init": "config ctx", "healthCheck": "", "shutdown": ""}
METHODS: dict[str, dict[str, str]] = {
    "ProviderAdapterPlugin": LIFECYCLE
    | {"capabilities": "", "generate": "req ctx", "stream": "req ctx"},
    "EmbedderPlugin": LIFECYCLE | {"dims": "", "embedTexts": "texts ctx"},
    "VectorMemoryBackendPlugin": LIFECYCLE
    | {
        "upsert": "repoId items ctx",
        "query": "repoId vector topK ctx filter",
        "deleteByIds": "repoId ids ctx",
        "wipeRepo": "repoId ctx",
        "info": "",
    },
    "ToolExecutorPlugin": LIFECYCLE
    | {"execute": "request policy ctx", "isAllowed": "command policy"},
}


@pytest.mark.parametrize("name", TYPES.split())
def test_the_names_of_the_reference_are_public(name: str) -> None:
    assert snake_case(name) in sdk.__all__


@pytest.mark.parametrize("name", FIELDS)
def test_the_types_of_the_reference_have_its_fields(name: str) -> None:
    value: Any = getattr(sdk, name)
    assert is_dataclass(value)
    assert {snake_case(field) for field in FIELDS[name].split()} <= {f.name for f in fields(value)}


@pytest.mark.parametrize(
    ("interface", "method"), [(name, method) for name in METHODS for method in METHODS[name]]
)
def test_the_interfaces_of_the_reference_have_its_methods(interface: str, method: str) -> None:
    found = getattr(getattr(sdk, interface), snake_case(method))
    parameters = ["self", *map(snake_case, METHODS[interface][method].split())]
    assert list(inspect.signature(found).parameters) == parameters


@pytest.mark.parametrize("interface", METHODS)
def test_a_plugin_has_the_attributes_of_the_reference(interface: str) -> None:
    assert {"name", "sdk_version"} <= sdk.Plugin.__annotations__.keys()
    assert issubclass(getattr(sdk, interface), sdk.Plugin)


def test_the_errors_of_the_reference_have_its_attributes() -> None:
    error = sdk.PluginVersionMismatchError("p", sdk.SdkVersionRange(2), sdk.SDK_VERSION)
    for name in ("requiredRange", "currentVersion"):
        assert hasattr(error, snake_case(name))
    assert error.required_range.min_version == 2
