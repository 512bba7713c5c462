"""A plugin's source folder: `plugin.toml` beside a Python module."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from orchestrator_plugin_sdk import (
    BuildSettings,
    PluginType,
    PluginValidationError,
    SdkVersionRange,
    load_plugin,
    load_project,
    read_manifest,
    read_project,
)

MANIFEST = """
name = "my-plugin"
type = "embedder"
version = "1.0.0"
sdk_version = { min_version = 1 }
"""
BUILD = """
[build]
language = "python"
entry = "my_plugin:create_plugin"
"""
MODULE = """
from __future__ import annotations

from dataclasses import dataclass

from orchestrator_plugin_sdk import EmbedderPlugin, HealthCheckResult, SdkVersionRange


@dataclass
class Settings:
    scale: float = 1.0


class MyPlugin(EmbedderPlugin):
    name = "my-plugin"
    sdk_version = SdkVersionRange(1)

    async def init(self, config, ctx):
        self.settings = Settings(**config)

    async def health_check(self):
        return HealthCheckResult(True)

    async def shutdown(self):
        pass

    def dims(self):
        return 1

    async def embed_texts(self, texts, ctx):
        return [[len(text) * self.settings.scale] for text in texts]


def create_plugin():
    return MyPlugin()
"""


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Path]:
    """A source folder that can be read and imported; what was imported is forgotten after."""
    (tmp_path / "plugin.toml").write_text(MANIFEST + BUILD, "utf-8")
    (tmp_path / "my_plugin.py").write_text(MODULE, "utf-8")
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if name.startswith("_orchestrator_plugin_"):
            del sys.modules[name]


@pytest.mark.parametrize("form", [Path, str])
def test_a_project_is_read(project: Path, form: type) -> None:
    read = read_project(form(project))
    assert read.directory == project
    assert read.build == BuildSettings("python", "my_plugin:create_plugin")
    assert (read.build.module, read.build.attribute) == ("my_plugin", "create_plugin")
    assert read.manifest.name == "my-plugin"
    assert read.manifest.type is PluginType.EMBEDDER
    assert read.manifest.sdk_version == SdkVersionRange(1)


def test_reading_a_project_runs_nothing_of_it(project: Path) -> None:
    (project / "my_plugin.py").write_text("raise AssertionError", "utf-8")
    assert read_project(project).manifest.name == "my-plugin"


@pytest.mark.anyio
async def test_a_project_runs_natively(project: Path) -> None:
    plugin = await load_plugin(load_project(project), {"scale": 2.0})
    assert plugin.name == "my-plugin"
    assert plugin.settings.scale == 2.0  # type: ignore[attr-defined]


def test_two_projects_do_not_share_a_module(
    project: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = tmp_path_factory.mktemp("other")
    (other / "plugin.toml").write_text((MANIFEST + BUILD).replace("my-plugin", "other"), "utf-8")
    (other / "my_plugin.py").write_text(MODULE.replace("my-plugin", "other"), "utf-8")
    exports = [load_project(project), load_project(other)]
    assert [export.create_plugin().name for export in exports] == ["my-plugin", "other"]


NOT_MANIFESTS = {
    "not TOML": ("name = ", "is not valid TOML"),
    "not UTF-8": (b'name = "\xff"', "is not valid TOML"),
    "a number of 5,000 digits": ("number = 1" + "0" * 5000, "is not valid TOML"),
    "lists in lists": ("deep = " + "[" * 5000, "is not valid TOML: it nests too deep"),
    "tables in tables": ("deep = " + "{a=" * 5000, "is not valid TOML: it nests too deep"),
    "empty": ("", "the manifest is not valid:\n  - name: missing"),
    "a bad manifest": (MANIFEST.replace("my-plugin", "My"), "plugin 'My' is not valid:\n  - name"),
    "a date in the manifest": (MANIFEST + "author = 2020-01-01", "a date can't be in a document"),
    "a limit beyond 64 bits": (MANIFEST + f"limits = {{ fuel = -{10**30} }}", "limits.fuel"),
}
NOT_PROJECTS = {
    **NOT_MANIFESTS,
    "no build": (MANIFEST, r"has no \[build\] table"),
    "no table": (MANIFEST + 'build = "x"', r"not valid: \[build\]\n  - expected a map, got 'x'"),
    "an empty build": (MANIFEST + "[build]", "build.*\n.*entry: missing\n.*language: missing"),
    "another language": (MANIFEST + BUILD.replace('"python"', '"rust"'), "language: expected 'pyt"),
    "an unknown key": (MANIFEST + BUILD + "python = 3", "python: unknown key; known are language"),
    "no callable": (MANIFEST + BUILD.replace(":create_plugin", ""), "is 'module:callable', got"),
    "no module": (MANIFEST + BUILD.replace("my_plugin:", ":"), "is 'module:callable', got"),
    "two colons": (MANIFEST + BUILD.replace(":create", ":a:create"), "is 'module:callable', got"),
    "a dotted module": (MANIFEST + BUILD.replace("my_plugin:", "a.b:"), "is 'module:callable'"),
    "no source file": (
        MANIFEST + '[build]\nlanguage = "zig"\nentry = "src/main.c"',
        "build.entry is the path of a .zig file in the plugin's folder, got 'src/main.c'",
    ),
    "a source of the system's": (
        MANIFEST + '[build]\nlanguage = "c"\nentry = "/etc/main.c"',
        "build.entry is the path of a .c file in the plugin's folder, got '/etc/main.c'",
    ),
    "a source elsewhere": (
        MANIFEST + '[build]\nlanguage = "zig"\nentry = "../main.zig"',
        "build.entry is the path of a .zig file in the plugin's folder, got '../main.zig'",
    ),
    "a path": (MANIFEST + BUILD.replace("my_plugin:", "../evil:"), "is 'module:callable', got"),
}


@pytest.mark.parametrize("case", NOT_PROJECTS)
def test_what_is_no_project(project: Path, case: str) -> None:
    content, says = NOT_PROJECTS[case]
    data = content if isinstance(content, bytes) else content.encode()
    (project / "plugin.toml").write_bytes(data)
    for read in (read_project, load_project):
        with pytest.raises(PluginValidationError, match=says):
            read(project)


@pytest.mark.parametrize("language", ["zig", "c"])
def test_a_compiled_project_is_not_run_natively(project: Path, language: str) -> None:
    build = f'[build]\nlanguage = "{language}"\nentry = "src/main.{language}"'
    (project / "plugin.toml").write_text(MANIFEST + build, "utf-8")
    read = read_project(project)
    assert read.build == BuildSettings(language, f"src/main.{language}")  # type: ignore[arg-type]
    assert read.build.compiled
    with pytest.raises(PluginValidationError, match="component alone: build it with `orchestrator"):
        load_project(project)


@pytest.mark.parametrize("case", NOT_MANIFESTS)
def test_a_manifest_alone_is_refused_as_with_its_build(project: Path, case: str) -> None:
    content, says = NOT_MANIFESTS[case]
    data = content if isinstance(content, bytes) else content.encode()
    (project / "plugin.toml").write_bytes(data)
    with pytest.raises(PluginValidationError, match=says):
        read_manifest(project)


def test_a_manifest_alone_needs_no_build(project: Path) -> None:
    (project / "plugin.toml").write_text(MANIFEST, "utf-8")
    assert read_manifest(project) == read_manifest(str(project))
    assert read_manifest(project).name == "my-plugin"


def test_a_folder_without_a_project(tmp_path: Path) -> None:
    for read in (read_project, read_manifest):
        with pytest.raises(PluginValidationError, match=r"there is no plugin\.toml in"):
            read(tmp_path)


def test_a_file_instead_of_a_folder(project: Path) -> None:
    with pytest.raises(PluginValidationError, match="could not be read: Not a directory"):
        read_project(project / "plugin.toml")


def test_a_folder_instead_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "plugin.toml").mkdir()
    with pytest.raises(PluginValidationError, match="could not be read: Is a directory"):
        read_project(tmp_path)


NOT_MODULES = {
    "missing": (None, "there is no .*my_plugin.py, which build.entry names"),
    "not Python": ("def", "could not be imported: SyntaxError"),
    "failing": ("1 / 0", "could not be imported: ZeroDivisionError"),
    "an import missing": ("import no_such_module", "could not be imported: ModuleNotFoundError"),
    "without the callable": ("", "has no callable 'create_plugin'"),
    "with something else": ("create_plugin = 1", "has no callable 'create_plugin'"),
}


@pytest.mark.parametrize("case", NOT_MODULES)
def test_what_can_not_be_imported(project: Path, case: str) -> None:
    source, says = NOT_MODULES[case]
    module = project / "my_plugin.py"
    if source is None:
        module.unlink()
    else:
        module.write_text(source, "utf-8")
    with pytest.raises(PluginValidationError, match=says):
        load_project(project)
