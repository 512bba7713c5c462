"""Policies: what a file may say, what is wrong with one, and whose policy is whose."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
from orchestrator_plugin_host import (
    Limits,
    PluginHost,
    PluginRefusedError,
    Policy,
    PolicyError,
    PolicyFile,
    read_policy,
)
from orchestrator_plugin_host.admission import admit_component
from orchestrator_plugin_host.capabilities.http.rules import DeniedError, HttpRules
from orchestrator_plugin_host.capabilities.observing import Observations
from orchestrator_plugin_host.component_file import read_component
from orchestrator_plugin_host.suggesting import suggest
from orchestrator_plugin_sdk.origins import Origin
from pydantic import ValidationError
from support.guests import Guest, manifest_of

WHOLE = """
[default]
wasi = "core"

[plugins.chat]
digest = "sha256:{digest}"

[plugins.chat.limits]
deadline_ms = 600000

[[plugins.chat.http]]
url = "https://api.example.com"
methods = ["POST"]

[[plugins.chat.http]]
url = "http://localhost:8080"
methods = ["GET", "POST"]
addresses = ["127.0.0.1", "::1"]

[plugins.chat.secrets]
one = {{ env = "ONE" }}
two = {{ file = "keys/two", urls = ["https://api.example.com"] }}
three = {{ keyring = ["service", "user"] }}

[plugins.chat.files]
data = {{ bytes = 1000000, files = 10 }}
artifacts = {{}}

