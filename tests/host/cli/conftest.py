"""The command, run in this process, and folders to run it on."""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from orchestrator_plugin_host.cli import app
from support.building import REPOSITORY
from typer.testing import CliRunner


@dataclass(frozen=True)
class Run:
    """What a command did."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """The one JSON document on stdout."""
        return json.loads(self.out)

    @property
    def error(self) -> dict[str, Any]:
        """The error in it."""
        assert self.document.keys() == {"error"}
        return self.document["error"]


Command = Callable[..., Run]


@pytest.fixture
def command(cache_directory: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Runs `orchestrator-plugin` with these arguments."""
    monkeypatch.setenv("ORCHESTRATOR_PLUGIN_CACHE", str(cache_directory))

    def run(*arguments: str | Path, stdin: str | None = None) -> Run:
        done = CliRunner().invoke(app, [*map(str, arguments)], input=stdin)
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        return Run(done.exit_code, done.stdout, done.stderr)

    return run


def copy_examples(target: Path, components: Mapping[str, Path]) -> Path:
    """The example plugins' folders, with their components, which stay newer than the sources."""
    for name, component in components.items():
        folder = target / name
        shutil.copytree(
            REPOSITORY / "guest-examples" / name, folder, ignore=shutil.ignore_patterns("build")
        )
        (folder / "build").mkdir()
        built = Path(shutil.copy(component, folder / "build" / f"{name}.wasm"))
        os.utime(built, (time.time() + 86_400,) * 2)
    return target


@pytest.fixture
def own_examples(example_components: Mapping[str, Path], tmp_path: Path) -> Path:
    """The built examples, for one test to change."""
    return copy_examples(tmp_path / "guest-examples", example_components)


@pytest.fixture(scope="session")
def examples(
    example_components: Mapping[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The built examples. Not to be changed."""
    return copy_examples(tmp_path_factory.mktemp("guest-examples"), example_components)


@pytest.fixture
def environment(cache_directory: Path) -> dict[str, str]:
    """For a process of the command's own."""
    path = os.pathsep.join(entry for entry in sys.path if entry)
    return {**os.environ, "PYTHONPATH": path, "ORCHESTRATOR_PLUGIN_CACHE": str(cache_directory)}
