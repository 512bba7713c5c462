"""`data`: whose the data folders are, and taking one over."""

from __future__ import annotations

from pathlib import Path

import pytest
from orchestrator_plugin_host.capabilities.files.data import DataFolders
from orchestrator_plugin_host.capabilities.owned.folders import data_folders
from orchestrator_plugin_host.capabilities.owned.owners import owner_of

from .conftest import Command

ONE, OTHER = owner_of("1" * 64), owner_of("2" * 64)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ORCHESTRATOR_PLUGIN_DATA", str(tmp_path))
    folders = DataFolders(tmp_path)
    folders.taken("chat", ONE)
    folders.back("chat")
    return tmp_path


def test_a_folder_is_taken_over_and_both_owners_are_said(command: Command, folder: Path) -> None:
    done = command("data", "take-over", "chat", "--digest", OTHER)
    assert done.code == 0
    assert done.out == f"chat: {ONE} → {OTHER}\n"
    assert data_folders(folder) == {"chat": OTHER}
    done = command("data", "take-over", "chat", "--native", "--data", folder, "--json")
    assert done.document == {"plugin": "chat", "before": OTHER, "owner": "native"}
    done = command("data", "take-over", "chat", "--digest", "1" * 64, "--json")
    assert done.document["owner"] == ONE


def test_folders_are_listed(command: Command, folder: Path, tmp_path: Path) -> None:
    (folder / "old").mkdir(mode=0o700)
    assert command("data", "list", "--json").document == [
        {"plugin": "chat", "owner": ONE},
        {"plugin": "old", "owner": None},
    ]
    shown = command("data", "list").out
    assert ONE in shown
    assert "whoever uses it first" in shown
    assert command("data", "list", "--data", tmp_path / "none", "--json").document == []


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--digest", "1" * 64, "--native"],
        ["--digest", "abc"],
        ["--digest", "native"],
        ["--digest", f"sha512:{'1' * 64}"],
    ],
)
def test_a_wrong_command_line_changes_nothing(
    command: Command, folder: Path, arguments: list[str]
) -> None:
    done = command("data", "take-over", "chat", *arguments, "--json")
    assert done.code == 2
    assert "--digest" in done.error["message"]
    assert data_folders(folder) == {"chat": ONE}


def test_a_folder_that_is_not_there(command: Command, folder: Path) -> None:
    done = command("data", "take-over", "chatt", "--digest", OTHER, "--json")
    assert done.code == 1
    assert done.error["type"] == "FilesError"
    assert "(there: chat)" in done.error["message"]