[plugins.chat.files.folders]
docs = "documents"
"""


def test_a_whole_policy_is_read(tmp_path: Path) -> None:
    path = tmp_path / "policy.toml"
    path.write_text(WHOLE.format(digest="AB" * 32))
    read = read_policy(path)
    chat, other = read.of("chat"), read.of("other")
    assert other == Policy(wasi="core")
    assert chat.wasi == "none"
    assert chat.digest == "ab" * 32
    assert chat.http[1].addresses == ("127.0.0.1", "::1")
    # Paths are of the file's folder, wherever the process is.
    assert chat.secrets["two"].file == tmp_path / "keys/two"
    assert chat.files.folders == {"docs": tmp_path / "documents"}
    assert chat.files.data is not None
    assert chat.files.data.files == 10
    assert chat.files.artifacts is not None


FAULTS = {
    "": None,
    "[plugins.a]\nwasy = 'core'": "plugins.a.wasy: Extra inputs are not permitted",
    "[plugin.a]\n": "plugin: Extra inputs are not permitted",
    "[default]\nwasi = 'all'": "default.wasi: Input should be 'none', 'core' or 'core+filesystem'",
    "[default]\ndigest = 'abc'": "default.digest: Value error, expected a SHA-256",
    "[[default.http]]\nurl = 'api.example.com'": "expected an origin like https://api.example.com",
    "[[default.http]]\nurl = 'https://api.example.com/v1'": "expected an origin like",
    "[[default.http]]\nurl = 'https://*example.com'": "expected a host name",
    "[[default.http]]\nurl = 'https://a.*.com'": "expected a host name",
    "[[default.http]]\nurl = 'https://API.example.com'": "expected a host name in lower case",
    "[[default.http]]\nurl = 'https://bücher.example'": "xn--",
    "[[default.http]]\nurl = 'https://127.1'": "ends in a number",
    "[[default.http]]\nurl = 'https://a.com:0'": "a port is 1 to 65535",
    "[[default.http]]\nurl = 'https://u@a.com'": "expected an origin like",
    "[[default.http]]\nurl = 'ftp://a.com'": "expected an origin like",
    "[[default.http]]\nmethods = ['GET']": "default.http.0.url: Field required",
    "[[default.http]]\nurl = 'https://a.com'\nmethods = ['get']": "expected methods of GET",
    "[[default.http]]\nurl = 'https://a.com'\naddresses = ['10.0.0.1/8']": "has host bits set",
    "[[default.http]]\nurl = 'https://a.com'\naddresses = ['localhost']": "does not appear to be",
    "[default.secrets]\na = { env = 'A', file = 'b' }": "expected one of env, file and keyring",
    "[default.secrets]\na = 'sk-123'": "default.secrets.a",
    "[default.secrets]\na = { value = 'sk-123' }": "default.secrets.a.value: Extra inputs",
    "[default.files]\ndata = true": "default.files.data",
    "[default.files]\ndata = { bytes = -1 }": "default.files.data.bytes",
    "[default.limits]\nfule = 1": "default.limits.fule: Extra inputs",
    "[default": "is not TOML",
    "a = 1\na = 2": "is not TOML",
}


@pytest.mark.parametrize("text", FAULTS)
def test_a_faulty_policy_is_refused_and_explained(tmp_path: Path, text: str) -> None:
    path = tmp_path / "policy.toml"
    path.write_text(text)
    expected = FAULTS[text]
    if expected is None:
        assert read_policy(path) == PolicyFile()
        return
    with pytest.raises(PolicyError) as caught:
        read_policy(path)
    assert expected in str(caught.value)
    assert str(path) in str(caught.value)
    assert "sk-123" not in str(caught.value)  # somebody wrote a secret into it


def test_every_fault_is_listed(tmp_path: Path) -> None:
    path = tmp_path / "policy.toml"
    path.write_text("[default]\nwasy = 1\nwasi = 2\n[plugins.a]\nhttp = 3")
    with pytest.raises(PolicyError) as caught:
        read_policy(path)
    assert str(caught.value).count("\n  - ") == 3


def test_a_policy_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match="can't be read: No such file"):
        read_policy(tmp_path / "policy.toml")
    with pytest.raises(PolicyError, match="can't be read: Is a directory"):
        read_policy(tmp_path)
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    with pytest.raises(PolicyError, match="is not TOML"):
        read_policy(tmp_path / "binary")


def test_a_policy_of_a_digest_is_for_no_other_component() -> None:
    data = Guest().build()
    digest = read_component(data).digest
    admitted = admit_component(data, Limits(), Policy(digest=digest))
    assert admitted.policy.digest == digest
    with pytest.raises(PluginRefusedError) as caught:
        admit_component(data, Limits(), PolicyFile(plugins={"wat-guest": {"digest": "0" * 64}}))
    assert f'  [plugins.wat-guest]\n  digest = "sha256:{digest}"' in str(caught.value)
    assert "it is another plugin, or another version of it" in str(caught.value)


def test_limits_of_a_policy_take_the_place_of_the_hosts() -> None:
    policies = PolicyFile(plugins={"wat-guest": {"limits": {"fuel": 7}}})
    admitted = admit_component(Guest().build(), Limits(deadline_ms=5), policies)
    assert admitted.limits == Limits(deadline_ms=5, fuel=7)


@pytest.mark.anyio
@pytest.mark.parametrize("policy", [{"http": "all"}, {"plugins": {"a": {"x": 1}}}, []])
async def test_load_takes_no_other_policy(host: PluginHost, tmp_path: Path, policy: Any) -> None:
    (tmp_path / "a.wasm").write_bytes(Guest().build())
    with pytest.raises(ValidationError):
        await host.load(tmp_path / "a.wasm", policy=policy)


@pytest.mark.parametrize("name", ["Chat", "my_chat", "chat.", "", "chat-"])
def test_a_name_that_no_plugin_has_is_a_fault(tmp_path: Path, name: str) -> None:
    path = tmp_path / "policy.toml"
    path.write_text(f'[plugins."{name}"]\ndigest = "{"0" * 64}"\n')
    with pytest.raises(PolicyError, match="no plugin can have the name"):
        read_policy(path)


def test_a_secret_for_no_url_is_not_one_for_every(tmp_path: Path) -> None:
    path = tmp_path / "policy.toml"
    path.write_text('[plugins.chat.secrets]\nkey = { env = "KEY", urls = [] }\n')
    with pytest.raises(PolicyError, match="expected an origin"):
        read_policy(path)


def test_what_is_suggested_is_one_policy_whatever_things_are_called() -> None:
    odd = ['a b"]\n[plugins.other', "x.y", "\x7f", "=", "plain"]
    policy = Policy(files={"folders": {name: f"/srv/{name}" for name in odd}})
    seen = Observations()
    for name in odd:
        seen.note_used("files", f"folders/{name}")
    made = suggest(manifest_of(name="chat"), policy, "0" * 64, "none", seen)
    read = tomllib.loads(made.policy)
    assert list(read) == ["plugins"]
    assert list(read["plugins"]) == ["chat"]
    folders = read["plugins"]["chat"]["files"]["folders"]
    assert folders == {name: f"/srv/{name}" for name in odd}
    assert sorted(tomllib.loads(made.manifest)["files"]["folders"]) == sorted(odd)


def test_only_methods_that_there_are_are_observed() -> None:
    rules = HttpRules("p", (), (), Observations())
    rules.check("PATCH", Origin("https", "a.example", 443))
    for method in ("get", "CONNECT", 'GET"]\n[plugins.other', "PROPFIND"):
        with pytest.raises(DeniedError, match="none of GET"):
            rules.check(method, Origin("https", "a.example", 443))
