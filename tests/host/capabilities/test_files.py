"""Files of plugins: what there is of them, where they end, and what the host's file system may be
made into meanwhile.
"""

from __future__ import annotations

import os
import socket
import stat as modes
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from orchestrator_plugin_host.capabilities.files import removals
from orchestrator_plugin_host.capabilities.files.data import DataFolders
from orchestrator_plugin_host.capabilities.files.paths import MAX_DEPTH, PluginPath
from orchestrator_plugin_host.capabilities.files.plugin import OpenFiles, PluginFiles
from orchestrator_plugin_host.capabilities.files.removals import Removals
from orchestrator_plugin_host.capabilities.owned.owners import owner_of
from orchestrator_plugin_host.errors import FilesError
from orchestrator_plugin_host.policy import FilesGrant, FolderQuota
from orchestrator_plugin_sdk import ErrorKind, FilesRequirement, PluginCallError
from orchestrator_plugin_sdk.capabilities.files import FileInfo
from support.texts import WITH_HALVES, hidden_in

ASKED = FilesRequirement(data=True, artifacts=True, folders=("docs",))
QUOTA = FolderQuota(bytes=10_000, files=20)
OWNER = owner_of("0" * 64)


class Place:
    """A host's folders, and plugins that have them."""

    def __init__(self, tmp_path: Path) -> None:
        self.data = tmp_path / "data"
        self.artifacts = tmp_path / "artifacts"
        self.docs = tmp_path / "docs"
        self.outside = tmp_path / "outside"
        self.docs.mkdir()
        self.outside.mkdir()
        (self.outside / "secret").write_bytes(b"secret")
        self.host = DataFolders(self.data)
        self.removals = Removals()
        self._opened: list[PluginFiles] = []

    @property
    def mine(self) -> Path:
        """The data folder of the plugin `p`."""
        return self.data / "p"

    def plugin(
        self,
        asked: FilesRequirement = ASKED,
        granted: FilesGrant | None = None,
        host: DataFolders | None = None,
        name: str = "p",
        owner: str = OWNER,
        keep_artifacts: bool = False,
    ) -> PluginFiles:
        """A loaded plugin's files."""
        if granted is None:
            granted = FilesGrant(data=QUOTA, artifacts=QUOTA, folders={"docs": self.docs})
        made = PluginFiles(
            name,
            owner,
            asked,
            granted,
            host or self.host,
            self.artifacts,
            self.removals,
            keep_artifacts=keep_artifacts,
        )
        self._opened.append(made)
        return made

    def files(self, *args: Any, **how: Any) -> OpenFiles:
        """The files of a call."""
        return self.plugin(*args, **how).open()

    def close(self) -> None:
        """Closes what is open."""
        for one in self._opened:
            one.close()
        self.removals.close()


