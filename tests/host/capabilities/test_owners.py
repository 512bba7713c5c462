"""Whose a data folder is: recorded where no plugin gets, and changed by the operator alone."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from orchestrator_plugin_host.capabilities.files.data import DataFolders
from orchestrator_plugin_host.capabilities.files.plugin import PluginFiles
from orchestrator_plugin_host.capabilities.files.removals import Removals
from orchestrator_plugin_host.capabilities.owned.folders import data_folders, take_over
from orchestrator_plugin_host.capabilities.owned.owners import owner_of
from orchestrator_plugin_host.errors import FilesError
from orchestrator_plugin_host.policy import FilesGrant, FolderQuota
from orchestrator_plugin_sdk import FilesRequirement, PluginCallError

ONE, OTHER = owner_of("1" * 64), owner_of("2" * 64)
OWNERS = st.sampled_from([ONE, OTHER, owner_of("3" * 64), owner_of(None)])


def opened(directory: Path, owner: str, name: str = "p") -> None:
    folders = DataFolders(directory)
    folders.taken(name, owner)
    folders.back(name)


@given(st.lists(st.tuples(st.booleans(), OWNERS), max_size=12))
def test_a_folder_has_one_owner_at_any_time(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[bool, str]]
) -> None:
    """Whatever is opened and taken over, in whatever order."""
    directory = tmp_path_factory.mktemp("data")
    owner: str | None = None
    for takes_over, wanted in steps:
        if takes_over and owner is not None:
            assert take_over(directory, "p", wanted) == owner
            owner = wanted
        elif owner in (None, wanted):
            opened(directory, wanted)
            owner = wanted
        else:
            with pytest.raises(FilesError) as caught:
                opened(directory, wanted)
            for one in (owner, wanted):
                assert one.replace("native", "a native plugin") in str(caught.value)
        assert data_folders(directory) == ({} if owner is None else {"p": owner})


def test_loads_at_the_same_time_have_one_owner(tmp_path: Path) -> None:
    folders = DataFolders(tmp_path)
    tree = folders.taken("p", ONE)
    with pytest.raises(FilesError, match="another version of it"):
        folders.taken("p", OTHER)
    assert folders.taken("p", ONE) is tree
    folders.back("p")
    folders.back("p")
    opened(tmp_path, ONE)  # the one that was refused holds nothing


def test_no_descriptor_and_no_lock_is_left_by_one_that_is_refused(tmp_path: Path) -> None:
    opened(tmp_path, ONE)
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        with pytest.raises(FilesError):
            opened(tmp_path, OTHER)
    assert len(os.listdir("/proc/self/fd")) == before
    opened(tmp_path, ONE)


PATHS = (
    "data/../.owners/p",
    "data/.owners/p",
    "data/./../.owners/p",
    "data//../.owners/p",
    ".owners/p",
    "../.owners/p",
    "data/link",
    "data/link/p",
)


@pytest.mark.parametrize("path", PATHS)
def test_a_plugin_does_not_get_to_the_record(tmp_path: Path, path: str) -> None:
    quota = FolderQuota()
    removals = Removals()
    plugin = PluginFiles(
        "p",
        ONE,
        FilesRequirement(data=True),
        FilesGrant(data=quota),
        DataFolders(tmp_path),
        tmp_path / "artifacts",
        removals,
    )
    os.symlink(tmp_path / ".owners", tmp_path / "p" / "link")
    files = plugin.open()
    for function, more in (
        (files.read, (0, 10)),
        (files.stat, ()),
        (files.list_folder, ()),
        (files.write, (0, b"native")),
        (files.resize, (0,)),
        (files.remove, ()),
        (files.make_folder, ()),
    ):
        try:
            function(path, *more)  # type: ignore[operator]
        except PluginCallError:
            continue
        assert path == "data/.owners/p"  # which is a name in its own folder
    plugin.close()
    removals.close()
    assert data_folders(tmp_path)["p"] == ONE
    assert (tmp_path / ".owners" / "p").read_text() == f"{ONE}\n"


@pytest.mark.parametrize("text", ["", "sha256:abc", "native or not", "\0" * 500, "1" * 64])
def test_a_record_that_is_not_valid_is_nobodys(tmp_path: Path, text: str) -> None:
    opened(tmp_path, ONE)
    (tmp_path / ".owners" / "p").write_text(text)
    with pytest.raises(FilesError) as caught:
        opened(tmp_path, ONE)
    assert "holds neither a digest nor 'native'" in str(caught.value)
    assert f"data take-over p --digest {ONE}" in str(caught.value)
    take_over(tmp_path, "p", ONE)
    opened(tmp_path, ONE)


def test_a_record_is_this_users_alone(tmp_path: Path) -> None:
    opened(tmp_path, ONE)
    assert (tmp_path / ".owners").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / ".owners" / "p").stat().st_mode & 0o777 == 0o600
    (tmp_path / ".owners").chmod(0o777)
    with pytest.raises(FilesError, match="not this user's alone"):
        opened(tmp_path, ONE)


@pytest.mark.parametrize("kind", ["link", "folder", "fifo"])
def test_a_record_that_is_no_file_is_not_followed(tmp_path: Path, kind: str) -> None:
    opened(tmp_path, ONE)
    record = tmp_path / ".owners" / "p"
    record.unlink()
    (tmp_path / "elsewhere").write_text(f"{OTHER}\n")
    if kind == "link":
        record.symlink_to(tmp_path / "elsewhere")
    elif kind == "folder":
        record.mkdir()
    else:
        os.mkfifo(record)
    with pytest.raises(FilesError):
        opened(tmp_path, OTHER)


def test_what_a_crash_left_of_a_record_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / ".owners").mkdir(mode=0o700)
    (tmp_path / ".owners" / "p.new").write_text("half")
    opened(tmp_path, ONE)
    assert data_folders(tmp_path) == {"p": ONE}


def test_nobody_takes_over_what_a_host_is_using(tmp_path: Path) -> None:
    folders = DataFolders(tmp_path)
    folders.taken("p", ONE)
    with pytest.raises(FilesError, match="used by another host"):
        take_over(tmp_path, "p", OTHER)
    folders.back("p")
    assert take_over(tmp_path, "p", OTHER) == ONE


@pytest.mark.parametrize("name", ["q", "", ".", "..", ".owners", "../p", "p/a"])
def test_only_a_data_folder_is_taken_over(tmp_path: Path, name: str) -> None:
    directory = tmp_path / "data"
    opened(directory, ONE)
    (directory / "p" / "a").mkdir()
    with pytest.raises(FilesError) as caught:
        take_over(directory, name, OTHER)
    assert "there is no data folder" in str(caught.value)
    assert "(there: p)" in str(caught.value)
    assert data_folders(directory) == {"p": ONE}
