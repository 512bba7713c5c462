"""A plugin is its digest: what a name is granted goes to no other file that claims the name."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from orchestrator_plugin_host import (
    FilesError,
    HostSettings,
    Limits,
    PluginHost,
    PluginRefusedError,
    Policy,
    PolicyFile,
    read_component,
)
from orchestrator_plugin_host.admission import admit_component
from orchestrator_plugin_host.capabilities.owned.folders import take_over
from orchestrator_plugin_host.capabilities.owned.owners import NATIVE, owner_of
from orchestrator_plugin_host.notices import LOGGER_NAME
from orchestrator_plugin_sdk import (
    FilesRequirement,
    HttpRequirement,
    PluginExport,
    PluginType,
    SecretRequirement,
)
from sdk.plugins import SmallProvider, small_manifest
from support.guests import Guest

NAME = "wat-guest"
ORIGIN = "https://api.example.com"
ASKS: dict[str, Any] = {
    "files": FilesRequirement(data=True),
    "http": (HttpRequirement(ORIGIN),),
    "secrets": {"key": SecretRequirement((ORIGIN,))},
}
TRUE = Guest().build(**ASKS)
IMPOSTOR = Guest(data=b"another").build(**ASKS)
DIGEST = read_component(TRUE).digest
OTHER = read_component(IMPOSTOR).digest
GRANTS: dict[str, dict[str, Any]] = {
    "http": {"http": [{"url": ORIGIN}]},
    "secrets": {"secrets": {"key": {"env": "KEY"}}},
    "files": {"files": {"data": {}}},
    "wasi": {"wasi": "core"},
}
EVERYTHING: dict[str, Any] = {name: value for one in GRANTS.values() for name, value in one.items()}
DATA = Policy(files={"data": {}})
FILE_ALONE = {"files": FilesRequirement(data=True)}


@pytest.fixture
def data_directory(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def settings(cache_directory: Path, data_directory: Path, tmp_path: Path) -> HostSettings:
    return HostSettings(
        cache_directory=cache_directory,
        data_directory=data_directory,
        audit_file=tmp_path / "audit.jsonl",
    )


@pytest.fixture
async def strict(anyio_backend: str, settings: HostSettings) -> AsyncIterator[PluginHost]:
    """A host that requires digests."""
    changed = settings.model_copy(update={"require_digest": True, "audit_file": None})
    async with PluginHost(changed) as opened:
        yield opened


def file_of(data: bytes, folder: Path) -> Path:
    path = folder / f"{read_component(data).digest[:8]}.wasm"
    path.write_bytes(data)
    return path


def native(**fields: Any) -> PluginExport[Any]:
    manifest = replace(small_manifest(PluginType.PROVIDER), name=NAME, **fields)
    return PluginExport(manifest, type("Named", (SmallProvider,), {"name": NAME}))


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    found = [one for one in caplog.records if one.name == LOGGER_NAME]
    assert all(one.levelno == logging.WARNING for one in found)
    return [one.getMessage() for one in found]


# A file that claims the name of another plugin.


@pytest.mark.anyio
async def test_an_impostor_gets_nothing_of_a_plugin_that_is_pinned(
    host: PluginHost, tmp_path: Path, data_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEY", "sk-the-key-of-this-test")
    policies = PolicyFile(plugins={NAME: {**EVERYTHING, "digest": DIGEST}})
    true = await host.load(file_of(TRUE, tmp_path), policy=policies)
    (data_directory / NAME / "kept").write_text("kept")
    # Were the secret looked for, its absence would be told before anything else.
    monkeypatch.delenv("KEY")
    for loaded in (True, False):
        with pytest.raises(PluginRefusedError) as caught:
            await host.load(file_of(IMPOSTOR, tmp_path), policy=policies)
        for said in (DIGEST, OTHER, "another plugin, or another version of it"):
            assert said in str(caught.value)
        if loaded:
            await true.shutdown()
    assert [one.name for one in (data_directory / NAME).iterdir()] == ["kept"]


@given(st.binary(max_size=200))
def test_no_byte_of_a_pinned_component_can_differ(more: bytes) -> None:
    size = len(more) + 2
    assert size < 2**14
    section = bytes([0, 0x80 | size & 0x7F, size >> 7, 1]) + b"x" + more
    policies = PolicyFile(plugins={NAME: {**EVERYTHING, "digest": DIGEST}})
    assert admit_component(TRUE, Limits(), policies).policy.grants
    with pytest.raises(PluginRefusedError, match="another version"):
        admit_component(TRUE + section, Limits(), policies)
    # It is a component as good as the other: the digest alone makes the difference.
    assert admit_component(TRUE + section, Limits(), Policy()).manifest.name == NAME


@pytest.mark.anyio
async def test_another_name_gets_nothing_either(host: PluginHost, tmp_path: Path) -> None:
    policies = PolicyFile(plugins={NAME: {**EVERYTHING, "digest": DIGEST}})
    other = Guest().build(name="other", files=FilesRequirement(data=True))
    plugin = await host.load(file_of(other, tmp_path), policy=policies)
    assert not host.settings.data_directory.exists()
    await plugin.shutdown()


# What is not pinned is said.


@pytest.mark.anyio
@pytest.mark.parametrize("grant", GRANTS)
async def test_a_grant_without_a_digest_is_warned_of_once_a_load(
    host: PluginHost,
    tmp_path: Path,
    grant: str,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("KEY", "sk-the-key-of-this-test")
    path = file_of(Guest().build(), tmp_path)
    digest = read_component(path.read_bytes()).digest
    policies = PolicyFile(plugins={NAME: GRANTS[grant]})
    for loads in (1, 2):
        plugin = await host.load(path, policy=policies)
        await plugin.health_check()
        await plugin.health_check()
        assert len(warnings(caplog)) == loads
    told = warnings(caplog)[0]
    assert f"plugin '{NAME}' is not pinned" in told
    assert f"grants {grant} to any file" in told
    assert f'[plugins.{NAME}]\n  digest = "sha256:{digest}"' in told


@pytest.mark.anyio
async def test_nothing_is_said_of_what_is_pinned_or_granted_nothing(
    host: PluginHost, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = file_of(Guest().build(), tmp_path)
    digest = read_component(path.read_bytes()).digest
    for policy in (
        Policy(),
        Policy(limits=Limits(fuel=10**9)),
        Policy(http=[{"url": ORIGIN}], digest=digest),
        PolicyFile(plugins={"other": EVERYTHING}),
    ):
        await host.load(path, policy=policy)
    await host.load(native())
    assert warnings(caplog) == []


@pytest.mark.anyio
async def test_a_native_plugin_can_not_be_pinned_and_that_is_said(
    host: PluginHost, caplog: pytest.LogCaptureFixture
) -> None:
    await host.load(native(), policy=DATA)
    [told] = warnings(caplog)
    assert f"plugin '{NAME}' is native" in told
    assert "grants files to whatever has that name" in told


def test_the_line_to_add_makes_the_policy_one_of_this_file() -> None:
    """Whichever way the policy was given, what the warning says to write mends it."""
    named = PolicyFile(plugins={NAME: EVERYTHING})
    general = PolicyFile(default=EVERYTHING)
    told: dict[str, str] = {}
    for how, policies in (("named", named), ("default", general), ("one", Policy(**EVERYTHING))):
        with pytest.raises(PluginRefusedError) as caught:
            admit_component(TRUE, Limits(), policies, require_digest=True)
        told[how] = str(caught.value)
    assert f'digest = "sha256:{DIGEST}"' in told["named"]
    assert "[default]" not in told["named"]
    assert "gets nothing of [default]" in told["default"]
    assert f'Policy(digest="sha256:{DIGEST}", …)' in told["one"]
    for policies in (
        PolicyFile(plugins={NAME: {**EVERYTHING, "digest": DIGEST}}),
        Policy(**EVERYTHING, digest=DIGEST),
    ):
        assert admit_component(TRUE, Limits(), policies, require_digest=True).policy.grants


@pytest.mark.anyio
async def test_each_line_of_the_audit_says_whether_the_plugin_is_pinned(
    host: PluginHost, tmp_path: Path
) -> None:
    path = file_of(Guest().build(), tmp_path)
    digest = read_component(path.read_bytes()).digest
    for source, policy in (
        (path, Policy(digest=digest)),
        (path, Policy()),
        (native(), Policy()),
    ):
        plugin = await host.load(source, policy=policy)
        await plugin.health_check()
        await plugin.shutdown()
    await host.close()
    assert host.settings.audit_file is not None
    lines = [json.loads(one) for one in host.settings.audit_file.read_text().splitlines()]
    said = [(one["digest"], one["pinned"]) for one in lines]
    assert set(said) == {(digest, True), (digest, False), (None, False)}
    assert said[0] == (digest, True)
    assert said[-1] == (None, False)


# Hosts that require digests.


@pytest.mark.anyio
@pytest.mark.parametrize("grant", GRANTS)
async def test_a_host_that_requires_digests_refuses_grants_without_one(
    strict: PluginHost, tmp_path: Path, grant: str
) -> None:
    path = file_of(Guest().build(), tmp_path)
    digest = read_component(path.read_bytes()).digest
    with pytest.raises(PluginRefusedError) as caught:
        await strict.load(path, policy=PolicyFile(plugins={NAME: GRANTS[grant]}))
    for said in (
        "require_digest=True",
        f"grants {grant} to any file",
        f'  [plugins.{NAME}]\n  digest = "sha256:{digest}"',
    ):
        assert said in str(caught.value)
    with pytest.raises(PluginRefusedError, match=r"native(.|\n)*require_digest=True"):
        await strict.load(native(), policy=PolicyFile(plugins={NAME: GRANTS[grant]}))


@pytest.mark.anyio
async def test_a_host_that_requires_digests_takes_the_rest(
    strict: PluginHost, tmp_path: Path
) -> None:
    path = file_of(Guest().build(), tmp_path)
    digest = read_component(path.read_bytes()).digest
    await strict.load(path)
    await strict.load(path, policy=Policy(http=[{"url": ORIGIN}], digest=digest))
    await strict.load(native())


# Data.


@pytest.mark.anyio
async def test_data_is_for_the_digest_that_wrote_it_until_the_operator_says_otherwise(
    host: PluginHost, tmp_path: Path, data_directory: Path
) -> None:
    old = file_of(Guest().build(**FILE_ALONE), tmp_path)
    new = file_of(Guest(data=b"new").build(**FILE_ALONE), tmp_path)
    before, after = (owner_of(read_component(one.read_bytes()).digest) for one in (old, new))
    plugin = await host.load(old, policy=DATA)
    (data_directory / NAME / "kept").write_text("kept")
    for _ in range(2):  # while the other has it, and afterwards
        with pytest.raises(FilesError) as caught:
            await host.load(new, policy=DATA)
        command = f"orchestrator-plugin data take-over {NAME} --digest {after} --data"
        for said in (before, after, "another version of it", command, str(data_directory)):
            assert said in str(caught.value)
        with pytest.raises(FilesError, match=r"a native plugin(.|\n)*--native"):
            await host.load(native(**FILE_ALONE), policy=DATA)
        await plugin.shutdown()
    assert take_over(data_directory, NAME, after) == before
    plugin = await host.load(new, policy=DATA)
    with pytest.raises(FilesError):
        await host.load(old, policy=DATA)
    assert (data_directory / NAME / "kept").read_text() == "kept"


@pytest.mark.anyio
async def test_a_native_plugin_s_data_is_not_for_a_component_of_its_name(
    host: PluginHost, tmp_path: Path, data_directory: Path
) -> None:
    path = file_of(Guest().build(**FILE_ALONE), tmp_path)
    plugin = await host.load(native(**FILE_ALONE), policy=DATA)
    await plugin.shutdown()
    with pytest.raises(FilesError, match="belongs to a native plugin"):
        await host.load(path, policy=DATA)
    plugin = await host.load(native(**FILE_ALONE), policy=DATA)  # any of that name
    await plugin.shutdown()
    assert take_over(data_directory, NAME, owner_of(None)) == NATIVE


@pytest.mark.anyio
async def test_data_without_a_record_is_the_first_ones_and_that_is_said(
    host: PluginHost, tmp_path: Path, data_directory: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (data_directory / NAME).mkdir(parents=True, mode=0o700)
    (data_directory / NAME / "kept").write_text("kept")
    path = file_of(Guest().build(**FILE_ALONE), tmp_path)
    digest = read_component(path.read_bytes()).digest
    policy = Policy(files={"data": {}}, digest=digest)
    for _ in range(2):
        plugin = await host.load(path, policy=policy)
        await plugin.shutdown()
    [told] = warnings(caplog)  # the first time
    for said in (NAME, str(data_directory / NAME), f"sha256:{digest}"):
        assert said in told
    with pytest.raises(FilesError):
        await host.load(file_of(Guest(data=b"new").build(**FILE_ALONE), tmp_path), policy=DATA)