@pytest.fixture(autouse=True, scope="module")
def patience() -> Iterator[None]:
    """On a busy machine, `Removals.close` waits here until all is removed."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(removals, "_MOMENT_SECONDS", 60.0)
        yield


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    place = Place(tmp_path)
    yield place
    place.close()


def refusal(function: Callable[..., Any], *arguments: Any) -> PluginCallError:
    with pytest.raises(PluginCallError) as caught:
        function(*arguments)
    return caught.value


# Uses.


@pytest.mark.parametrize("root", ["data", "artifacts"])
def test_what_is_written_is_read(place: Place, root: str) -> None:
    files = place.files()
    files.make_folder(f"{root}/a")
    path = f"{root}/a/żółć 🦊"
    files.write(path, 0, b"hello")
    files.write(path, 5, b" world")
    files.write(path, 0, b"J")
    files.sync(path)
    files.sync(f"{root}/a")
    files.sync(root)
    assert files.read(path, 0, 100) == b"Jello world"
    assert files.read(path, 6, 3) == b"wor"
    assert files.read(path, 11, 5) == files.read(path, 2**64, 5) == b""
    assert files.stat(path) == FileInfo("żółć 🦊", "file", 11)
    files.resize(path, 5)
    files.resize(path, 7)
    assert files.read(path, 0, 2**40) == b"Jello\0\0"
    files.rename(path, f"{root}/b")
    assert files.list_folder(root) == [FileInfo("a", "folder"), FileInfo("b", "file", 7)]
    assert files.list_folder(f"{root}/a") == []
    files.remove(f"{root}/b")
    files.remove(f"{root}/a")
    assert files.list_folder(root) == []
    assert files.stat(root) == FileInfo(root, "folder")


def test_an_operators_folder_is_read_and_not_written(place: Place) -> None:
    (place.docs / "a").mkdir()
    (place.docs / "a" / "b").write_bytes(b"hello")
    files = place.files()
    assert files.list_folder("folders") == [FileInfo("docs", "folder")]
    assert files.list_folder("folders/docs") == [FileInfo("a", "folder")]
    assert files.stat("folders/docs") == FileInfo("docs", "folder")
    assert files.stat("folders/docs/a/b") == FileInfo("b", "file", 5)
    assert files.read("folders/docs/a/b", 1, 3) == b"ell"
    for function, *arguments in (
        (files.write, 0, b"x"),
        (files.resize, 0),
        (files.sync,),
        (files.make_folder,),
        (files.remove,),
        (files.rename, "folders/docs/c"),
    ):
        error = refusal(function, "folders/docs/a/b", *arguments)
        assert error.kind is ErrorKind.PERMISSION_DENIED
    assert (place.docs / "a" / "b").read_bytes() == b"hello"


def test_folders_are_private_and_made_when_they_are_needed(place: Place) -> None:
    nothing = place.files(FilesRequirement(), name="other")
    assert not place.data.exists()
    files = place.files()
    nothing.close()
    assert not place.artifacts.exists()
    files.write("artifacts/a", 0, b"x")
    files.write("data/a", 0, b"x")
    assert sorted(os.listdir(place.data)) == [".owners", "p"]
    (folder,) = (place.artifacts / "p").iterdir()
    for one in (place.mine, place.artifacts / "p", folder):
        assert modes.S_IMODE(one.stat().st_mode) == 0o700
    assert modes.S_IMODE((place.mine / "a").stat().st_mode) == 0o600


def test_each_call_has_artifacts_of_its_own(place: Place) -> None:
    plugin = place.plugin()
    one, other = plugin.open(), plugin.open()
    one.write("artifacts/a", 0, b"one")
    assert refusal(other.read, "artifacts/a", 0, 1).kind is ErrorKind.NOT_FOUND
    path, size = one.host_path("artifacts/a")
    assert (path.read_bytes(), size, path.is_absolute()) == (b"one", 3, True)
    one.close()
    other.close()
    place.removals.close()
    assert path.read_bytes() == b"one"
    assert len(list((place.artifacts / "p").iterdir())) == 1  # the empty one is gone


def test_what_a_call_that_failed_has_made_is_removed(place: Place) -> None:
    files = place.files()
    files.make_folder("artifacts/a")
    files.write("artifacts/a/b", 0, b"x")
    files.close(keep=False)
    place.removals.close()
    assert list((place.artifacts / "p").iterdir()) == []


def test_the_data_folder_is_there_again(place: Place) -> None:
    first = place.plugin()
    first.open().write("data/a", 0, b"x" * 9_000)
    first.close()
    again = place.plugin(host=DataFolders(place.data))
    files = again.open()
    assert files.read("data/a", 0, 3) == b"xxx"
    refusal(files.write, "data/b", 0, b"x" * 1_001)  # it was counted
    files.write("data/b", 0, b"x" * 1_000)
    again.close()


def test_after_a_call_its_files_are_gone(place: Place) -> None:
    plugin = place.plugin()
    ended = plugin.open()
    ended.write("artifacts/a", 0, b"x")
    ended.close()
    for root in ("data", "artifacts", "folders/docs"):
        assert refusal(ended.read, f"{root}/a", 0, 1).kind is ErrorKind.PERMISSION_DENIED
    assert refusal(ended.list_folder, "folders").kind is ErrorKind.PERMISSION_DENIED
    left_behind = plugin.open()
    plugin.close()
    assert refusal(left_behind.write, "data/a", 0, b"").kind is ErrorKind.PERMISSION_DENIED


# Grants.

NOTHING = FilesRequirement()
BOTH = FilesGrant(data=QUOTA, artifacts=QUOTA)


@pytest.mark.parametrize(
    ("root", "asked", "granted", "words"),
    [
        ("data", NOTHING, BOTH, ["manifest", "[files]\n  data = true"]),
        ("artifacts", NOTHING, BOTH, ["manifest", "[files]\n  artifacts = true"]),
        ("data", ASKED, FilesGrant(), ["policy", "[plugins.p.files]\n  data = { bytes = "]),
        (
            "artifacts",
            ASKED,
            FilesGrant(),
            ["policy", "[plugins.p.files]\n  artifacts = { bytes ="],
        ),
        ("folders/docs", ASKED, FilesGrant(), ["policy", "[plugins.p.files.folders]\n  docs = "]),
        ("folders/docs", NOTHING, FilesGrant(folders={"docs": Path("/")}), ['folders = ["docs"]']),
        ("data", NOTHING, FilesGrant(), ["manifest", "policy"]),
    ],
)
def test_a_denial_says_who_lacks_what(
    place: Place, root: str, asked: FilesRequirement, granted: FilesGrant, words: list[str]
) -> None:
    files = place.files(asked, granted)
    path = f"{root}/a"
    for function, *arguments in (
        (files.read, path, 0, 1),
        (files.stat, path),
        (files.list_folder, root),
        (files.write, path, 0, b""),
        (files.resize, path, 0),
        (files.sync, path),
        (files.make_folder, path),
        (files.remove, path),
        (files.rename, path, path),
    ):
        error = refusal(function, *arguments)
        assert error.kind is ErrorKind.PERMISSION_DENIED
        for word in ["plugin 'p'", root, *words]:
            assert word in error.message
        for other in {"manifest", "policy"} - {"manifest", "policy"}.intersection(words):
            assert words == ['folders = ["docs"]'] or other not in error.message
    assert not place.data.exists()
    assert not place.artifacts.exists()


def test_denials_are_told_as_long_as_that_says_something(place: Place) -> None:
    told: list[tuple[str, str]] = []
    files = place.plugin().open(lambda path, reason: told.append((path, reason)))
    for _ in range(1_000):
        refusal(files.remove, "folders/docs/a")
        refusal(files.read, "data/none", 0, 1)  # is not denied
    assert [path for path, _ in told] == ["folders/docs/a"] * 101
    assert "to be read" in told[0][1]
    assert "the rest is not written" in told[-1][1]


# Paths.

BAD_PATHS = {
    "empty": "",
    "no-root": "a",
    "absolute": "/etc/passwd",
    "other-root": "etc/passwd",
    "dots": "data/../artifacts/a",
    "dot": "data/./a",
    "empty-name": "data//a",
    "trailing": "data/a/",
    "nul": "data/a\0b",
    "escape": "data/\x1b[2J",
    "line": "data/a\nb",
    "delete": "data/a\x7f",
    "c1": "data/a\x9b",
    "next-line": "data/a\x85",
    "separator": "data/a\u2028b/c",
    "override": "artifacts/\u202egpj.exe",
    "isolate": "data/\u2066a",
    "zero-width": "data/a\u200bb",
    "tag": "data/a\U000e0041",
    "backslash": "data/a\\..\\b",
    "long-name": "data/" + "x" * 256,
    "long-name-utf8": "data/" + "ż" * 128,
    "deep": "data" + "/a" * (MAX_DEPTH + 1),
    "long": "data/" + "x" * 1_000_000,
    "surrogate": "data/\ud800",
    "root-dots": "..",
    "up": "../data/a",
    "case": "Data/a",
}


@pytest.mark.parametrize("path", BAD_PATHS.values(), ids=BAD_PATHS)
def test_a_path_that_is_none_is_refused(place: Place, path: str) -> None:
    files = place.files()
    for function, *arguments in (
        (files.read, 0, 1),
        (files.stat,),
        (files.list_folder,),
        (files.write, 0, b"x"),
        (files.make_folder,),
        (files.remove,),
        (files.rename, "data/x"),
        (files.host_path,),
    ):
        error = refusal(function, path, *arguments)
        assert error.kind is ErrorKind.INVALID_REQUEST
        assert len(error.message) < 1000
    assert os.listdir(place.mine) == []


names = st.text(st.sampled_from("ab./\\\0ż\ud800\x1b\n\u202e\u200d"), max_size=6)


@given(st.lists(st.one_of(names, st.sampled_from(["data", "artifacts", "folders", ".", ".."]))))
def test_whatever_is_parsed_stays_below_its_root(pieces: list[str]) -> None:
    text = "/".join(pieces)
    try:
        path = PluginPath.parse(text)
    except PluginCallError:
        return
    assert "/".join([path.root, *path.names]) == text
    assert not hidden_in(text)
    assert os.path.normpath(os.path.join("/top", text)) == f"/top/{text}"


@given(WITH_HALVES)
def test_an_error_of_a_path_shows_nothing_hidden(text: str) -> None:
    with suppress(PluginCallError):
        assert not hidden_in(str(PluginPath.parse(f"data/{text}")))
        return
    assert not hidden_in(refusal(PluginPath.parse, f"data/{text}").message)


def test_what_no_path_can_name_is_not_listed(place: Place) -> None:
    for name in ("a", "b\x1b", "c\u202e", "d\ne", "f\\g", "❤\ufe0f"):
        (place.docs / name).touch()
    listed = [one.name for one in place.files().list_folder("folders/docs")]
    assert listed == ["a", "❤\ufe0f"]


MISUSES: dict[str, tuple[str, tuple[Any, ...], ErrorKind]] = {
    "read-none": ("read", ("data/none", 0, 1), ErrorKind.NOT_FOUND),
    "read-in-none": ("read", ("data/none/x", 0, 1), ErrorKind.NOT_FOUND),
    "stat-none": ("stat", ("data/none",), ErrorKind.NOT_FOUND),
    "list-none": ("list_folder", ("data/none",), ErrorKind.NOT_FOUND),
    "remove-none": ("remove", ("data/none",), ErrorKind.NOT_FOUND),
    "resize-none": ("resize", ("data/none", 0), ErrorKind.NOT_FOUND),
    "rename-none": ("rename", ("data/none", "data/x"), ErrorKind.NOT_FOUND),
    "rename-into-none": ("rename", ("data/file", "data/none/x"), ErrorKind.NOT_FOUND),
    "write-in-none": ("write", ("data/none/x", 0, b"x"), ErrorKind.NOT_FOUND),
    "read-folder": ("read", ("data/folder", 0, 1), ErrorKind.INVALID_REQUEST),
    "write-folder": ("write", ("data/folder", 0, b"x"), ErrorKind.INVALID_REQUEST),
    "resize-folder": ("resize", ("data/folder", 0), ErrorKind.INVALID_REQUEST),
    "list-file": ("list_folder", ("data/file",), ErrorKind.INVALID_REQUEST),
    "below-file": ("read", ("data/file/x", 0, 1), ErrorKind.INVALID_REQUEST),
    "read-root": ("read", ("data", 0, 1), ErrorKind.INVALID_REQUEST),
    "write-root": ("write", ("data", 0, b""), ErrorKind.INVALID_REQUEST),
    "remove-root": ("remove", ("data",), ErrorKind.INVALID_REQUEST),
    "make-root": ("make_folder", ("data",), ErrorKind.INVALID_REQUEST),
    "rename-root": ("rename", ("data", "data/x"), ErrorKind.INVALID_REQUEST),
    "no-folder": ("list_folder", ("folders/",), ErrorKind.INVALID_REQUEST),
    "make-twice": ("make_folder", ("data/folder",), ErrorKind.INVALID_REQUEST),
    "remove-full": ("remove", ("data/full",), ErrorKind.INVALID_REQUEST),
    "rename-over-folder": ("rename", ("data/file", "data/folder"), ErrorKind.INVALID_REQUEST),
    "rename-folder-over": ("rename", ("data/folder", "data/file"), ErrorKind.INVALID_REQUEST),
    "rename-into-itself": ("rename", ("data/full", "data/full/x"), ErrorKind.INVALID_REQUEST),
    "rename-across": ("rename", ("data/file", "artifacts/x"), ErrorKind.INVALID_REQUEST),
    "beyond-the-end": ("write", ("data/file", 6, b"x"), ErrorKind.INVALID_REQUEST),
    "beyond-nothing": ("write", ("data/none", 1, b"x"), ErrorKind.INVALID_REQUEST),
    "negative": ("read", ("data/file", -1, 1), ErrorKind.INVALID_REQUEST),
    "negative-write": ("write", ("data/file", -1, b"x"), ErrorKind.INVALID_REQUEST),
    "negative-size": ("resize", ("data/file", -1), ErrorKind.INVALID_REQUEST),
    "huge-size": ("resize", ("data/file", 2**64), ErrorKind.PERMISSION_DENIED),
    "huge-offset": ("write", ("data/file", 2**64, b"x"), ErrorKind.INVALID_REQUEST),
    "host-path-of-data": ("host_path", ("data/file",), ErrorKind.INVALID_REQUEST),
    "host-path-of-none": ("host_path", ("artifacts/none",), ErrorKind.NOT_FOUND),
    "host-path-of-root": ("host_path", ("artifacts",), ErrorKind.INVALID_REQUEST),
}


@pytest.mark.parametrize(("function", "arguments", "kind"), MISUSES.values(), ids=MISUSES)
def test_a_misuse_is_told_and_changes_nothing(
    place: Place, function: str, arguments: tuple[Any, ...], kind: ErrorKind
) -> None:
    plugin = place.plugin()
    files = plugin.open()
    files.write("data/file", 0, b"hello")
    files.make_folder("data/folder")
    files.make_folder("data/full")
    files.write("data/full/a", 0, b"a")
    error = refusal(getattr(files, function), *arguments)
    assert error.kind is kind
    assert str(place.data) not in error.message
    assert files.read("data/file", 0, 9) == b"hello"
    assert sorted(os.listdir(place.mine)) == ["file", "folder", "full"]
    assert plugin.data is not None
    assert (plugin.data.used.bytes, plugin.data.used.files) == (6, 4)


# Links, devices, and whoever changes the tree meanwhile.


def _symlink(at: Path, outside: Path) -> None:
    at.symlink_to(outside / "secret")


def _dangling(at: Path, outside: Path) -> None:
    at.symlink_to(outside / "made")


def _folder_link(at: Path, outside: Path) -> None:
    at.symlink_to(outside, target_is_directory=True)


def _fifo(at: Path, outside: Path) -> None:
    os.mkfifo(at)


def _socket(at: Path, outside: Path) -> None:
    before = os.getcwd()
    os.chdir(at.parent)  # the name of a socket is short
    try:
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(at.name)
    finally:
        os.chdir(before)


def _device(at: Path, outside: Path) -> None:
    try:
        os.mknod(at, 0o600 | modes.S_IFCHR, os.makedev(1, 5))  # /dev/zero
    except PermissionError:
        pytest.skip("only root makes devices")


@pytest.mark.parametrize("make", [_symlink, _dangling, _folder_link, _fifo, _socket, _device])
@pytest.mark.parametrize("root", ["data", "artifacts", "folders/docs"])
def test_what_is_no_file_is_not_touched(
    place: Place, root: str, make: Callable[[Path, Path], None]
) -> None:
    files = place.files()
    if root == "artifacts":
        files.write("artifacts/a", 0, b"x")
        folder = files.host_path("artifacts/a")[0].parent
    else:
        folder = place.mine if root == "data" else place.docs
        (folder / "a").write_bytes(b"x")
    make(folder / "odd", place.outside)
    path = f"{root}/odd"
    attempts: list[tuple[Any, ...]] = [
        (files.read, path, 0, 1),
        (files.stat, path),
        (files.list_folder, path),
        (files.read, f"{path}/secret", 0, 1),
        (files.write, path, 0, b"x"),
        (files.write, f"{path}/made", 0, b"x"),
        (files.resize, path, 0),
        (files.sync, path),
        (files.make_folder, path),
        (files.make_folder, f"{path}/made"),
        (files.remove, path),
        (files.remove, f"{path}/secret"),
        (files.rename, path, f"{root}/b"),
        (files.rename, f"{root}/a", path),
        (files.rename, f"{root}/a", f"{path}/a"),
        (files.host_path, path),
    ]
    for function, *arguments in attempts:
        error = refusal(function, *arguments)
        assert error.kind in (ErrorKind.PERMISSION_DENIED, ErrorKind.INVALID_REQUEST), arguments
    assert [one.name for one in files.list_folder(root)] == ["a"]
    assert os.listdir(place.outside) == ["secret"]
    assert (place.outside / "secret").read_bytes() == b"secret"


@pytest.mark.parametrize("root", ["data", "artifacts"])
def test_a_file_with_another_name_is_not_written(place: Place, root: str) -> None:
    files = place.files()
    files.write(f"{root}/a", 0, b"x")
    mine = place.mine if root == "data" else files.host_path("artifacts/a")[0].parent
    os.link(place.outside / "secret", mine / "linked")
    for function, *arguments in ((files.write, 0, b"x"), (files.resize, 0), (files.write, 0, b"")):
        error = refusal(function, f"{root}/linked", *arguments)
        assert error.kind is ErrorKind.PERMISSION_DENIED
        assert "2 names" in error.message
    if root == "artifacts":
        refusal(files.host_path, "artifacts/linked")
    assert (place.outside / "secret").read_bytes() == b"secret"


def test_a_folder_that_is_swapped_for_a_link_leads_nowhere(place: Place) -> None:
    files = place.files()
    files.make_folder("data/a")
    done = threading.Event()
    real, aside, link = place.mine / "a", place.mine / "aside", place.mine / "link"
    link.symlink_to(place.outside, target_is_directory=True)

    def swap() -> None:
        while not done.is_set():
            real.rename(aside)
            link.rename(real)
            real.rename(link)
            aside.rename(real)

    swapping = threading.Thread(target=swap)
    swapping.start()
    refused = written = 0
    try:
        for i in range(3_000):
            for function, *arguments in (
                (files.write, "data/a/secret", 0, b"mine"),
                (files.read, "data/a/secret", 0, 10),
                (files.remove, "data/a/secret"),
            ):
                try:
                    assert function(*arguments) in (None, b"mine")
                    written += 1
                except PluginCallError:
                    refused += 1
            if i >= 300 and refused and written:
                break
    finally:
        done.set()
        swapping.join()
    assert refused
    assert written
    assert os.listdir(place.outside) == ["secret"]
    assert (place.outside / "secret").read_bytes() == b"secret"


def test_a_root_that_is_replaced_is_not_the_root(place: Place) -> None:
    files = place.files()
    files.write("data/a", 0, b"mine")
    files.write("artifacts/a", 0, b"mine")
    (place.docs / "a").write_bytes(b"theirs")
    for root in (place.mine, place.docs, files.host_path("artifacts/a")[0].parent):
        root.rename(root.with_name("away"))
        root.symlink_to(place.outside, target_is_directory=True)
    for root in ("data", "artifacts", "folders/docs"):
        refusal(files.read, f"{root}/secret", 0, 1)
        assert files.read(f"{root}/a", 0, 9) in (b"mine", b"theirs")
    files.write("data/b", 0, b"b")
    assert os.listdir(place.outside) == ["secret"]


@pytest.mark.parametrize("kind", ["link", "file", "open-to-others"])
def test_a_data_folder_that_is_not_its_own_is_refused(place: Place, kind: str) -> None:
    place.data.mkdir()
    if kind == "link":
        place.mine.symlink_to(place.outside, target_is_directory=True)
    elif kind == "file":
        place.mine.write_bytes(b"")
    else:
        place.mine.mkdir()
        place.mine.chmod(0o777)
    with pytest.raises(FilesError, match="data folder"):
        place.plugin()


def test_a_folder_that_is_not_there_is_told_at_the_load(place: Place) -> None:
    with pytest.raises(FilesError, match=r"'docs'.*No such file"):
        place.plugin(granted=FilesGrant(folders={"docs": place.docs / "none"}))


# Quotas.

FILL = QUOTA.bytes


def test_the_quota_of_bytes_is_exact(place: Place) -> None:
    plugin = place.plugin()
    files = plugin.open()
    files.write("data/a", 0, b"x" * (FILL - 10))
    for function, *arguments in (
        (files.write, "data/a", FILL - 10, b"x" * 11),
        (files.write, "data/b", 0, b"x" * 11),
        (files.resize, "data/a", FILL + 1),
    ):
        error = refusal(function, *arguments)
        assert error.kind is ErrorKind.PERMISSION_DENIED
        for word in ("plugin 'p'", "10,000 bytes", "9,990", "11 more", "data = { bytes = … }"):
            assert word in error.message
    assert os.listdir(place.mine) == ["a"]
    assert files.stat("data/a").size == FILL - 10
    files.write("data/a", 0, b"y" * (FILL - 10))  # what is there already is written over
    files.resize("data/a", FILL)  # a hole is counted
    refusal(files.write, "data/b", 0, b"x")
    files.write("data/b", 0, b"")
    files.resize("data/a", 1)
    files.write("data/c", 0, b"x" * (FILL - 1))
    files.remove("data/c")
    files.rename("data/a", "data/b")
    files.write("data/c", 0, b"x" * (FILL - 1))
    assert plugin.data is not None
    assert (plugin.data.used.bytes, plugin.data.used.files) == (FILL, 2)
    files.write("artifacts/a", 0, b"x" * FILL)  # which has one of its own


def test_the_quota_of_files_is_exact(place: Place) -> None:
    files = place.files()
    for i in range(QUOTA.files):
        if i % 2:
            files.make_folder(f"data/{i}")
        else:
            files.write(f"data/{i}", 0, b"")
    for function, *arguments in ((files.write, "data/x", 0, b""), (files.make_folder, "data/x")):
        error = refusal(function, *arguments)
        assert error.kind is ErrorKind.PERMISSION_DENIED
        assert "20 files and folders" in error.message
        assert "data = { files = … }" in error.message
    files.rename("data/0", "data/2")
    files.make_folder("data/x")
    refusal(files.make_folder, "data/y")


def test_the_quota_is_exact_whoever_writes_at_once(place: Place) -> None:
    plugins = [place.plugin() for _ in range(2)]  # loaded twice: one folder, one quota
    one_quota = FolderQuota(bytes=FILL, files=1_000)
    for one in plugins:
        one.granted = FilesGrant(data=one_quota)

    def fill(thread: int) -> int:
        files = plugins[thread % 2].open()
        written = 0
        for i in range(100):
            try:
                if i % 3 == 0:
                    files.write(f"data/{thread}", written, b"x" * 37)
                else:
                    files.resize(f"data/{thread}", written + 37)
                written += 37
            except PluginCallError:
                continue
        return written

    with ThreadPoolExecutor(8) as threads:
        written = sum(threads.map(fill, range(8)))
    sizes = sum(one.stat().st_size for one in place.mine.iterdir())
    assert written == sizes == FILL // 37 * 37
    assert plugins[0].data is plugins[1].data
    assert plugins[0].data is not None
    assert plugins[0].data.used.bytes == sizes


def test_a_lower_quota_holds_for_what_is_there(place: Place) -> None:
    first = place.plugin()
    first.open().write("data/a", 0, b"x" * 1_000)
    first.close()
    granted = FilesGrant(data=FolderQuota(bytes=100, files=1))
    again = place.plugin(granted=granted, host=DataFolders(place.data))
    files = again.open()
    refusal(files.write, "data/a", 1_000, b"x")
    files.write("data/a", 0, b"y")
    files.resize("data/a", 99)
    files.write("data/a", 99, b"x")
    refusal(files.write, "data/a", 100, b"x")
    again.close()


def test_nothing_gets_deeper_than_paths_go(place: Place) -> None:
    files = place.files(granted=FilesGrant(data=FolderQuota(files=1_000)))
    for top in ("a", "b"):
        for depth in range(MAX_DEPTH - 1):
            files.make_folder("data" + f"/{top}" * (depth + 1))
    error = refusal(files.rename, "data/a", "data" + "/b" * (MAX_DEPTH - 1) + "/a")
    assert error.kind is ErrorKind.INVALID_REQUEST
    files.rename("data/a", "data/b/a")


def test_a_full_disk_is_told_and_changes_nothing(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    from orchestrator_plugin_host.capabilities.files import writing

    plugin = place.plugin()
    files = plugin.open()
    files.write("data/a", 0, b"hello")
    files.write("artifacts/a", 0, b"hello")

    def full(file: int, offset: int, length: int) -> None:
        os.ftruncate(file, offset + length)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(writing, "_allocate", full)
    for path, offset in (("data/a", 3), ("data/b", 0), ("artifacts/a", 3), ("artifacts/b", 0)):
        error = refusal(files.write, path, offset, b"x" * 100)
        assert error.kind is ErrorKind.UNAVAILABLE
        assert "No space left" in error.message
    assert files.read("data/a", 0, 99) == b"hello"
    assert os.listdir(place.mine) == ["a"]
    assert total_of(plugin) == (5, 1)


# The quota of all calls.


def many(place: Place, bytes: int = 100, files: int = 6, **how: Any) -> PluginFiles:
    """A plugin whose artifacts have a total."""
    total = FolderQuota(bytes=bytes, files=files)
    granted = FilesGrant(data=QUOTA, artifacts=QUOTA, artifacts_total=total)
    return place.plugin(granted=granted, **how)


def total_of(plugin: PluginFiles) -> tuple[int, int]:
    assert plugin.artifacts is not None
    used = plugin.artifacts.total.used
    return used.bytes, used.files


def test_calls_share_a_total(place: Place) -> None:
    plugin = many(place)
    one, other = plugin.open(), plugin.open()
    one.write("artifacts/a", 0, b"x" * 60)
    one.close()
    error = refusal(other.write, "artifacts/a", 0, b"x" * 41)
    assert error.kind is ErrorKind.PERMISSION_DENIED
    for word in (
        "plugin 'p' may have 100 bytes in the artifacts of all its calls together",
        "has 60, and wanted 41 more",
        "unloaded",
        "[plugins.p.files]\n  artifacts_total = { bytes = … }",
    ):
        assert word in error.message
    other.write("artifacts/a", 0, b"x" * 40)
    refusal(other.resize, "artifacts/a", 41)
    other.resize("artifacts/a", 10)
    other.write("artifacts/b", 0, b"x" * 30)
    other.remove("artifacts/b")
    for i in range(4):
        other.make_folder(f"artifacts/{i}")
    assert "6 files and folders" in refusal(other.make_folder, "artifacts/x").message
    assert total_of(plugin) == (70, 6)
    many(place, name="q").open().write("artifacts/a", 0, b"x" * 100)  # which has its own
    other.write("data/a", 0, b"x" * 1_000)  # of which artifacts are no part


def test_without_a_total_there_is_room_for_sixteen_calls(place: Place) -> None:
    plugin = place.plugin()
    for _ in range(16):
        files = plugin.open()
        files.write("artifacts/a", 0, b"x" * QUOTA.bytes)
        files.close()
    error = refusal(plugin.open().write, "artifacts/a", 0, b"x")
    assert "160,000 bytes" in error.message


def test_what_a_call_that_failed_has_made_counts_until_it_is_removed(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    from orchestrator_plugin_host.capabilities.files import artifacts

    go_on = threading.Event()
    real = artifacts.PluginArtifacts._remove

    def slow(self: Any, name: str, tree: Any) -> None:
        go_on.wait(60)
        real(self, name, tree)

    monkeypatch.setattr(artifacts.PluginArtifacts, "_remove", slow)
    plugin = many(place)
    failed = plugin.open()
    failed.write("artifacts/a", 0, b"x" * 60)
    failed.close(keep=False)
    refusal(plugin.open().write, "artifacts/a", 0, b"x" * 41)
    go_on.set()
    place.removals.close()
    plugin.open().write("artifacts/a", 0, b"x" * 41)


def test_artifacts_end_with_their_plugin(place: Place) -> None:
    plugin, other = place.plugin(), place.plugin()
    paths = []
    for one in (plugin, plugin, other):
        files = one.open()
        files.write("artifacts/a", 0, b"x")
        paths.append(files.host_path("artifacts/a")[0])
        files.close()
    under_way = plugin.open()
    under_way.write("artifacts/a", 0, b"x")
    paths.append(under_way.host_path("artifacts/a")[0])
    place.removals.close()
    assert all(path.exists() for path in paths)  # the caller finds them until then
    plugin.close()
    refusal(under_way.write, "artifacts/b", 0, b"x")
    refusal(plugin.open().write, "artifacts/b", 0, b"x")
    under_way.close()  # a guest that could not be stopped
    place.removals.close()
    assert [path.exists() for path in paths] == [False, False, True, False]
    assert len(list((place.artifacts / "p").iterdir())) == 1


def test_the_operator_may_keep_artifacts(place: Place) -> None:
    plugin = many(place, keep_artifacts=True)
    files = plugin.open()
    files.write("artifacts/a", 0, b"x" * 60)
    path, _ = files.host_path("artifacts/a")
    files.close()
    refusal(plugin.open().write, "artifacts/a", 0, b"x" * 41)
    path.unlink()
    path.parent.rmdir()  # taken by the caller: there is room again
    files = plugin.open()
    files.write("artifacts/a", 0, b"x" * 100)
    path, _ = files.host_path("artifacts/a")
    files.close()
    plugin.close()
    place.removals.close()
    assert path.read_bytes() == b"x" * 100


def test_the_total_is_exact_whoever_writes_at_once(place: Place) -> None:
    plugin = many(place, bytes=5_000, files=1_000)

    def fill(thread: int) -> int:
        files, written = plugin.open(), 0
        for i in range(100):
            try:
                if i % 3 == 0:
                    files.write("artifacts/a", written, b"x" * 37)
                else:
                    files.resize("artifacts/a", written + 37)
                written += 37
            except PluginCallError:
                continue
        files.close()
        return written

    with ThreadPoolExecutor(8) as threads:
        written = sum(threads.map(fill, range(8)))
    place.removals.close()  # of the folders of those who came too late
    sizes = sum(one.stat().st_size for one in place.artifacts.rglob("a"))
    assert written == sizes == 5_000 // 37 * 37 == total_of(plugin)[0]


PATHS = st.sampled_from([f"artifacts/{name}" for name in ("a", "b", "d", "d/a", "d/e", "d/e/a")])
SIZES = st.integers(0, 40)
CHANGES = st.one_of(
    st.tuples(st.just("write"), PATHS, SIZES, SIZES.map(bytes)),
    st.tuples(st.just("resize"), PATHS, SIZES),
    st.tuples(st.just("make_folder"), PATHS),
    st.tuples(st.just("remove"), PATHS),
    st.tuples(st.just("rename"), PATHS, PATHS),
)


@given(st.lists(st.lists(CHANGES, max_size=25), min_size=1, max_size=3), st.booleans())
def test_what_is_counted_is_what_is_there(calls: list[list[Any]], keep: bool) -> None:
    """Whatever calls do, the quota of each and the total know what lies on the disk, and hold."""
    with tempfile.TemporaryDirectory() as scratch:
        place = Place(Path(scratch))
        quota, total = FolderQuota(bytes=60, files=4), FolderQuota(bytes=100, files=7)
        granted = FilesGrant(artifacts=quota, artifacts_total=total)
        plugin = place.plugin(FilesRequirement(artifacts=True), granted)
        for changes in calls:
            files = plugin.open()
            for name, *arguments in changes:
                with suppress(PluginCallError):
                    getattr(files, name)(*arguments)
            tree = files._artifacts and files._artifacts.tree()
            if tree:
                assert tree.used.bytes <= quota.bytes
                assert tree.used.files <= quota.files
                assert (tree.used.bytes, tree.used.files) == _lies_in(files._artifacts.on_host())
            assert total_of(plugin) == _lies_in(*place.artifacts.glob("p/*"))
            files.close(keep=keep)
            place.removals.close()
            assert total_of(plugin) == _lies_in(*place.artifacts.glob("p/*"))
        assert total_of(plugin)[0] <= total.bytes
        place.close()


def _lies_in(*folders: Path) -> tuple[int, int]:
    found = [one for folder in folders for one in folder.rglob("*")]
    return sum(one.stat().st_size for one in found if one.is_file()), len(found)


# Removals.


def test_closing_does_not_wait_for_many_files() -> None:
    """And the interpreter does not end before they are removed."""
    program = """
