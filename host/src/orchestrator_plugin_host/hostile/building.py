"""From a case's text to the file that a host loads.

A guest is written in named pieces, over those of a skeleton: a line `;;@ generate` begins the
piece `generate`, and `{{generate}}` stands for it wherever it is used. `;;@ fields * 300` repeats
a piece. A text without such lines is a whole component (or whatever else) by itself.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Final

import wasmtime
from orchestrator_plugin_sdk.manifest import PluginManifest
from orchestrator_plugin_sdk.naming import PluginType
from orchestrator_plugin_sdk.schema import from_document

from ..component_file import with_manifest
from .cases import CORPUS, Case, CaseError

_HEADER: Final = re.compile(r"^;;@ +([^*\n]+?)(?: +\* +(\d+))? *$", re.MULTILINE)
_HOLE: Final = re.compile(r"\{\{([^{}]+)\}\}")
_MAX_DEPTH: Final = 20
Pieces = Mapping[str, str]


def read_pieces(text: str) -> dict[str, str]:
    """The pieces of a text, by name."""
    found = _HEADER.split(text)[1:]
    return {
        name: body * int(times or 1)
        for name, times, body in zip(found[::3], found[1::3], found[2::3], strict=True)
    }


def skeleton(
    kind: PluginType, imports: Collection[str] = (), corpus: Path = CORPUS
) -> dict[str, str]:
    """The pieces of a well-behaved plugin of a kind, with further imports."""
    folder = corpus / "skeletons"
    layers = ("common", "wasi", str(kind), *sorted(imports))
    return {
        name: piece
        for layer in layers
        for name, piece in read_pieces((folder / f"{layer}.wat").read_text("utf-8")).items()
    }


def fill(pieces: Pieces, name: str = "guest", depth: int = 0) -> str:
    """A piece, with the pieces that it names in their places. Raises `CaseError`."""
    if depth > _MAX_DEPTH:
        raise CaseError(f"the piece {name!r} is within itself")
    if name not in pieces:
        raise CaseError(f"there is no piece {name!r}")
    return _HOLE.sub(lambda hole: fill(pieces, hole[1], depth + 1), pieces[name])


def text_of(case: Case, plugin: str) -> str:
    """The whole text of one of a case's guests. Raises `CaseError`."""
    path = case.folder / f"{plugin}.wat"
    try:
        text = path.read_text("utf-8")
    except OSError as error:
        raise CaseError(f"{case.id}: {error}") from None
    own = read_pieces(text)
    if not own:
        return text
    pieces = skeleton(case.kind, case.imports) | {"port": str(case.port)}
    unknown = own.keys() - pieces.keys() - set(_HOLE.findall(text))
    if unknown:
        raise CaseError(f"{case.id}: no skeleton has a place for {', '.join(sorted(unknown))}")
    try:
        return fill(pieces | own)
    except CaseError as error:
        raise CaseError(f"{case.id}: {error}") from None


def build(case: Case, plugin: str) -> bytes:
    """The file of one of a case's guests. Raises `CaseError`."""
    more = b"".join(piece.data() for piece in case.bytes)
    if case.form == "binary":
        return more
    text = text_of(case, plugin)
    if case.form == "text":
        return text.encode() + more
    data = _assemble(text, f"{case.id}: {plugin}.wat")
    if case.form == "component":
        data = with_manifest(data, _manifest(case.kind, f"hostile-{plugin}", case.manifest))
    return data + more


def build_good() -> bytes:
    """A provider that does nothing wrong, for the host to serve after a case."""
    kind = PluginType.PROVIDER
    return with_manifest(
        _assemble(fill(skeleton(kind)), "the skeletons"), _manifest(kind, "good", {})
    )


def _assemble(text: str, where: str) -> bytes:
    try:
        return bytes(wasmtime.wat2wasm(text))
    except wasmtime.WasmtimeError as error:
        raise CaseError(f"{where}: {error}") from None


def _manifest(kind: PluginType, name: str, fields: Mapping[str, Any]) -> PluginManifest:
    usual = {
        "name": name,
        "type": kind.value,
        "sdk_version": {"min_version": 1},
        "version": "1.0.0",
    }
    manifest: PluginManifest = from_document(PluginManifest, usual | dict(fields))
    return manifest
