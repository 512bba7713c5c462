"""`policy pin`: a digest gets into a policy file, and everything else there stays as it is."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from orchestrator_plugin_host import read_component, read_policy
from orchestrator_plugin_host.cli.policy_file import with_digest
from support.guests import Guest

from .conftest import Command

NAME = "wat-guest"
OLD = "0" * 64
COMPONENT = Guest(data=b"pinned").build()
DIGEST = read_component(COMPONENT).digest

# Ways in which a policy may be laid out. Each has the plugin, and something after it.
LAYOUTS = {
    "table": '# why\n[plugins.wat-guest]  # ours\nwasi = "core" # of it\n\n# more\n[default]\n',
    "pinned": f'[plugins.wat-guest]\nwasi = "core"\ndigest = "{OLD}" # 1.0\n[plugins.other]\n',
    "pinned with a prefix": f"[plugins.wat-guest]\ndigest = 'sha256:{OLD}'\n",
    "tables below it": '[[plugins.wat-guest.http]]\nurl = "https://a.com" # a\n\n[default]\n',
    "limits below it": "[plugins.wat-guest.limits]\nfuel = 5\n\n[plugins.b]\n# empty\n",
    "before and after": (
        '[plugins.a]\nwasi = "core"\n[default]\n# none\n'
        '[plugins.wat-guest.files]\ndata = {}\n[plugins.c]\nwasi = "none"\n'
    ),
    "inline": 'plugins = { wat-guest = { wasi = "core" }, b = {} } # all\n[default]\n',
    "dotted": 'plugins.wat-guest.wasi = "core"\n[default]\nwasi = "none"\n',
    "in one table": '[plugins]\nwat-guest = { wasi = "core" } # a\nb = {}\n',
    "dotted in one": '[plugins]\nwat-guest.wasi = "core" # a\nb.wasi = "none"\n',
    "quoted": '["plugins"."wat-guest"]\nwasi = "core"\n',
    "empty": "[plugins.wat-guest]\n",
    "no newline": '[plugins.wat-guest]\nwasi = "core"',
    "other ends of lines": '# a\r\n[plugins.wat-guest]\r\nwasi = "core"\r\n',
    "not named": '# a\n[default]\nwasi = "core" # b\n',
    "another": '[plugins.b]\nwasi = "core"\n\n[default]\n# at the end\n',
    "nothing": "",
    "a comment": "# to be written",
}


def comments(text: str) -> list[str]:
    return [line[line.index("#") :].rstrip() for line in text.splitlines() if "#" in line]


def without_digest(document: dict[str, Any]) -> dict[str, Any]:
    plugins = {
        name: {key: value for key, value in one.items() if key != "digest"}
        for name, one in document.get("plugins", {}).items()
    }
    plugins.setdefault(NAME, {})
    return {**document, "plugins": plugins}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_digest_is_added_and_nothing_else_changes(layout: str) -> None:
    before = LAYOUTS[layout]
    after = with_digest(before, NAME, DIGEST)
    read = tomllib.loads(after)
    assert read["plugins"][NAME]["digest"] == f"sha256:{DIGEST}"
    assert without_digest(read) == without_digest(tomllib.loads(before))
    assert comments(after) == comments(before)
    kept = [
        line for line in before.splitlines() if "digest" not in line and "wat-guest" not in line
    ]
    lines = after.splitlines()
    positions = [lines.index(line) for line in kept if line]
    assert positions == sorted(positions), "the order of the lines"
    assert with_digest(after, NAME, DIGEST) == after


TABLES = st.sampled_from(
    [
        "[default]\nwasi = 'core' # d",
        "[default.limits]\nfuel = 5",
        "[plugins.a]\nwasi = 'core'",
        "[[plugins.a.http]]\nurl = 'https://a.com'",
        "[plugins.a.secrets]\nkey = { env = 'KEY' }",
        "[plugins.wat-guest]\nwasi = 'core' # w",
        f"[plugins.wat-guest]\ndigest = '{OLD}' # o",
        "[[plugins.wat-guest.http]]\nurl = 'https://a.com'\n# h",
        "[[plugins.wat-guest.http]]\nurl = 'https://b.com'",
        "[plugins.wat-guest.files]\ndata = {}",
        "[plugins.wat-guest.limits]\nfuel = 5",
        "# alone",
        "",
    ]
)


@given(st.lists(TABLES, max_size=7), st.sampled_from(["\n", "\n\n"]))
def test_in_whatever_order_tables_stand_it_is_added(tables: list[str], between: str) -> None:
    before = between.join(tables)
    try:
        document = tomllib.loads(before)
    except ValueError:  # a table twice
        return
    after = with_digest(before, NAME, DIGEST)
    read = tomllib.loads(after)
    assert read["plugins"][NAME]["digest"] == f"sha256:{DIGEST}"
    assert without_digest(read) == without_digest(document)
    assert sorted(comments(after)) == sorted(comments(before))


def test_a_comment_stays_above_the_table_that_it_is_about() -> None:
    before = '[plugins.wat-guest]\nwasi = "core"\n\n# about b\n[plugins.b]\n'
    assert "# about b\n[plugins.b]" in with_digest(before, NAME, DIGEST)


def test_a_header_in_a_text_is_none() -> None:
    text = '"""\n[plugins.wat-guest]\n"""'
    before = f"[plugins.wat-guest.secrets]\nkey = {{ env = {text} }}\n"
    read = tomllib.loads(with_digest(before, NAME, DIGEST))
    assert read["plugins"][NAME]["digest"] == f"sha256:{DIGEST}"
    assert read["plugins"][NAME]["secrets"] == {"key": {"env": "[plugins.wat-guest]\n"}}


@pytest.fixture
def component(tmp_path: Path) -> Path:
    path = tmp_path / "guest.wasm"
    path.write_bytes(COMPONENT)
    return path


def test_without_a_policy_the_lines_are_printed(command: Command, component: Path) -> None:
    done = command("policy", "pin", component)
    assert done.code == 0
    assert done.out == f'[plugins.{NAME}]\ndigest = "sha256:{DIGEST}"\n'
    done = command("policy", "pin", component, "--json")
    assert done.document == {"plugin": NAME, "digest": f"sha256:{DIGEST}"}


def test_a_file_is_pinned_and_an_old_digest_is_said(
    command: Command, component: Path, tmp_path: Path
) -> None:
    path = tmp_path / "policy.toml"
    path.write_text(LAYOUTS["pinned"])
    path.chmod(0o640)
    done = command("policy", "pin", component, "--policy", path)
    assert done.code == 0
    assert done.out == f"{NAME}: sha256:{OLD} → sha256:{DIGEST}\n"
    assert read_policy(path).of(NAME).digest == DIGEST
    assert path.read_text() == LAYOUTS["pinned"].replace(OLD, f"sha256:{DIGEST}")
    assert path.stat().st_mode & 0o777 == 0o640
    assert sorted(one.name for one in tmp_path.iterdir()) == ["guest.wasm", "policy.toml"]
    again = command("policy", "pin", component, "--policy", path)
    assert again.out == f"{NAME}: sha256:{DIGEST} already\n"
    path.write_text(LAYOUTS["pinned"])
    done = command("policy", "pin", component, "--policy", path, "--json")
    assert done.document == {
        "plugin": NAME,
        "digest": f"sha256:{DIGEST}",
        "before": f"sha256:{OLD}",
    }


def test_a_link_to_a_policy_stays_one(command: Command, component: Path, tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    real, link = tmp_path / "etc" / "policy.toml", tmp_path / "policy.toml"
    real.write_text("[default]\n")
    link.symlink_to(real)
    assert command("policy", "pin", component, "--policy", link).code == 0
    assert link.is_symlink()
    assert read_policy(real).of(NAME).digest == DIGEST


def test_a_plugin_that_was_not_named_loses_the_default_and_that_is_said(
    command: Command, component: Path, tmp_path: Path
) -> None:
    path = tmp_path / "policy.toml"
    path.write_text(LAYOUTS["not named"])
    done = command("policy", "pin", component, "--policy", path)
    assert done.code == 0
    assert "gets nothing of [default] any more" in done.err.replace("\n", " ")
    assert "wasi" in done.err
    path.write_text(LAYOUTS["another"])
    assert command("policy", "pin", component, "--policy", path).err == ""


@pytest.mark.parametrize("text", ["[default]\nwasy = 1\n", "[default"])
def test_a_policy_that_is_not_valid_is_left_alone(
    command: Command, component: Path, tmp_path: Path, text: str
) -> None:
    path = tmp_path / "policy.toml"
    path.write_text(text)
    done = command("policy", "pin", component, "--policy", path, "--json")
    assert done.code == 1
    assert done.error["type"] == "PolicyError"
    assert path.read_text() == text


def test_what_is_no_component_is_not_pinned(command: Command, tmp_path: Path) -> None:
    path = tmp_path / "policy.toml"
    path.write_text("")
    (tmp_path / "x.wasm").write_bytes(b"\0asm\x0d\0\1\0")
    for source in (tmp_path / "x.wasm", tmp_path / "none.wasm"):
        done = command("policy", "pin", source, "--policy", path, "--json")
        assert done.code == 1
    assert path.read_text() == ""


def test_the_policy_of_a_check_says_what_is_not_pinned(command: Command, tmp_path: Path) -> None:
    path = tmp_path / "policy.toml"
    path.write_text(
        "[default]\nwasi = 'core'\n"
        f"[plugins.a]\ndigest = '{OLD}'\nwasi = 'core'\n"
        "[plugins.b.files]\ndata = {}\n"
        "[plugins.c.limits]\nfuel = 5\n"
    )
    done = command("policy", "check", path, "--json")
    assert done.document["unpinned"] == [
        {"table": "default", "grants": ["wasi"]},
        {"table": "plugins.b", "grants": ["files"]},
    ]
    shown = command("policy", "check", path)
    assert "✗ [default] names no digest: it grants wasi to any plugin" in shown.out
    assert "✗ [plugins.b] names no digest: it grants files to any file" in shown.out
    assert "plugins.a]" not in shown.out
    assert "policy pin FILE --policy" in shown.err
    path.write_text(f"[plugins.a]\ndigest = '{OLD}'\nwasi = 'core'\n")
    assert command("policy", "check", path, "--json").document["unpinned"] == []
    assert "✗" not in command("policy", "check", path).out


def test_inspect_says_whether_the_policy_is_for_this_file(
    command: Command, component: Path, tmp_path: Path
) -> None:
    path = tmp_path / "policy.toml"
    path.write_text(LAYOUTS["table"])
    found = command("inspect", component, "--policy", path, "--json").document["policy"]
    assert (found["grants"], found["pinned"]) == (["wasi"], False)
    assert f'digest = "sha256:{DIGEST}"' in found["unpinned"]
    shown = command("inspect", component, "--policy", path).out
    assert f"✗ plugin '{NAME}' is not pinned" in shown
    command("policy", "pin", component, "--policy", path)
    found = command("inspect", component, "--policy", path, "--json").document["policy"]
    assert found == {"grants": ["wasi"], "pinned": True, "unpinned": None}
    assert (
        "by the digest that the policy names" in command("inspect", component, "--policy", path).out
    )
    found = command("inspect", component, "--json").document["policy"]
    assert found == {"grants": [], "pinned": False, "unpinned": None}