import os, sys, threading
from orchestrator_plugin_host.capabilities.files import removals
from orchestrator_plugin_host.capabilities.files.removals import Removals
removals._MOMENT_SECONDS = 0.01
go_on = threading.Event()
def remove():
    go_on.wait(60)
    os.write(1, b"removed\\n")
made = Removals()
made.add(remove, 1)
made.close()
os.write(1, b"closed\\n")
go_on.set()
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert done.stdout == b"closed\nremoved\n"


# Hosts.


def test_loads_of_one_host_share_a_folder(place: Place) -> None:
    one, other = place.plugin(), place.plugin()
    one.open().write("data/a", 0, b"x")
    one.close()
    assert other.open().read("data/a", 0, 9) == b"x"
    with pytest.raises(FilesError, match="another host"):
        place.plugin(host=DataFolders(place.data))
    other.close()
    place.plugin(host=DataFolders(place.data))


HOLDER = """
import sys
from pathlib import Path
from orchestrator_plugin_host.capabilities.files.data import DataFolders
tree = DataFolders(Path(sys.argv[1])).taken("p", sys.argv[2])
print("taken", flush=True)
sys.stdin.read()
"""


def test_one_process_has_a_data_folder_at_a_time(place: Place) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(place.data), OWNER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"taken\n"
        with pytest.raises(FilesError) as caught:
            place.plugin()
        for word in ("plugin 'p'", str(place.mine), "another host", "ORCHESTRATOR_PLUGIN_DATA"):
            assert word in str(caught.value)
        place.plugin(name="q")
        holder.kill()  # whatever way it ends
    place.plugin()


def test_no_descriptor_is_left(place: Place) -> None:
    before = len(os.listdir("/proc/self/fd"))
    plugin = place.plugin()
    files = plugin.open()
    files.make_folder("data/a")
    files.write("artifacts/a", 0, b"x")
    for function, *arguments in (
        (files.read, "data/a", 0, 1),
        (files.read, "data/a/b/c", 0, 1),
        (files.write, "data/a", 0, b""),
        (files.list_folder, "artifacts/a"),
        (files.rename, "data/a", "data/x/y"),
    ):
        refusal(function, *arguments)
    files.close()
    plugin.close()
    place.removals.close()
    with tempfile.TemporaryDirectory() as other, pytest.raises(FilesError):
        PluginFiles(
            "p",
            OWNER,
            ASKED,
            FilesGrant(data=QUOTA, folders={"docs": place.docs / "none"}),
            DataFolders(Path(other)),
            place.artifacts,
            place.removals,
        )
    assert len(os.listdir("/proc/self/fd")) == before
