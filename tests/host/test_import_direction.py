"""Imports go one way: the SDK knows nothing of the host, and within the host leaves come first."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import orchestrator_plugin_host
import orchestrator_plugin_sdk
import pytest

HOST = Path(orchestrator_plugin_host.__file__).parent
SDK = Path(orchestrator_plugin_sdk.__file__).parent
PRIVATE = {"wasmtime._bindings", "wasmtime._ffi"}

# Each part, and the parts it may import. What isn't named here may not be imported by them.
LAYERS: dict[str, set[str]] = {
    "errors": set(),
    "wit": set(),
    "pieces": {"timing"},
    "text_payload": set(),
    "payload_text": {"pieces", "text_payload"},
    "document_scan": set(),
    "document_types": set(),
    "documents": {"document_scan", "document_types", "payload_text", "pieces"},
    "schemas": {"policy"},
    "binary": {"errors"},
    "component_file": {"binary", "document_scan", "errors"},
    "log_events": {"documents"},
    "limits": {"errors"},
    "operations": {
        "document_scan",
        "document_types",
        "documents",
        "errors",
        "limits",
        "payload_text",
        "pieces",
    },
    "policy": {"capabilities", "errors", "limits"},
    "pinning": {"policy"},
    "notices": set(),
    "settings": {"limits", "policy"},
    "discovery": {"errors"},
    "reach": set(),
    "no_reach": set(),
    "timing": set(),
    "config": set(),
    "budget": {"errors", "limits"},
    "calls": {
        "budget",
        "documents",
        "errors",
        "limits",
        "log_events",
        "no_reach",
        "reach",
        "timing",
    },
    "audit": {"calls", "errors"},
    "admission": {"component_file", "errors", "limits", "pinning", "policy", "wit"},
    "payloads": {"payload_text", "pieces", "text_payload"},
    "capabilities": {
        "audit",
        "calls",
        "documents",
        "errors",
        "limits",
        "notices",
        "payload_text",
        "payloads",
        "pieces",
        "timing",
    },
    "reaching": {"admission", "audit", "calls", "capabilities", "config", "settings"},
    "sandbox": {
        "payloads",
        "notices",
        "binary",
        "calls",
        "component_file",
        "componentize",
        "document_scan",
        "documents",
        "errors",
        "limits",
        "log_events",
        "operations",
        "payload_text",
        "pieces",
        "settings",
        "text_payload",
        "timing",
        "wit",
    },
    "componentize": {"binary", "errors", "wit"},
    "toolchain": {"errors"},
    "build": {
        "admission",
        "binary",
        "component_file",
        "componentize",
        "errors",
        "policy",
        "toolchain",
        "wit",
    },
}
LAYERS["backends"] = {*LAYERS["sandbox"], "sandbox", "admission", "reach"}
LAYERS["handles"] = {
    "backends",
    "admission",
    "calls",
    "documents",
    "errors",
    "limits",
    "operations",
    "pieces",
    "reaching",
    "settings",
}
LAYERS["loading"] = {
    *LAYERS["backends"],
    "audit",
    "backends",
    "capabilities",
    "config",
    "discovery",
    "handles",
    "notices",
    "pinning",
    "policy",
    "reaching",
}
LAYERS["host"] = {*LAYERS["loading"], "loading"}
LAYERS["public"] = {*LAYERS["host"], "host"}
LAYERS["__init__"] = {*LAYERS["public"], "public"}
LAYERS["hostile"] = {*LAYERS["host"], "host"}
LAYERS["granting"] = {"capabilities", "policy"}
LAYERS["suggesting"] = {"capabilities", "pinning", "policy"}
LAYERS["cli"] = {
    *LAYERS["__init__"],
    "__init__",
    "build",
    "granting",
    "hostile",
    "schemas",
    "suggesting",
}

# Within the capabilities: a folder each, and what they share; no cycle, for types either.
CAPABILITIES: dict[str, set[str]] = {
    "grant": set(),
    "remedies": set(),
    "observing": set(),
    "pace": set(),
    "workers": set(),
    "owned": set(),
    "capability": {"observing"},
    "__init__": set(),
}

FOLDERS = {path.parent.name for path in HOST.glob("capabilities/*/capability.py")}
CAPABILITIES |= {
    name: {"capability", "grant", "observing", "owned", "pace", "remedies", "workers"}
    for name in FOLDERS
}
CAPABILITIES["http"].add("secrets")
CAPABILITIES["registry"] = {"capability", "grant", *FOLDERS}

# Within the sandbox: the C API first, instances last.
SANDBOX: dict[str, set[str]] = {
    "_capi": set(),
    "cache": {"code"},
    "signals": {"_capi"},
    "config": {"_capi"},
    "adapters": {"_capi", "config"},
    "fingerprint": {"config"},
    "steps": set(),
    "values": {"_capi"},
    "lowering": {"_capi", "values"},
    "arguments": {"_capi", "values"},
    "typecheck": {"adapters"},
    "store": {"_capi", "arguments", "config"},
    "linking": {"_capi", "adapters", "lowering", "steps", "store", "values"},
    "guest": {"_capi", "adapters", "arguments", "linking", "steps", "store", "values"},
    "worker": {
        "_capi",
        "adapters",
        "config",
        "guest",
        "linking",
        "steps",
        "store",
        "typecheck",
        "values",
    },
    "confinement": {"worker"},
    "imports": {"linking", "steps", "values"},
    "failures": {"_capi", "adapters"},
    "computing": set(),
    "instance": {"_capi", "failures", "guest", "imports", "linking", "steps", "values"},
    "inprocess": {
        "computing",
        "config",
        "guest",
        "imports",
        "instance",
        "linking",
        "signals",
        "steps",
        "values",
    },
    "compiler": {"confinement", "worker"},
    "code": set(),
    "workers": {"adapters", "code", "config", "confinement", "worker"},
    "processes": {
        "compiler",
        "computing",
        "failures",
        "guest",
        "imports",
        "instance",
        "linking",
        "steps",
        "values",
        "worker",
        "workers",
    },
    "sources": {"computing", "instance", "processes", "workers"},
    "templates": {
        "_capi",
        "code",
        "guest",
        "inprocess",
        "instance",
        "sources",
        "typecheck",
        "workers",
    },
    "loader": {
        "cache",
        "code",
        "compiler",
        "confinement",
        "fingerprint",
        "templates",
        "typecheck",
        "workers",
    },
    "selfcheck": {"_capi", "guest", "inprocess", "steps", "values"},
    "opening": {"inprocess", "selfcheck", "templates"},
    "__init__": set(),
}

WITHIN = {"capabilities": CAPABILITIES, "sandbox": SANDBOX}


def imports(path: Path, package: str, *, types_too: bool = False) -> Iterator[str]:
    """The full names of the modules that a file imports as it is imported, or later; with
    `types_too`, also for type checkers alone."""
    inside = path.relative_to(HOST if package == HOST.name else SDK).parent.parts
    tree = ast.parse(path.read_text("utf-8"))
    checked_only = {
        id(statement)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for statement in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in checked_only and not types_too:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            start = [package, *inside][: len(inside) + 2 - node.level] if node.level else []
            module = ".".join([*start, *([node.module] if node.module else [])])
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)


def part_of(path: Path) -> str:
    relative = path.relative_to(HOST)
    return relative.parts[0] if len(relative.parts) > 1 else relative.stem


def part_within(folder: str, path: Path) -> str:
    relative = path.relative_to(HOST / folder)
    return relative.parts[0] if len(relative.parts) > 1 else relative.stem


FILES = sorted(HOST.rglob("*.py"))
HOST_FILES = pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(HOST)))


@pytest.mark.parametrize(
    "path", sorted(SDK.rglob("*.py")), ids=lambda path: str(path.relative_to(SDK))
)
def test_the_sdk_imports_nothing_of_the_host(path: Path) -> None:
    for name in imports(path, SDK.name):
        assert name.split(".")[0] not in {HOST.name, "wasmtime", "pydantic", "anyio"}


def test_every_part_has_its_place() -> None:
    assert {part_of(path) for path in FILES} == set(LAYERS)
    for folder, layers in WITHIN.items():
        parts = [*(HOST / folder).glob("*.py"), *(HOST / folder).glob("*/__init__.py")]
        assert {part_within(folder, path) for path in parts} == set(layers)


@HOST_FILES
def test_each_part_imports_only_those_below_it(path: Path) -> None:
    part = part_of(path)
    for name in imports(path, HOST.name):
        pieces = name.split(".")
        if pieces[0] != HOST.name:
            continue
        # From the package itself comes what it makes public.
        imported = pieces[1] if len(pieces) > 1 and pieces[1] in LAYERS else "__init__"
        if len(pieces) > 1 or part == "__init__":
            assert imported in {part, *LAYERS[part]}, f"{part} imports {name}"


@pytest.mark.parametrize(
    "path",
    [path for folder in WITHIN for path in sorted((HOST / folder).rglob("*.py"))],
    ids=lambda path: str(path.relative_to(HOST)),
)
def test_within_a_folder(path: Path) -> None:
    folder = path.relative_to(HOST).parts[0]
    prefix = f"{HOST.name}.{folder}."
    part = part_within(folder, path)
    for name in imports(path, HOST.name, types_too=folder == "capabilities"):
        if name.startswith(prefix):
            imported = name[len(prefix) :].split(".")[0]
            assert imported in {part, *WITHIN[folder][part]}, f"{part} imports {name}"


@HOST_FILES
def test_wasmtime_stays_in_the_sandbox(path: Path) -> None:
    names = set(imports(path, HOST.name))
    uses = {name for name in names if name.split(".")[0] == "wasmtime"}
    if path.relative_to(HOST).as_posix() == "hostile/building.py":
        assert uses == {"wasmtime"}  # its assembler
    elif part_of(path) != "sandbox":
        assert uses == set()
    if path.name != "_capi.py":
        assert not uses & PRIVATE
        assert not any("._" in name for name in uses)


def test_the_rules_see_what_they_are_about() -> None:
    used = set(imports(HOST / "sandbox" / "_capi.py", HOST.name))
    assert used >= PRIVATE
    assert f"{HOST.name}.errors" in set(imports(HOST / "calls.py", HOST.name))
    assert f"{HOST.name}.calls" in set(imports(HOST / "sandbox" / "instance.py", HOST.name))


def test_there_is_no_cycle() -> None:
    for layers in (LAYERS, *WITHIN.values()):
        placed: set[str] = set()
        while len(placed) < len(layers):
            ready = {name for name, below in layers.items() if below <= placed} - placed
            assert ready, f"a cycle among {sorted(set(layers) - placed)}"
            placed |= ready
