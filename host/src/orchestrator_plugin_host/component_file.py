"""A component's bytes, read without running or compiling any of them.

Gives the manifest it carries, the names it imports and exports, and how much is in it. Everything
here works on bytes that an enemy may have written: each length is checked before it is used.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from orchestrator_plugin_sdk.codec import pack, to_document, unpack
from orchestrator_plugin_sdk.contract import MANIFEST_SECTION
from orchestrator_plugin_sdk.errors import DocumentError
from orchestrator_plugin_sdk.manifest import PluginManifest

from .binary import COMPONENT, MAGIC, MODULE, Cursor, section, sized
from .errors import InvalidComponentError

_MAX_NESTING = 16
_MAX_SECTIONS = 100_000
_MAX_ITEMS = 1_000
_MAX_MANIFEST_BYTES = 64 * 1024
_SORTS = ("core", "func", "value", "type", "component", "instance")


@dataclass(slots=True)
class Contents:
    """How many of each thing a component defines, in all its modules together."""

    sections: int = field(default=0, compare=False)
    modules: int = 0
    functions: int = 0
    memories: int = 0
    data_segments: int = 0


@dataclass(frozen=True)
class ComponentFile:
    """A component: its bytes, the SHA-256 `digest` of them, and what they say.

    `imports` and `exports` are names with their sort (`instance`, `func`, …).
    """

    data: bytes
    digest: str
    imports: tuple[tuple[str, str], ...]
    exports: tuple[tuple[str, str], ...]
    custom_sections: tuple[tuple[str, bytes], ...]
    contents: Contents

    @cached_property
    def manifest_document(self) -> Any:
        """The manifest's document, not validated yet. Raises `InvalidComponentError`."""
        found = [body for name, body in self.custom_sections if name == MANIFEST_SECTION]
        if len(found) != 1:
            raise InvalidComponentError(
                f"the component has {len(found) or 'no'} manifest section(s) named "
                f"{MANIFEST_SECTION!r}, it must have one: build it with "
                "`orchestrator-plugin build`, or add a manifest to a finished component with "
                "`orchestrator-plugin build DIR --component FILE`"
            )
        if len(found[0]) > _MAX_MANIFEST_BYTES:
            raise InvalidComponentError(
                f"the component's manifest has {len(found[0]):,} bytes, "
                f"it may have {_MAX_MANIFEST_BYTES:,}"
            )
        try:
            return unpack(found[0])
        except DocumentError as error:
            raise InvalidComponentError(f"the component's manifest {error}") from None


class _Bytes(Cursor):
    """Reads what components alone have."""

    def count(self) -> int:
        count = self.unsigned()
        if count > _MAX_ITEMS:
            raise InvalidComponentError(
                f"the component imports or exports {count:,} things at once; {_MAX_ITEMS:,} may be"
            )
        return count

    def extern_name(self) -> str:
        kind = self.byte()
        name = self.name()
        if kind > 1:
            raise InvalidComponentError(
                f"the component names {name!r} in a way that this host does not read"
            )
        return name

    def extern_sort(self) -> str:
        """Reads an external description; gives its sort."""
        sort = self.byte()
        if sort >= len(_SORTS) or _SORTS[sort] == "value":
            raise InvalidComponentError("the component imports or exports an unknown kind of thing")
        if sort == 0:
            self.byte()
            self.unsigned()
        elif sort != 3 or self.byte() == 0:
            self.unsigned()
        return _SORTS[sort]


def _imports(body: _Bytes) -> Iterator[tuple[str, str]]:
    for _ in range(body.count()):
        yield body.extern_name(), body.extern_sort()


def _exports(body: _Bytes) -> Iterator[tuple[str, str]]:
    for _ in range(body.count()):
        name = body.extern_name()
        sort = body.byte()
        if sort >= len(_SORTS):
            raise InvalidComponentError("the component exports an unknown kind of thing")
        if sort == 0:
            body.byte()
        body.unsigned()
        if body.byte():
            body.extern_sort()
        yield name, _SORTS[sort]


