"""Manifests: as the section of a component, and as the text of `plugin.toml`."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar, Final

from orchestrator_plugin_host import Limits, Policy, with_manifest
from orchestrator_plugin_host.admission import admit_component, admit_export
from orchestrator_plugin_sdk import (
    PluginError,
    PluginExport,
    PluginManifest,
    pack,
    read_manifest,
    to_document,
    validate_manifest,
)
from orchestrator_plugin_sdk.naming import MANIFEST_SECTION
from orchestrator_plugin_sdk.project import read_project
from support.guests import Guest, manifest_of

from ..mutate import binary
from ..mutate.sections import leb
from ..shapes import nearly, plain
from ..target import BrokenPromiseError, Outcome, Target

_CORE: Final = Guest().core()
_TOML: Final = """name = "a-plugin"
type = "provider"
version = "1.0.0"
description = "what it does"
payload_encodings = ["bytes", "latin1"]
sdk_version = { min_version = 1 }
stateful = false

[limits]
fuel = 1000

[build]
language = "python"
entry = "module:create"
"""
_VALUES: Final = (
    "1", "-1", "0", "1.5", "nan", "inf", "true", '""', '"x"', "'y'", '"""z"""', "[]", "{}", "[1]",
    "{ a = 1 }", "1979-05-27T07:32:00Z", "07:32:00", "1979-05-27",
    "9" * 30, "9" * 5000, "-" + "9" * 4299,
    "0x" + "f" * 30, "0x" + "f" * 5000, "0b" + "1" * 20000, "1e400", '"\\uD800"', '"\\U0001F600"',
    '"\\u0000"', "[" * 500, "[" * 3000 + "]" * 3000, "{a=" * 500, "{a=" * 2000 + "1" + "}" * 2000,
    '"' + "x" * 70_000 + '"', "['" + "','".join("x" * 9) + "']", '["base64"]', '"embedder"',
    "{ min_version = 1, max_version = 1 }", "{ min_version = 0x" + "f" * 5000 + " }",
    "{ min_version = 2, max_version = 0x" + "f" * 5000 + " }", '"0.0.0-' + "0." * 3000 + '"',
    '"1.0.0-' + "a" * 30000 + '+!"', '"' + "a-" * 20000 + '"',
)  # fmt: skip


class Manifests(Target):
    """The first byte of an input says which of the two forms the rest is."""

    name: ClassVar[str] = "manifests"
    seconds: ClassVar[float] = 5.0
    batch: ClassVar[int] = 20_000
    stages: ClassVar[tuple[str, ...]] = ("section", "text", "valid")

    def make(self, chance: random.Random) -> bytes:
        """A manifest or nearly one, damaged now and then."""
        if chance.random() < 0.5:
            document = to_document(manifest_of())
            if chance.random() < 0.5:
                other = nearly(chance, PluginManifest)
                document |= other if isinstance(other, dict) else {}
                document["sdk_version"] = {"min_version": chance.choice((0, 1, 2, 2**64 - 1))}
            if chance.random() < 0.5:
                document[chance.choice([*document, "limits", "more"])] = plain(chance, 2)
            data = b"\0" + pack(document)
        else:
            data = b"\1" + self._toml(chance).encode("utf-8", "surrogatepass")
        if chance.random() < 0.3:
            return binary.mutated(chance, data, _TOML.encode(), keep=1)
        return data

    def _toml(self, chance: random.Random) -> str:
        lines = _TOML.splitlines()
        for _ in range(chance.choice((0, 1, 1, 2, 3))):
            at = chance.randrange(len(lines))
            key, equals, _ = lines[at].partition(" = ")
            way = chance.random()
            if equals and way < 0.7:
                lines[at] = f"{key} = {chance.choice(_VALUES)}"
            elif way < 0.8:
                del lines[at]
                lines = lines or [""]
            elif way < 0.9:
                lines.insert(chance.randrange(len(lines)), lines[at])
            else:
                names = ("a.b.c", "limits.fuel", "limits.log_bytes", '"quoted"', "[[build]]", "")
                lines.insert(at, f"{chance.choice(names)} = {chance.choice(_VALUES)}")
        return chance.choice(("\n", "\n", "\n", "\r\n")).join(lines)

    def run(self, data: bytes) -> Outcome:
        """Reads it the way that it would come."""
        return self._text(data[1:]) if data[:1] == b"\1" else self._section(data[1:])

    def _section(self, document: bytes) -> Outcome:
        name = MANIFEST_SECTION.encode()
        body = leb(len(name)) + name + document
        component = _CORE + b"\0" + leb(len(body)) + body
        try:
            manifest = admit_component(component, Limits(), Policy()).manifest
        except PluginError as error:
            return Outcome("section", type(error).__name__)
        return _valid(manifest)

    def _text(self, text: bytes) -> Outcome:
        folder = self.scratch / "project"
        folder.mkdir(exist_ok=True)
        (folder / "plugin.toml").write_bytes(text)
        ended: set[str] = set()
        readers: tuple[Callable[[Path], PluginManifest], ...] = (
            read_manifest,
            lambda path: read_project(path).manifest,
        )
        manifest: PluginManifest | None = None
        for read in readers:
            try:
                manifest = read(folder)
            except PluginError as error:
                ended.add(type(error).__name__)
        if manifest is None:
            return Outcome("text", min(ended))
        return _valid(manifest)


def _valid(manifest: PluginManifest) -> Outcome:
    """What must hold of a manifest that was read: it is the same again, and can be asked of."""
    if validate_manifest(to_document(manifest)) != manifest:
        raise BrokenPromiseError("a valid manifest is another, or none, when read again")
    try:
        admit_export(PluginExport(manifest, lambda: None), Limits())  # type: ignore[arg-type]
        with_manifest(_CORE, manifest)
    except PluginError as error:
        return Outcome("valid", type(error).__name__)
    return Outcome("valid", "admitted")
