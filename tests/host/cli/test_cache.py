"""`orchestrator-plugin cache`."""

import pytest
from orchestrator_plugin_host.sandbox.cache import ComponentCache


@pytest.fixture
def folder(tmp_path):
    cache = ComponentCache(tmp_path / "cache")
    cache.put("a", "f", b"code of a")
    cache.put("b", "f", b"code of b")
    return cache.directory


def test_list(command, folder):
    found = command("cache", "list", "--cache", folder, "--json").document
    assert found["directory"] == str(folder)
    assert [entry["size"] for entry in found["entries"]] == [41, 41]
    assert found["size"] == 82
    assert found["entries"][0]["file"].endswith(".cwasm")
    shown = command("cache", "list", "--cache", folder)
    assert shown.code == 0
    assert found["entries"][0]["file"][:16] in shown.out
    assert "2 components" in shown.out


def test_clear(command, folder):
    done = command("cache", "clear", "--cache", folder, "--json")
    assert done.document == {"directory": str(folder), "removed": 2, "freed": 82}
    assert "deleted 0" in command("cache", "clear", "--cache", folder).out


def test_the_folder_of_the_environment(command, cache_directory):
    assert command("cache", "list", "--json").document["directory"] == str(cache_directory)


@pytest.mark.parametrize("name", [".", "missing"])
def test_what_is_no_cache_is_left_alone(command, tmp_path, name):
    tmp_path.chmod(0o755)
    precious = tmp_path / "precious.cwasm"
    precious.write_text("not ours")
    folder = tmp_path / name
    assert command("cache", "list", "--cache", folder, "--json").document["entries"] == []
    assert command("cache", "clear", "--cache", folder, "--json").document["removed"] == 0
    assert precious.read_text() == "not ours"
    assert tmp_path.stat().st_mode & 0o777 == 0o755
    assert sorted(path.name for path in tmp_path.iterdir()) == ["precious.cwasm"]


def test_a_cache_that_is_damaged(command, folder):
    (folder / "secret.key").write_bytes(b"short")
    done = command("cache", "list", "--cache", folder, "--json")
    assert done.code == 1
    assert "damaged" in done.error["message"]