def _count(data: _Bytes, into: Contents, depth: int) -> None:
    """Counts what a module defines, or all modules of a component."""
    if depth > _MAX_NESTING:
        raise InvalidComponentError(f"the component nests deeper than {_MAX_NESTING} levels")
    header = data.take(8).rest()
    if header[4:] == MODULE:
        into.modules += 1
    for kind, body in data.sections():
        into.sections += 1
        if into.sections > _MAX_SECTIONS:  # reading them takes time, too
            raise InvalidComponentError(f"the component has more than {_MAX_SECTIONS:,} sections")
        if kind == 0:
            body.name()  # that it can be read: `without_names` reads it later
        elif header[4:] == COMPONENT:
            if kind in (1, 4):
                _count(body, into, depth + 1)
        elif kind == 3:
            into.functions += body.unsigned()
        elif kind == 5:
            into.memories += body.unsigned()
        elif kind == 11:
            into.data_segments += body.unsigned()


def read_component(data: bytes) -> ComponentFile:
    """Reads a component's bytes.

    Raises `InvalidComponentError` for what isn't one: another format, WAT text, a core module, a
    truncated or malformed file.
    """
    if data[:4] != MAGIC:
        hint = ""
        if data.lstrip()[:1] == b"(":
            hint = ": this looks like WebAssembly text; assemble it first"
        elif not data:
            hint = ": it is empty"
        raise InvalidComponentError(f"the file is not WebAssembly{hint}")
    if data[4:8] == MODULE:
        raise InvalidComponentError(
            "the file is a core WebAssembly module, not a component: "
            "make a component of it with your toolchain"
        )
    if data[4:8] != COMPONENT:
        raise InvalidComponentError(
            f"the file is of an unknown WebAssembly version ({data[4:8].hex() or 'none'})"
        )
    contents = Contents()
    _count(_Bytes(data, 0, len(data)), contents, 0)
    imports: list[tuple[str, str]] = []
    exports: list[tuple[str, str]] = []
    custom: list[tuple[str, bytes]] = []
    for kind, body in _Bytes(data, 8, len(data)).sections():
        if kind == 0:
            custom.append((body.name(), body.rest()))
        elif kind == 10:
            imports.extend(_imports(body))
        elif kind == 11:
            exports.extend(_exports(body))
        elif kind > 12:
            raise InvalidComponentError(f"the component has a section of unknown kind {kind}")
    return ComponentFile(
        data,
        hashlib.sha256(data).hexdigest(),
        tuple(imports),
        tuple(exports),
        tuple(custom),
        contents,
    )


def with_manifest(data: bytes, manifest: PluginManifest) -> bytes:
    """A component with this manifest in it, in place of any it had.

    Raises `InvalidComponentError` for what isn't a component, or a manifest that is too large.
    """
    read_component(data)
    kept = [data[:8]]
    cursor = _Bytes(data, 8, len(data))
    while cursor.at < cursor.end:
        start = cursor.at
        kind = cursor.byte()
        body = cursor.take(cursor.unsigned())
        if kind != 0 or body.name() != MANIFEST_SECTION:
            kept.append(data[start : cursor.at])
    name = MANIFEST_SECTION.encode()
    document = pack(to_document(manifest))
    if len(document) > _MAX_MANIFEST_BYTES:
        raise InvalidComponentError(
            f"the manifest has {len(document):,} bytes, it may have {_MAX_MANIFEST_BYTES:,}"
        )
    return b"".join([*kept, section(0, sized(name) + document)])


def without_names(data: bytes) -> bytes:
    """A component whose modules do not say what their functions are called.

    The names serve backtraces alone, and writing one out costs time that the guest can choose: a
    C++ name of 300 letters may stand for one of gigabytes.
    """
    return _without_names(_Bytes(data, 0, len(data)), 0)


def _without_names(data: _Bytes, depth: int) -> bytes:
    if depth > _MAX_NESTING:
        raise InvalidComponentError(f"the component nests deeper than {_MAX_NESTING} levels")
    header = data.take(8).rest()
    kept = [header]
    for kind, body in data.sections():
        content = body.rest()
        if header[4:] == COMPONENT and kind in (1, 4):
            content = _without_names(body, depth + 1)
        elif kind == 0 and body.name() in ("name", "component-name"):
            continue
        kept.append(section(kind, content))
    return b"".join(kept)
